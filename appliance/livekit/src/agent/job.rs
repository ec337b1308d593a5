//! A job, from the question to the end.

use super::desk::Place;
use livekit_protocol::{self as proto, JobStatus, worker_message::Message};
use std::collections::HashMap;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// Why we do not have a job.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AgentError {
    #[error("the connection to livekit-server was lost before the job was ours")]
    Disconnected,
    #[error("livekit-server did not assign the job in time")]
    NotAssigned,
}

/// Who we are in the room of a job.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Participant {
    /// Must be unique in the room.
    pub identity: String,
    pub name: String,
    pub metadata: String,
    pub attributes: HashMap<String, String>,
}

/// A job that is ours.
#[derive(Clone, PartialEq, Eq)]
pub struct JobAssignment {
    pub job_id: String,
    pub dispatch_id: String,
    /// Name of the room.
    pub room: String,
    /// What the dispatch carries, for us usually JSON.
    pub metadata: String,
    /// Where to join, `ws://…`.
    pub url: String,
    /// Lets us join, as `participant_identity`, for an hour.
    pub token: String,
    pub participant_identity: String,
}

/// livekit-server asks whether we want a job. Dropping the offer refuses it.
pub struct JobOffer {
    pub job_id: String,
    pub dispatch_id: String,
    pub agent_name: String,
    pub room: String,
    pub metadata: String,
    pub attributes: HashMap<String, String>,
    pub(super) answer: Option<oneshot::Sender<Answer>>,
}

/// Our answer to an offer.
pub(super) struct Answer {
    pub participant: Participant,
    pub assigned: oneshot::Sender<Result<Job, AgentError>>,
}

/// A running job; dropping it without a word counts as a failure.
pub struct Job {
    pub assignment: JobAssignment,
    pub(super) terminated: CancellationToken,
    pub(super) reports: Reports,
}

/// Tells the worker how a job ends.
pub(super) struct Reports {
    pub place: Option<Place>,
    pub sender: mpsc::UnboundedSender<proto::UpdateJobStatus>,
}

impl JobOffer {
    /// Takes the job; livekit-server then assigns it.
    pub async fn accept(mut self, participant: Participant) -> Result<Job, AgentError> {
        let answer = self.answer.take().ok_or(AgentError::Disconnected)?;
        let (assigned, job) = oneshot::channel();
        answer.send(Answer { participant, assigned }).map_err(|_| AgentError::Disconnected)?;
        job.await.unwrap_or(Err(AgentError::Disconnected))
    }

    /// Lets another worker have it.
    pub fn refuse(self) {}
}

impl Job {
    /// Resolves when livekit-server wants the job to end: its dispatch was deleted, or the room closed.
    pub async fn terminated(&self) {
        self.terminated.cancelled().await;
    }

    /// The same as a token, for `select!` and children.
    pub fn termination(&self) -> CancellationToken {
        self.terminated.clone()
    }

    pub fn succeeded(mut self) {
        self.reports.send(JobStatus::JsSuccess, "");
    }

    pub fn failed(mut self, error: &str) {
        self.reports.send(JobStatus::JsFailed, error);
    }
}

impl Reports {
    fn send(&mut self, status: JobStatus, error: &str) {
        let Some(place) = self.place.take() else { return };
        let job_id = place.job_id().to_owned();
        drop(place);
        let report = proto::UpdateJobStatus { job_id, status: status.into(), error: error.to_owned() };
        let _ = self.sender.send(report);
    }
}

impl Drop for Reports {
    fn drop(&mut self) {
        self.send(JobStatus::JsFailed, "the job ended without a result");
    }
}

/// The message that answers an offer.
pub(super) fn availability(job_id: &str, participant: Option<Participant>) -> Message {
    let available = participant.is_some();
    let participant = participant.unwrap_or_default();
    Message::Availability(proto::AvailabilityResponse {
        job_id: job_id.to_owned(),
        available,
        participant_identity: participant.identity,
        participant_name: participant.name,
        participant_metadata: participant.metadata,
        participant_attributes: participant.attributes,
        ..Default::default()
    })
}
