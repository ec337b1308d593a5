//! Is each server asked as often as the RFC says, and does the round end when it should?

use super::*;

const A: &str = "192.0.2.1:3478";
const B: &str = "192.0.2.2:3478";

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn round(servers: &[&str], now: Instant) -> Round {
    Round::new(servers.iter().zip(1..).map(|(server, id)| (at(server), [id; 12])), now)
}

/// A success with an RFC 3489 address, which needs no masking.
fn answer(id: u8, mapped: &str) -> Vec<u8> {
    let SocketAddr::V4(mapped) = at(mapped) else { panic!("an IPv4 address") };
    let mut out = vec![1, 1, 0, 12, 0x21, 0x12, 0xA4, 0x42];
    out.extend([id; 12]);
    out.extend([0, 1, 0, 8, 0, 1]);
    out.extend(mapped.port().to_be_bytes());
    out.extend(mapped.ip().octets());
    out
}

fn ms(start: Instant, millis: u64) -> Instant {
    start + Duration::from_millis(millis)
}

/// Sends what is due until the round ends; gives when each request left, and the end.
fn play(round: &mut Round, start: Instant) -> (Vec<u128>, u128) {
    let (mut sent, mut now) = (Vec::new(), start);
    loop {
        while round.poll_send(now).is_some() {
            sent.push((now - start).as_millis());
        }
        match round.next_wakeup(now) {
            Some(next) => now = next,
            None => return (sent, (now - start).as_millis()),
        }
    }
}

#[test]
fn a_silent_server_is_asked_seven_times_and_given_up_after_39_and_a_half_seconds() {
    let t0 = Instant::now();
    let mut round = round(&[A], t0);
    let (sent, end) = play(&mut round, t0);
    assert_eq!(sent, [0, 500, 1500, 3500, 7500, 15_500, 31_500]);
    assert_eq!(end, 39_500);
    assert!(round.mappings().is_empty() && !round.nothing_left());
}

#[test]
fn once_one_has_answered_the_others_have_two_seconds() {
    let t0 = Instant::now();
    let mut round = round(&[A, B], t0);
    while round.poll_send(t0).is_some() {}
    round.handle(at(A), &answer(1, "203.0.113.7:4000"), ms(t0, 100));
    let (sent, end) = play(&mut round, ms(t0, 100));
    assert_eq!((sent, end), (vec![400, 1400], 2000));
    assert_eq!(round.mappings(), [Mapping { server: at(A), mapped: at("203.0.113.7:4000") }]);
}

#[test]
fn the_round_ends_with_the_last_answer() {
    let t0 = Instant::now();
    let mut round = round(&[A, B], t0);
    while round.poll_send(t0).is_some() {}
    round.handle(at(B), &answer(2, "203.0.113.7:4000"), ms(t0, 20));
    assert!(round.next_wakeup(ms(t0, 20)).is_some());
    round.handle(at(A), &answer(1, "203.0.113.7:4000"), ms(t0, 30));
    assert_eq!(round.next_wakeup(ms(t0, 30)), None);
    assert_eq!(round.mappings().len(), 2);
}

#[test]
fn answers_of_strangers_repetitions_and_lies_change_nothing() {
    let t0 = Instant::now();
    let mut round = round(&[A], t0);
    round.handle(at(B), &answer(1, "198.51.100.66:1"), t0); // right id, wrong place
    round.handle(at(A), &answer(9, "198.51.100.66:1"), t0); // right place, wrong id
    assert!(round.mappings().is_empty() && round.next_wakeup(t0).is_some());
    round.handle(at(A), &answer(1, "127.0.0.1:1"), t0);
    round.handle(at(A), &answer(1, "203.0.113.7:4000"), t0);
    assert!(round.mappings().is_empty(), "the one answer said what cannot be");
}

#[test]
fn a_server_without_a_route_is_not_waited_for() {
    let t0 = Instant::now();
    let mut round = round(&[A, B], t0);
    round.no_way_to(at(A));
    assert!(!round.nothing_left());
    round.no_way_to(at(B));
    assert_eq!(round.next_wakeup(t0), None);
    assert!(round.nothing_left());
}
