//! How is a message kept while it is spoken, and how is it read again?
//!
//! As Ogg Opus (RFC 7845), mono. [`OggOpusWriter`] appends one whole page after the other, so a
//! process that dies leaves a file that plays up to its last page; [`repair`] then gives it a proper
//! end. [`trim`] cuts silence off the end. [`ogg_opus_to_wav`] is for listeners that want plain PCM.

mod edit;
mod error;
mod headers;
mod reader;
mod writer;

pub use edit::{repair, trim};
pub use error::RecordingError;
pub use reader::{Pcm, ogg_opus_to_pcm, ogg_opus_to_wav};
pub use writer::OggOpusWriter;

use std::time::Duration;

/// A finished file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Length of the sound.
    pub duration: Duration,
    /// Length of the file.
    pub bytes: u64,
}

/// What Opus in Ogg counts time in, whatever the rate of the sound.
const GRANULES_PER_SECOND: u32 = 48_000;

/// The MIME type of what is written here.
pub const CONTENT_TYPE: &str = "audio/ogg";
