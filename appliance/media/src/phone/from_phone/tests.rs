use super::*;
use crate::dtmf::Event;
use crate::rtcp::Outgoing;
use crate::rtp::Header;

const SECOND: Duration = Duration::from_secs(1);

fn phone() -> SocketAddr {
    "192.0.2.9:4000".parse().unwrap()
}

fn reports() -> SocketAddr {
    "192.0.2.9:4001".parse().unwrap()
}

fn agreed(we_send: bool, we_receive: bool) -> Negotiated {
    Negotiated {
        codec: PhoneCodec::PCMU,
        payload_type: 0,
        receives: vec![(0, PhoneCodec::PCMU)],
        dtmf: vec![EventFormat { payload_type: 101, clock_factor: 1 }],
        noise_payload_type: None,
        srtp: None,
        remote: phone(),
        ice: None,
        rtcp: Some(RtcpPath::Apart(reports())),
        we_send,
        we_receive,
        we_hold: false,
        ptime_ms: 20,
    }
}

fn datagram(payload_type: u8, sequence: u16, payload: &[u8]) -> Vec<u8> {
    let timestamp = u32::from(sequence) * 160;
    let mut packet = Vec::new();
    Header { marker: false, payload_type, sequence, timestamp, ssrc: 5 }.write(payload, &mut packet);
    packet
}

fn listening(now: Instant) -> FromPhone {
    let mut from = FromPhone::new(SourcePolicy::Signalled, MediaTimeouts::default());
    from.negotiated(&agreed(true, true), now);
    from
}

#[test]
fn nothing_is_heard_before_there_is_an_agreement() {
    let mut from = FromPhone::new(SourcePolicy::Signalled, MediaTimeouts::default());
    assert_eq!(from.datagram(&datagram(0, 1, b"x"), phone(), Instant::now()), Heard::Nothing);
    assert_eq!(from.figures().packets, 0);
}

#[test]
fn sound_and_keys_are_told_apart_and_strangers_are_counted() {
    let now = Instant::now();
    let mut from = listening(now);
    let packet = datagram(0, 0xFFFF, b"sound");
    assert!(matches!(from.datagram(&packet, phone(), now), Heard::Audio(audio) if audio.payload == b"sound"));
    let key = Event { event: 5, end: false, volume: 10, duration: 160 }.to_bytes();
    assert_eq!(from.datagram(&datagram(101, 0, &key), phone(), now), Heard::Key('5'));
    assert_eq!(from.datagram(&packet, "192.0.2.66:4000".parse().unwrap(), now), Heard::Nothing);
    assert_eq!((from.figures().packets, from.figures().lost, from.strangers()), (2, 0, 1));
}

#[test]
fn opus_counts_at_48_khz_on_the_wire_and_at_8_from_here_on_also_past_the_wrap() {
    let now = Instant::now();
    let mut from = listening(now);
    let dtmf =
        vec![EventFormat { payload_type: 101, clock_factor: 1 }, EventFormat { payload_type: 102, clock_factor: 6 }];
    let receives = vec![(96, PhoneCodec::Opus), (0, PhoneCodec::PCMU)];
    from.negotiated(
        &Negotiated { codec: PhoneCodec::Opus, payload_type: 96, receives, dtmf, ..agreed(true, true) },
        now,
    );
    let mut said = |payload_type, sequence, timestamp, payload: &[u8]| {
        let mut packet = Vec::new();
        Header { marker: false, payload_type, sequence, timestamp, ssrc: 5 }.write(payload, &mut packet);
        match from.datagram(&packet, phone(), now + Duration::from_millis(20) * u32::from(sequence)) {
            Heard::Audio(audio) => (Some((audio.codec, audio.timestamp, audio.sequence as u32)), ' '),
            Heard::Key(digit) => (None, digit),
            Heard::Nothing => (None, ' '),
        }
    };
    let start = u32::MAX - 1000;
    let (first, second) = (said(96, 1, start, &[8]).0.unwrap(), said(96, 2, start.wrapping_add(960), &[8]).0.unwrap());
    let third = said(96, 3, start.wrapping_add(1920), &[8]).0.unwrap();
    assert_eq!([second.1.wrapping_sub(first.1), third.1.wrapping_sub(second.1)], [160, 160]);
    let key = |event| Event { event, end: false, volume: 10, duration: 960 }.to_bytes();
    assert_eq!(said(102, 4, start.wrapping_add(2880), &key(5)), (None, '5'));
    assert_eq!(said(101, 5, 777_777, &key(6)), (None, '6'));
    let after = said(96, 6, start.wrapping_add(4800), &[8]).0.unwrap();
    assert_eq!((after.1.wrapping_sub(third.1), after.2 - third.2), (480, 1));
    assert_eq!(said(0, 7, 5000, &[0xFF; 160]).0.map(|it| it.0), Some(PhoneCodec::PCMU), "every packet says what it is");
    assert_eq!(from.figures().jitter_ms, Some(0.0));
}

