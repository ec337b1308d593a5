use super::*;
use crate::dtls::Fingerprint;
use crate::sdp::Encryption;
use crate::srtp::{Key, Keys, Suite};
use proptest::prelude::*;

mod browsers;

fn session() -> MediaSession {
    MediaSession::new(LocalMedia::new("192.0.2.1:10000".parse().unwrap()), 77)
}

fn at_8_khz(payload_type: u8) -> EventFormat {
    EventFormat { payload_type, clock_factor: 1 }
}

fn at_48_khz(payload_type: u8) -> EventFormat {
    EventFormat { payload_type, clock_factor: 6 }
}

fn offer(formats: &str, attributes: &str) -> String {
    format!(
        "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio 4000 RTP/AVP {formats}\r\n\
             a=rtpmap:101 telephone-event/8000\r\n{attributes}"
    )
}

fn answered(offer: &str) -> (Negotiated, String) {
    let (agreed, answer) = session().answer(offer.as_bytes()).unwrap();
    (agreed, String::from_utf8(answer).unwrap())
}

#[test]
fn our_priority_chooses_the_codec_not_the_order_of_the_offer() {
    let (agreed, answer) = answered(&offer("8 0 101", ""));
    assert_eq!((agreed.codec, agreed.payload_type, agreed.dtmf), (PhoneCodec::PCMU, 0, vec![at_8_khz(101)]));
    assert_eq!(agreed.remote, "192.0.2.9:4000".parse().unwrap());
    assert!(answer.contains("m=audio 10000 RTP/AVP 0 101\r\n"), "{answer}");
}

#[test]
fn pcma_can_be_configured_to_come_first() {
    let local = LocalMedia {
        address: "192.0.2.1:10000".parse().unwrap(),
        codecs: vec![PhoneCodec::PCMA, PhoneCodec::PCMU],
        encryption: Encryption::Off,
        fingerprint: None,
        ice: None,
    };
    let (agreed, _) = MediaSession::new(local, 1).answer(offer("0 8", "").as_bytes()).unwrap();
    assert_eq!((agreed.codec, agreed.dtmf), (PhoneCodec::PCMA, vec![]));
}

fn speaking(codecs: &[PhoneCodec]) -> MediaSession {
    let local = LocalMedia::new("192.0.2.1:10000".parse().unwrap());
    MediaSession::new(LocalMedia { codecs: codecs.to_vec(), ..local }, 77)
}

#[test]
fn g722_is_chosen_where_it_comes_first_or_nothing_else_is_offered() {
    let of = |session: &mut MediaSession, formats| session.answer(offer(formats, "").as_bytes()).unwrap().0.codec;
    assert_eq!(of(&mut session(), "9 8 0 101"), PhoneCodec::PCMU, "what the room carries as it is goes first");
    assert_eq!(of(&mut session(), "9 18 101"), PhoneCodec::G722);
    let mut wideband = speaking(&[PhoneCodec::G722, PhoneCodec::PCMA]);
    assert_eq!(of(&mut wideband, "0 8 9 101"), PhoneCodec::G722);
    assert_eq!(of(&mut wideband, "0 8"), PhoneCodec::PCMA);
    assert!(matches!(wideband.answer(offer("0", "").as_bytes()), Err(SdpError::NoCommonCodec { .. })));
}

#[test]
fn g722_counts_at_8_khz_in_rtp_and_never_at_16() {
    let (agreed, answer) = answered(&offer("9 101", "a=rtpmap:9 G722/8000\r\n"));
    assert_eq!((agreed.codec, agreed.payload_type), (PhoneCodec::G722, 9));
    assert!(answer.contains("RTP/AVP 9 101\r\na=rtpmap:9 G722/8000\r\n"), "{answer}");
    assert!(session().answer(offer("9", "a=rtpmap:9 G722/16000\r\n").as_bytes()).is_err());
}

