//! Where is a message between the caller's first word and its place in the object store?
//!
//! On the [`Shelf`], a folder: the sound as `<id>.ogg` and everything that is known about it as
//! `<id>.json`, written before the first sample. Whatever happens to the process, the next one finds
//! there what it has to finish ([`Shelf::recover`]) and what it has to upload.

use crate::script::EndedBy;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use speech::recording::{Recorded, repair};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;
use types::control::RecordedVoicemail;
use types::{CallId, CorrelationId, ExtensionId, TenantId, VoicemailId};

/// The folder of messages that are not stored yet. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Shelf {
    folder: PathBuf,
}

/// A message on the shelf; this is what its `.json` holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Message {
    pub correlation_id: CorrelationId,
    pub voicemail_id: VoicemailId,
    pub call_id: CallId,
    pub tenant_id: TenantId,
    pub extension_id: Option<ExtensionId>,
    pub caller: String,
    pub received_at: Timestamp,
    pub object_key: String,
    /// None while it is recorded.
    #[serde(default)]
    pub finished: Option<Finished>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Finished {
    pub duration_ms: u64,
    pub bytes: u64,
    pub ended_by: EndedBy,
    /// `control-api` was told of it, though it is not stored.
    pub announced: bool,
}

impl Shelf {
    pub fn open(folder: PathBuf) -> io::Result<Self> {
        fs::create_dir_all(&folder)?;
        Ok(Self { folder })
    }

    pub fn sound(&self, id: VoicemailId) -> PathBuf {
        self.folder.join(format!("{id}.ogg"))
    }

    /// Puts down what is known of a message; durable when this returns.
    pub fn save(&self, message: &Message) -> io::Result<()> {
        let path = self.note(message.voicemail_id);
        let beside = path.with_extension("json.new");
        let mut file = File::create(&beside)?;
        file.write_all(&serde_json::to_vec_pretty(message)?)?;
        file.sync_all()?;
        fs::rename(&beside, &path)?;
        File::open(&self.folder)?.sync_all()
    }

    /// Marks a message as finished, or takes it off the shelf when there is nothing in it.
    pub fn finish(&self, mut message: Message, recorded: Recorded, ended_by: EndedBy) -> io::Result<Option<Message>> {
        if recorded.duration < SHORTEST {
            self.remove(message.voicemail_id)?;
            return Ok(None);
        }
        message.finished = Some(Finished {
            duration_ms: recorded.duration.as_millis() as u64,
            bytes: recorded.bytes,
            ended_by,
            announced: false,
        });
        self.save(&message)?;
        Ok(Some(message))
    }

    /// Takes a message off the shelf. The note goes last: without it the sound would be an orphan.
    pub fn remove(&self, id: VoicemailId) -> io::Result<()> {
        let gone = |path: PathBuf| match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
        gone(self.sound(id))?;
        gone(self.note(id))
    }

    /// Finishes what an earlier process could not, and lists all messages that wait for the store.
    pub fn recover(&self) -> io::Result<Vec<Message>> {
        self.sweep()?;
        let mut waiting = Vec::new();
        for note in self.files("json")? {
            match self.recover_one(&note) {
                Ok(message) => waiting.extend(message),
                // One spoilt message must not keep the others from being stored.
                Err(error) => tracing::error!(%error, path = %note.display(), "a message could not be recovered"),
            }
        }
        Ok(waiting)
    }

    fn recover_one(&self, note: &Path) -> io::Result<Option<Message>> {
        let message: Message = serde_json::from_slice(&fs::read(note)?)?;
        if message.finished.is_some() {
            return Ok(Some(message));
        }
        let id = message.voicemail_id;
        match repair(&self.sound(id)) {
            Ok(recorded) => {
                tracing::warn!(voicemail.id = %id, duration_ms = recorded.duration.as_millis() as u64, "a message was cut off and is kept");
                self.finish(message, recorded, EndedBy::Recovered)
            }
            Err(error) => {
                tracing::warn!(%error, voicemail.id = %id, "a message had not begun and is dropped");
                self.remove(id).map(|()| None)
            }
        }
    }

    /// Removes what a crash left half made: new versions of files, and sound that got no note.
    fn sweep(&self) -> io::Result<()> {
        let orphans = self.files("ogg")?.into_iter().filter(|sound| !sound.with_extension("json").exists());
        self.files("new")?.into_iter().chain(orphans).try_for_each(fs::remove_file)
    }

