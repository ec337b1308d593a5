//! How does a leg come by keys that SDP does not tell?

use super::{Leg, LegMediaEvent};
use media::cover::{Cover, Secrecy};
use media::dtls::{DtlsError, Handshake};
use media::srtp::Keys;
use std::net::{SocketAddr, UdpSocket};
use std::time::Instant;

impl Leg {
    /// What SDP says now. A handshake with the same phone stays, and so do its keys.
    pub(super) fn agree_on_secrecy(&mut self, secrecy: Option<&Secrecy>, now: Instant) {
        let (keys, peer) = match secrecy {
            None => (None, None),
            Some(Secrecy::Told(keys)) => (Some(keys.clone()), None),
            Some(Secrecy::Handshake(peer)) => (None, Some(*peer)),
        };
        let Some(peer) = peer else {
            self.handshake = None;
            return self.cover.renew(keys);
        };
        if self.handshake.as_ref().is_none_or(|handshake| !handshake.is_with(&peer)) {
            self.handshake = Some(Handshake::new(&self.identity, peer, now));
            self.cover = Cover::Waiting;
        }
    }

    /// A record came. It is answered where it came from, which a phone behind a NAT alone can be reached at.
    pub(super) fn shake_hands(&mut self, record: &[u8], from: SocketAddr, now: Instant) {
        if let Some(handshake) = &mut self.handshake
            && self.from_phone.allows(from, now)
        {
            let outcome = handshake.record(record, now, &mut to(&self.rtp, from));
            self.found(outcome);
        }
    }

    /// It is time to say hello, or to say something again.
    pub(super) fn go_on_shaking_hands(&mut self, now: Instant) {
        if let (Some(handshake), Some(at)) = (&mut self.handshake, self.from_phone.destination()) {
            let outcome = handshake.tick(now, &mut to(&self.rtp, at));
            self.found(outcome);
        }
    }

    /// Without keys nothing will ever be heard, so the call ends as any in which nothing is.
    fn found(&mut self, outcome: Result<Option<Keys>, DtlsError>) {
        match outcome {
            Ok(None) => {}
            Ok(keys) => self.cover.renew(keys),
            Err(error) => {
                tracing::warn!(%error, "no keys were agreed on with the phone");
                self.handshake = None;
                self.report(LegMediaEvent::MediaTimeout);
            }
        }
    }
}

fn to(rtp: &UdpSocket, at: SocketAddr) -> impl FnMut(&[u8]) {
    move |record| _ = rtp.send_to(record, at)
}