#[test]
fn a_re_invite_may_change_the_codec_there_and_back() {
    let mut session = session();
    let mut codec = |formats| session.answer(offer(formats, "").as_bytes()).unwrap().0.codec;
    let expected = [PhoneCodec::PCMU, PhoneCodec::G722, PhoneCodec::PCMA];
    assert_eq!([codec("0 101"), codec("9 101"), codec("8 101")], expected);
}

const OPUS: &str = "a=rtpmap:96 opus/48000/2\r\na=fmtp:96 minptime=10;useinbandfec=1;stereo=0\r\n";

#[test]
fn opus_is_taken_under_the_number_that_it_is_offered_with() {
    let (agreed, answer) = answered(&offer("96 101", OPUS));
    assert_eq!((agreed.codec, agreed.payload_type), (PhoneCodec::Opus, 96));
    assert!(answer.contains("RTP/AVP 96 101\r\na=rtpmap:96 opus/48000/2\r\na=fmtp:96 useinbandfec=1\r\n"), "{answer}");
    assert_eq!(answered(&offer("96 0 101", OPUS)).0.codec, PhoneCodec::PCMU, "what we like better");
    assert_eq!(speaking(&[PhoneCodec::Opus]).answer(offer("0 96", OPUS).as_bytes()).unwrap().0.codec, PhoneCodec::Opus);
}

#[test]
fn opus_may_be_written_oddly_but_never_counts_at_another_clock() {
    for odd in [
        "a=rtpmap:96 OPUS/48000\r\n",
        "a=rtpmap:96 opus/48000/1\r\n",
        "a=rtpmap:96 opus/48000/2\r\na=fmtp:96 maxplaybackrate=8000; sprop-maxcapturerate=8000;usedtx=1;cbr=1;x\r\n",
        "a=rtpmap:96 opus/48000/2\r\na=fmtp:96\r\na=fmtp:97 useinbandfec=0\r\n",
    ] {
        assert_eq!(answered(&offer("96", odd)).0.codec, PhoneCodec::Opus, "{odd}");
    }
    for wrong in ["a=rtpmap:96 opus/16000\r\n", "a=rtpmap:96 opus/8000/2\r\n", "", "a=rtpmap:97 opus/48000/2\r\n"] {
        let refused = session().answer(offer("96", wrong).as_bytes());
        assert!(matches!(refused, Err(SdpError::NoCommonCodec { .. })), "{wrong}");
    }
}

#[test]
fn keys_among_opus_count_at_48_khz_where_they_can_and_at_8_where_they_must() {
    let both = "a=rtpmap:110 telephone-event/48000\r\n";
    let (agreed, answer) = answered(&offer("96 101 110", &format!("{OPUS}{both}")));
    assert_eq!(agreed.dtmf, [at_48_khz(110)]);
    assert!(
        answer.contains("RTP/AVP 96 110\r\n") && answer.contains("a=rtpmap:110 telephone-event/48000\r\n"),
        "{answer}"
    );
    assert_eq!(answered(&offer("96 101", OPUS)).0.dtmf, [at_8_khz(101)]);
    assert_eq!(answered(&offer("96", OPUS)).0.dtmf, []);
    assert_eq!(answered(&offer("0 110 101", both)).0.dtmf, [at_8_khz(101)]);
    assert_eq!(answered(&offer("0 110", both)).0.dtmf, [at_48_khz(110)], "it has no other");
}

#[test]
fn who_offers_opus_offers_keys_at_both_clocks_and_nobody_else_does() {
    let said = |codecs: &[PhoneCodec]| String::from_utf8(speaking(codecs).offer()).unwrap();
    let opus = said(&[PhoneCodec::G722, PhoneCodec::Opus]);
    assert!(opus.contains("RTP/AVP 9 111 101 102\r\n") && opus.contains("a=rtpmap:111 opus/48000/2\r\n"), "{opus}");
    assert!(opus.contains("a=rtpmap:101 telephone-event/8000\r\n"), "{opus}");
    assert!(opus.contains("a=rtpmap:102 telephone-event/48000\r\na=fmtp:102 0-15\r\n"), "{opus}");
    let plain = said(&[PhoneCodec::G722, PhoneCodec::PCMU]);
    assert!(plain.contains("RTP/AVP 9 0 101\r\n") && !plain.contains("48000"), "{plain}");
}

