//! What was said in the calls of the last hour?
//!
//! [`Traces`] sees every SIP message of the endpoint and hears from the legs of their RTP. [`facts`] says whose a
//! message is, [`redact`] what of it nobody may read later, [`record`] what is kept of one leg, [`ring`] for how long.
//! All of it is in memory and gone when the gateway ends: at most 16 MiB of SIP text, and 20 kB beside it for each of
//! 500 legs.
//!
//! Asked for by `control-api` ([`types::trace`]), which makes a ladder or a capture file of it.

mod facts;
mod record;
mod redact;
mod ring;
#[cfg(test)]
mod samples;

use crate::{addresses::source_towards, media_thread::Head};
use facts::Facts;
use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use ring::Ring;
use sip::{Seen, Transport};
use std::{net::SocketAddr, time::Instant};
use types::{
    control::LegStats,
    trace::{LegTrace, RtpFigures, RtpHeader, SipMessage, SipTransport, Way},
};

/// The traces of this process.
#[derive(Debug)]
pub struct Traces {
    wanted: bool,
    ring: Mutex<Ring>,
}

impl Traces {
    /// Nothing is kept where nobody can ask for it.
    pub fn new(wanted: bool) -> Traces {
        Traces { wanted, ring: Mutex::default() }
    }

    /// For [`sip::Tap`].
    pub fn saw(&self, seen: Seen<'_>) {
        let Some(facts) = self.wanted.then(|| Facts::of(&seen)).flatten() else { return };
        if self.ring.lock().wants(&facts) {
            let message = message_of(&seen, Timestamp::now());
            self.ring.lock().message(&facts, message);
        }
    }

    /// A leg has come into being, by LiveKit's id and its Call-ID.
    pub fn is_call(&self, lk_call_id: &str, sip_call_id: &str) {
        if self.wanted {
            self.ring.lock().is_call(lk_call_id, sip_call_id, Timestamp::now());
        }
    }

    /// The leg's figures so far.
    pub fn figures(&self, lk_call_id: &str, stats: &LegStats) {
        if let Some(record) = self.ring.lock().record(lk_call_id) {
            record.figures(figures_of(stats, Timestamp::now()));
        }
    }

    /// First packets of the leg, whose RTP port is `local`.
    pub fn heads(&self, lk_call_id: &str, heads: &[Head], local: SocketAddr) {
        if let Some(record) = self.ring.lock().record(lk_call_id) {
            heads.iter().for_each(|head| record.header(header_of(head, local)));
        }
    }

    /// What is kept of a leg, running or ended.
    pub fn find(&self, lk_call_id: &str) -> Option<LegTrace> {
        self.ring.lock().trace(lk_call_id, Timestamp::now())
    }
}

fn message_of(seen: &Seen<'_>, at: Timestamp) -> SipMessage {
    let mut bytes = seen.bytes.to_vec();
    redact::redact(&mut bytes);
    let mut text = String::from_utf8_lossy(&bytes).into_owned();
    text.truncate(text.floor_char_boundary(record::MAX_TEXT));
    text.shrink_to_fit();
    let (from, to) = ends(seen.sent, seen.local, seen.peer);
    let transport = match seen.transport {
        Transport::Udp => SipTransport::Udp,
        Transport::Tcp => SipTransport::Tcp,
        Transport::Tls => SipTransport::Tls,
        Transport::Wss => SipTransport::Wss,
    };
    SipMessage { at, way: way(seen.sent), transport, from, to, size: seen.bytes.len() as u32, text }
}

fn header_of(head: &Head, local: SocketAddr) -> RtpHeader {
    let (from, to) = ends(head.sent, local, head.peer);
    RtpHeader {
        at: at(head.at),
        way: way(head.sent),
        from,
        to,
        size: head.size,
        header: head.header.iter().map(|octet| format!("{octet:02x}")).collect(),
        codec: head.codec.map(str::to_owned),
    }
}

fn figures_of(stats: &LegStats, at: Timestamp) -> RtpFigures {
    RtpFigures {
        at,
        packets_received: stats.packets_in,
        packets_sent: stats.packets_out,
        lost: stats.lost,
        jitter_ms: stats.jitter_ms,
        mos: stats.mos,
        rtt_ms: stats.rtt_ms,
    }
}

