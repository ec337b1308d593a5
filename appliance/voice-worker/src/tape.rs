//! How does what the caller says become a message on the shelf?
//!
//! [`Tape`] joins the three steps: packets to samples (`hearing`), samples to a file
//! (`recording_file`), and the note that says whose it is (`shelf`).

use crate::hearing::{Heard, Hearing, Packet};
use crate::recording_file::{FileError, RecordingFile};
use crate::script::{EndedBy, Input};
use crate::shelf::{Message, Shelf};
use jiff::Timestamp;
use media::codec::RATE;
use std::time::{Duration, Instant};

/// One message, before, while and after it is recorded.
pub struct Tape {
    shelf: Shelf,
    message: Message,
    running: Option<(RecordingFile, Hearing)>,
}

/// Why a message could not be recorded.
#[derive(Debug, thiserror::Error)]
pub enum TapeError {
    #[error("the note of a message could not be written")]
    Note(#[from] std::io::Error),
    #[error("a message could not be recorded")]
    File(#[from] FileError),
}

impl Tape {
    pub fn new(shelf: Shelf, message: Message) -> Self {
        Self { shelf, message, running: None }
    }

    /// Starts to record; what arrives from now on counts.
    pub fn start(&mut self, now: Instant) -> Result<(), TapeError> {
        self.message.received_at = Timestamp::now();
        // The file first: it refuses to be made twice, so a repeated job cannot spoil an earlier note.
        let file = RecordingFile::create(&self.shelf.sound(self.message.voicemail_id), RATE)?;
        self.shelf.save(&self.message)?;
        self.running = Some((file, Hearing::new(now)));
        Ok(())
    }

    /// Takes a packet of the caller, if it is being recorded.
    pub fn hear(&mut self, packet: Packet) -> Option<Input> {
        let (file, hearing) = self.running.as_mut()?;
        let Heard { samples, voice } = hearing.push(packet);
        file.write(samples);
        let length = Duration::from_micros(hearing.length() * 1_000_000 / u64::from(RATE));
        Some(Input::Heard { voice, length })
    }

    /// Ends the recording. None when there is no message in it.
    pub async fn stop(&mut self, ended_by: EndedBy, keep: Option<Duration>) -> Result<Option<Message>, TapeError> {
        let Some((file, mut hearing)) = self.running.take() else { return Ok(None) };
        file.write(hearing.finish().samples);
        let recorded = file.finish(keep).await?;
        Ok(self.shelf.finish(self.message.clone(), recorded, ended_by)?)
    }
}