#[test]
fn an_answer_with_opus_may_number_it_as_it_likes_and_is_heard_by_either_number() {
    let mut session = speaking(&[PhoneCodec::PCMU, PhoneCodec::Opus]);
    session.offer();
    let text = offer("96 101 102", &format!("{OPUS}a=rtpmap:102 telephone-event/48000\r\n"));
    let agreed = session.apply_answer(text.as_bytes()).unwrap();
    assert_eq!(
        (agreed.codec, agreed.payload_type, &*agreed.dtmf),
        (PhoneCodec::Opus, 96, &[at_48_khz(102), at_8_khz(101)][..])
    );
    assert_eq!(agreed.receives, [(96, PhoneCodec::Opus), (0, PhoneCodec::PCMU), (111, PhoneCodec::Opus)]);
    let mut again = speaking(&[PhoneCodec::Opus]);
    again.offer();
    assert_eq!(again.apply_answer(offer("111", "a=rtpmap:111 opus/48000/2\r\n").as_bytes()).unwrap().dtmf, []);
}

#[test]
fn numbers_keep_their_meaning_through_the_call_and_ours_give_way() {
    let mut session = session();
    session
        .answer(offer("8 111 102", "a=rtpmap:111 telephone-event/8000\r\na=rtpmap:102 speex/16000\r\n").as_bytes())
        .unwrap();
    let said = String::from_utf8(session.offer()).unwrap();
    assert!(said.contains("RTP/AVP 8 0 9 96 111 97\r\n") && said.contains("a=rtpmap:96 opus/48000/2\r\n"), "{said}");
    assert!(said.contains("a=rtpmap:97 telephone-event/48000\r\n"), "{said}");
    session.answer(offer("101", "").replace("telephone-event/8000", "opus/48000/2").as_bytes()).unwrap();
    let said = String::from_utf8(session.offer()).unwrap();
    assert!(said.contains("RTP/AVP 101 0 8 9 111 97\r\n") && said.contains("a=rtpmap:101 opus/48000/2\r\n"), "{said}");
}

#[test]
fn a_re_invite_may_change_to_opus_and_back() {
    let mut session = session();
    let mut agreed = |formats| session.answer(offer(formats, OPUS).as_bytes()).unwrap().0;
    let codecs = [agreed("0 101").codec, agreed("96 101").codec, agreed("8 101").codec];
    assert_eq!(codecs, [PhoneCodec::PCMU, PhoneCodec::Opus, PhoneCodec::PCMA]);
}

#[test]
fn comfort_noise_is_not_for_opus() {
    assert_eq!(answered(&offer("96 13 101", OPUS)).0.noise_payload_type, None);
}

#[test]
fn comfort_noise_is_taken_where_it_is_offered_and_never_offered_by_us() {
    let (agreed, answer) = answered(&offer("0 13 101", ""));
    assert_eq!(agreed.noise_payload_type, Some(13));
    assert!(answer.contains("RTP/AVP 0 13 101\r\n") && answer.contains("a=rtpmap:13 CN/8000\r\n"), "{answer}");
    assert_eq!(answered(&offer("0 97", "a=rtpmap:97 CN/8000\r\n")).0.noise_payload_type, Some(97));
    assert_eq!(answered(&offer("0 97", "a=rtpmap:97 CN/16000\r\n")).0.noise_payload_type, None);
    assert!(!answered(&offer("0 101", "")).1.contains("CN"));
    assert!(!String::from_utf8(session().offer()).unwrap().contains("CN"));
}

#[test]
fn comfort_noise_alone_is_no_codec() {
    assert!(matches!(session().answer(offer("13 101", "").as_bytes()), Err(SdpError::NoCommonCodec { .. })));
}

