use super::*;
use crate::codec::{Codec, Decoder, Frame, G711, G722Decoder, LONGEST_PACKET, LONGEST_WIDE, OpusDecoder, OpusEncoder};
use crate::dtmf::Keys;
use crate::rtp::Packet;

const MS: Duration = Duration::from_millis(1);
const PCMU: Codec = Codec::G711(G711::Pcmu);

/// A phone that writes down what it gets, and a clock.
struct Story {
    to: ToPhone,
    t0: Instant,
    now: Instant,
    got: Vec<(u64, Header, Vec<u8>)>,
}

impl Story {
    fn new() -> Story {
        let t0 = Instant::now();
        let mut to = ToPhone::new(StreamStart { ssrc: 7, sequence: 65_530, timestamp: u32::MAX - 1000 });
        to.negotiated(&agreed(true), t0);
        Story { to, t0, now: t0, got: Vec::new() }
    }

    /// Lets time pass in sweeps of 5 ms.
    fn wait(&mut self, ms: u64) {
        for _ in 0..ms / 5 {
            let (now, at) = (self.now, (self.now - self.t0).as_millis() as u64);
            self.to.tick(now, &mut |packet| self.got.push(read(at, packet)));
            self.now += 5 * MS;
        }
    }

    fn packet(&mut self, track: &str, packet: RoomPacket) {
        let (now, at) = (self.now, (self.now - self.t0).as_millis() as u64);
        self.to.room_packet(&track.into(), packet, now, &mut |packet| self.got.push(read(at, packet)));
    }

    /// `count` frames of PCMU, one each 20 ms.
    fn speak(&mut self, track: &str, from: u64, count: u64, level: i16) {
        for n in from..from + count {
            self.packet(track, frame(PCMU, n, level));
            self.wait(20);
        }
    }

    /// Sound packets that are not silence.
    fn loud(&self) -> usize {
        self.got
            .iter()
            .filter(|(_, header, payload)| header.payload_type == 0 && payload.iter().any(|byte| *byte != 0xFF))
            .count()
    }

    fn digits(&self) -> String {
        let mut keys = Keys::default();
        let events = self.got.iter().filter(|(_, header, _)| header.payload_type == 101);
        events.filter_map(|(_, header, payload)| keys.packet(header.timestamp, payload)).collect()
    }

    /// Numbers go up one by one, and times never go back except within a key.
    fn assert_continuous(&self) {
        for pair in self.got.windows(2) {
            let ((_, a, _), (at, b, _)) = (&pair[0], &pair[1]);
            assert_eq!(b.sequence, a.sequence.wrapping_add(1), "at {at} ms");
            assert!((b.timestamp.wrapping_sub(a.timestamp) as i32) >= 0, "at {at} ms: {a:?} {b:?}");
        }
    }
}

fn agreed(we_send: bool) -> Negotiated {
    Negotiated {
        codec: PhoneCodec::PCMU,
        payload_type: 0,
        receives: vec![(0, PhoneCodec::PCMU)],
        dtmf: vec![EventFormat { payload_type: 101, clock_factor: 1 }],
        noise_payload_type: None,
        srtp: None,
        remote: "192.0.2.9:4000".parse().unwrap(),
        ice: None,
        rtcp: None,
        we_send,
        we_receive: true,
        we_hold: false,
        ptime_ms: 20,
    }
}

fn read(at: u64, packet: &[u8]) -> (u64, Header, Vec<u8>) {
    let packet = Packet::parse(packet).unwrap();
    (at, packet.header, packet.payload.to_vec())
}

fn frame(codec: Codec, n: u64, level: i16) -> RoomPacket {
    let mut payload = [0; FRAME];
    if let Codec::G711(law) = codec {
        law.encode(&[level; FRAME], &mut payload);
    }
    RoomPacket { codec, sequence: n, timestamp: n as u32 * 160, payload: payload.as_slice().into() }
}

