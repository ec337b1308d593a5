//! What comes with a call: its session description, its packets and its keys.

use media::dtls::Fingerprint;
use media::dtmf::{Event, Keys, digit_of_info};
use media::ice::Credentials;
use media::rtcp::{Block, Compound, Identity, NtpClock, Outgoing, Part, Reports, Sent};
use media::rtp::{Packet, Reception, Unwrapper};
use media::sdp::{Encryption, LocalMedia, MediaSession, SessionDescription};
use media::srtp::{self, Shield, Suite};
use std::time::{Duration, Instant, UNIX_EPOCH};

/// A certificate of ours.
const OURS: &str = "sha-256 \
    00:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:10:11:12:13:14:15:16:17:18:19:1A:1B:1C:1D:1E:1F";

/// A session description, as an offer and as an answer; what we say to it must be one too.
pub fn sdp(data: &[u8]) {
    let _ = SessionDescription::parse(data);
    let keys = Encryption::keys(|secret| secret.fill(7));
    for encryption in [Encryption::Off, Encryption::Allowed(keys.clone()), Encryption::Required(keys)] {
        let local = LocalMedia::new(([192, 0, 2, 1], 4000).into());
        let ice: fn() -> Credentials = || Credentials::new(|octets| octets.fill(7));
        let local = LocalMedia { encryption, fingerprint: Fingerprint::parse(OURS), ice: Some(ice), ..local };
        let mut session = MediaSession::new(local, 1);
        if let Ok((_, answer)) = session.answer(data) {
            assert!(SessionDescription::parse(&answer).is_ok(), "our answer cannot be read");
        }
        for offer in [session.offer(), session.offer_to_browser()] {
            assert!(SessionDescription::parse(&offer).is_ok(), "our offer cannot be read");
        }
        let _ = session.apply_answer(data);
    }
}

/// One packet, and the same octets as a row of small ones; in the clear and encrypted.
pub fn rtp_rtcp(data: &[u8]) {
    let start = Instant::now();
    let (mut reception, mut unwrap, mut keys) = (Reception::default(), Unwrapper::default(), Keys::default());
    for (number, packet) in std::iter::once(data).chain(data.chunks(24)).enumerate() {
        let Ok(read) = Packet::parse(packet) else { continue };
        let written = written(&read);
        assert_eq!(Packet::parse(&written), Ok(read), "a packet that was written reads otherwise");
        reception.note(
            &read.header,
            Some(1 + 5 * (number as u32 % 2)),
            start + Duration::from_millis(20) * number as u32,
        );
        unwrap.timestamp(read.header.timestamp);
        keys.packet(read.header.timestamp, read.payload);
    }
    reception.figures();
    Suite::ALL.into_iter().filter_map(shield).for_each(|mut shield| encrypted(&mut shield, data));
}

/// One compound of reports, in the clear and encrypted; what we answer must be one, too.
pub fn rtcp(data: &[u8]) {
    Suite::ALL.into_iter().filter_map(shield).for_each(|mut shield| {
        assert!(shield.open_reports(data).is_none(), "forged reports were opened");
        let sealed = shield.protect_reports(data).map(|sealed| sealed.as_ref().to_vec()).unwrap_or_default();
        let opened = shield.open_reports(&sealed);
        assert!(sealed.is_empty() || opened.is_some_and(|opened| opened.as_ref() == data), "protected, but not opened");
    });
    let Ok(compound) = Compound::parse(data) else { return };
    let (now, us) = (Instant::now(), 0x5CA1_B0C5);
    let mut reports = Reports::new(Identity { ssrc: us, name: "us".into(), clock: NtpClock::new(now, UNIX_EPOCH) });
    let sent = Sent { packets: 100, octets: 16_000, timestamp: 1, clock_factor: 6 };
    reports.heard(&compound, sent, now);
    assert!(reports.far_end().is_none_or(|far| (0.0..=1.0).contains(&far.loss)), "a loss that cannot be");
    assert!(Compound::parse(&reports.report(None, sent, now, 0.5)).is_ok(), "our report cannot be read");
    for part in &compound.parts {
        let Part::Report(report) = part else { continue };
        report.blocks().for_each(|block| written_block(report.ssrc, block));
    }
}

fn written_block(ssrc: u32, block: Block) {
    let bytes = Outgoing { ssrc, sent: None, block: Some(block), name: "", goodbye: false }.to_bytes();
    let read = Compound::parse(&bytes).map(|compound| match &compound.parts[0] {
        Part::Report(report) => report.blocks().eq([block]),
        _ => false,
    });
    assert_eq!(read, Ok(true), "a block that was written reads otherwise");
}

fn written(packet: &Packet<'_>) -> Vec<u8> {
    let mut written = Vec::new();
    packet.header.write(packet.payload, &mut written);
    written
}

/// One that opens what it protected.
fn shield(suite: Suite) -> Option<Shield> {
    let key = srtp::Key::new(suite, vec![7; suite.secret_length()])?;
    Some(Shield::new(srtp::Keys { ours: key.clone(), theirs: key }))
}

fn encrypted(shield: &mut Shield, data: &[u8]) {
    assert!(shield.open(data).is_none(), "a forged packet was opened");
    let Ok(packet) = Packet::parse(data) else { return };
    let plain = written(&packet);
    let sealed = shield.protect(&plain).map(|sealed| sealed.as_ref().to_vec()).unwrap_or_default();
    let opened = shield.open(&sealed);
    assert!(opened.is_some_and(|opened| opened.as_ref() == plain), "what was protected does not open");
}

/// A key press, in a packet or in an INFO.
pub fn dtmf(data: &[u8]) {
    if let Some(event) = Event::parse(data) {
        assert_eq!(Event::parse(&event.to_bytes()), Some(event), "an event that was written reads otherwise");
    }
    for kind in ["application/dtmf-relay", "application/dtmf"] {
        digit_of_info(kind, data);
    }
}