#[test]
fn comfort_noise_is_a_silent_frame_and_no_loss_agreed_on_or_not() {
    let now = Instant::now();
    for (noise_payload_type, used) in [(None, 13), (Some(13), 13), (Some(97), 97)] {
        let mut from = listening(now);
        from.negotiated(&Negotiated { noise_payload_type, ..agreed(true, true) }, now);
        from.datagram(&datagram(0, 1, b"sound"), phone(), now);
        let packet = datagram(used, 2, &[70]);
        assert!(matches!(from.datagram(&packet, phone(), now), Heard::Audio(audio) if *audio.payload == SILENCE));
        from.datagram(&datagram(0, 3, b"sound"), phone(), now + SECOND);
        assert_eq!((from.figures().packets, from.figures().lost), (3, 0));
    }
}

#[test]
fn a_phone_that_never_sends_is_given_30_seconds_and_one_that_stops_15() {
    let t0 = Instant::now();
    let mut from = listening(t0);
    assert!(!from.silent_too_long(t0 + SECOND * 29) && from.silent_too_long(t0 + SECOND * 30));
    from.datagram(&datagram(0, 1, b"x"), phone(), t0 + SECOND * 20);
    assert!(!from.silent_too_long(t0 + SECOND * 34) && from.silent_too_long(t0 + SECOND * 35));
}

#[test]
fn nobody_is_timed_out_on_hold_and_the_time_starts_anew_after_it() {
    let t0 = Instant::now();
    let mut from = listening(t0);
    from.datagram(&datagram(0, 1, b"x"), phone(), t0);
    for (we_send, we_receive) in [(false, true), (true, false), (false, false)] {
        from.negotiated(&agreed(we_send, we_receive), t0);
        assert!(!from.silent_too_long(t0 + SECOND * 3600));
    }
    from.negotiated(&agreed(true, true), t0 + SECOND * 100);
    assert!(!from.silent_too_long(t0 + SECOND * 114) && from.silent_too_long(t0 + SECOND * 115));
}

#[test]
fn a_phone_that_we_hold_is_not_heard() {
    let now = Instant::now();
    let mut from = listening(now);
    from.negotiated(&agreed(true, false), now);
    assert_eq!(from.datagram(&datagram(0, 1, b"x"), phone(), now), Heard::Nothing);
}

/// Does a report of `ssrc` count?
fn counts(phone: &mut FromPhone, ssrc: u32, from: &str, at_rtp: bool, now: Instant) -> bool {
    let bytes = Outgoing { ssrc, sent: None, block: None, name: "phone", goodbye: false }.to_bytes();
    phone.accepts_report(&Compound::parse(&bytes).unwrap(), from.parse().unwrap(), at_rtp, now)
}

#[test]
fn reports_count_from_the_phone_that_is_heard_and_from_one_port() {
    let t0 = Instant::now();
    let mut from = listening(t0);
    assert!(!counts(&mut from, 5, "192.0.2.66:4001", false, t0), "from elsewhere");
    assert!(!counts(&mut from, 5, "192.0.2.9:4000", true, t0), "at the port of audio");
    assert!(counts(&mut from, 8, "192.0.2.9:4001", false, t0), "nobody knows the phone's stream yet");
    from.datagram(&datagram(0, 1, b"x"), phone(), t0);
    assert!(!counts(&mut from, 8, "192.0.2.9:4001", false, t0), "of another stream");
    assert!(counts(&mut from, 5, "192.0.2.9:4001", false, t0));
    assert!(!counts(&mut from, 5, "192.0.2.9:7777", false, t0 + SECOND * 24), "from another port");
    assert!(counts(&mut from, 5, "192.0.2.9:7777", false, t0 + SECOND * 25), "the first one is gone");
    assert_eq!((from.report_destination(), from.strangers()), (Some((reports(), false)), 4));
}

#[test]
fn reports_on_a_shared_port_come_from_where_the_audio_comes_and_do_not_move_it() {
    let t0 = Instant::now();
    let mut from = FromPhone::new(SourcePolicy::Signalled, MediaTimeouts::default());
    assert!(!counts(&mut from, 5, "192.0.2.9:4000", true, t0), "nothing is agreed on");
    from.negotiated(&Negotiated { rtcp: Some(RtcpPath::Muxed), ..agreed(true, true) }, t0);
    assert!(counts(&mut from, 5, "192.0.2.9:7777", true, t0));
    assert!(!counts(&mut from, 5, "192.0.2.9:4001", false, t0), "at a port that is not in use");
    from.datagram(&datagram(0, 1, b"x"), phone(), t0);
    assert_eq!((from.figures().packets, from.report_destination()), (1, Some((phone(), true))));
    assert!(!counts(&mut from, 5, "192.0.2.9:7777", true, t0) && counts(&mut from, 5, "192.0.2.9:4000", true, t0));
    from.negotiated(&Negotiated { rtcp: None, ..agreed(true, true) }, t0);
    assert!(!counts(&mut from, 5, "192.0.2.9:4000", true, t0) && from.report_destination().is_none());
}

#[test]
fn reports_alone_keep_nobody_alive_but_on_hold_where_nobody_needs_to_speak() {
    let t0 = Instant::now();
    let mut from = listening(t0);
    from.datagram(&datagram(0, 1, b"x"), phone(), t0);
    for second in 0..15 {
        assert!(!from.silent_too_long(t0 + SECOND * second));
        assert!(counts(&mut from, 5, "192.0.2.9:4001", false, t0 + SECOND * second));
    }
    assert!(from.silent_too_long(t0 + SECOND * 15));
    from.negotiated(&agreed(false, true), t0);
    assert!(!from.silent_too_long(t0 + SECOND * 3600));
}