#[test]
fn silence_flows_from_the_answer_on_so_the_phone_never_times_out() {
    let mut story = Story::new();
    story.wait(1000);
    assert_eq!(story.got.len(), 50);
    assert!(story.got[0].1.marker && story.got[1..].iter().all(|(_, header, _)| !header.marker));
    assert_eq!(story.loud(), 0);
    story.assert_continuous();
}

#[test]
fn nothing_is_sent_before_there_is_an_agreement() {
    let mut to = ToPhone::new(StreamStart { ssrc: 1, sequence: 0, timestamp: 0 });
    assert_eq!(to.due(), None);
    to.room_packet(&"TR_a".into(), frame(PCMU, 1, 500), Instant::now(), &mut |_| panic!("sent"));
}

#[test]
fn one_speaker_with_the_phones_codec_is_forwarded_at_once_and_untouched() {
    let mut story = Story::new();
    story.wait(100);
    let before = story.got.len();
    story.speak("TR_a", 5, 50, 3000);
    let heard = &story.got[before..];
    assert_eq!(heard.len(), 50);
    assert_eq!(heard[7].2, frame(PCMU, 12, 3000).payload.to_vec());
    assert!(heard.iter().enumerate().all(|(n, (at, ..))| *at == 100 + 20 * n as u64));
    story.assert_continuous();
}

#[test]
fn a_pause_of_the_speaker_is_filled_with_silence_in_time() {
    let mut story = Story::new();
    story.speak("TR_a", 0, 10, 3000);
    story.wait(400);
    story.speak("TR_a", 30, 10, 3000);
    assert_eq!(story.loud(), 20);
    story.assert_continuous();
    let (first, last) = (story.got[0].1, story.got[story.got.len() - 1].1);
    assert_eq!(last.timestamp.wrapping_sub(first.timestamp) / 160, 39, "no drift over 800 ms");
}

#[test]
fn opus_is_decoded_and_keeps_to_the_clock() {
    let (mut story, mut encoder) = (Story::new(), OpusEncoder::new(Rate::Narrow).unwrap());
    for n in 0..50u64 {
        let mut out = [0; 400];
        let pcm: Frame = std::array::from_fn(|i| (((n as usize * FRAME + i) as f64 * 0.4).sin() * 9000.0) as i16);
        let length = encoder.encode(&pcm, &mut out).unwrap();
        let payload = out[..length].into();
        story.packet("TR_a", RoomPacket { codec: Codec::Opus, sequence: n, timestamp: n as u32 * 960, payload });
        story.wait(20);
    }
    assert_eq!(story.got.len(), 50);
    assert!(story.loud() >= 46, "{}", story.loud());
    story.assert_continuous();
}

#[test]
fn pcma_in_the_room_is_transcoded_for_a_pcmu_phone() {
    let mut story = Story::new();
    for n in 0..20 {
        story.packet("TR_a", frame(Codec::G711(G711::Pcma), n, 3000));
        story.wait(20);
    }
    assert!(story.loud() >= 16, "{}", story.loud());
    let mut heard = [0];
    G711::Pcmu.decode(&story.got[15].2[..1], &mut heard);
    assert!((heard[0] - 3000).abs() < 200, "{heard:?}");
}

#[test]
fn two_speakers_are_mixed_and_one_who_remains_is_forwarded_again() {
    let mut story = Story::new();
    for n in 0..50 {
        story.packet("TR_a", frame(PCMU, n, 3000));
        story.packet("TR_b", frame(PCMU, 900 + n, 2000));
        story.wait(20);
    }
    let mut heard = [0];
    G711::Pcmu.decode(&story.got[40].2[..1], &mut heard);
    assert!((heard[0] - 5000).abs() < 300, "{heard:?}");
    assert!((50..=53).contains(&story.got.len()), "{}", story.got.len());
    story.to.forget_track("TR_b");
    let before = story.got.len();
    story.speak("TR_a", 50, 10, 3000);
    assert_eq!(story.got[before + 5].2, frame(PCMU, 55, 3000).payload.to_vec());
    story.assert_continuous();
}

