//! How does a finished message get into the object store, and who is told?
//!
//! Each message has a task that tries until it succeeds. `control-api` is told as soon as it is
//! stored; when that takes longer than a moment it is told twice, the first time with
//! `stored: false`. Only what is stored leaves the shelf.

use crate::shelf::{Message, Shelf};
use daemon::spool::Spool;
use objects::{ObjectError, Store};
use speech::recording::CONTENT_TYPE;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use types::control::Event;

/// The way out for messages. Cheap to clone.
#[derive(Clone)]
pub struct Uploads {
    shelf: Shelf,
    store: Store,
    events: Spool,
    at_once: Arc<Semaphore>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Uploads {
    /// `stop` ends all tries; what is not stored then stays on the shelf.
    pub fn new(shelf: Shelf, store: Store, events: Spool, stop: CancellationToken) -> Self {
        let at_once = Arc::new(Semaphore::new(PARALLEL));
        Self { shelf, store, events, at_once, tasks: TaskTracker::new(), stop }
    }

    /// Makes the bucket, if the store is there already; else the first message does.
    pub fn prepare(&self) {
        let store = self.store.clone();
        self.tasks.spawn(self.stop.clone().run_until_cancelled_owned(async move {
            if let Err(error) = store.ensure_bucket().await {
                tracing::warn!(%error, bucket = store.bucket(), "the object store is not ready yet");
            }
        }));
    }

    /// Takes a finished message over.
    pub fn add(&self, message: Message) {
        let this = self.clone();
        self.tasks.spawn(async move {
            let stop = this.stop.clone();
            stop.run_until_cancelled(this.deliver(message)).await;
        });
    }

    /// Waits for all messages, stored or stopped.
    pub async fn wait(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    async fn deliver(&self, mut message: Message) {
        let mut pause = FIRST_PAUSE;
        loop {
            match self.try_once(&mut message).await {
                Ok(()) => return self.stored(&message),
                Err(UploadError::Read(error)) if error.kind() == ErrorKind::NotFound => {
                    return self.lost(&message, &error);
                }
                Err(error) => {
                    tracing::warn!(%error, voicemail.id = %message.voicemail_id, retry_in_s = pause.as_secs(), "a message is not stored yet");
                    self.announce(&mut message);
                }
            }
            sleep(pause).await;
            pause = (pause * 2).min(LAST_PAUSE);
            if let Err(error) = self.store.ensure_bucket().await {
                tracing::debug!(%error, "the bucket is not there");
            }
        }
    }

    /// One try; it goes on after the announcement when it is slow.
    async fn try_once(&self, message: &mut Message) -> Result<(), UploadError> {
        let (store, key) = (self.store.clone(), message.object_key.clone());
        let (path, at_once) = (self.shelf.sound(message.voicemail_id), self.at_once.clone());
        let put = async move {
            let _turn = at_once.acquire_owned().await;
            let sound = tokio::fs::read(path).await?;
            Ok(store.put(&key, sound, CONTENT_TYPE).await?)
        };
        tokio::pin!(put);
        match timeout(MOMENT, &mut put).await {
            Ok(result) => result,
            Err(_) => {
                self.announce(message);
                put.await
            }
        }
    }

    /// Tells of a message that waits, once.
    fn announce(&self, message: &mut Message) {
        let Some(finished) = message.finished.as_mut().filter(|finished| !finished.announced) else { return };
        finished.announced = true;
        self.tell(message, false);
        if let Err(error) = self.shelf.save(message) {
            tracing::warn!(%error, voicemail.id = %message.voicemail_id, "a message may be announced twice");
        }
    }

    fn stored(&self, message: &Message) {
        self.tell(message, true);
        tracing::info!(voicemail.id = %message.voicemail_id, call.id = %message.call_id, correlation_id = %message.correlation_id, "a message is stored");
        if let Err(error) = self.shelf.remove(message.voicemail_id) {
            tracing::warn!(%error, voicemail.id = %message.voicemail_id, "a stored message stays on the shelf and will be stored again");
        }
    }

    /// Somebody took the sound away: trying on would never end.
    fn lost(&self, message: &Message, error: &std::io::Error) {
        tracing::error!(%error, voicemail.id = %message.voicemail_id, "the sound of a message is gone");
        if let Err(error) = self.shelf.remove(message.voicemail_id) {
            tracing::warn!(%error, voicemail.id = %message.voicemail_id, "its note stays on the shelf");
        }
    }

    fn tell(&self, message: &Message, stored: bool) {
        if let Some(voicemail) = message.voicemail(stored) {
            self.events.append(Some(&message.correlation_id), Event::VoicemailRecorded { voicemail });
        }
    }
}

/// Why one try failed.
#[derive(Debug, thiserror::Error)]
enum UploadError {
    #[error("the recording could not be read")]
    Read(#[from] std::io::Error),
    #[error(transparent)]
    Store(#[from] ObjectError),
}

/// A store that needs longer is reported as not having it yet.
const MOMENT: Duration = Duration::from_secs(1);
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LAST_PAUSE: Duration = Duration::from_secs(60);
const PARALLEL: usize = 4;
