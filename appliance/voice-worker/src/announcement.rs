//! How is a message spoken to a caller?
//!
//! Once the caller hears us the text is played; when it is out, the task is complete. Pure: time is
//! an argument.

use crate::script::{CALLER_MISSING, CALLER_UNREADY, Clip, Input, Output, Script};
use std::collections::VecDeque;
use std::time::Instant;

/// Waiting -> Speaking -> Ended.
#[derive(Debug)]
pub struct Announcement {
    state: State,
    outputs: VecDeque<Output>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Absent { until: Instant },
    Unready { until: Instant },
    Speaking,
    Ended,
}

impl Announcement {
    pub fn new(now: Instant) -> Self {
        Self { state: State::Absent { until: now + CALLER_MISSING }, outputs: VecDeque::new() }
    }

    fn speak(&mut self) -> State {
        self.outputs.push_back(Output::Play(Clip::Text));
        State::Speaking
    }

    fn leave(&mut self, completed: bool) -> State {
        self.outputs.push_back(Output::Leave { completed });
        State::Ended
    }
}

impl Script for Announcement {
    fn handle(&mut self, input: Input, now: Instant) {
        use State::*;
        self.state = match (self.state, input) {
            (Ended, _) => Ended,
            (_, Input::CallerLeft | Input::Stopped) => self.leave(false),
            (Absent { .. }, Input::CallerJoined) => Unready { until: now + CALLER_UNREADY },
            (Absent { until }, Input::Tick) if now >= until => self.leave(false),
            (Unready { .. }, Input::CallerReady) => self.speak(),
            (Unready { until }, Input::Tick) if now >= until => self.speak(),
            (Speaking, Input::Played) => self.leave(true),
            (same, _) => same,
        };
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn drain(script: &mut Announcement) -> Vec<Output> {
        std::iter::from_fn(|| script.poll_output()).collect()
    }

    #[test]
    fn the_text_is_spoken_once_the_caller_hears_and_then_we_leave() {
        let t0 = Instant::now();
        let mut script = Announcement::new(t0);
        script.handle(Input::CallerJoined, t0);
        assert_eq!(drain(&mut script), []);
        script.handle(Input::CallerReady, t0);
        assert_eq!(drain(&mut script), [Output::Play(Clip::Text)]);
        script.handle(Input::Played, t0 + Duration::from_secs(4));
        assert_eq!(drain(&mut script), [Output::Leave { completed: true }]);
    }

    #[test]
    fn a_caller_who_leaves_before_the_end_did_not_hear_it() {
        let t0 = Instant::now();
        let mut script = Announcement::new(t0);
        for input in [Input::CallerJoined, Input::CallerReady, Input::CallerLeft, Input::Played] {
            script.handle(input, t0);
        }
        assert_eq!(drain(&mut script), [Output::Play(Clip::Text), Output::Leave { completed: false }]);
    }

    #[test]
    fn nobody_is_waited_for_for_ever() {
        let t0 = Instant::now();
        let mut script = Announcement::new(t0);
        script.handle(Input::Tick, t0 + CALLER_MISSING);
        assert_eq!(drain(&mut script), [Output::Leave { completed: false }]);
    }
}
