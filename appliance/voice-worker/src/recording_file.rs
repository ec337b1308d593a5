//! How does a message get to the disk without holding up the call?
//!
//! A thread of its own codes and writes: disks block. [`RecordingFile`] is the handle that the
//! conversation holds; samples go in and are never waited for.

use speech::recording::{OggOpusWriter, Recorded, RecordingError, repair, trim};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;
use tokio::sync::oneshot;

/// A file that is being written.
pub struct RecordingFile {
    orders: mpsc::Sender<Order>,
}

enum Order {
    Write(Vec<i16>),
    Finish { keep: Option<Duration>, done: oneshot::Sender<Result<Recorded, RecordingError>> },
}

/// Why a recording could not be finished.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error("could not start the thread that writes a recording")]
    Thread(#[from] std::io::Error),
    #[error(transparent)]
    Recording(#[from] RecordingError),
    #[error("the thread that wrote the recording ended before its time")]
    Lost,
}

impl RecordingFile {
    /// Creates the file for sound at `rate`.
    pub fn create(path: &Path, rate: u32) -> Result<Self, FileError> {
        let writer = OggOpusWriter::create(path, rate)?;
        let (orders, received) = mpsc::channel();
        let path = path.to_owned();
        std::thread::Builder::new().name("recording".to_owned()).spawn(move || serve(writer, path, &received))?;
        Ok(Self { orders })
    }

    /// Appends samples.
    pub fn write(&self, samples: Vec<i16>) {
        // A thread that is gone is noticed, with its reason, by `finish`.
        let _ = self.orders.send(Order::Write(samples));
    }

    /// Ends the file; with `keep` only its beginning stays.
    pub async fn finish(self, keep: Option<Duration>) -> Result<Recorded, FileError> {
        let (done, result) = oneshot::channel();
        self.orders.send(Order::Finish { keep, done }).map_err(|_| FileError::Lost)?;
        Ok(result.await.map_err(|_| FileError::Lost)??)
    }
}

/// Writes until told to finish. When the handle is dropped the file stays as it is, to be mended.
fn serve(mut writer: OggOpusWriter, path: PathBuf, orders: &mpsc::Receiver<Order>) {
    let mut synced = Duration::ZERO;
    let mut broken = false;
    while let Ok(order) = orders.recv() {
        match order {
            Order::Write(_) if broken => {}
            Order::Write(samples) => {
                if let Err(error) = append(&mut writer, &samples, &mut synced) {
                    tracing::error!(%error, "a recording ends early");
                    broken = true;
                }
            }
            Order::Finish { keep, done } => {
                let _ = done.send(finish(writer, broken, &path, keep));
                return;
            }
        }
    }
}

fn append(writer: &mut OggOpusWriter, samples: &[i16], synced: &mut Duration) -> Result<(), RecordingError> {
    writer.write(samples)?;
    if writer.duration() >= *synced + SYNC_EVERY {
        writer.sync()?;
        *synced = writer.duration();
    }
    Ok(())
}

/// What could be written of a broken file is still worth keeping.
fn finish(
    writer: OggOpusWriter,
    broken: bool,
    path: &Path,
    keep: Option<Duration>,
) -> Result<Recorded, RecordingError> {
    let whole = match broken {
        true => repair(path)?,
        false => writer.finish()?,
    };
    match keep {
        Some(keep) if keep < whole.duration => trim(path, keep),
        _ => Ok(whole),
    }
}

/// What a power failure may cost.
const SYNC_EVERY: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_written_is_finished_and_cut() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.ogg");
        let file = RecordingFile::create(&path, 8_000).unwrap();
        for _ in 0..150 {
            file.write(vec![100; 160]);
        }
        let recorded = file.finish(Some(Duration::from_secs(2))).await.unwrap();
        assert_eq!(recorded.duration, Duration::from_secs(2));
        assert_eq!(recorded.bytes, std::fs::metadata(&path).unwrap().len());
    }

    #[test]
    fn a_file_that_cannot_be_created_is_named() {
        let error = RecordingFile::create(Path::new("/nonexistent/a.ogg"), 8_000).err().unwrap();
        assert!(error.to_string().contains("/nonexistent/a.ogg"), "{error}");
    }
}
