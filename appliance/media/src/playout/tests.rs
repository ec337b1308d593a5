use super::*;
use crate::codec::{Encoder, G711, OpusEncoder};
use proptest::prelude::*;

const PCMU: Codec = Codec::G711(G711::Pcmu);

/// Packet `n` of a stream, whose samples are all about `level`.
fn packet(n: u64, time: u32, level: i16) -> RoomPacket {
    let mut payload = [0; FRAME];
    G711::Pcmu.encode(&[level; FRAME], &mut payload);
    RoomPacket { codec: PCMU, sequence: n, timestamp: time, payload: payload.as_slice().into() }
}

fn nth(n: u64) -> RoomPacket {
    packet(n, n as u32 * 160, 1000 + n as i16 * 100)
}

/// The level of the next frame, as number of the packet it came from (see `nth`), if it sounds.
fn pull(playout: &mut Playout) -> Option<i64> {
    let mut frame = [0; FRAME];
    playout.pull(&mut frame).then(|| (f64::from(frame[80]) / 100.0 - 10.0).round() as i64)
}

/// Pushes one packet and pulls one frame, `frames` times, without those in `missing`.
fn run(playout: &mut Playout, range: std::ops::Range<u64>, missing: &[u64]) -> Vec<Option<i64>> {
    range
        .map(|n| {
            if !missing.contains(&n) {
                playout.push(nth(n));
            }
            pull(playout)
        })
        .collect()
}

#[test]
fn an_even_stream_plays_complete_after_the_first_delay() {
    let mut playout = Playout::new(Rate::Narrow);
    let heard = run(&mut playout, 0..10, &[]);
    assert_eq!(heard[..FIRST_DELAY], [None; FIRST_DELAY]);
    assert_eq!(heard[FIRST_DELAY..], (0..10).map(Some).collect::<Vec<_>>()[..10 - FIRST_DELAY]);
}

#[test]
fn packets_in_the_wrong_order_play_in_the_right_one_and_doubles_once() {
    let mut playout = Playout::new(Rate::Narrow);
    for n in [0, 2, 1, 1, 4, 3] {
        playout.push(nth(n));
    }
    let heard: Vec<_> = (0..5).map(|_| pull(&mut playout)).collect();
    assert_eq!(heard, (0..5).map(Some).collect::<Vec<_>>());
}

#[test]
fn a_lost_packet_is_guessed_and_shifts_nothing() {
    let mut playout = Playout::new(Rate::Narrow);
    let heard = run(&mut playout, 0..10, &[4]);
    assert_eq!((heard[3 + FIRST_DELAY], heard[5 + FIRST_DELAY]), (Some(3), Some(5)));
    assert!(heard[4 + FIRST_DELAY].is_some_and(|level| (-10..4).contains(&level)), "{heard:?}"); // fading
}

#[test]
fn a_pause_in_sending_is_silence_and_not_a_loss() {
    let mut playout = Playout::new(Rate::Narrow);
    run(&mut playout, 0..10, &[]);
    let quiet: Vec<_> = (0..40).map(|_| pull(&mut playout)).collect();
    assert_eq!(quiet[FIRST_DELAY - 1], Some(9));
    assert!(quiet[FIRST_DELAY + MOST_CONCEALED as usize..].iter().all(Option::is_none));
    // The sender goes on with the next sequence number, 40 frames later in time.
    let resumed: Vec<_> = (0..6)
        .map(|n| {
            playout.push(packet(10 + n, (50 + n as u32) * 160, 1000 + 100 * n as i16));
            pull(&mut playout)
        })
        .collect();
    assert_eq!(resumed[FIRST_DELAY..], [0, 1, 2, 3, 4, 5].map(Some)[..6 - FIRST_DELAY]);
}

#[test]
fn a_short_pause_between_two_packets_in_hand_plays_as_silence_of_that_length() {
    let mut playout = Playout::new(Rate::Narrow);
    playout.push(packet(0, 0, 5000));
    playout.push(packet(1, 3 * 160, 6000));
    let mut levels = Vec::new();
    for _ in 0..4 {
        let mut frame = [1; FRAME];
        playout.pull(&mut frame);
        levels.push(i32::from(frame[80]) / 900);
    }
    assert_eq!(levels, [5, 0, 0, 6]);
}

#[test]
fn packets_that_come_too_late_make_it_wait_longer() {
    let mut playout = Playout::new(Rate::Narrow);
    run(&mut playout, 0..10, &[]);
    for _ in 0..4 {
        pull(&mut playout); // nothing came for 80 ms
    }
    (10..15).for_each(|n| playout.push(nth(n)));
    let heard = run(&mut playout, 15..40, &[]);
    assert_eq!(heard.iter().filter(|level| level.is_none()).count(), 0, "{heard:?}");
}