fn way(sent: bool) -> Way {
    if sent { Way::Sent } else { Way::Received }
}

/// From and to. A socket that is bound to all addresses sends from the one that leads to the peer.
fn ends(sent: bool, local: SocketAddr, peer: SocketAddr) -> (SocketAddr, SocketAddr) {
    let canonical = |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
    let (mut local, peer) = (canonical(local), canonical(peer));
    if local.ip().is_unspecified() {
        local.set_ip(source_towards(peer.ip()));
    }
    if sent { (local, peer) } else { (peer, local) }
}

/// A moment of the recent past on the calendar.
fn at(moment: Instant) -> Timestamp {
    let ago = SignedDuration::try_from(moment.elapsed()).unwrap_or_default();
    Timestamp::now().checked_sub(ago).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(bytes: &[u8], sent: bool) -> Seen<'_> {
        let (local, peer) = ("[::ffff:127.0.0.1]:5060".parse().unwrap(), "127.0.0.2:6000".parse().unwrap());
        Seen { sent, transport: Transport::Tls, local, peer, bytes }
    }

    #[test]
    fn a_message_is_kept_without_its_secrets_and_with_its_ends() {
        let message = message_of(
            &seen(b"INVITE sip:h SIP/2.0\r\nAuthorization: Basic abc\r\n\r\n", false),
            Timestamp::UNIX_EPOCH,
        );
        assert_eq!(message.text, "INVITE sip:h SIP/2.0\r\nAuthorization: Basic xxx\r\n\r\n");
        assert_eq!(
            (message.from.to_string(), message.to.to_string()),
            ("127.0.0.2:6000".into(), "127.0.0.1:5060".into())
        );
        assert_eq!((message.way, message.transport, message.size), (Way::Received, SipTransport::Tls, 50));
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let long = [b"INVITE sip:h SIP/2.0\r\n".as_slice(), &[0xe9; 9000]].concat();
        let message = message_of(&seen(&long, true), Timestamp::UNIX_EPOCH);
        assert!(message.text.len() <= record::MAX_TEXT && message.text.len() > record::MAX_TEXT - 3);
        assert_eq!(message.size, 9022);
    }

    #[test]
    fn a_wildcard_socket_sends_from_the_address_that_leads_to_the_peer() {
        let (from, to) = ends(true, "0.0.0.0:5060".parse().unwrap(), "127.0.0.1:6000".parse().unwrap());
        assert_eq!((from.to_string(), to.to_string()), ("127.0.0.1:5060".into(), "127.0.0.1:6000".into()));
    }

    #[test]
    fn packets_and_figures_are_kept_of_legs_that_are_known() {
        let traces = Traces::new(true);
        traces.saw(seen(b"INVITE sip:h SIP/2.0\r\nFrom: a;tag=SCL_1\r\nTo: b\r\nCall-ID: c\r\n\r\n", true));
        let local = "127.0.0.1:10000".parse().unwrap();
        let mut header = [0; 12];
        header[0] = 0x80;
        let head = Head { at: Instant::now(), sent: false, peer: local, size: 172, header, codec: Some("PCMU/8000") };
        for leg in ["SCL_1", "SCL_2"] {
            traces.heads(leg, &[head], local);
            traces.figures(leg, &LegStats { packets_in: 7, ..LegStats::default() });
        }
        let trace = traces.find("SCL_1").unwrap();
        assert_eq!((trace.messages.len(), trace.figures[0].packets_received), (1, 7));
        assert_eq!((trace.packets[0].header.as_str(), trace.packets[0].size), ("800000000000000000000000", 172));
        assert_eq!(traces.find("SCL_2"), None);
    }

    #[test]
    fn without_a_control_plane_nothing_is_kept() {
        let traces = Traces::new(false);
        traces.saw(seen(b"INVITE sip:h SIP/2.0\r\nFrom: a;tag=SCL_1\r\nTo: b\r\nCall-ID: c\r\n\r\n", true));
        traces.is_call("SCL_1", "c");
        assert_eq!(traces.find("SCL_1"), None);
    }
}