#[test]
fn payload_types_are_those_of_the_offer() {
    let text = offer("96 97", "a=rtpmap:96 PCMA/8000\r\na=rtpmap:97 telephone-event/8000\r\n");
    let (agreed, answer) = answered(&text);
    assert_eq!((agreed.codec, agreed.payload_type, agreed.dtmf), (PhoneCodec::PCMA, 96, vec![at_8_khz(97)]));
    assert!(answer.contains("a=rtpmap:96 PCMA/8000\r\n") && answer.contains("a=fmtp:97 0-15\r\n"), "{answer}");
}

#[test]
fn hold_is_answered_as_rfc_3264_says() {
    for (theirs, ours, we_send, we_receive) in [
        ("sendrecv", "sendrecv", true, true),
        ("sendonly", "recvonly", false, true),
        ("recvonly", "sendonly", true, false),
        ("inactive", "inactive", false, false),
    ] {
        let (agreed, answer) = answered(&offer("0", &format!("a={theirs}\r\n")));
        assert!(answer.contains(&format!("a={ours}\r\n")), "{theirs}: {answer}");
        assert_eq!((agreed.we_send, agreed.we_receive), (we_send, we_receive), "{theirs}");
    }
}

#[test]
fn old_style_hold_with_a_zero_address_is_answered_recvonly() {
    let (agreed, answer) = answered(&offer("0", "").replace("c=IN IP4 192.0.2.9", "c=IN IP4 0.0.0.0"));
    assert!(answer.contains("a=recvonly\r\n") && !agreed.we_send && agreed.we_receive, "{answer}");
    let (agreed, answer) = answered(&offer("0", "a=inactive\r\n").replace("c=IN IP4 192.0.2.9", "c=IN IP4 0.0.0.0"));
    assert!(answer.contains("a=inactive\r\n") && !agreed.we_receive);
}

#[test]
fn our_own_hold_is_offered_sendonly_and_ends_with_sendrecv() {
    let mut session = session();
    session.hold(true);
    assert!(String::from_utf8(session.offer()).unwrap().contains("a=sendonly\r\n"));
    let agreed = session.apply_answer(offer("0", "a=recvonly\r\n").as_bytes()).unwrap();
    assert!(agreed.we_send && !agreed.we_receive);
    session.hold(false);
    assert!(String::from_utf8(session.offer()).unwrap().contains("a=sendrecv\r\n"));
    assert!(session.apply_answer(offer("0", "").as_bytes()).unwrap().we_receive);
}

#[test]
fn both_holding_is_inactive() {
    let mut session = session();
    session.hold(true);
    let (_, answer) = session.answer(offer("0", "a=sendonly\r\n").as_bytes()).unwrap();
    assert!(String::from_utf8(answer).unwrap().contains("a=inactive\r\n"));
}

#[test]
fn the_version_counts_changed_answers_only() {
    let mut session = session();
    let mut version = |attributes: &str| {
        let (_, answer) = session.answer(offer("0", attributes).as_bytes()).unwrap();
        SessionDescription::parse(&answer).unwrap().origin.version
    };
    assert_eq!([version(""), version(""), version("a=sendonly\r\n"), version("a=sendrecv\r\n")], [77, 77, 78, 79]);
}

#[test]
fn other_media_is_refused_in_its_place() {
    let text =
        offer("0", "").replace("m=audio", "m=video 6000 RTP/AVP 96 97\r\nm=audio") + "m=audio 7000 RTP/SAVP 0\r\n";
    let (_, answer) = answered(&text);
    let lines: Vec<&str> = answer.lines().filter(|line| line.starts_with("m=")).collect();
    assert_eq!(lines, ["m=video 0 RTP/AVP 96 97", "m=audio 10000 RTP/AVP 0", "m=audio 0 RTP/SAVP 0"]);
}