#[test]
fn keys_are_pressed_in_place_of_sound_and_share_its_numbers() {
    let mut story = Story::new();
    story.speak("TR_a", 0, 10, 3000);
    story.to.press("12#", story.now);
    story.speak("TR_a", 10, 90, 3000);
    assert_eq!(story.digits(), "12#");
    let first = story.got.iter().find(|(_, header, _)| header.payload_type == 101).unwrap();
    assert!(first.1.marker);
    assert_eq!(story.got.iter().filter(|(_, _, payload)| payload.len() == 4 && payload[1] & 0x80 != 0).count(), 9);
    for pair in story.got.windows(2) {
        assert_eq!(pair[1].1.sequence, pair[0].1.sequence.wrapping_add(1));
    }
    let sound: Vec<u32> = story
        .got
        .iter()
        .filter(|(_, header, _)| header.payload_type == 0)
        .map(|(_, header, _)| header.timestamp)
        .collect();
    assert!(sound.windows(2).all(|pair| (pair[1].wrapping_sub(pair[0]) as i32) > 0));
}

#[test]
fn a_phone_without_telephone_event_gets_no_keys() {
    let mut story = Story::new();
    story.to.negotiated(&Negotiated { dtmf: Vec::new(), ..agreed(true) }, story.now);
    story.to.press("1", story.now);
    story.wait(500);
    assert_eq!((story.digits().as_str(), story.got.len()), ("", 25));
}

#[test]
fn on_hold_nothing_is_sent_and_afterwards_the_stream_goes_on() {
    let mut story = Story::new();
    story.speak("TR_a", 0, 10, 3000);
    story.to.negotiated(&agreed(false), story.now);
    let before = story.got.len();
    story.speak("TR_a", 10, 50, 3000);
    assert_eq!(story.got.len(), before);
    story.to.negotiated(&agreed(true), story.now);
    story.speak("TR_a", 60, 10, 3000);
    assert!(story.got.len() >= before + 10 && story.got[before].1.marker);
    story.assert_continuous();
}

#[test]
fn a_phone_that_we_hold_hears_silence_at_the_usual_pace() {
    let mut story = Story::new();
    story.to.negotiated(&Negotiated { we_hold: true, ..agreed(true) }, story.now);
    story.speak("TR_a", 0, 50, 3000);
    assert_eq!((story.got.len(), story.loud()), (50, 0));
}

#[test]
fn a_clock_that_was_stopped_does_not_catch_up_with_a_burst() {
    let mut story = Story::new();
    story.wait(100);
    story.now += Duration::from_secs(5);
    let before = story.got.len();
    story.wait(20);
    assert!(story.got.len() - before <= 2);
    story.assert_continuous();
}

#[test]
fn a_sweep_that_comes_late_shifts_no_timestamp() {
    let mut story = Story::new();
    for _ in 0..20 {
        story.wait(20);
        story.now += 45 * MS;
    }
    story.wait(20);
    let (first, last) = (&story.got[0], &story.got[story.got.len() - 1]);
    assert_eq!(u64::from(last.1.timestamp.wrapping_sub(first.1.timestamp)) / 160, (last.0 - first.0) / 20);
    story.assert_continuous();
}

#[test]
fn a_sound_of_our_own_is_heard_instead_of_the_room_until_it_is_over() {
    let mut story = Story::new();
    story.speak("TR_1", 0, 10, 3000);
    story.to.play(Some(Sound::once(vec![12_000; FRAME * 5])), story.now);
    story.got.clear();
    story.speak("TR_1", 10, 20, 3000);
    let level = |payload: &[u8]| {
        let mut pcm = [0; FRAME];
        G711::Pcmu.decode(payload, &mut pcm);
        i32::from(pcm[0])
    };
    let own = story.got.iter().take_while(|(_, _, payload)| (level(payload) - 12_000).abs() < 500).count();
    assert_eq!(own, 5);
    assert!(story.got[10..].iter().any(|(_, _, payload)| (level(payload) - 3000).abs() < 200), "the room is back");
    story.assert_continuous();
}

