//! How does the box speak without any speech service?
//!
//! [`Espeak`] runs `espeak-ng` as a process of its own for every sentence: text goes in on stdin, a
//! WAV comes out on stdout. It takes some 30 ms, needs no network and cannot take the daemon down
//! with it. A process that hangs is killed when its time is over or its future is dropped.

use crate::{Tts, TtsError, resample, wav};
use async_trait::async_trait;
use std::process::{Output, Stdio};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// The provider that is never absent.
#[derive(Clone, Debug)]
pub struct Espeak {
    program: String,
    limit: Duration,
}

impl Espeak {
    /// `program` is `espeak-ng` or a path to it; `limit` is how long one text may take.
    pub fn new(program: impl Into<String>, limit: Duration) -> Self {
        Self { program: program.into(), limit }
    }

    /// Starts the program and gives it the text while its output is read, so neither side blocks.
    async fn run(&self, text: &str, voice: &str) -> Result<Output, TtsError> {
        let mut child = self.start(voice)?;
        let stdin = child.stdin.take();
        let feed = async move {
            match stdin {
                Some(mut pipe) => pipe.write_all(text.as_bytes()).await,
                None => Ok(()),
            }
        };
        let work = async { tokio::join!(feed, child.wait_with_output()) };
        let Ok((fed, output)) = timeout(self.limit, work).await else {
            return Err(TtsError::TooSlow { program: self.program.clone(), limit: self.limit });
        };
        let output = output.map_err(|source| self.pipe_error(source))?;
        // A program that refuses its arguments closes its stdin first: its own words say more.
        if output.status.success() {
            fed.map_err(|source| self.pipe_error(source))?;
        }
        Ok(output)
    }

    fn start(&self, voice: &str) -> Result<Child, TtsError> {
        Command::new(&self.program)
            .args(["--stdin", "--stdout", "-b", "1", "-v", voice])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|source| TtsError::Start { program: self.program.clone(), source })
    }

    fn pipe_error(&self, source: std::io::Error) -> TtsError {
        TtsError::Pipe { program: self.program.clone(), source }
    }

    fn refusal(&self, voice: &str, output: &Output) -> TtsError {
        let program = self.program.clone();
        let stderr = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        match stderr.contains("voice does not exist") {
            true => TtsError::UnknownVoice { program, voice: voice.to_owned() },
            false => TtsError::Failed { program, status: output.status.to_string(), stderr },
        }
    }
}

#[async_trait]
impl Tts for Espeak {
    async fn speak(&self, text: &str, voice: Option<&str>, rate: u32) -> Result<Vec<i16>, TtsError> {
        if !text.chars().any(char::is_alphanumeric) {
            return Ok(Vec::new());
        }
        let voice = voice.unwrap_or(DEFAULT_VOICE);
        if !is_voice_name(voice) {
            return Err(TtsError::UnknownVoice { program: self.program.clone(), voice: voice.to_owned() });
        }
        let output = self.run(text, voice).await?;
        if !output.status.success() {
            return Err(self.refusal(voice, &output));
        }
        let sound = wav::parse(&output.stdout).ok_or_else(|| TtsError::NoWav { program: self.program.clone() })?;
        Ok(resample::convert(&sound.samples, sound.rate, rate))
    }
}

/// Names such as `en`, `en-gb`, `nl+f3`; never a path, for the program would open it.
fn is_voice_name(voice: &str) -> bool {
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '+' | '_');
    (1..=40).contains(&voice.len()) && !voice.starts_with('-') && voice.chars().all(fine)
}

const DEFAULT_VOICE: &str = "en";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_voice_is_a_name_and_never_a_path_or_an_option() {
        assert!(["en", "en-gb", "nl+f3", "mb_en1"].into_iter().all(is_voice_name));
        assert!(!["", "../etc/passwd", "/tmp/x", "--path=/tmp", "en us"].into_iter().any(is_voice_name));
    }
}