#[test]
fn offers_without_audio_for_us_say_why() {
    let refuse = |text: String| session().answer(text.as_bytes()).unwrap_err();
    assert_eq!(
        refuse(offer("96 18", "a=rtpmap:96 AMR-WB/16000\r\n")),
        SdpError::NoCommonCodec { offered: "AMR-WB/16000 18".into() }
    );
    assert_eq!(refuse(offer("0", "").replace("audio 4000", "audio 0")), SdpError::NoAudio);
    assert_eq!(refuse(offer("0", "").replace("RTP/AVP", "RTP/SAVP")), SdpError::NotEncrypted);
    assert_eq!(refuse(offer("0", "").replace("c=IN IP4 192.0.2.9", "c=IN IP4 phone.example")), SdpError::NoAddress);
}

#[test]
fn the_first_known_codec_of_an_answer_is_sent_and_both_laws_are_heard() {
    let mut session = session();
    let sent = String::from_utf8(session.offer()).unwrap();
    assert!(sent.contains("m=audio 10000 RTP/AVP 0 8 9 111 101 102\r\n"), "{sent}");
    let agreed = session.apply_answer(offer("8 0 101", "").as_bytes()).unwrap();
    assert_eq!(
        (agreed.codec, agreed.receives),
        (
            PhoneCodec::PCMA,
            vec![(8, PhoneCodec::PCMA), (0, PhoneCodec::PCMU), (9, PhoneCodec::G722), (111, PhoneCodec::Opus)]
        )
    );
}

#[test]
fn answers_that_refuse_or_come_unasked_are_errors_and_change_nothing() {
    let mut session = session();
    assert_eq!(session.apply_answer(offer("0", "").as_bytes()), Err(SdpError::NothingOffered));
    session.offer();
    assert_eq!(
        session.apply_answer(offer("0", "").replace("audio 4000", "audio 0").as_bytes()),
        Err(SdpError::Refused)
    );
    assert!(matches!(session.apply_answer(offer("18", "").as_bytes()), Err(SdpError::NoCommonCodec { .. })));
    assert_eq!(session.negotiated(), None);
}

#[test]
fn early_answers_leave_room_for_the_one_that_counts() {
    let mut session = session();
    session.offer();
    let port = |port: u16| offer("0", "").replace("4000", &port.to_string());
    for early in [6000, 6002] {
        let agreed = session.apply_early_answer(port(early).as_bytes()).unwrap();
        assert_eq!(agreed.remote.port(), early);
    }
    assert_eq!(session.apply_answer(port(6004).as_bytes()).unwrap().remote.port(), 6004);
    assert_eq!(session.negotiated().unwrap().remote.port(), 6004);
    assert!(matches!(session.apply_early_answer(port(6006).as_bytes()), Err(SdpError::NothingOffered)));
}

#[test]
fn a_later_offer_of_ours_keeps_what_was_agreed() {
    let mut session = session();
    let text = offer("8 97", "a=rtpmap:97 telephone-event/8000\r\n");
    session.answer(text.as_bytes()).unwrap();
    let again = String::from_utf8(session.offer()).unwrap();
    assert!(again.contains("RTP/AVP 8 0 9 111 97 102\r\n"), "{again}");
}

#[test]
fn two_sessions_of_ours_agree() {
    let mut other = MediaSession::new(LocalMedia::new("192.0.2.2:20000".parse().unwrap()), 5);
    let mut this = session();
    let (theirs, answer) = other.answer(&this.offer()).unwrap();
    let ours = this.apply_answer(&answer).unwrap();
    assert_eq!((theirs.codec, theirs.remote.port()), (ours.codec, 10000));
    assert_eq!((ours.remote.port(), ours.dtmf[0]), (20000, at_8_khz(101)));
}

proptest! {
    #[test]
    fn no_offer_and_no_answer_make_it_panic(body in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut session = session();
        session.offer();
        let _ = session.apply_answer(&body);
        let _ = session.answer(&body);
    }

    #[test]
    fn every_answer_can_be_read_back(formats in "[0-9]{1,3}( [0-9]{1,3}){0,5}", kind in "[a-z]{3,6}", port in any::<u16>()) {
        let text = offer("0", "") + &format!("m={kind} {port} RTP/AVP {formats}\r\n");
        let (_, answer) = session().answer(text.as_bytes()).unwrap();
        prop_assert_eq!(SessionDescription::parse(&answer).unwrap().media.len(), 2);
    }
}