#[test]
fn a_phone_is_comforted_while_its_room_is_lost_but_not_on_hold_or_over_somebody_who_speaks() {
    let mut story = Story::new();
    story.to.room_is_lost();
    story.wait(3000);
    assert_eq!(story.loud(), 10, "one beep");
    story.to.negotiated(&Negotiated { we_hold: true, ..agreed(true) }, story.now);
    story.wait(4000);
    assert_eq!(story.loud(), 10, "who waits hears silence");
    story.to.negotiated(&agreed(true), story.now);
    story.wait(2000);
    assert_eq!(story.loud(), 20);
    story.speak("TR_a", 1, 300, 500);
    assert_eq!(story.loud(), 320, "speech alone");
    story.to.room_is_back();
    story.wait(5000);
    assert_eq!(story.loud(), 320);
    story.assert_continuous();
}

#[test]
fn what_was_sent_is_counted_and_its_clock_goes_on_between_packets() {
    let mut story = Story::new();
    story.wait(200);
    let (last, packets) = (story.got.last().unwrap().1, story.got.len() as u64);
    let sent = story.to.sent(story.now);
    assert_eq!((sent.packets, sent.octets), (packets, packets * 160));
    let since = story.now - story.t0 - MS * story.got.last().unwrap().0 as u32;
    assert_eq!(sent.timestamp, last.timestamp.wrapping_add(since.as_millis() as u32 * 8));
    assert_eq!(story.to.sent(story.now + 100 * MS).timestamp, sent.timestamp.wrapping_add(800));
}

/// What a phone with G.722 heard, at 16 kHz.
fn wide(story: &Story) -> Vec<i16> {
    let (mut decoder, mut out) = (G722Decoder::default(), Vec::new());
    for (_, header, payload) in story.got.iter().filter(|(_, header, _)| header.payload_type == 9) {
        assert_eq!((header.payload_type, payload.len()), (9, FRAME));
        let mut pcm = [0; 2 * FRAME];
        decoder.decode(payload, &mut pcm);
        out.extend(pcm);
    }
    out
}

fn rises(pcm: &[i16]) -> usize {
    pcm.windows(2).filter(|pair| pair[0] < 0 && pair[1] >= 0).count()
}

fn agreed_on_g722() -> Negotiated {
    Negotiated { codec: PhoneCodec::G722, payload_type: 9, receives: vec![(9, PhoneCodec::G722)], ..agreed(true) }
}

#[test]
fn a_phone_with_g722_hears_all_that_opus_carries() {
    let (mut story, mut encoder) = (Story::new(), OpusEncoder::new(Rate::Wide).unwrap());
    story.to.negotiated(&agreed_on_g722(), story.now);
    for n in 0..60u64 {
        let at = |i: usize| (n as usize * 2 * FRAME + i) as f64 / 16_000.0 * std::f64::consts::TAU;
        let pcm: Vec<i16> = (0..2 * FRAME).map(|i| ((at(i) * 5000.0).sin() * 9000.0) as i16).collect();
        let mut out = [0; 400];
        let length = encoder.encode(&pcm, &mut out).unwrap();
        let payload = out[..length].into();
        story.packet("TR_a", RoomPacket { codec: Codec::Opus, sequence: n, timestamp: n as u32 * 960, payload });
        story.wait(20);
    }
    let heard = wide(&story);
    assert!((2450..=2550).contains(&rises(&heard[heard.len() - 8000..])), "half a second of 5 kHz");
    story.assert_continuous();
}

#[test]
fn pcmu_in_the_room_is_heard_by_a_phone_with_g722() {
    let mut story = Story::new();
    story.to.negotiated(&agreed_on_g722(), story.now);
    story.speak("TR_a", 0, 30, 3000);
    let heard = wide(&story);
    assert!(heard[heard.len() - 3200..].iter().all(|sample| (sample - 3000).abs() < 400), "a steady level stays one");
}

