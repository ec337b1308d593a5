//! What must a speech provider do?

use async_trait::async_trait;
use std::time::Duration;

/// Turns text into sound.
#[async_trait]
pub trait Tts: Send + Sync {
    /// Speaks `text` and gives mono samples at `rate` per second.
    ///
    /// `voice` is a name the provider knows; without one it takes its own. Text without a letter or
    /// digit gives no samples. Dropping the future abandons the work.
    async fn speak(&self, text: &str, voice: Option<&str>, rate: u32) -> Result<Vec<i16>, TtsError>;
}

/// Why there is no sound.
#[derive(Debug, thiserror::Error)]
pub enum TtsError {
    #[error("could not start the speech program `{program}`")]
    Start { program: String, source: std::io::Error },
    #[error("the speech program `{program}` has no voice `{voice}`")]
    UnknownVoice { program: String, voice: String },
    #[error("the speech program `{program}` failed ({status}): {stderr}")]
    Failed { program: String, status: String, stderr: String },
    #[error("the speech program `{program}` was not done after {limit:?}")]
    TooSlow { program: String, limit: Duration },
    #[error("could not talk to the speech program `{program}`")]
    Pipe { program: String, source: std::io::Error },
    #[error("the speech program `{program}` gave something that is no 16-bit WAV")]
    NoWav { program: String },
}
