//! How is a phone's audio kept from whoever listens on the way? (RFC 3711, RFC 6188, RFC 7714)
//!
//! [`Key`] is what both sides tell each other in SDP (`sdp::crypto`), [`Shield`] the state of one leg.

use crate::rtp::Packet;
use std::fmt;
use webrtc_srtp::context::Context;
use webrtc_srtp::option::srtp_replay_protection;
use webrtc_srtp::protection_profile::ProtectionProfile;

/// Packets that may arrive out of order without looking like a repetition.
const REPLAY_WINDOW: usize = 128;

/// Senders of one key: a phone may start a new stream when it is held or moved.
const STREAMS: usize = 8;
/// After so many packets that were not of the key, what the library remembers of their senders is thrown away.
const STRANGERS: usize = 64;

/// How packets are encrypted and signed, by its name in SDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suite {
    AesCm128HmacSha1_80,
    AesCm128HmacSha1_32,
    Aes256CmHmacSha1_80,
    AeadAes128Gcm,
    AeadAes256Gcm,
}

impl Suite {
    /// Best known first: the first is what every phone with SRTP has.
    pub const ALL: [Suite; 5] = [
        Suite::AesCm128HmacSha1_80,
        Suite::AesCm128HmacSha1_32,
        Suite::Aes256CmHmacSha1_80,
        Suite::AeadAes128Gcm,
        Suite::AeadAes256Gcm,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Suite::AesCm128HmacSha1_80 => "AES_CM_128_HMAC_SHA1_80",
            Suite::AesCm128HmacSha1_32 => "AES_CM_128_HMAC_SHA1_32",
            Suite::Aes256CmHmacSha1_80 => "AES_256_CM_HMAC_SHA1_80",
            Suite::AeadAes128Gcm => "AEAD_AES_128_GCM",
            Suite::AeadAes256Gcm => "AEAD_AES_256_GCM",
        }
    }

    pub fn named(name: &str) -> Option<Suite> {
        Suite::ALL.into_iter().find(|suite| suite.name() == name)
    }

    fn profile(self) -> ProtectionProfile {
        match self {
            Suite::AesCm128HmacSha1_80 => ProtectionProfile::Aes128CmHmacSha1_80,
            Suite::AesCm128HmacSha1_32 => ProtectionProfile::Aes128CmHmacSha1_32,
            Suite::Aes256CmHmacSha1_80 => ProtectionProfile::Aes256CmHmacSha1_80,
            Suite::AeadAes128Gcm => ProtectionProfile::AeadAes128Gcm,
            Suite::AeadAes256Gcm => ProtectionProfile::AeadAes256Gcm,
        }
    }

    /// Octets of master key and salt together.
    pub fn secret_length(self) -> usize {
        self.profile().key_len() + self.profile().salt_len()
    }
}

/// A suite with the master key and salt of one direction.
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    suite: Suite,
    secret: Vec<u8>,
}

impl Key {
    /// None when `secret` is not as long as the suite wants.
    pub fn new(suite: Suite, secret: Vec<u8>) -> Option<Key> {
        (secret.len() == suite.secret_length()).then_some(Key { suite, secret })
    }

    pub fn suite(&self) -> Suite {
        self.suite
    }

    /// Key, then salt.
    pub fn secret(&self) -> &[u8] {
        &self.secret
    }

    fn context(&self, incoming: bool) -> Option<Context> {
        let profile = self.suite.profile();
        let (key, salt) = self.secret.split_at(profile.key_len());
        let replay = incoming.then(|| srtp_replay_protection(REPLAY_WINDOW));
        Context::new(key, salt, profile, replay, None).ok()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("suite", &self.suite).finish_non_exhaustive()
    }
}

/// The keys of both directions, as agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    pub ours: Key,
    pub theirs: Key,
}

/// Encrypts what one leg sends and opens what it hears. With a key that the cipher does not take, nothing passes.
pub struct Shield {
    keys: Keys,
    out: Option<Context>,
    heard: Ear,
}

/// The library keeps a state for every sender that a packet names, before it knows whether the packet is of the key.
/// So each proven sender has a context of its own here, and strangers share one that does not live long.
struct Ear {
    key: Key,
    streams: Vec<Stream>,
    trial: Option<Context>,
    strangers: usize,
}

