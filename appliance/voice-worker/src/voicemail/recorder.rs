//! What comes next while a message is taken?

use crate::script::{CALLER_MISSING, CALLER_UNREADY, Clip, EndedBy, Input, Output, Script};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// When a recording ends by itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    pub longest: Duration,
    pub silence: Duration,
}

/// Absent -> Unready -> Greeting -> Beeping -> Recording -> Goodbye -> Ended.
///
/// A key skips the greeting. A caller who leaves ends any of them.
#[derive(Debug)]
pub struct Recorder {
    limits: Limits,
    state: State,
    outputs: VecDeque<Output>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Absent { until: Instant },
    Unready { until: Instant },
    Greeting,
    Beeping,
    Recording { since: Instant, last_voice: Instant, spoken: Option<Duration> },
    Goodbye,
    Ended,
}

impl Recorder {
    pub fn new(limits: Limits, now: Instant) -> Self {
        Self { limits, state: State::Absent { until: now + CALLER_MISSING }, outputs: VecDeque::new() }
    }

    fn play(&mut self, clip: Clip, then: State) -> State {
        self.outputs.push_back(Output::Play(clip));
        then
    }

    fn record(&mut self, now: Instant) -> State {
        self.outputs.push_back(Output::StartRecording);
        State::Recording { since: now, last_voice: now, spoken: None }
    }

    /// The caller is still there: say goodbye.
    fn stop(&mut self, ended_by: EndedBy, keep: Option<Duration>) -> State {
        self.outputs.push_back(Output::StopRecording { ended_by, keep });
        self.play(Clip::EndTone, State::Goodbye)
    }

    /// The caller is gone, or we are going.
    fn cut(&mut self, ended_by: EndedBy) -> State {
        self.outputs.push_back(Output::StopRecording { ended_by, keep: None });
        self.leave(true)
    }

    fn leave(&mut self, completed: bool) -> State {
        self.outputs.push_back(Output::Leave { completed });
        State::Ended
    }

    /// Ends a recording that is too long or too quiet; `spoken` is where the last voice ended.
    fn check(&mut self, now: Instant) -> State {
        let State::Recording { since, last_voice, spoken } = self.state else { return self.state };
        if now.duration_since(since) >= self.limits.longest {
            return self.stop(EndedBy::Limit, None);
        }
        if now.duration_since(last_voice) >= self.limits.silence {
            return self.stop(EndedBy::Silence, spoken.map(|end| end + TAIL));
        }
        self.state
    }
}

impl Script for Recorder {
    fn handle(&mut self, input: Input, now: Instant) {
        use State::*;
        self.state = match (self.state, input) {
            (Ended, _) => Ended,
            (Recording { .. }, Input::CallerLeft) => self.cut(EndedBy::Hangup),
            (Recording { .. }, Input::Stopped) => self.cut(EndedBy::Recovered),
            (Goodbye, Input::CallerLeft | Input::Stopped) => self.leave(true),
            (_, Input::CallerLeft | Input::Stopped) => self.leave(false),
            (Absent { .. }, Input::CallerJoined) => Unready { until: now + CALLER_UNREADY },
            (Absent { until }, Input::Tick) if now >= until => self.leave(false),
            (Unready { .. }, Input::CallerReady) => self.play(Clip::Text, Greeting),
            (Unready { until }, Input::Tick) if now >= until => self.play(Clip::Text, Greeting),
            (Greeting, Input::Played | Input::Digit(_)) => self.play(Clip::Beep, Beeping),
            (Beeping, Input::Played) => self.record(now),
            (Recording { .. }, Input::Digit('#')) => self.stop(EndedBy::Digit, None),
            (Recording { since, .. }, Input::Heard { voice: true, length }) => {
                Recording { since, last_voice: now, spoken: Some(length) }
            }
            (Recording { .. }, Input::Tick) => self.check(now),
            (Goodbye, Input::Played) => self.leave(true),
            (same, _) => same,
        };
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }
}