/// Frames in which nothing of the sender's was heard, in each thousand, when every thousandth packet comes 40 ms late.
fn holes_when_every_thousandth_is_late(thousands: u64) -> Vec<usize> {
    let mut playout = Playout::new(Rate::Narrow);
    let mut frame = [0; FRAME];
    let mut hole = |n: u64| {
        let late = n % 1000; // the network stands still for two frames
        let arrived = if late < 2 { 0..0 } else { n - if late == 2 { 2 } else { 0 }..n + 1 };
        arrived.for_each(|n| playout.push(packet(n, n as u32 * 160, 1000)));
        playout.pull(&mut frame);
        !(900..1100).contains(&frame[80])
    };
    (0..thousands).map(|thousand| (1..1001).filter(|n| hole(1000 * thousand + n)).count()).collect()
}

#[test]
fn a_network_that_is_late_now_and_then_teaches_it_to_stay_patient() {
    let holes = holes_when_every_thousandth_is_late(40);
    assert!(holes[20..].iter().filter(|holes| **holes > 0).count() <= 4, "{holes:?}");
}

#[test]
fn what_piles_up_is_given_up_bit_by_bit() {
    let mut playout = Playout::new(Rate::Narrow);
    (0..12).for_each(|n| playout.push(nth(n)));
    let mut frame = [0; FRAME];
    for n in 12..3000 {
        playout.push(packet(n, n as u32 * 160, 1000));
        playout.pull(&mut frame);
    }
    assert!(playout.depth() <= FIRST_DELAY + 2, "{}", playout.depth());
}

#[test]
fn a_sender_that_starts_anew_is_heard_again() {
    let mut playout = Playout::new(Rate::Narrow);
    run(&mut playout, 0..10, &[]);
    let heard: Vec<_> = (0..5)
        .map(|n| {
            playout.push(packet(10 + n, 4_000_000_000 + n as u32 * 160, 1000 + 100 * n as i16));
            pull(&mut playout)
        })
        .collect();
    assert!(heard.contains(&Some(2)), "{heard:?}");
}

#[test]
fn a_stream_plays_the_same_at_twice_the_rate() {
    let mut playout = Playout::new(Rate::Wide);
    let heard: Vec<i64> = (0..12)
        .map(|n| {
            playout.push(nth(n));
            let mut frame = [0; 2 * FRAME];
            playout.pull(&mut frame);
            (f64::from(frame[200]) / 100.0 - 10.0).round() as i64
        })
        .collect();
    assert_eq!(heard[FIRST_DELAY..], (0..12).collect::<Vec<_>>()[..12 - FIRST_DELAY]);
}

#[test]
fn opus_with_a_lost_packet_plays_without_a_hole() {
    let (mut encoder, mut playout) = (OpusEncoder::new(Rate::Narrow).unwrap(), Playout::new(Rate::Narrow));
    let mut silent: Vec<(u64, f64)> = Vec::new();
    for n in 0..100u64 {
        let mut pcm = [0; FRAME];
        for (i, sample) in pcm.iter_mut().enumerate() {
            *sample = (((n as usize * FRAME + i) as f64 * 0.3).sin() * 9000.0) as i16;
        }
        let mut out = [0; 400];
        let length = encoder.encode(&pcm, &mut out).unwrap();
        let payload = out[..length].into();
        if n % 20 != 10 {
            playout.push(RoomPacket { codec: Codec::Opus, sequence: n, timestamp: n as u32 * 960, payload });
        }
        let mut frame = [0; FRAME];
        playout.pull(&mut frame);
        let level = frame.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>().sqrt();
        if n > 10 && level < 5_000.0 {
            silent.push((n, level));
        }
    }
    assert_eq!(silent, []);
}

proptest! {
    #[test]
    fn no_packets_in_any_order_make_it_panic(
        wide: bool,
        steps in proptest::collection::vec((any::<bool>(), 0u64..60, any::<u32>(), 0usize..300, 0u8..3), 0..80)
    ) {
        let rate = if wide { Rate::Wide } else { Rate::Narrow };
        let mut playout = Playout::new(rate);
        for (pull, sequence, timestamp, length, codec) in steps {
            let codec = [PCMU, Codec::G711(G711::Pcma), Codec::Opus][usize::from(codec)];
            playout.push(RoomPacket { codec, sequence, timestamp, payload: vec![timestamp as u8; length].into() });
            if pull {
                playout.pull(&mut vec![0; rate.frame()]);
            }
        }
    }
}
