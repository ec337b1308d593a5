//! What is agreed on with phones in browsers?

use super::*;
use crate::ice::Credentials;
use std::sync::atomic::{AtomicU64, Ordering};

const FIRST: &str = "a=ice-ufrag:chrome\r\na=ice-pwd:the password of chrome, once\r\n";

/// Another one each time.
fn made_up() -> Credentials {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    Credentials { ufrag: format!("box{number}"), pwd: format!("the password of the box, {number}") }
}

fn for_browsers(encryption: Encryption) -> MediaSession {
    let local = LocalMedia::new("192.0.2.1:10000".parse().unwrap());
    MediaSession::new(LocalMedia { encryption, fingerprint: Some(fingerprint("0A")), ice: Some(made_up), ..local }, 77)
}

fn allowed() -> MediaSession {
    for_browsers(Encryption::Allowed(keys()))
}

/// As a browser says it that shows its addresses to nobody, with video, whose port the audio shares.
fn browser(setup: &str, ice: &str) -> String {
    let audio = by_handshake(setup).replace("UDP/TLS/RTP/SAVP", "UDP/TLS/RTP/SAVPF").replace("192.0.2.9", "0.0.0.0");
    let session = audio.replace("t=0 0\r\n", "t=0 0\r\na=group:BUNDLE 0 1\r\n");
    format!(
        "{session}{ice}a=mid:0\r\na=rtcp-mux\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\na=rtpmap:96 VP8/90000\r\na=mid:1\r\n"
    )
}

fn text(body: Vec<u8>) -> String {
    String::from_utf8(body).unwrap()
}

#[test]
fn a_browser_is_told_our_one_way_and_which_of_its_streams_we_take() {
    let (agreed, answer) = allowed().answer(browser("actpass", FIRST).as_bytes()).unwrap();
    let (ice, answer) = (agreed.ice.clone().unwrap(), text(answer));
    assert_eq!(ice.theirs.ufrag, "chrome");
    assert!(agreed.we_send && agreed.we_receive, "0.0.0.0 is no hold here");
    assert_eq!(agreed.rtcp, Some(RtcpPath::Muxed));
    for line in [
        "a=group:BUNDLE 0\r\na=ice-lite\r\nm=audio 10000 UDP/TLS/RTP/SAVPF 0\r\n",
        &format!("a=mid:0\r\na=ice-ufrag:{}\r\na=ice-pwd:{}\r\n", ice.ours.ufrag, ice.ours.pwd),
        "a=candidate:1 1 udp 2130706431 192.0.2.1 10000 typ host\r\na=end-of-candidates\r\na=rtcp-mux\r\n",
        "m=video 0 UDP/TLS/RTP/SAVPF 96\r\na=mid:1\r\n",
    ] {
        assert!(answer.contains(line), "{line} in\n{answer}");
    }
}

#[test]
fn the_names_stay_until_the_browser_begins_anew() {
    let mut session = allowed();
    let of = |session: &mut MediaSession, ice: &str| session.answer(browser("actpass", ice).as_bytes()).unwrap().0.ice;
    let first = of(&mut session, FIRST).unwrap();
    assert_eq!(of(&mut session, FIRST).unwrap(), first);
    let again = of(&mut session, &FIRST.replace("chrome", "anew")).unwrap();
    assert_ne!(again.ours, first.ours);
    assert_eq!(again.theirs.ufrag, "anew");
}

#[test]
fn a_browser_that_is_called_is_offered_what_it_can_take_whatever_the_trunk_says() {
    for encryption in [Encryption::Off, Encryption::Allowed(keys())] {
        let mut session = for_browsers(encryption);
        let offer = text(session.offer_to_browser());
        let plain = text(session.offer());
        assert!(plain.contains("RTP/AVP ") && !plain.contains("a=ice"), "{plain}");
        for line in ["UDP/TLS/RTP/SAVPF ", "a=setup:actpass\r\n", "a=ice-lite\r\n", "a=rtcp-mux\r\n", " typ host\r\n"] {
            assert!(offer.contains(line), "{line} in\n{offer}");
        }
        assert!(!offer.contains("a=crypto"), "{offer}");
        let agreed = session.apply_answer(browser("active", FIRST).as_bytes()).unwrap();
        let ice = agreed.ice.unwrap();
        assert!(offer.contains(&format!("a=ice-ufrag:{}\r\n", ice.ours.ufrag)) && ice.theirs.ufrag == "chrome");
        assert!(matches!(agreed.srtp, Some(Secrecy::Handshake(Peer { we_begin: false, .. }))));
    }
}

#[test]
fn a_browser_that_waits_is_offered_the_same_way() {
    let mut session = allowed();
    let first = session.answer(browser("actpass", FIRST).as_bytes()).unwrap().0.ice.unwrap();
    session.hold(true);
    let offer = text(session.offer());
    let name = format!("a=mid:0\r\na=ice-ufrag:{}\r\n", first.ours.ufrag);
    assert!(offer.contains("a=group:BUNDLE 0\r\n") && offer.contains(&name), "{offer}");
    assert!(offer.contains("UDP/TLS/RTP/SAVPF ") && offer.contains("a=sendonly\r\n"), "{offer}");
    assert_eq!(session.apply_answer(browser("active", FIRST).as_bytes()).unwrap().ice, Some(first));
}

#[test]
fn a_desk_phone_that_answers_among_browsers_is_one() {
    let mut session = for_browsers(Encryption::Off);
    session.offer_to_browser();
    session.offer();
    let agreed = session.apply_answer(offer("0", "").as_bytes()).unwrap();
    assert_eq!((agreed.ice, agreed.srtp), (None, None));
    assert!(text(session.offer()).contains("RTP/AVP "));
}

#[test]
fn there_are_no_checks_without_a_handshake_or_on_two_ports_or_where_we_have_no_names() {
    let ice_of = |mut session: MediaSession, offer: &str| session.answer(offer.as_bytes()).unwrap().0.ice;
    let two_ports = browser("actpass", FIRST).replace("a=rtcp-mux\r\n", "");
    assert_eq!(ice_of(allowed(), &two_ports), None);
    assert_eq!(ice_of(allowed(), &offer("0", FIRST)), None);
    assert_eq!(ice_of(certified(Encryption::Allowed(keys())), &browser("actpass", FIRST)), None);
}
