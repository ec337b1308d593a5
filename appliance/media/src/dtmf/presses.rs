//! How do we press keys for the phone?
//!
//! One digit is 250 ms of event and 250 ms of pause, the end packet goes out three times; `w` in a
//! string of digits waits half a second. [`Presses::next_frame`] is asked every 20 ms.

use super::{Event, event_of};
use crate::codec::FRAME;
use std::collections::VecDeque;

/// 250 ms in ticks of 8 kHz, as all durations here are.
const LENGTH: u16 = 2_000;
/// Frames that pass from one digit's end to the next digit.
const PAUSE: u32 = 13;
/// Frames of a `w`.
const WAIT: u32 = 25;
/// -10 dBm0.
const VOLUME: u8 = 10;
/// How often the end packet is sent.
const ENDS: usize = 3;
/// More digits than anybody dials.
const LONGEST: usize = 256;

/// Digits waiting to be pressed.
#[derive(Debug, Default)]
pub struct Presses {
    queue: VecDeque<Key>,
    now: State,
}

#[derive(Clone, Copy, Debug)]
enum Key {
    Event(u8),
    Wait,
}

#[derive(Clone, Copy, Debug, Default)]
enum State {
    #[default]
    Idle,
    Pressing {
        event: u8,
        frames: u16,
    },
    Pausing {
        frames: u32,
    },
}

/// What to send instead of this frame of audio.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Press {
    pub event: Event,
    /// The first packet of a press: its timestamp is the press' timestamp, its marker bit is set.
    pub first: bool,
    /// How many packets to send, each with its own sequence number.
    pub copies: usize,
}

impl Presses {
    /// Adds digits; characters that are neither digits nor `w` are skipped.
    pub fn push(&mut self, digits: &str) {
        let keys = digits.chars().filter_map(|c| match c {
            'w' | 'W' => Some(Key::Wait),
            digit => event_of(digit).map(Key::Event),
        });
        let room = LONGEST.saturating_sub(self.queue.len());
        self.queue.extend(keys.take(room));
    }

    /// Is there still something to press or a pause to keep?
    pub fn busy(&self) -> bool {
        !self.queue.is_empty() || !matches!(self.now, State::Idle)
    }

    /// Is a key down, or going down with the next frame? Then no audio goes out.
    pub fn pressing(&self) -> bool {
        match self.now {
            State::Pressing { .. } => true,
            State::Idle => matches!(self.queue.front(), Some(Key::Event(_))),
            State::Pausing { .. } => false,
        }
    }

    /// What goes out in this frame; none is audio as usual.
    pub fn next_frame(&mut self) -> Option<Press> {
        match self.now {
            State::Idle => self.begin(),
            State::Pausing { frames } => {
                self.now = if frames > 1 { State::Pausing { frames: frames - 1 } } else { State::Idle };
                None
            }
            State::Pressing { event, frames } => Some(self.hold(event, frames)),
        }
    }

    fn begin(&mut self) -> Option<Press> {
        match self.queue.pop_front()? {
            Key::Event(event) => Some(self.hold(event, 0)),
            Key::Wait => {
                self.now = State::Pausing { frames: WAIT - 1 };
                None
            }
        }
    }

    fn hold(&mut self, event: u8, frames: u16) -> Press {
        let duration = ((frames + 1) * FRAME as u16).min(LENGTH);
        let end = duration == LENGTH;
        self.now = if end { State::Pausing { frames: PAUSE } } else { State::Pressing { event, frames: frames + 1 } };
        let event = Event { event, end, volume: VOLUME, duration };
        Press { event, first: frames == 0, copies: if end { ENDS } else { 1 } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dtmf::Keys;

    /// Presses and the frames they go out in.
    fn play(digits: &str, frames: usize) -> Vec<(usize, Press)> {
        let mut presses = Presses::default();
        presses.push(digits);
        (0..frames).filter_map(|frame| presses.next_frame().map(|press| (frame, press))).collect()
    }

    #[test]
    fn a_digit_lasts_250_ms_and_ends_three_times() {
        let press = play("7", 60);
        assert_eq!(press.len(), 13);
        assert!(press[0].1.first && press[1..].iter().all(|(_, p)| !p.first));
        assert_eq!(press[0].1.event, Event { event: 7, end: false, volume: 10, duration: 160 });
        let last = press[12].1;
        assert_eq!((last.event.end, last.event.duration, last.copies), (true, 2000, 3));
    }

    #[test]
    fn a_quarter_second_passes_between_two_digits() {
        let starts: Vec<usize> = play("12", 60).iter().filter(|(_, p)| p.first).map(|(frame, _)| *frame).collect();
        assert_eq!(starts, [0, 26]);
    }

    #[test]
    fn w_waits_half_a_second() {
        let starts: Vec<usize> = play("w1", 60).iter().filter(|(_, p)| p.first).map(|(frame, _)| *frame).collect();
        assert_eq!(starts, [25]);
    }

    #[test]
    fn what_we_press_is_what_our_own_reader_hears() {
        let (mut keys, mut start) = (Keys::default(), 0);
        let heard: String = play("0123456789*#ABCD x9", 600)
            .into_iter()
            .filter_map(|(frame, press)| {
                if press.first {
                    start = frame as u32 * 160;
                }
                keys.packet(start, &press.event.to_bytes())
            })
            .collect();
        assert_eq!(heard, "0123456789*#ABCD9");
    }

    #[test]
    fn it_is_busy_until_the_last_pause_is_over() {
        let mut presses = Presses::default();
        presses.push("1");
        let frames = std::iter::from_fn(|| presses.busy().then(|| presses.next_frame())).count();
        assert_eq!(frames, 26);
    }
}
