//! Whose packets do we take, and where do we send?
//!
//! The address of the session description decides; where that is a private one which cannot be reached, the address
//! that SIP comes from. With [`SourcePolicy::Latch`] (for phones behind
//! NAT) it is the first sender instead. Either way the source is then locked: nobody else is heard
//! until it has been quiet for a while. With [`SourcePolicy::Checked`] (for phones in browsers) it is where the checks
//! of ICE come from, and nobody else ever.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};
use types::network::is_hidden_behind;

/// Quiet for so long, a source of audio may be replaced by another allowed one.
pub(super) const REOPEN: Duration = Duration::from_secs(3);
/// One of reports: five of their intervals (RFC 3550 section 6.3.5).
pub(super) const REOPEN_REPORTS: Duration = Duration::from_secs(25);

/// Who may send to us.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SourcePolicy {
    /// The signalled IP address, any port; we send to the signalled address and port.
    #[default]
    Signalled,
    /// As before, unless the signalled address is hidden behind this one, which SIP comes from: then this one counts.
    Peer(IpAddr),
    /// Whoever sends first, the signalled address before others; we send back to there.
    Latch,
    /// Whoever [`super::FromPhone::checked`] names, as a browser chooses its way by ICE.
    Checked,
}

/// The source of one leg.
#[derive(Debug)]
pub(super) struct Source {
    policy: SourcePolicy,
    signalled: SocketAddr,
    reopen: Duration,
    locked: Option<(SocketAddr, Instant)>,
}

impl Source {
    /// `reopen`: quiet for so long, a sender may be replaced.
    pub fn new(policy: SourcePolicy, signalled: SocketAddr, reopen: Duration) -> Source {
        Source { policy, signalled, reopen, locked: None }
    }

    /// A new description: another address unlocks the source.
    pub fn change(&mut self, signalled: SocketAddr) {
        if signalled != self.signalled && self.policy != SourcePolicy::Checked {
            (self.signalled, self.locked) = (signalled, None);
        }
    }

    /// A check came from there. The first way is taken until the phone has chosen one.
    pub fn checked(&mut self, from: SocketAddr, chosen: bool, now: Instant) {
        if self.policy == SourcePolicy::Checked && (chosen || self.locked.is_none()) {
            self.locked = Some((from, now));
        }
    }

    /// By whom sources are chosen.
    pub fn policy(&self) -> SourcePolicy {
        self.policy
    }

    /// May this sender be heard? If so, it is the locked one from now on.
    pub fn accept(&mut self, from: SocketAddr, now: Instant) -> bool {
        let allowed = self.allows(from, now);
        if allowed {
            self.locked = Some((from, now));
        }
        allowed
    }

    /// May this sender be heard? Nothing changes by it.
    pub fn allows(&self, from: SocketAddr, now: Instant) -> bool {
        match self.locked {
            Some((locked, _)) if locked == from => true,
            Some((locked, last)) => self.may_send(from) && (now >= last + self.reopen || self.outranks(from, locked)),
            None => self.may_send(from),
        }
    }

    /// Where our packets go; nowhere while ICE knows no way.
    pub fn destination(&self) -> Option<SocketAddr> {
        let locked = self.locked.map(|(locked, _)| locked);
        match (self.policy, locked) {
            (SourcePolicy::Checked, _) => locked,
            (SourcePolicy::Latch, Some(_)) => locked,
            (SourcePolicy::Peer(peer), _) if is_hidden_behind(self.signalled.ip(), peer) => {
                locked.or(Some(SocketAddr::new(peer, self.signalled.port())))
            }
            _ => Some(self.signalled),
        }
    }

    fn may_send(&self, from: SocketAddr) -> bool {
        let signalled = from.ip() == self.signalled.ip();
        match self.policy {
            SourcePolicy::Signalled => signalled,
            SourcePolicy::Peer(peer) => signalled || (from.ip() == peer && is_hidden_behind(self.signalled.ip(), peer)),
            SourcePolicy::Latch => true,
            SourcePolicy::Checked => false,
        }
    }

    fn outranks(&self, from: SocketAddr, locked: SocketAddr) -> bool {
        self.rank(from) > self.rank(locked)
    }

