//! How is a message taken?
//!
//! Greeting, beep, recording, end tone. [`Recorder`] decides what comes next and why the recording
//! ends: the caller hangs up, says nothing for a while, presses `#`, or talks too long. It is pure:
//! time is an argument.
//!
//! Who carries it out: `conversation`. Where the sound goes: `recording_file`, then `upload`.

mod recorder;

pub use recorder::{Limits, Recorder};