const CRYPTO: &str = "a=crypto:4 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj\r\n";

fn with(encryption: Encryption) -> MediaSession {
    MediaSession::new(LocalMedia { encryption, ..LocalMedia::new("192.0.2.1:10000".parse().unwrap()) }, 77)
}

fn keys() -> Vec<Key> {
    Encryption::keys(|secret| secret.fill(7))
}

fn told(agreed: &Negotiated) -> &Keys {
    let Some(Secrecy::Told(keys)) = &agreed.srtp else { panic!("{:?}", agreed.srtp) };
    keys
}

fn secured(text: &str) -> String {
    text.replace("RTP/AVP", "RTP/SAVP")
}

#[test]
fn an_encrypted_offer_is_answered_with_our_key_under_its_tag() {
    for encryption in [Encryption::Allowed(keys()), Encryption::Required(keys())] {
        let (agreed, answer) = with(encryption).answer(secured(&offer("0", CRYPTO)).as_bytes()).unwrap();
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.contains("m=audio 10000 RTP/SAVP 0\r\n"), "{answer}");
        assert!(answer.contains("a=crypto:4 AES_CM_128_HMAC_SHA1_80 inline:BwcHBwcH"), "{answer}");
        assert_eq!(answer.matches("a=crypto").count(), 1);
        assert_eq!(told(&agreed).theirs.secret()[..4], *b"wDfv");
    }
}

#[test]
fn an_encrypted_offer_is_refused_where_encryption_is_off_or_no_key_fits() {
    let text = secured(&offer("0", CRYPTO));
    assert_eq!(session().answer(text.as_bytes()).unwrap_err(), SdpError::NotEncrypted);
    let unknown = text.replace("AES_CM_128_HMAC_SHA1_80", "F8_128_HMAC_SHA1_80");
    assert_eq!(with(Encryption::Allowed(keys())).answer(unknown.as_bytes()).unwrap_err(), SdpError::NotEncrypted);
}

#[test]
fn a_plain_offer_is_taken_where_encryption_is_allowed_and_refused_where_it_is_required() {
    let (agreed, answer) = with(Encryption::Allowed(keys())).answer(offer("0", "").as_bytes()).unwrap();
    assert!(agreed.srtp.is_none() && !String::from_utf8(answer).unwrap().contains("a=crypto"));
    let refused = with(Encryption::Required(keys())).answer(offer("0", "").as_bytes()).unwrap_err();
    assert_eq!(refused, SdpError::NotEncrypted);
}

#[test]
fn keys_in_a_plain_offer_are_used_where_encryption_is_allowed_and_left_where_it_is_off() {
    let text = offer("0", CRYPTO);
    let (agreed, answer) = with(Encryption::Allowed(keys())).answer(text.as_bytes()).unwrap();
    assert!(agreed.srtp.is_some() && String::from_utf8(answer).unwrap().contains("RTP/AVP 0\r\na="));
    let (agreed, answer) = session().answer(text.as_bytes()).unwrap();
    assert!(agreed.srtp.is_none() && !String::from_utf8(answer).unwrap().contains("a=crypto"));
}

#[test]
fn we_offer_a_key_for_every_suite_and_the_answer_chooses() {
    for (encryption, protocol) in [(Encryption::Allowed(keys()), "RTP/AVP"), (Encryption::Required(keys()), "RTP/SAVP")]
    {
        let mut session = with(encryption);
        let said = String::from_utf8(session.offer()).unwrap();
        assert!(said.contains(&format!("m=audio 10000 {protocol} ")), "{said}");
        assert_eq!(said.matches("a=crypto:").count(), Suite::ALL.len());
        let agreed = session.apply_answer(secured(&offer("0", CRYPTO)).as_bytes()).unwrap();
        assert_eq!(told(&agreed).ours.suite(), Suite::AesCm128HmacSha1_80);
        assert!(String::from_utf8(session.offer()).unwrap().contains("RTP/SAVP"), "once encrypted, always encrypted");
    }
}