    /// The signalled address comes first, then another port of it, then others.
    fn rank(&self, from: SocketAddr) -> u8 {
        u8::from(from.ip() == self.signalled.ip()) + u8::from(from == self.signalled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn source(policy: SourcePolicy, signalled: SocketAddr) -> Source {
        Source::new(policy, signalled, REOPEN)
    }

    #[test]
    fn strangers_are_never_heard_by_default() {
        let (mut source, now) = (source(SourcePolicy::Signalled, address("192.0.2.1:4000")), Instant::now());
        assert!(!source.accept(address("192.0.2.2:4000"), now));
        assert!(source.accept(address("192.0.2.1:9999"), now), "another port of the same phone");
        assert_eq!(source.destination(), Some(address("192.0.2.1:4000")));
    }

    #[test]
    fn after_the_first_packet_only_its_sender_is_heard() {
        let (mut source, now) = (source(SourcePolicy::Latch, address("10.0.0.1:4000")), Instant::now());
        assert!(source.accept(address("198.51.100.7:555"), now));
        assert_eq!(source.destination(), Some(address("198.51.100.7:555")));
        assert!(!source.accept(address("203.0.113.9:555"), now));
        assert!(source.accept(address("203.0.113.9:555"), now + REOPEN), "the first one is gone");
    }

    #[test]
    fn the_signalled_address_outranks_one_that_was_faster() {
        let (mut source, now) = (source(SourcePolicy::Latch, address("192.0.2.1:4000")), Instant::now());
        assert!(source.accept(address("203.0.113.9:1"), now));
        assert!(source.accept(address("192.0.2.1:4000"), now));
        assert!(!source.accept(address("203.0.113.9:1"), now));
    }

    #[test]
    fn whoever_the_new_description_names_outranks_the_old_stream_from_the_same_host() {
        let (old, new) = (address("192.0.2.1:4000"), address("192.0.2.1:4002"));
        let (mut source, now) = (source(SourcePolicy::Signalled, old), Instant::now());
        assert!(source.accept(old, now));
        source.change(new);
        assert!(source.accept(old, now), "it goes on until the new one is there");
        assert!(source.accept(new, now));
        assert!(!source.accept(old, now));
    }

    #[test]
    fn a_private_address_that_cannot_be_reached_gives_way_to_the_peers_own() {
        let peer = "203.0.113.7".parse().unwrap();
        let now = Instant::now();
        let mut hidden = Source::new(SourcePolicy::Peer(peer), address("10.0.0.1:4000"), REOPEN);
        assert_eq!(hidden.destination(), Some(address("203.0.113.7:4000")));
        assert!(!hidden.accept(address("203.0.113.9:555"), now), "a stranger");
        assert!(hidden.accept(address("203.0.113.7:555"), now));
        assert_eq!(hidden.destination(), Some(address("203.0.113.7:555")));

        let mut open = Source::new(SourcePolicy::Peer(peer), address("198.51.100.1:4000"), REOPEN);
        assert!(!open.accept(address("203.0.113.7:555"), now));
        assert_eq!(open.destination(), Some(address("198.51.100.1:4000")));
    }

    #[test]
    fn with_checks_the_first_way_is_taken_until_the_phone_chooses_and_no_other_is_heard() {
        let (one, other) = (address("192.0.2.1:4000"), address("198.51.100.7:555"));
        let (mut source, now) = (source(SourcePolicy::Checked, address("0.0.0.0:9")), Instant::now());
        assert_eq!((source.destination(), source.accept(one, now)), (None, false));
        source.checked(one, false, now);
        source.checked(other, false, now);
        assert_eq!((source.destination(), source.accept(one, now)), (Some(one), true));
        assert!(!source.accept(other, now + REOPEN), "however long the chosen one is quiet");
        source.checked(other, true, now);
        assert_eq!((source.destination(), source.accept(one, now)), (Some(other), false));
        source.change(address("192.0.2.8:9"));
        assert!(source.accept(other, now), "a new description chooses nothing");
    }

    #[test]
    fn a_new_description_unlocks_the_source() {
        let (mut source, now) = (source(SourcePolicy::Signalled, address("192.0.2.1:4000")), Instant::now());
        assert!(source.accept(address("192.0.2.1:4000"), now));
        source.change(address("192.0.2.8:4000"));
        assert!(!source.accept(address("192.0.2.1:4000"), now));
        assert!(source.accept(address("192.0.2.8:4000"), now));
    }
}