#[test]
fn a_re_invite_with_another_codec_decides_anew_what_is_forwarded() {
    let mut story = Story::new();
    story.speak("TR_a", 0, 20, 3000);
    story.to.negotiated(&agreed_on_g722(), story.now);
    story.speak("TR_a", 20, 20, 3000);
    let changed = story.got.iter().position(|(_, header, _)| header.payload_type == 9).unwrap();
    assert!(story.got[changed..].iter().all(|(_, header, _)| header.payload_type == 9));
    assert!(wide(&story).iter().any(|sample| (sample - 3000).abs() < 400));
    story.to.negotiated(&agreed(true), story.now);
    story.speak("TR_a", 40, 20, 3000);
    assert_eq!(story.got[story.got.len() - 1].2, frame(PCMU, 59, 3000).payload.to_vec(), "forwarded untouched again");
    story.assert_continuous();
}

fn agreed_on_opus(events: EventFormat) -> Negotiated {
    let receives = vec![(96, PhoneCodec::Opus)];
    Negotiated { codec: PhoneCodec::Opus, payload_type: 96, receives, dtmf: vec![events], ..agreed(true) }
}

const KEYS_AT_48: EventFormat = EventFormat { payload_type: 101, clock_factor: 6 };

/// Frames of a tone as a room's track of Opus says it.
fn spoken_opus(hz: f64, count: u64) -> Vec<RoomPacket> {
    let mut encoder = OpusEncoder::new(Rate::Wide).unwrap();
    let packet = |n: u64| {
        let at = |i: usize| (n as usize * 2 * FRAME + i) as f64 / 16_000.0 * std::f64::consts::TAU;
        let pcm: Vec<i16> = (0..2 * FRAME).map(|i| ((at(i) * hz).sin() * 9000.0) as i16).collect();
        let mut out = [0; 400];
        let length = encoder.encode(&pcm, &mut out).unwrap();
        let timestamp = (u32::MAX - 5000).wrapping_add(n as u32 * 960);
        RoomPacket { codec: Codec::Opus, sequence: n, timestamp, payload: out[..length].into() }
    };
    (0..count).map(packet).collect()
}

impl Story {
    fn listen_to(&mut self, track: &str, packets: impl IntoIterator<Item = RoomPacket>) {
        for packet in packets {
            self.packet(track, packet);
            self.wait(20);
        }
    }

    /// Distances of the timestamps of one payload type.
    fn steps(&self, payload_type: u8) -> Vec<u32> {
        let of_type = self.got.iter().filter(|(_, header, _)| header.payload_type == payload_type);
        let times: Vec<u32> = of_type.map(|(_, header, _)| header.timestamp).collect();
        times.windows(2).map(|pair| pair[1].wrapping_sub(pair[0])).collect()
    }
}

#[test]
fn opus_is_forwarded_untouched_to_a_phone_with_opus_at_its_clock() {
    let mut story = Story::new();
    story.to.negotiated(&agreed_on_opus(KEYS_AT_48), story.now);
    story.wait(100);
    let (before, spoken) = (story.got.len(), spoken_opus(5000.0, 50));
    story.listen_to("TR_a", spoken.clone());
    let heard = &story.got[before..];
    assert!(heard.iter().map(|(_, _, payload)| &payload[..]).eq(spoken.iter().map(|packet| &*packet.payload)));
    assert!(heard.iter().enumerate().all(|(n, (at, ..))| *at == 100 + 20 * n as u64));
    assert!(
        story.steps(96).iter().all(|step| *step == 960),
        "silence of ours and the room's sound: {:?}",
        story.steps(96)
    );
    story.assert_continuous();
}

#[test]
fn what_is_not_opus_or_not_alone_is_coded_for_a_phone_with_opus_and_what_is_forwarded_again_is_untouched() {
    let mut story = Story::new();
    story.to.negotiated(&agreed_on_opus(KEYS_AT_48), story.now);
    story.speak("TR_pcmu", 0, 30, 3000);
    let spoken = spoken_opus(5000.0, 60);
    for (n, packet) in (30..).zip(&spoken[..30]) {
        story.packet("TR_pcmu", frame(PCMU, n, 3000));
        story.packet("TR_opus", packet.clone());
        story.wait(20);
    }
    let (mut decoder, mut heard) = (OpusDecoder::new(Rate::Wide).unwrap(), Vec::new());
    for (_, _, payload) in &story.got {
        let mut pcm = [0; LONGEST_WIDE];
        let length = decoder.decode(payload, &mut pcm).unwrap();
        heard.extend_from_slice(&pcm[..length]);
    }
    assert!(
        (1150..=1300).contains(&rises(&heard[heard.len() - 4000..])),
        "a quarter second of 5 kHz: {}",
        rises(&heard[heard.len() - 4000..])
    );
    story.to.forget_track("TR_pcmu");
    story.listen_to("TR_opus", spoken[30..].to_vec());
    assert_eq!(story.got.last().unwrap().2, spoken[59].payload.to_vec());
    assert!(story.steps(96).iter().all(|step| step % 960 == 0));
    story.assert_continuous();
}

