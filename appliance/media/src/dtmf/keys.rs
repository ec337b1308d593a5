//! Which key did the phone press?
//!
//! A press is a run of packets with one timestamp. It is reported once, at the first packet that
//! arrives, so lost packets (also all the end packets) change nothing.

use super::{Event, digit_of};

/// A duration that has no room for two more packets of 20 ms at 48 kHz.
const FULL: u16 = u16::MAX - 1920;

/// Turns event packets into digits.
#[derive(Debug, Default)]
pub struct Keys {
    last: Option<Seen>,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    timestamp: u32,
    event: u8,
    duration: u16,
    ended: bool,
}

impl Keys {
    /// The digit, if this packet is the first we see of its press.
    pub fn packet(&mut self, timestamp: u32, payload: &[u8]) -> Option<char> {
        let event = Event::parse(payload)?;
        let digit = digit_of(event.event)?;
        let last = self.last;
        if last.is_some_and(|last| last.is_later_than(timestamp)) {
            return None; // a repeated end of an older press
        }
        self.last = Some(Seen {
            timestamp,
            event: event.event,
            duration: event.duration,
            ended: event.end || last.is_some_and(|last| last.timestamp == timestamp && last.ended),
        });
        let known = last.is_some_and(|last| last.goes_on_in(timestamp, &event));
        (!known).then_some(digit)
    }

    /// Forgets the last press: the timestamps start anew.
    pub fn reset(&mut self) {
        self.last = None;
    }
}

impl Seen {
    fn is_later_than(&self, timestamp: u32) -> bool {
        timestamp != self.timestamp && (timestamp.wrapping_sub(self.timestamp) as i32) < 0
    }

    /// Same press? Some phones move the timestamp on within a press; their duration keeps growing. One that lasts longer
    /// than a duration can say (1.4 s at 48 kHz) goes on at the end of what it said (RFC 4733 section 2.5.1.3).
    fn goes_on_in(&self, timestamp: u32, event: &Event) -> bool {
        let same = !self.ended && event.event == self.event;
        let full = self.duration >= FULL && timestamp.wrapping_sub(self.timestamp) <= u32::from(u16::MAX);
        timestamp == self.timestamp || (same && (event.duration > self.duration || full))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dtmf::event_of;
    use proptest::prelude::*;

    /// The packets of a press: (timestamp, payload).
    fn press(digit: char, timestamp: u32) -> Vec<(u32, [u8; 4])> {
        let event = event_of(digit).unwrap();
        (1..=7)
            .map(|n| Event { event, end: n > 4, volume: 10, duration: 160 * n.min(5) })
            .map(|event| (timestamp, event.to_bytes()))
            .collect()
    }

    fn read(packets: impl IntoIterator<Item = (u32, [u8; 4])>) -> String {
        let mut keys = Keys::default();
        packets.into_iter().filter_map(|(timestamp, payload)| keys.packet(timestamp, &payload)).collect()
    }

    #[test]
    fn each_press_is_one_digit() {
        let packets = "1224#*D".chars().enumerate().flat_map(|(n, digit)| press(digit, n as u32 * 2000));
        assert_eq!(read(packets), "1224#*D");
    }

    #[test]
    fn a_press_without_any_end_packet_is_still_one_digit() {
        let lossy = [press('5', 1000), press('5', 9000), press('6', 20_000)];
        assert_eq!(read(lossy.into_iter().flat_map(|packets| packets.into_iter().take(3))), "556");
    }

    #[test]
    fn a_press_of_which_only_an_end_packet_arrives_is_still_one_digit() {
        assert_eq!(read(press('9', 1000).into_iter().skip(5)), "9");
    }

    #[test]
    fn a_late_end_packet_of_the_press_before_is_not_a_digit() {
        let mut packets = press('1', 1000);
        let late = packets.pop().unwrap();
        packets.extend(press('2', 5000));
        packets.push(late);
        assert_eq!(read(packets), "12");
    }

    #[test]
    fn timestamps_may_wrap_between_presses() {
        assert_eq!(read([press('1', u32::MAX - 100), press('2', 4000)].into_iter().flatten()), "12");
    }

    #[test]
    fn a_phone_that_moves_the_timestamp_within_a_press_gives_one_digit() {
        let moving = press('7', 0).into_iter().enumerate().map(|(n, (_, payload))| (160 * n as u32, payload)).take(5);
        assert_eq!(read(moving), "7");
    }

    #[test]
    fn a_press_that_lasts_longer_than_a_duration_can_say_is_one_digit() {
        let packet = |timestamp, duration| (timestamp, Event { event: 4, end: false, volume: 10, duration }.to_bytes());
        let first = (1..=68).map(|n| packet(1000, n * 960));
        let then = (1..=20).map(|n| packet(1000 + 68 * 960, n * 960));
        assert_eq!(read(first.chain(then)), "4");
        assert_eq!(read([packet(1000, 960), packet(1000 + 12_000, 960)]), "44", "two of which no end arrived");
    }

    #[test]
    fn events_that_are_not_digits_are_ignored() {
        assert_eq!(read([(0, Event { event: 16, end: false, volume: 0, duration: 0 }.to_bytes())]), "");
    }

    proptest! {
        #[test]
        fn no_payload_makes_it_panic(timestamp in any::<u32>(), payload in proptest::collection::vec(any::<u8>(), 0..8)) {
            Keys::default().packet(timestamp, &payload);
        }

        #[test]
        fn any_loss_but_that_of_a_whole_press_keeps_every_digit(kept in proptest::collection::vec(1u8..128, 1..8)) {
            let digits = "17*3#5A2";
            let packets = kept.iter().zip(digits.chars()).enumerate().flat_map(|(n, (mask, digit))| {
                let all = press(digit, n as u32 * 4000);
                all.into_iter().enumerate().filter(|(bit, _)| mask >> bit & 1 == 1).map(|(_, packet)| packet).collect::<Vec<_>>()
            });
            prop_assert_eq!(read(packets), &digits[..kept.len()]);
        }
    }
}
