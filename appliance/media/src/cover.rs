//! Does a leg's audio travel in the clear, encrypted, or not at all yet?

use crate::dtls;
use crate::srtp::{Keys, Shield};

/// How the audio of a leg is kept secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Secrecy {
    /// With keys that SDP told (RFC 4568).
    Told(Keys),
    /// With keys that a handshake finds (RFC 5764).
    Handshake(dtls::Peer),
}

/// What a leg's packets go through.
#[derive(Default)]
pub enum Cover {
    #[default]
    Clear,
    /// Encryption was agreed on, and there are no keys yet: nothing passes.
    Waiting,
    Shielded(Box<Shield>),
}

impl Cover {
    /// With these keys from now on, or in the clear; a direction whose key stays goes on counting its packets.
    pub fn renew(&mut self, keys: Option<Keys>) {
        let current = match std::mem::take(self) {
            Cover::Shielded(shield) => Some(*shield),
            Cover::Clear | Cover::Waiting => None,
        };
        if let Some(shield) = Shield::renewed(current, keys) {
            *self = Cover::Shielded(Box::new(shield));
        }
    }

    /// The packet as it goes on the wire; none when it must not.
    pub fn seal<'a>(&mut self, packet: &'a [u8]) -> Option<impl AsRef<[u8]> + use<'a>> {
        self.through(packet, |shield| shield.protect(packet))
    }

    /// The packet inside; none when it is somebody else's, or was here before.
    pub fn open<'a>(&mut self, packet: &'a [u8]) -> Option<impl AsRef<[u8]> + use<'a>> {
        self.through(packet, |shield| shield.open(packet))
    }

    /// As [`Cover::seal`], of RTCP.
    pub fn seal_reports<'a>(&mut self, compound: &'a [u8]) -> Option<impl AsRef<[u8]> + use<'a>> {
        self.through(compound, |shield| shield.protect_reports(compound))
    }

    /// As [`Cover::open`], of RTCP.
    pub fn open_reports<'a>(&mut self, packet: &'a [u8]) -> Option<impl AsRef<[u8]> + use<'a>> {
        self.through(packet, |shield| shield.open_reports(packet))
    }

    fn through<'a, T>(
        &mut self,
        packet: &'a [u8],
        change: impl FnOnce(&mut Shield) -> Option<T>,
    ) -> Option<Passed<'a, T>> {
        match self {
            Cover::Clear => Some(Passed::AsItWas(packet)),
            Cover::Waiting => None,
            Cover::Shielded(shield) => change(shield).map(Passed::Changed),
        }
    }
}

enum Passed<'a, T> {
    AsItWas(&'a [u8]),
    Changed(T),
}

impl<T: AsRef<[u8]>> AsRef<[u8]> for Passed<'_, T> {
    fn as_ref(&self) -> &[u8] {
        match self {
            Passed::AsItWas(packet) => packet,
            Passed::Changed(packet) => packet.as_ref(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::srtp::{Key, Suite};

    const PACKET: [u8; 16] = [0x80, 0, 0, 7, 0, 0, 0, 160, 1, 2, 3, 4, b't', b'o', b'n', b'e'];

    fn keys() -> Keys {
        let key = Key::new(Suite::AeadAes128Gcm, vec![1; Suite::AeadAes128Gcm.secret_length()]).unwrap();
        Keys { ours: key.clone(), theirs: key }
    }

    fn sealed(cover: &mut Cover) -> Option<Vec<u8>> {
        cover.seal(&PACKET).map(|packet| packet.as_ref().to_vec())
    }

    #[test]
    fn without_an_agreement_packets_pass_as_they_are() {
        let mut cover = Cover::default();
        assert_eq!(sealed(&mut cover).as_deref(), Some(&PACKET[..]));
        assert_eq!(cover.open(&PACKET).unwrap().as_ref(), PACKET);
    }

    #[test]
    fn nothing_passes_while_keys_are_waited_for() {
        let mut cover = Cover::Waiting;
        assert!(cover.seal(&PACKET).is_none() && cover.open(&PACKET).is_none());
        assert!(cover.seal_reports(&PACKET).is_none() && cover.open_reports(&PACKET).is_none());
    }

    #[test]
    fn with_keys_packets_are_hidden_and_opened_once_until_there_are_none_any_more() {
        let mut cover = Cover::Waiting;
        cover.renew(Some(keys()));
        let hidden = sealed(&mut cover).unwrap();
        assert!(!hidden.windows(4).any(|part| part == b"tone"));
        assert_eq!(cover.open(&hidden).unwrap().as_ref(), PACKET);
        cover.renew(Some(keys()));
        assert!(cover.open(&hidden).is_none(), "a repetition, also after a re-INVITE");
        cover.renew(None);
        assert_eq!(sealed(&mut cover).as_deref(), Some(&PACKET[..]));
    }
}
