//! Which way does the audio of a browser take?

use super::Leg;
use std::net::SocketAddr;
use std::time::Instant;

impl Leg {
    /// Answers a check of ICE. Ways that the phone has not proved to be its own are not even answered.
    pub(super) fn answer_check(&mut self, datagram: &[u8], from: SocketAddr, now: Instant) {
        let Some(check) = self.ice.as_ref().and_then(|ice| ice.check(datagram, from)) else { return };
        _ = self.rtp.send_to(&check.answer, from);
        if check.good {
            self.from_phone.checked(from, check.chosen, now);
        }
    }
}
