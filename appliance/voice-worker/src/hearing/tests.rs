use super::*;
use media::codec::{Encoder, OpusEncoder, Rate};
use proptest::prelude::*;
use std::f64::consts::TAU;
use std::time::Duration;

const PCMU: Codec = Codec::G711(G711::Pcmu);

/// Frame `n` of a 500 Hz tone.
fn tone(n: u64) -> [i16; FRAME] {
    std::array::from_fn(|i| {
        let t = (n * FRAME as u64 + i as u64) as f64 / 8000.0;
        (8000.0 * (TAU * 500.0 * t).sin()) as i16
    })
}

fn packet(start: Instant, n: u64) -> Packet {
    let mut payload = [0u8; FRAME];
    G711::Pcmu.encode(&tone(n), &mut payload);
    Packet {
        track: "TR_1".into(),
        codec: PCMU,
        payload: payload.as_slice().into(),
        seq: 70_000 + n,
        rtp_time: 4_294_900_000u32.wrapping_add(n as u32 * 160),
        received: start + Duration::from_millis(20 * n),
    }
}

fn hear(hearing: &mut Hearing, packets: impl IntoIterator<Item = Packet>) -> Vec<i16> {
    let mut all: Vec<i16> = packets.into_iter().flat_map(|packet| hearing.push(packet).samples).collect();
    all.extend(hearing.finish().samples);
    all
}

/// How far two sounds are apart, relative to the first.
fn difference(wanted: &[i16], got: &[i16]) -> f64 {
    let apart: f64 = wanted.iter().zip(got).map(|(a, b)| f64::from(a - b).powi(2)).sum();
    (apart / wanted.iter().map(|a| f64::from(*a).powi(2)).sum::<f64>()).sqrt()
}

#[test]
fn a_second_of_packets_is_a_second_of_sound() {
    let t0 = Instant::now();
    let mut hearing = Hearing::new(t0);
    let samples = hear(&mut hearing, (0..50).map(|n| packet(t0, n)));
    let wanted: Vec<i16> = (0..50).flat_map(tone).collect();
    assert_eq!((samples.len(), hearing.length()), (8000, 8000));
    assert!(difference(&wanted, &samples) < 0.02);
}

#[test]
fn packets_that_overtook_each_other_are_put_in_order() {
    let t0 = Instant::now();
    let order = [0u64, 2, 1, 3, 6, 5, 4, 7, 7, 3, 8];
    let mut hearing = Hearing::new(t0);
    let samples = hear(&mut hearing, order.map(|n| packet(t0, n)));
    let wanted: Vec<i16> = (0..9).flat_map(tone).collect();
    assert_eq!(samples.len(), wanted.len());
    assert!(difference(&wanted, &samples) < 0.02);
}

#[test]
fn a_lost_packet_is_bridged_and_a_long_hole_is_silent() {
    let t0 = Instant::now();
    let mut hearing = Hearing::new(t0);
    let samples = hear(&mut hearing, (0..40).filter(|n| *n != 10 && !(20..30).contains(n)).map(|n| packet(t0, n)));
    assert_eq!(samples.len(), 40 * FRAME);
    assert!(samples[10 * FRAME..11 * FRAME].iter().any(|s| s.unsigned_abs() > 2000));
    assert!(samples[20 * FRAME..30 * FRAME].iter().all(|s| *s == 0));
    let after: Vec<i16> = (30..40).flat_map(tone).collect();
    assert!(difference(&after, &samples[30 * FRAME..]) < 0.02);
}

#[test]
fn what_was_said_before_the_beep_is_left_out() {
    let t0 = Instant::now();
    let mut hearing = Hearing::new(t0 + Duration::from_millis(200));
    let samples = hear(&mut hearing, (0..50).map(|n| packet(t0, n)));
    assert_eq!(samples.len(), 40 * FRAME);
}

#[test]
fn a_new_track_goes_on_where_it_arrives() {
    let t0 = Instant::now();
    let mut hearing = Hearing::new(t0);
    let second = |n: u64| Packet { track: "TR_2".into(), seq: n, rtp_time: n as u32 * 160, ..packet(t0, n) };
    let packets = (0..10).map(|n| packet(t0, n)).chain((15..20).map(second));
    assert_eq!(hear(&mut hearing, packets).len(), 20 * FRAME);
}

#[test]
fn a_voice_is_noticed_and_silence_is_not() {
    let t0 = Instant::now();
    let mut hearing = Hearing::new(t0);
    assert!(hearing.push(packet(t0, 0)).voice);
    let quiet = [G711::Pcmu.silence(); FRAME];
    let silent = Packet { payload: quiet.as_slice().into(), ..packet(t0, 1) };
    assert!(!hearing.push(silent).voice);
}

#[test]
fn opus_keeps_time_too() {
    let t0 = Instant::now();
    let mut encoder = OpusEncoder::new(Rate::Narrow).unwrap();
    let mut hearing = Hearing::new(t0);
    let packets: Vec<Packet> = (0..100)
        .map(|n| {
            let mut out = [0; 400];
            let length = encoder.encode(&tone(n), &mut out).unwrap();
            let payload = out[..length].into();
            Packet { codec: Codec::Opus, payload, rtp_time: (n as u32 * 960).wrapping_sub(5000), ..packet(t0, n) }
        })
        .filter(|packet| packet.seq % 10 != 3)
        .collect();
    let samples = hear(&mut hearing, packets);
    assert_eq!(samples.len(), 100 * FRAME);
    let loud = samples[1600..].chunks(FRAME).filter(|c| c.iter().any(|s| s.unsigned_abs() > 4000)).count();
    assert!(loud > 85, "{loud} of 90 frames");
}

#[test]
fn a_packet_that_is_no_opus_costs_only_itself() {
    let t0 = Instant::now();
    let mut hearing = Hearing::new(t0);
    let broken = Packet { codec: Codec::Opus, payload: [0xFF; 3].as_slice().into(), ..packet(t0, 0) };
    assert!(hearing.push(broken).samples.is_empty());
    assert_eq!(hearing.push(packet(t0, 1)).samples.len(), 2 * FRAME);
}

proptest! {
    #[test]
    fn no_order_loss_or_repetition_changes_the_length(
        order in proptest::collection::vec(0u64..50, 0..120)
    ) {
        let t0 = Instant::now();
        let mut hearing = Hearing::new(t0);
        let packets = [0].into_iter().chain(order.into_iter()).chain([49]).map(|n| packet(t0, n));
        let length = hear(&mut hearing, packets).len();
        prop_assert!(length == 50 * FRAME, "{}", length);
    }
}