struct Stream {
    ssrc: u32,
    context: Context,
    /// Index of its last reports. They come one at a time, so an older one is a repetition. (The library's window
    /// begins where the first packet says, forged or not.)
    reports: Option<u32>,
}

impl Ear {
    fn new(key: Key) -> Ear {
        Ear { trial: key.context(true), key, streams: Vec::new(), strangers: 0 }
    }

    fn open(&mut self, packet: &[u8]) -> Option<impl AsRef<[u8]> + use<>> {
        let header = header_of(packet)?;
        self.open_by(header.ssrc, |context| context.decrypt_rtp_with_header(packet, &header).ok())
    }

    fn open_reports(&mut self, packet: &[u8]) -> Option<impl AsRef<[u8]> + use<>> {
        let (ssrc, index) = reporter_of(packet, self.key.suite.profile())?;
        if self.streams.iter().any(|stream| stream.ssrc == ssrc && stream.reports >= Some(index)) {
            return None;
        }
        let opened = self.open_by(ssrc, |context| context.decrypt_rtcp(packet).ok())?;
        if let Some(stream) = self.streams.iter_mut().find(|stream| stream.ssrc == ssrc) {
            stream.reports = Some(index);
        }
        Some(opened)
    }

    fn open_by<T>(&mut self, ssrc: u32, open: impl FnOnce(&mut Context) -> Option<T>) -> Option<T> {
        if let Some(stream) = self.streams.iter_mut().find(|stream| stream.ssrc == ssrc) {
            return open(&mut stream.context);
        }
        let opened = open(self.trial.as_mut()?);
        self.strangers += 1;
        if opened.is_some() || self.strangers == STRANGERS {
            let used = std::mem::replace(&mut self.trial, self.key.context(true));
            self.strangers = 0;
            let proven = used.filter(|_| opened.is_some());
            self.streams.extend(proven.map(|context| Stream { ssrc, context, reports: None }));
        }
        if self.streams.len() > STREAMS {
            self.streams.remove(0);
        }
        opened
    }
}

/// What the library has to know of the packet. Its own reader does not stop at the end of a header extension; ours
/// does, and a header of the same length without an extension is all that is needed.
fn header_of(packet: &[u8]) -> Option<::rtp::header::Header> {
    let ours = Packet::parse_sealed(packet).ok()?;
    let length = packet.len() - ours.payload.len();
    Some(::rtp::header::Header {
        version: 2,
        sequence_number: ours.header.sequence,
        ssrc: ours.header.ssrc,
        csrc: vec![0; length.checked_sub(12)? / 4],
        ..Default::default()
    })
}

/// Who reports, and the packet's index (RFC 3711 section 3.4). None for what is too short to be encrypted, and for what says that it is not: the
/// library would take that without a look at its signature.
fn reporter_of(packet: &[u8], profile: ProtectionProfile) -> Option<(u32, u32)> {
    const ENCRYPTED: u32 = 1 << 31;
    let (head, rest) = packet.split_first_chunk::<8>()?;
    let rest = rest.get(profile.aead_auth_tag_len()..)?;
    let signed = rest.len().checked_sub(profile.rtcp_auth_tag_len())?;
    let word = u32::from_be_bytes(*rest[..signed].last_chunk()?);
    let ssrc = u32::from_be_bytes([head[4], head[5], head[6], head[7]]);
    (word & ENCRYPTED != 0 && head[0] >> 6 == 2).then_some((ssrc, word & !ENCRYPTED))
}

impl Shield {
    pub fn new(keys: Keys) -> Shield {
        Shield { out: keys.ours.context(false), heard: Ear::new(keys.theirs.clone()), keys }
    }

    /// The shield for new keys; a direction whose key stays goes on counting its packets.
    pub fn renewed(current: Option<Shield>, keys: Option<Keys>) -> Option<Shield> {
        let fresh = Shield::new(keys?);
        let Some(current) = current else { return Some(fresh) };
        let out = if current.keys.ours == fresh.keys.ours { current.out } else { fresh.out };
        let heard = if current.keys.theirs == fresh.keys.theirs { current.heard } else { fresh.heard };
        Some(Shield { keys: fresh.keys, out, heard })
    }

