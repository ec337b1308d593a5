//! What is a task, seen from the room?
//!
//! A [`Script`] is told what happens and says what to do. It knows no socket and no clock: every
//! input carries the time. After each input its outputs are drained.

use std::time::{Duration, Instant};

/// Something that happened.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Input {
    /// The caller is in the room.
    CallerJoined,
    /// The caller can hear us.
    CallerReady,
    /// What was played last is out, to its last sample.
    Played,
    /// The caller pressed a key.
    Digit(char),
    /// More of the caller was recorded, which now is `length` long.
    Heard { voice: bool, length: Duration },
    /// The caller left, or the room is gone.
    CallerLeft,
    /// The daemon stops.
    Stopped,
    /// Time passed.
    Tick,
}

/// Something to do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Output {
    /// Play this from the beginning; instead of what is playing, if anything is.
    Play(Clip),
    StartRecording,
    /// Finish the file; with `keep` only that much of its beginning.
    StopRecording {
        ended_by: EndedBy,
        keep: Option<Duration>,
    },
    /// Leave the room; nothing comes after this.
    Leave {
        completed: bool,
    },
}

/// What can be played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clip {
    /// The greeting, or the text of an announcement.
    Text,
    /// Speak after this.
    Beep,
    /// The message is taken.
    EndTone,
}

/// Why a recording ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndedBy {
    Hangup,
    Silence,
    Digit,
    Limit,
    /// voice-worker stopped or crashed before the caller was done.
    Recovered,
}

impl EndedBy {
    /// As it stands in the event.
    pub fn as_str(self) -> &'static str {
        match self {
            EndedBy::Hangup => "hangup",
            EndedBy::Silence => "silence",
            EndedBy::Digit => "digit",
            EndedBy::Limit => "limit",
            EndedBy::Recovered => "recovered",
        }
    }
}

/// A task.
pub trait Script: Send {
    fn handle(&mut self, input: Input, now: Instant);
    fn poll_output(&mut self) -> Option<Output>;
}

/// How long a caller who is announced may take to be in the room.
pub const CALLER_MISSING: Duration = Duration::from_secs(10);
/// Speak after this even if nothing says that the caller hears us.
pub const CALLER_UNREADY: Duration = Duration::from_secs(3);