#[test]
fn a_plain_answer_to_an_offer_with_keys_ends_the_call_only_where_encryption_is_required() {
    let mut session = with(Encryption::Required(keys()));
    session.offer();
    assert_eq!(session.apply_answer(offer("0", "").as_bytes()).unwrap_err(), SdpError::NotEncrypted);
    let mut session = with(Encryption::Allowed(keys()));
    session.offer();
    assert!(session.apply_answer(offer("0", "").as_bytes()).unwrap().srtp.is_none());
}

#[test]
fn an_offer_for_encryption_only_can_be_made_again_for_whoever_cannot() {
    let mut session = with(Encryption::Allowed(keys()));
    let first = String::from_utf8(session.offer_secured()).unwrap();
    assert!(first.contains("RTP/SAVP ") && first.contains("a=crypto:1 "), "{first}");
    let second = String::from_utf8(session.offer()).unwrap();
    assert!(second.contains("RTP/AVP ") && second.contains("a=crypto:1 "), "{second}");
    let agreed = session.apply_answer(offer("0", "").as_bytes()).unwrap();
    assert_eq!(agreed.srtp, None);
}

#[test]
fn rtcp_has_a_port_of_its_own_unless_the_other_side_offers_to_share_one() {
    let (agreed, answer) = answered(&offer("0", "a=rtcp:4009\r\n"));
    assert_eq!(agreed.rtcp, Some(RtcpPath::Apart("192.0.2.9:4009".parse().unwrap())));
    assert!(!answer.contains("rtcp-mux"), "{answer}");
    let (agreed, answer) = answered(&offer("0", "a=rtcp:4009\r\na=rtcp-mux\r\n"));
    assert!(agreed.rtcp == Some(RtcpPath::Muxed) && answer.contains("a=rtcp-mux\r\n"), "{answer}");
    let (agreed, answer) = answered(&offer("0 72", "a=rtpmap:72 PCMA/8000\r\na=rtcp-mux\r\n"));
    assert!(matches!(agreed.rtcp, Some(RtcpPath::Apart(_))) && !answer.contains("rtcp-mux"), "{answer}");
}

#[test]
fn a_shared_port_is_offered_again_only_where_it_was_agreed_on_and_ends_when_the_answer_has_it_no_more() {
    let mut session = session();
    let offered = |answer: &str, session: &mut MediaSession| {
        let said = String::from_utf8(session.offer()).unwrap().contains("a=rtcp-mux\r\n");
        (said, session.apply_answer(offer("0", answer).as_bytes()).unwrap().rtcp)
    };
    let apart = Some(RtcpPath::Apart("192.0.2.9:4001".parse().unwrap()));
    assert_eq!(offered("a=rtcp-mux\r\n", &mut session), (false, apart), "an echo of nothing");
    session.answer(offer("0", "a=rtcp-mux\r\n").as_bytes()).unwrap();
    assert_eq!(offered("a=rtcp-mux\r\n", &mut session), (true, Some(RtcpPath::Muxed)));
    assert_eq!(offered("", &mut session), (true, apart));
    assert_eq!(offered("", &mut session), (false, apart));
}

fn fingerprint(octet: &str) -> Fingerprint {
    Fingerprint::parse(&format!("sha-256 {}", vec![octet; 32].join(":"))).unwrap()
}

/// With a certificate, so that keys may also come by a handshake.
fn certified(encryption: Encryption) -> MediaSession {
    let local = LocalMedia::new("192.0.2.1:10000".parse().unwrap());
    MediaSession::new(LocalMedia { encryption, fingerprint: Some(fingerprint("0A")), ..local }, 77)
}

fn by_handshake(setup: &str) -> String {
    let lines = format!("a=fingerprint:{}\r\na=setup:{setup}\r\n", fingerprint("BB").value());
    offer("0", &lines).replace("RTP/AVP", "UDP/TLS/RTP/SAVP")
}

