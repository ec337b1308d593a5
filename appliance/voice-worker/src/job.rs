//! How is one job done, from the metadata to the last event?
//!
//! [`Desk`] holds what all jobs share. A job's room is joined while its text is being spoken.

use crate::announcement::Announcement;
use crate::conversation::{Conversation, ConversationError, Ending};
use crate::prompts::{Prompts, speak};
use crate::room::Room;
use crate::script::Script;
use crate::shelf::{Message, Shelf};
use crate::tape::Tape;
use crate::upload::Uploads;
use crate::voicemail::{Limits, Recorder};
use daemon::spool::Spool;
use jiff::Timestamp;
use speech::{Tts, TtsError};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use types::control::{Event, JobMetadata, JobTask};

/// What every job needs. Cheap to clone.
#[derive(Clone)]
pub struct Desk {
    pub tts: Arc<dyn Tts>,
    pub shelf: Shelf,
    pub uploads: Uploads,
    pub events: Spool,
}

/// Why a job came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    #[error(transparent)]
    Conversation(#[from] ConversationError),
    #[error("the text could not be spoken")]
    Speech(#[from] TtsError),
    #[error("the room was lost")]
    RoomLost(#[source] livekit::Disconnect),
    #[error("voice-worker is stopping")]
    Stopping,
    #[error("the caller never came into the room")]
    NoCaller,
    #[error("nothing was heard of the caller")]
    NothingHeard,
    #[error("a `{0}` is not a task of this worker")]
    NotOurs(&'static str),
}

impl Desk {
    /// Does the job in `room` and reports it; `stop` ends it early but properly.
    pub async fn work(&self, job: &JobMetadata, room: &mut dyn Room, stop: CancellationToken) -> Result<(), JobError> {
        let result = match &job.task {
            JobTask::Voicemail { .. } => self.take_message(job, room, stop).await,
            JobTask::PlayMessage { .. } => self.speak_message(job, room, stop).await,
            JobTask::Bot { .. } => Err(JobError::NotOurs("bot")),
        };
        if let Err(error) = &result {
            self.failed(job, error);
        }
        result
    }

    /// Tells `control-api` that nothing came of a job.
    pub fn failed(&self, job: &JobMetadata, error: &dyn std::error::Error) {
        let (task, detail) = (task_name(&job.task).to_owned(), explain(error));
        self.tell(job, Event::JobFailed { call_id: job.call_id, task, detail });
    }

    /// A caller who hung up before saying anything leaves no event: the leg's end tells enough.
    async fn take_message(
        &self,
        job: &JobMetadata,
        room: &mut dyn Room,
        stop: CancellationToken,
    ) -> Result<(), JobError> {
        let JobTask::Voicemail { greeting, voice, max_s, silence_s, .. } = &job.task else { return Ok(()) };
        let greeting = speak(self.tts.as_ref(), greeting, voice.as_deref()).await.unwrap_or_else(|error| {
            tracing::error!(error = explain(&error), call.id = %job.call_id, "a caller gets a beep without a greeting");
            Vec::new()
        });
        let limits = Limits { longest: seconds(*max_s), silence: seconds(*silence_s) };
        let script = Box::new(Recorder::new(limits, room.now()));
        let conversation = Conversation::new(room, script, Prompts::new(greeting), &job.caller_identity);
        let conversation = match message_of(job) {
            Some(message) => conversation.with_tape(Tape::new(self.shelf.clone(), message)),
            None => conversation,
        };
        let mut ending = conversation.run(|| self.started(job), stop).await?;
        match ending.message.take() {
            Some(message) => self.uploads.add(message),
            None => fault(ending, JobError::NothingHeard)?,
        }
        Ok(())
    }

    async fn speak_message(
        &self,
        job: &JobMetadata,
        room: &mut dyn Room,
        stop: CancellationToken,
    ) -> Result<(), JobError> {
        let JobTask::PlayMessage { text, voice } = &job.task else { return Ok(()) };
        let spoken = match speak(self.tts.as_ref(), text, voice.as_deref()).await {
            Ok(spoken) => spoken,
            Err(error) => {
                room.leave().await;
                return Err(error.into());
            }
        };
        let script: Box<dyn Script> = Box::new(Announcement::new(room.now()));
        let conversation = Conversation::new(room, script, Prompts::new(spoken), &job.caller_identity);
        let ending = conversation.run(|| self.started(job), stop).await?;
        match ending.completed {
            true => self.tell(job, Event::MessagePlayed { call_id: job.call_id }),
            false => fault(ending, JobError::NoCaller)?,
        }
        Ok(())
    }

    fn started(&self, job: &JobMetadata) {
        self.tell(job, Event::JobStarted { call_id: job.call_id, task: task_name(&job.task).to_owned() });
    }

    fn tell(&self, job: &JobMetadata, event: Event) {
        self.events.append(Some(&job.correlation_id), event);
    }
}

/// The name of a task in events and logs.
pub fn task_name(task: &JobTask) -> &'static str {
    match task {
        JobTask::Voicemail { .. } => "voicemail",
        JobTask::PlayMessage { .. } => "play_message",
        JobTask::Bot { .. } => "bot",
    }
}

/// A job without a result is a fault unless the caller ended it.
fn fault(ending: Ending, otherwise: JobError) -> Result<(), JobError> {
    match ending {
        Ending { lost: Some(reason), .. } => Err(JobError::RoomLost(reason)),
        Ending { stopped: true, .. } => Err(JobError::Stopping),
        Ending { caller_left: true, .. } => Ok(()),
        Ending { completed: false, .. } => Err(JobError::NoCaller),
        _ => Err(otherwise),
    }
}

/// What is known of a message before it is recorded.
fn message_of(job: &JobMetadata) -> Option<Message> {
    let JobTask::Voicemail { voicemail_id, extension_id, object_key, .. } = &job.task else { return None };
    Some(Message {
        correlation_id: job.correlation_id.clone(),
        voicemail_id: *voicemail_id,
        call_id: job.call_id,
        tenant_id: job.tenant_id,
        extension_id: *extension_id,
        caller: job.caller.clone(),
        received_at: Timestamp::now(),
        object_key: object_key.clone(),
        finished: None,
    })
}

/// An error with all its causes in one line.
pub fn explain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |line, cause| format!("{line}: {cause}"))
}

/// A limit of nothing would end a recording before it began.
fn seconds(seconds: u32) -> Duration {
    Duration::from_secs(seconds.max(1).into())
}