    /// The packet as it goes on the wire; none once the key has served for too many.
    pub fn protect(&mut self, packet: &[u8]) -> Option<impl AsRef<[u8]> + use<>> {
        self.out.as_mut()?.encrypt_rtp(packet).ok()
    }

    /// The packet inside; none when it is not of this key, or was here before.
    pub fn open(&mut self, packet: &[u8]) -> Option<impl AsRef<[u8]> + use<>> {
        self.heard.open(packet)
    }

    /// As [`Shield::protect`], of RTCP.
    pub fn protect_reports(&mut self, compound: &[u8]) -> Option<impl AsRef<[u8]> + use<>> {
        self.out.as_mut()?.encrypt_rtcp(compound).ok()
    }

    /// As [`Shield::open`], of RTCP.
    pub fn open_reports(&mut self, packet: &[u8]) -> Option<impl AsRef<[u8]> + use<>> {
        self.heard.open_reports(packet)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtcp::Outgoing;

    fn key(suite: Suite, fill: u8) -> Key {
        Key::new(suite, vec![fill; suite.secret_length()]).unwrap()
    }

    /// Both ends of one leg.
    fn pair(suite: Suite) -> (Shield, Shield) {
        let (a, b) = (key(suite, 1), key(suite, 2));
        let end = |ours: &Key, theirs: &Key| Shield::new(Keys { ours: ours.clone(), theirs: theirs.clone() });
        (end(&a, &b), end(&b, &a))
    }

    fn packet(sequence: u16) -> Vec<u8> {
        let mut packet = vec![0x80, 0];
        packet.extend(sequence.to_be_bytes());
        packet.extend([0, 0, 0, 160, 1, 2, 3, 4]);
        packet.extend(b"a frame of sound");
        packet
    }

    #[test]
    fn every_suite_hides_the_payload_and_the_other_end_opens_it_once() {
        for suite in Suite::ALL {
            let (mut ours, mut theirs) = pair(suite);
            let sent = ours.protect(&packet(7)).unwrap().as_ref().to_vec();
            assert!(!sent.windows(5).any(|part| part == b"frame"), "{suite:?}");
            assert_eq!(theirs.open(&sent).unwrap().as_ref(), packet(7), "{suite:?}");
            assert!(theirs.open(&sent).is_none(), "{suite:?}: a repetition");
        }
    }

    fn compound() -> Vec<u8> {
        Outgoing { ssrc: 0x0102_0304, sent: None, block: None, name: "a name in secret", goodbye: true }.to_bytes()
    }

    #[test]
    fn every_suite_hides_what_reports_say_and_the_other_end_opens_them_once() {
        for suite in Suite::ALL {
            let (mut ours, mut theirs) = pair(suite);
            for _ in 0..3 {
                let sent = ours.protect_reports(&compound()).unwrap().as_ref().to_vec();
                assert!(!sent.windows(6).any(|part| part == b"secret"), "{suite:?}");
                assert_eq!(theirs.open_reports(&sent).unwrap().as_ref(), compound(), "{suite:?}");
                assert!(theirs.open_reports(&sent).is_none(), "{suite:?}: a repetition");
            }
            let sound = ours.protect(&packet(7)).unwrap().as_ref().to_vec();
            assert!(theirs.open(&sound).is_some(), "{suite:?}: sound of the same sender");
        }
    }

    #[test]
    fn reports_that_are_forged_cut_or_in_the_clear_are_not_opened() {
        for suite in Suite::ALL {
            let (mut ours, mut theirs) = pair(suite);
            let sent = ours.protect_reports(&compound()).unwrap().as_ref().to_vec();
            for at in 0..sent.len() {
                let mut forged = sent.clone();
                forged[at] ^= 0x80;
                assert!(theirs.open_reports(&forged).is_none(), "{suite:?}: octet {at}");
                assert!(theirs.open_reports(&sent[..at]).is_none(), "{suite:?}: cut at {at}");
            }
            assert!(theirs.open_reports(&compound()).is_none(), "{suite:?}: in the clear");
            assert!(theirs.open_reports(&sent).is_some(), "{suite:?}");
        }
    }

    #[test]
    fn a_packet_that_was_changed_on_the_way_is_not_opened() {
        let (mut ours, mut theirs) = pair(Suite::AesCm128HmacSha1_80);
        let mut sent = ours.protect(&packet(7)).unwrap().as_ref().to_vec();
        sent[14] ^= 1;
        assert!(theirs.open(&sent).is_none());
        assert!(theirs.open(&packet(8)).is_none(), "in the clear");
        assert!(theirs.open(b"x").is_none());
    }

    #[test]
    fn a_header_that_promises_more_than_came_is_not_opened() {
        let (_, mut theirs) = pair(Suite::AesCm128HmacSha1_80);
        let liar = [0x90, 0, 0, 1, 0, 0, 0, 160, 1, 2, 3, 4, 0xBE, 0xDE, 0, 1, 0x1F, 0, 0, 0];
        assert!(theirs.open(&liar).is_none());
        let two_bytes = [0x90, 0, 0, 1, 0, 0, 0, 160, 1, 2, 3, 4, 0x10, 0, 0, 1, 0x01, 0xFF, 0, 0];
        assert!(theirs.open(&two_bytes).is_none());
    }

    #[test]
    fn a_packet_with_contributors_and_an_extension_is_opened_whole() {
        for suite in Suite::ALL {
            let (mut ours, mut theirs) = pair(suite);
            let mut packet = vec![0x91, 0, 0, 9, 0, 0, 0, 160, 1, 2, 3, 4, 9, 9, 9, 9, 0xBE, 0xDE, 0, 1, 0x10, 7, 0, 0];
            packet.extend(b"a frame of sound");
            let sent = ours.protect(&packet).unwrap().as_ref().to_vec();
            assert_eq!(theirs.open(&sent).unwrap().as_ref(), packet, "{suite:?}");
        }
    }

    #[test]
    fn strangers_leave_nothing_behind_and_do_not_disturb() {
        let (mut ours, mut theirs) = pair(Suite::AesCm128HmacSha1_80);
        let mut stranger = packet(1);
        stranger.extend([0; 10]);
        for number in 0..1000u32 {
            stranger[8..12].copy_from_slice(&(number + 1).to_be_bytes());
            assert!(theirs.open(&stranger).is_none());
            assert!(theirs.heard.strangers < STRANGERS && theirs.heard.streams.len() <= 1);
            let sent = ours.protect(&packet(number as u16)).unwrap().as_ref().to_vec();
            assert!(theirs.open(&sent).is_some());
        }
    }

    proptest::proptest! {
        #[test]
        fn no_datagram_whatsoever_makes_it_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            let (_, mut theirs) = pair(Suite::AeadAes128Gcm);
            assert!(theirs.open(&bytes).is_none());
            let mut likely = vec![0x90];
            likely.extend(bytes);
            assert!(theirs.open(&likely).is_none() && theirs.open_reports(&likely).is_none());
        }
    }

