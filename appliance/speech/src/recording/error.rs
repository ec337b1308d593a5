//! Why could a recording not be written or read?

use std::path::{Path, PathBuf};

#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    #[error("Opus has no sample rate {0}; it has 8000, 12000, 16000, 24000 and 48000")]
    Rate(u32),
    #[error("could not {verb} the recording {path}")]
    File { verb: &'static str, path: PathBuf, source: std::io::Error },
    #[error("the Opus coder refused")]
    Opus(#[from] opus::Error),
    #[error("this is no Ogg Opus recording: {0}")]
    Format(&'static str),
    #[error("could not write the WAV")]
    Wav(#[from] hound::Error),
}

impl RecordingError {
    pub(super) fn file(verb: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { verb, path, source }
    }
}