    /// All files that end so, oldest first: ids sort by time.
    fn files(&self, extension: &str) -> io::Result<Vec<PathBuf>> {
        let entries = fs::read_dir(&self.folder)?.collect::<io::Result<Vec<_>>>()?;
        let paths = entries.into_iter().map(|entry| entry.path());
        let mut files: Vec<_> = paths.filter(|path| path.extension().is_some_and(|e| e == extension)).collect();
        files.sort();
        Ok(files)
    }

    fn note(&self, id: VoicemailId) -> PathBuf {
        self.folder.join(format!("{id}.json"))
    }
}

impl Message {
    /// The event's body; none while it is recorded.
    pub fn voicemail(&self, stored: bool) -> Option<RecordedVoicemail> {
        let finished = self.finished?;
        Some(RecordedVoicemail {
            voicemail_id: self.voicemail_id,
            call_id: self.call_id,
            tenant_id: self.tenant_id,
            extension_id: self.extension_id,
            caller: self.caller.clone(),
            received_at: self.received_at,
            duration_ms: finished.duration_ms,
            object_key: self.object_key.clone(),
            bytes: finished.bytes,
            stored,
            ended_by: finished.ended_by.as_str().to_owned(),
        })
    }
}

/// Less than this is somebody hanging up, not a message.
const SHORTEST: Duration = Duration::from_millis(500);

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use speech::recording::{OggOpusWriter, ogg_opus_to_pcm};

    pub(crate) fn message() -> Message {
        Message {
            correlation_id: CorrelationId::new(),
            voicemail_id: VoicemailId::new(),
            call_id: CallId::new(),
            tenant_id: TenantId::new(),
            extension_id: Some(ExtensionId::new()),
            caller: "+31201234567".to_owned(),
            received_at: Timestamp::now(),
            object_key: "ten/voicemail/vm.ogg".to_owned(),
            finished: None,
        }
    }

    /// A shelf with one message that was being recorded when its process died.
    fn shelf_after_a_crash(dir: &tempfile::TempDir, millis: usize) -> (Shelf, Message) {
        let shelf = Shelf::open(dir.path().join("recordings")).unwrap();
        let message = message();
        shelf.save(&message).unwrap();
        let mut writer = OggOpusWriter::create(&shelf.sound(message.voicemail_id), 8_000).unwrap();
        writer.write(&vec![1000; millis * 8]).unwrap();
        (shelf, message)
    }

    #[test]
    fn a_message_whose_process_died_is_finished_by_the_next_one() {
        let dir = tempfile::tempdir().unwrap();
        let (shelf, lost) = shelf_after_a_crash(&dir, 3000);
        let found = shelf.recover().unwrap().remove(0);
        let voicemail = found.voicemail(false).unwrap();
        assert_eq!((voicemail.voicemail_id, voicemail.ended_by.as_str()), (lost.voicemail_id, "recovered"));
        assert!((2700..=3000).contains(&voicemail.duration_ms), "{}", voicemail.duration_ms);
        let sound = fs::read(shelf.sound(lost.voicemail_id)).unwrap();
        assert_eq!(voicemail.bytes, sound.len() as u64);
        let samples = ogg_opus_to_pcm(&sound).unwrap().samples.len() as u64;
        assert_eq!(samples / 8, voicemail.duration_ms);
        assert_eq!(shelf.recover().unwrap().len(), 1, "it waits until it is stored");
    }

    #[test]
    fn a_message_that_had_hardly_begun_is_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let (shelf, lost) = shelf_after_a_crash(&dir, 300);
        assert!(shelf.recover().unwrap().is_empty());
        assert!(!shelf.sound(lost.voicemail_id).exists());
        assert!(shelf.files("json").unwrap().is_empty());
    }

    #[test]
    fn a_note_without_sound_or_sense_keeps_nobody_else_waiting() {
        let dir = tempfile::tempdir().unwrap();
        let (shelf, _) = shelf_after_a_crash(&dir, 2000);
        shelf.save(&message()).unwrap();
        fs::write(dir.path().join("recordings/vm_0.json"), "{").unwrap();
        assert_eq!(shelf.recover().unwrap().len(), 1);
    }

    #[test]
    fn what_was_half_made_is_swept_away() {
        let dir = tempfile::tempdir().unwrap();
        let (shelf, lost) = shelf_after_a_crash(&dir, 2000);
        let orphan = shelf.sound(VoicemailId::new());
        fs::write(&orphan, "").unwrap();
        fs::write(shelf.sound(lost.voicemail_id).with_extension("ogg.new"), "").unwrap();
        assert_eq!(shelf.recover().unwrap().len(), 1);
        assert!(!orphan.exists());
        assert!(shelf.files("new").unwrap().is_empty());
    }
}
