//! What is said while a self-call goes on, to people or to programs?

use serde::Serialize;
use std::{fmt, time::Duration};

/// A part of the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// `control-api` makes the number, LiveKit knows it.
    Prepare,
    /// The gateway takes the call and somebody answers.
    Call,
    /// Greeting and beep are heard.
    Greeting,
    /// The code is played.
    Message,
    HangUp,
    /// The recording is in the object store and comes back.
    Recording,
    /// The code is in it.
    Tone,
}

impl Step {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Prepare => "prepare",
            Self::Call => "call",
            Self::Greeting => "greeting",
            Self::Message => "message",
            Self::HangUp => "hang_up",
            Self::Recording => "recording",
            Self::Tone => "tone",
        }
    }
}

/// Where it ended, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("self-call failed at {}: {reason}", step.as_str())]
pub struct Failure {
    pub step: Step,
    pub reason: String,
}

#[derive(Serialize)]
struct Done {
    step: Step,
    seconds: f64,
    detail: String,
}

#[derive(Serialize)]
struct Summary<'a> {
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    failed: Option<Step>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    steps: &'a [Done],
}

pub struct Report {
    json: bool,
    done: Vec<Done>,
}

impl Report {
    pub fn new(json: bool) -> Self {
        Self { json, done: Vec::new() }
    }

    /// A step worked.
    pub fn done(&mut self, step: Step, took: Duration, detail: impl fmt::Display) {
        let done = Done { step, seconds: (took.as_secs_f64() * 10.0).round() / 10.0, detail: detail.to_string() };
        if !self.json {
            println!("{:<9} ok {:>5.1} s  {}", step.as_str(), done.seconds, done.detail);
        }
        self.done.push(done);
    }

    /// The last word: JSON on stdout, or one line on stderr when it failed.
    pub fn close(&self, outcome: &Result<(), Failure>) {
        if self.json {
            println!("{}", self.summary(outcome));
        } else if let Err(failure) = outcome {
            eprintln!("{failure}");
        }
    }

    fn summary(&self, outcome: &Result<(), Failure>) -> String {
        let failure = outcome.as_ref().err();
        let summary = Summary {
            ok: failure.is_none(),
            failed: failure.map(|failure| failure.step),
            reason: failure.map(|failure| failure.reason.as_str()),
            steps: &self.done,
        };
        serde_json::to_string(&summary).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_one_line_that_names_the_step() {
        let failure = Failure { step: Step::HangUp, reason: "nobody said goodbye".into() };
        assert_eq!(failure.to_string(), "self-call failed at hang_up: nobody said goodbye");
    }

    #[test]
    fn programs_read_the_failed_step_and_those_before_it() {
        let mut report = Report::new(true);
        report.done(Step::Prepare, Duration::from_millis(1240), "fine");
        let failed = Err(Failure { step: Step::Call, reason: "404 Not Found".into() });
        let expected = concat!(
            r#"{"ok":false,"failed":"call","reason":"404 Not Found","#,
            r#""steps":[{"step":"prepare","seconds":1.2,"detail":"fine"}]}"#
        );
        assert_eq!(report.summary(&failed), expected);
        assert!(report.summary(&Ok(())).starts_with(r#"{"ok":true,"steps""#));
    }
}