/// Kept after the last voice when silence ended the recording.
const TAIL: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { longest: Duration::from_secs(300), silence: Duration::from_secs(10) };

    fn drain(recorder: &mut Recorder) -> Vec<Output> {
        std::iter::from_fn(|| recorder.poll_output()).collect()
    }

    fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// A recorder that began to record at the time given back.
    fn recording() -> (Recorder, Instant) {
        let t0 = Instant::now();
        let mut recorder = Recorder::new(LIMITS, t0);
        for input in [Input::CallerJoined, Input::CallerReady, Input::Played, Input::Played] {
            recorder.handle(input, t0);
        }
        let all = [Output::Play(Clip::Text), Output::Play(Clip::Beep), Output::StartRecording];
        assert_eq!(drain(&mut recorder), all);
        (recorder, t0)
    }

    #[test]
    fn a_caller_who_hangs_up_ends_the_recording_and_keeps_all_of_it() {
        let (mut recorder, t0) = recording();
        recorder.handle(Input::Heard { voice: true, length: secs(5) }, t0 + secs(5));
        recorder.handle(Input::CallerLeft, t0 + secs(6));
        let stop = Output::StopRecording { ended_by: EndedBy::Hangup, keep: None };
        assert_eq!(drain(&mut recorder), [stop, Output::Leave { completed: true }]);
        recorder.handle(Input::CallerLeft, t0 + secs(7));
        assert_eq!(drain(&mut recorder), []);
    }

    #[test]
    fn ten_quiet_seconds_end_it_and_are_not_kept() {
        let (mut recorder, t0) = recording();
        recorder.handle(Input::Heard { voice: true, length: secs(5) }, t0 + secs(5));
        recorder.handle(Input::Heard { voice: false, length: secs(14) }, t0 + secs(14));
        recorder.handle(Input::Tick, t0 + secs(14));
        assert_eq!(drain(&mut recorder), []);
        recorder.handle(Input::Tick, t0 + secs(15));
        let stop = Output::StopRecording { ended_by: EndedBy::Silence, keep: Some(secs(5) + TAIL) };
        assert_eq!(drain(&mut recorder), [stop, Output::Play(Clip::EndTone)]);
        recorder.handle(Input::Played, t0 + secs(16));
        assert_eq!(drain(&mut recorder), [Output::Leave { completed: true }]);
    }

    #[test]
    fn a_voice_too_quiet_to_notice_is_kept_whole() {
        let (mut recorder, t0) = recording();
        recorder.handle(Input::Tick, t0 + secs(10));
        let stop = Output::StopRecording { ended_by: EndedBy::Silence, keep: None };
        assert_eq!(drain(&mut recorder)[0], stop);
    }

    #[test]
    fn the_hash_key_ends_it_and_other_keys_do_not() {
        let (mut recorder, t0) = recording();
        recorder.handle(Input::Digit('5'), t0 + secs(2));
        assert_eq!(drain(&mut recorder), []);
        recorder.handle(Input::Digit('#'), t0 + secs(3));
        let stop = Output::StopRecording { ended_by: EndedBy::Digit, keep: None };
        assert_eq!(drain(&mut recorder), [stop, Output::Play(Clip::EndTone)]);
    }

    #[test]
    fn somebody_who_never_stops_is_stopped() {
        let (mut recorder, t0) = recording();
        recorder.handle(Input::Heard { voice: true, length: secs(299) }, t0 + secs(299));
        recorder.handle(Input::Tick, t0 + secs(299));
        assert_eq!(drain(&mut recorder), []);
        recorder.handle(Input::Tick, t0 + secs(300));
        let stop = Output::StopRecording { ended_by: EndedBy::Limit, keep: None };
        assert_eq!(drain(&mut recorder), [stop, Output::Play(Clip::EndTone)]);
    }

    #[test]
    fn a_key_during_the_greeting_skips_to_the_beep() {
        let t0 = Instant::now();
        let mut recorder = Recorder::new(LIMITS, t0);
        for input in [Input::CallerJoined, Input::CallerReady, Input::Digit('1')] {
            recorder.handle(input, t0);
        }
        assert_eq!(drain(&mut recorder), [Output::Play(Clip::Text), Output::Play(Clip::Beep)]);
    }

    #[test]
    fn hanging_up_during_greeting_or_beep_leaves_nothing_behind() {
        for heard in [&[][..], &[Input::Played]] {
            let t0 = Instant::now();
            let mut recorder = Recorder::new(LIMITS, t0);
            let before = [Input::CallerJoined, Input::CallerReady].iter();
            before.chain(heard).for_each(|input| recorder.handle(*input, t0));
            drain(&mut recorder);
            recorder.handle(Input::CallerLeft, t0);
            assert_eq!(drain(&mut recorder), [Output::Leave { completed: false }]);
        }
    }

    #[test]
    fn a_caller_of_whom_nothing_is_known_is_greeted_after_three_seconds() {
        let t0 = Instant::now();
        let mut recorder = Recorder::new(LIMITS, t0);
        recorder.handle(Input::CallerJoined, t0);
        recorder.handle(Input::Tick, t0 + secs(2));
        assert_eq!(drain(&mut recorder), []);
        recorder.handle(Input::Tick, t0 + secs(3));
        assert_eq!(drain(&mut recorder), [Output::Play(Clip::Text)]);
    }

    #[test]
    fn a_caller_who_never_comes_is_not_waited_for() {
        let t0 = Instant::now();
        let mut recorder = Recorder::new(LIMITS, t0);
        recorder.handle(Input::Tick, t0 + CALLER_MISSING);
        assert_eq!(drain(&mut recorder), [Output::Leave { completed: false }]);
    }

    #[test]
    fn stopping_the_daemon_keeps_what_was_said() {
        let (mut recorder, t0) = recording();
        recorder.handle(Input::Stopped, t0 + secs(2));
        let stop = Output::StopRecording { ended_by: EndedBy::Recovered, keep: None };
        assert_eq!(drain(&mut recorder), [stop, Output::Leave { completed: true }]);
    }
}