    #[test]
    fn sequence_numbers_may_wrap() {
        let (mut ours, mut theirs) = pair(Suite::AesCm128HmacSha1_80);
        for sequence in [65_534, 65_535, 0, 1] {
            let sent = ours.protect(&packet(sequence)).unwrap().as_ref().to_vec();
            assert_eq!(theirs.open(&sent).unwrap().as_ref(), packet(sequence));
        }
    }

    #[test]
    fn a_direction_whose_key_stays_goes_on_counting() {
        let (mut ours, mut theirs) = pair(Suite::AesCm128HmacSha1_80);
        let sent = ours.protect(&packet(7)).unwrap().as_ref().to_vec();
        assert!(theirs.open(&sent).is_some());
        let keys = Keys { ours: key(Suite::AeadAes128Gcm, 3), theirs: theirs.keys.theirs.clone() };
        let mut theirs = Shield::renewed(Some(theirs), Some(keys)).unwrap();
        assert!(theirs.open(&sent).is_none(), "still known");
        assert!(Shield::renewed(Some(theirs), None).is_none());
    }

    #[test]
    fn a_secret_of_another_length_is_no_key_and_none_is_ever_shown() {
        assert!(Key::new(Suite::AesCm128HmacSha1_80, vec![0; 29]).is_none());
        assert!(!format!("{:?}", key(Suite::AeadAes128Gcm, 77)).contains("77"));
    }
}
