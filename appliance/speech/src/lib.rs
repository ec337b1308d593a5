//! How does text become sound, and sound a file?
//!
//! [`Tts`] is what a speech provider does, [`Espeak`] the one that is always there. [`recording`]
//! writes, mends and reads the Ogg Opus files that callers' messages are kept in. Everything here
//! is mono and 16 bit; sample rates are arguments.
//!
//! Who speaks to whom: `voice-worker`. Where files end up: `objects`.

mod espeak;
pub mod recording;
pub mod resample;
mod tts;
mod wav;

pub use espeak::Espeak;
pub use tts::{Tts, TtsError};