#[test]
fn keys_among_opus_have_its_clock_or_that_of_their_own_format() {
    for (clock_factor, lasts) in [(6, 12_000), (1, 2_000)] {
        let mut story = Story::new();
        story.to.negotiated(&agreed_on_opus(EventFormat { payload_type: 101, clock_factor }), story.now);
        story.wait(100);
        story.to.press("5", story.now);
        story.wait(600);
        let keys: Vec<_> = story.got.iter().filter(|(_, header, _)| header.payload_type == 101).collect();
        let first = Event::parse(&keys[0].2).unwrap();
        let last = Event::parse(&keys[keys.len() - 1].2).unwrap();
        assert_eq!((u32::from(first.duration), last.duration, last.end), (160 * clock_factor, lasts, true));
        assert!(keys.iter().all(|(_, header, _)| header.timestamp == keys[0].1.timestamp));
        if clock_factor == 6 {
            story.assert_continuous();
        }
        assert_eq!(story.digits(), "5");
    }
}

#[test]
fn a_re_invite_to_opus_and_back_decides_anew_what_is_forwarded_and_the_clock_goes_on() {
    let mut story = Story::new();
    story.speak("TR_a", 0, 20, 3000);
    let pcmu = frame(PCMU, 19, 3000).payload.to_vec();
    assert_eq!(story.got.last().unwrap().2, pcmu);
    story.to.negotiated(&agreed_on_opus(KEYS_AT_48), story.now);
    story.speak("TR_a", 20, 20, 3000);
    assert!(story.got.last().is_some_and(|(_, header, payload)| header.payload_type == 96 && *payload != pcmu));
    assert!(story.steps(96).iter().all(|step| *step == 960), "{:?}", story.steps(96));
    story.to.negotiated(&agreed(true), story.now);
    story.speak("TR_a", 40, 20, 3000);
    assert_eq!(story.got.last().unwrap().2, pcmu, "forwarded untouched again");
    story.assert_continuous();
    assert!(story.got.windows(2).all(|pair| pair[1].1.timestamp.wrapping_sub(pair[0].1.timestamp) <= 960));
}

#[test]
fn the_clock_of_a_stream_of_opus_goes_on_at_48_khz_between_packets() {
    let mut story = Story::new();
    story.to.negotiated(&agreed_on_opus(KEYS_AT_48), story.now);
    story.wait(200);
    let sent = story.to.sent(story.now);
    assert_eq!(sent.clock_factor, 6);
    assert_eq!(story.to.sent(story.now + 100 * MS).timestamp, sent.timestamp.wrapping_add(4800));
}

#[test]
fn a_beep_and_a_sound_of_our_own_are_heard_by_a_phone_with_opus() {
    let mut story = Story::new();
    story.to.negotiated(&agreed_on_opus(KEYS_AT_48), story.now);
    story.to.play(Some(Sound::once(crate::sound::tone(1000.0, Duration::from_secs(1)))), story.now);
    story.wait(1000);
    let mut decoder = OpusDecoder::new(Rate::Narrow).unwrap();
    let mut heard = Vec::new();
    for (_, _, payload) in &story.got {
        let mut pcm = [0; LONGEST_PACKET];
        let length = decoder.decode(payload, &mut pcm).unwrap();
        heard.extend_from_slice(&pcm[..length]);
    }
    assert!((490..=510).contains(&rises(&heard[heard.len() - 4000..])), "half a second of 1 kHz");
}
