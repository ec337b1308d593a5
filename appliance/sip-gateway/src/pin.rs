//! Which PIN does the caller type?
//!
//! Ask -> listen until `#` -> check; wrong twice is asked again, wrong a third time or silence is the end.
//! Pure: `now` is an argument and what to do comes out of [`PinEntry::poll_output`].
//!
//! livekit-sip's contract, section 3 step 8. Who checks: `leg::lobby`. What is heard: [`Prompt`].

use crate::prompts::Prompt;
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// More digits than this are checked without waiting for `#`.
const LONGEST: usize = 16;
const TRIES: u8 = 3;
/// How long we wait for a key, after the prompt and after each key.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    Say(Prompt),
    /// Whatever is being said has been heard enough.
    BeQuiet,
    /// Is this one right? Empty when the caller typed `#` alone.
    Check(String),
    /// Always the last.
    GiveUp(Failure),
}

/// Why nobody is let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    Wrong,
    Late,
}

impl Failure {
    /// For the Reason header and the call's record.
    pub fn words(self) -> &'static str {
        match self {
            Self::Wrong => "Wrong PIN",
            Self::Late => "No PIN entered",
        }
    }

    /// The SIP status it stands for.
    pub fn code(self) -> u16 {
        match self {
            Self::Wrong => 403,
            Self::Late => 408,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Listening { until: Instant },
    Checking,
    Leaving { at: Instant, why: Failure },
    Over,
}

/// One caller at the door.
#[derive(Debug)]
pub struct PinEntry {
    state: State,
    digits: String,
    tries: u8,
    outputs: VecDeque<Output>,
}

impl PinEntry {
    /// Asks for the PIN.
    pub fn new(now: Instant) -> Self {
        let mut entry = Self { state: State::Checking, digits: String::new(), tries: TRIES, outputs: VecDeque::new() };
        entry.ask(Prompt::Enter, now);
        entry
    }

    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`PinEntry::tick`] is due.
    pub fn next_tick(&self) -> Option<Instant> {
        match self.state {
            State::Listening { until } => Some(until),
            State::Leaving { at, .. } => Some(at),
            State::Checking | State::Over => None,
        }
    }

    /// A key. Those pressed while a PIN is checked are lost.
    pub fn digit(&mut self, digit: char, now: Instant) {
        let State::Listening { .. } = self.state else { return };
        if digit != '#' {
            self.digits.push(digit);
        }
        self.outputs.push_back(Output::BeQuiet);
        if digit == '#' || self.digits.len() >= LONGEST {
            self.state = State::Checking;
            self.outputs.push_back(Output::Check(std::mem::take(&mut self.digits)));
        } else {
            self.state = State::Listening { until: now + PATIENCE };
        }
    }

    /// The PIN that was to be checked opens no room.
    pub fn wrong(&mut self, now: Instant) {
        self.tries = self.tries.saturating_sub(1);
        match self.tries {
            0 => self.leave(Prompt::Refused, Failure::Wrong, now),
            _ => self.ask(Prompt::Wrong, now),
        }
    }

    pub fn tick(&mut self, now: Instant) {
        match self.state {
            State::Listening { until } if now >= until => self.leave(Prompt::Late, Failure::Late, now),
            State::Leaving { at, why } if now >= at => {
                self.state = State::Over;
                self.outputs.push_back(Output::GiveUp(why));
            }
            _ => {}
        }
    }

    fn ask(&mut self, prompt: Prompt, now: Instant) {
        self.outputs.push_back(Output::Say(prompt));
        self.state = State::Listening { until: now + prompt.length() + PATIENCE };
    }

    /// Says why before the call ends.
    fn leave(&mut self, prompt: Prompt, why: Failure, now: Instant) {
        self.outputs.push_back(Output::Say(prompt));
        self.state = State::Leaving { at: now + prompt.length(), why };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(entry: &mut PinEntry) -> Vec<Output> {
        std::iter::from_fn(|| entry.poll_output()).collect()
    }

    fn typed(entry: &mut PinEntry, keys: &str, now: Instant) -> Vec<Output> {
        keys.chars().for_each(|key| entry.digit(key, now));
        drain(entry).into_iter().filter(|output| *output != Output::BeQuiet).collect()
    }

    #[test]
    fn the_keys_up_to_the_hash_are_the_pin() {
        let t0 = Instant::now();
        let mut entry = PinEntry::new(t0);
        assert_eq!(drain(&mut entry), [Output::Say(Prompt::Enter)]);
        assert_eq!(typed(&mut entry, "12*4#99", t0), [Output::Check("12*4".into())]);
        assert_eq!(entry.next_tick(), None, "the answer may take its time");
    }

    #[test]
    fn the_first_key_silences_the_prompt() {
        let t0 = Instant::now();
        let mut entry = PinEntry::new(t0);
        drain(&mut entry);
        entry.digit('1', t0);
        assert_eq!(drain(&mut entry), [Output::BeQuiet]);
    }

    #[test]
    fn sixteen_keys_need_no_hash_and_the_hash_alone_means_no_pin() {
        let t0 = Instant::now();
        let mut entry = PinEntry::new(t0);
        drain(&mut entry);
        assert_eq!(typed(&mut entry, "1234567890123456", t0), [Output::Check("1234567890123456".into())]);
        entry.wrong(t0);
        drain(&mut entry);
        assert_eq!(typed(&mut entry, "#", t0), [Output::Check(String::new())]);
    }

    #[test]
    fn the_third_wrong_pin_ends_the_call_once_the_caller_has_been_told() {
        let t0 = Instant::now();
        let mut entry = PinEntry::new(t0);
        drain(&mut entry);
        for _ in 0..2 {
            typed(&mut entry, "1#", t0);
            entry.wrong(t0);
            assert_eq!(drain(&mut entry), [Output::Say(Prompt::Wrong)]);
        }
        typed(&mut entry, "1#", t0);
        entry.wrong(t0);
        assert_eq!(typed(&mut entry, "1#", t0), [Output::Say(Prompt::Refused)]);
        let at = entry.next_tick().unwrap();
        assert_eq!(at, t0 + Prompt::Refused.length());
        entry.tick(at);
        assert_eq!(drain(&mut entry), [Output::GiveUp(Failure::Wrong)]);
    }

    #[test]
    fn a_caller_who_stops_typing_is_told_and_let_go() {
        let t0 = Instant::now();
        let mut entry = PinEntry::new(t0);
        drain(&mut entry);
        typed(&mut entry, "12", t0);
        let late = t0 + PATIENCE;
        entry.tick(late - Duration::from_millis(1));
        assert_eq!(drain(&mut entry), []);
        entry.tick(late);
        assert_eq!(drain(&mut entry), [Output::Say(Prompt::Late)]);
        entry.tick(late + Prompt::Late.length());
        assert_eq!(drain(&mut entry), [Output::GiveUp(Failure::Late)]);
    }
}