#[test]
fn a_phone_that_wants_a_handshake_gets_one_and_begins_it_unless_it_only_waits() {
    for encryption in [Encryption::Allowed(keys()), Encryption::Required(keys())] {
        for (setup, ours, we_begin) in
            [("actpass", "passive", false), ("active", "passive", false), ("passive", "active", true)]
        {
            let (agreed, answer) = certified(encryption.clone()).answer(by_handshake(setup).as_bytes()).unwrap();
            let answer = String::from_utf8(answer).unwrap();
            assert_eq!(agreed.srtp, Some(Secrecy::Handshake(Peer { fingerprint: fingerprint("BB"), we_begin })));
            assert!(
                answer.contains("m=audio 10000 UDP/TLS/RTP/SAVP 0\r\n") && !answer.contains("a=crypto"),
                "{answer}"
            );
            assert!(answer.contains(&format!("{}\r\na=setup:{ours}\r\n", fingerprint("0A").value())), "{answer}");
        }
    }
}

#[test]
fn a_handshake_is_refused_where_encryption_is_off_and_in_vain_without_a_certificate() {
    let refused = |mut session: MediaSession, text: &str| session.answer(text.as_bytes()).unwrap_err();
    assert_eq!(refused(certified(Encryption::Off), &by_handshake("actpass")), SdpError::NotEncrypted);
    assert_eq!(refused(with(Encryption::Required(keys())), &by_handshake("actpass")), SdpError::NotEncrypted);
    let nameless = by_handshake("actpass").replace("sha-256", "sha-1");
    assert_eq!(refused(certified(Encryption::Allowed(keys())), &nameless), SdpError::NotEncrypted);
    let keyed_only = by_handshake("later") + CRYPTO;
    assert_eq!(refused(certified(Encryption::Allowed(keys())), &keyed_only), SdpError::NotEncrypted);
}

#[test]
fn keys_that_are_told_are_preferred_to_a_handshake() {
    let text = by_handshake("actpass").replace("UDP/TLS/RTP/SAVP", "RTP/SAVP") + CRYPTO;
    let (agreed, answer) = certified(Encryption::Allowed(keys())).answer(text.as_bytes()).unwrap();
    assert_eq!(told(&agreed).ours.suite(), Suite::AesCm128HmacSha1_80);
    assert!(!String::from_utf8(answer).unwrap().contains("a=fingerprint"));
}

#[test]
fn a_handshake_is_proposed_to_no_desk_phone_and_stays_once_it_was_agreed_on() {
    let mut session = certified(Encryption::Allowed(keys()));
    assert!(!String::from_utf8(session.offer_secured()).unwrap().contains("a=fingerprint"));
    session.answer(by_handshake("actpass").as_bytes()).unwrap();
    let again = String::from_utf8(session.offer()).unwrap();
    assert!(again.contains("UDP/TLS/RTP/SAVP ") && again.contains("a=setup:actpass\r\n"), "{again}");
    assert!(!again.contains("a=crypto"), "{again}");
    let agreed = session.apply_answer(by_handshake("active").as_bytes()).unwrap();
    assert!(matches!(agreed.srtp, Some(Secrecy::Handshake(Peer { we_begin: false, .. }))));
}

#[test]
fn a_plain_offer_with_a_fingerprint_is_a_plain_one() {
    let text = by_handshake("actpass").replace("UDP/TLS/RTP/SAVP", "RTP/AVP");
    assert_eq!(certified(Encryption::Allowed(keys())).answer(text.as_bytes()).unwrap().0.srtp, None);
}

#[test]
fn reports_have_no_port_of_their_own_where_a_handshake_finds_the_keys_of_one_port() {
    let (agreed, _) = certified(Encryption::Allowed(keys())).answer(by_handshake("active").as_bytes()).unwrap();
    assert_eq!(agreed.rtcp, None);
    let muxed = by_handshake("active") + "a=rtcp-mux\r\n";
    let (agreed, _) = certified(Encryption::Allowed(keys())).answer(muxed.as_bytes()).unwrap();
    assert_eq!(agreed.rtcp, Some(RtcpPath::Muxed));
}
