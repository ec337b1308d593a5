//! Which jobs are taken, and how does the daemon end?
//!
//! A job whose metadata is not for this worker is refused, so that LiveKit asks another one. Every
//! job runs as a task of its own. On a stop no more are taken, the running ones finish their files,
//! and the last events go out.

use crate::config::{Config, LiveKit, RoomCodec};
use crate::job::{Desk, task_name};
use crate::room::LiveKitRoom;
use crate::shelf::Shelf;
use crate::upload::Uploads;
use anyhow::Context;
use daemon::spool::Spool;
use daemon::unix_http::Client;
use livekit::Certificate;
use livekit::agent::{AgentWorker, Job, JobOffer, Participant, WorkerConfig, WorkerState};
use livekit::api::Tokens;
use objects::Store;
use speech::Espeak;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use types::control::{JobMetadata, JobTask, VOICE_AGENT};

/// Everything that lives as long as the daemon.
pub struct Worker {
    config: Config,
    desk: Desk,
    certificate: Certificate,
    jobs: TaskTracker,
    /// Ends uploads and events, after the jobs.
    last: CancellationToken,
}

impl Worker {
    /// Opens the spool and makes a certificate; talks to nobody yet.
    pub fn new(config: Config) -> anyhow::Result<Self> {
        let last = CancellationToken::new();
        let spool_dir = &config.spool_dir;
        let events = Spool::open(&spool_dir.join("events"), "voice-worker")
            .with_context(|| format!("cannot keep events in {}", spool_dir.display()))?;
        let shelf = Shelf::open(spool_dir.join("recordings"))
            .with_context(|| format!("cannot keep recordings in {}", spool_dir.display()))?;
        let store = Store::connect(&config.s3)?;
        let uploads = Uploads::new(shelf.clone(), store, events.clone(), last.clone());
        let tts = Arc::new(Espeak::new(&config.speech.espeak, SPEECH_LIMIT));
        let certificate = Certificate::generate()?;
        let desk = Desk { tts, shelf, uploads, events };
        Ok(Self { config, desk, certificate, jobs: TaskTracker::new(), last })
    }

    /// Serves until `stop`, then drains. `ready` is called once jobs can reach us, or when that takes
    /// too long to wait for: livekit-server may come later.
    pub async fn run(self, ready: impl FnOnce() + Send + 'static, stop: CancellationToken) -> anyhow::Result<()> {
        let events = self.desk.events.clone();
        let (receiver, last) = (Client::new(&self.config.control_socket), self.last.clone());
        let sender = tokio::spawn(async move { events.run(receiver, last).await });
        self.desk.uploads.prepare();
        self.recover().await?;
        let this = Arc::new(self);
        this.clone().serve(ready, stop).await;
        this.drain().await;
        sender.await.context("the event sender")
    }

    /// Messages that an earlier process left behind are finished and uploaded.
    async fn recover(&self) -> anyhow::Result<()> {
        let shelf = self.desk.shelf.clone();
        let waiting = tokio::task::spawn_blocking(move || shelf.recover()).await??;
        if !waiting.is_empty() {
            tracing::info!(messages = waiting.len(), "messages of an earlier run wait for the object store");
        }
        waiting.into_iter().for_each(|message| self.desk.uploads.add(message));
        Ok(())
    }

    async fn serve(self: Arc<Self>, ready: impl FnOnce() + Send + 'static, stop: CancellationToken) {
        let worker = AgentWorker::new(self.agent());
        let mut state = worker.state();
        tokio::spawn(async move {
            let registered = state.wait_for(|state| matches!(state, WorkerState::Registered { .. }));
            if timeout(REGISTERED, registered).await.is_err() {
                tracing::warn!("livekit-server is not there yet; jobs come once it is");
            }
            ready();
        });
        let for_jobs = stop.clone();
        let handler = move |offer: JobOffer| {
            let (this, stop) = (self.clone(), for_jobs.clone());
            self.jobs.track_future(async move { this.consider(offer, stop).await })
        };
        worker.run(handler, stop).await;
    }

    fn agent(&self) -> WorkerConfig {
        let LiveKit { url, api_key, api_secret } = &self.config.livekit;
        WorkerConfig {
            url: url.clone(),
            tokens: Tokens::new(api_key, api_secret.expose()),
            agent_name: VOICE_AGENT.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            max_jobs: self.config.max_jobs,
        }
    }

    /// Takes the job if we understand it.
    async fn consider(&self, offer: JobOffer, stop: CancellationToken) {
        let metadata = match serde_json::from_str::<JobMetadata>(&offer.metadata) {
            Ok(metadata) if !matches!(metadata.task, JobTask::Bot { .. }) => metadata,
            Ok(_) => return offer.refuse(),
            Err(error) => {
                tracing::warn!(%error, job.id = offer.job_id, room = offer.room, "a job that is not understood is refused");
                return offer.refuse();
            }
        };
        let identity = format!("{VOICE_AGENT}-{}", offer.job_id);
        let ours = Participant { identity, name: "Voice".to_owned(), ..Participant::default() };
        match offer.accept(ours).await {
            Ok(job) => self.work(job, &metadata, stop).await,
            Err(error) => tracing::warn!(%error, call.id = %metadata.call_id, "a job was not assigned"),
        }
    }

    async fn work(&self, job: Job, metadata: &JobMetadata, stop: CancellationToken) {
        let task = task_name(&metadata.task);
        let (call, correlation) = (metadata.call_id, &metadata.correlation_id);
        tracing::info!(call.id = %call, correlation_id = %correlation, task, room = job.assignment.room, "a voice job begins");
        match self.join_and_work(&job, metadata, stop).await {
            Ok(()) => {
                tracing::info!(call.id = %call, correlation_id = %correlation, task, "a voice job is done");
                job.succeeded();
            }
            Err(error) => {
                let error = format!("{error:#}");
                tracing::error!(error, call.id = %call, correlation_id = %correlation, task, "a voice job failed");
                job.failed(&error);
            }
        }
    }

    async fn join_and_work(&self, job: &Job, metadata: &JobMetadata, stop: CancellationToken) -> anyhow::Result<()> {
        let room_codec = match self.config.room_codec {
            RoomCodec::Auto => livekit::RoomCodec::Auto,
            RoomCodec::Opus => livekit::RoomCodec::Opus,
        };
        match LiveKitRoom::join(&job.assignment, room_codec, &self.certificate).await {
            Ok(mut room) => Ok(self.desk.work(metadata, &mut room, stop).await?),
            Err(error) => {
                self.desk.failed(metadata, &error);
                Err(error.into())
            }
        }
    }

    /// The jobs were told to stop and only have their files to finish.
    async fn drain(&self) {
        self.jobs.close();
        if timeout(JOBS_END, self.jobs.wait()).await.is_err() {
            tracing::warn!(
                jobs = self.jobs.len(),
                "jobs did not end in time; their messages are recovered at the next start"
            );
        }
        if timeout(UPLOADS_END, self.desk.uploads.wait()).await.is_err() {
            tracing::info!("messages that are not stored yet are uploaded at the next start");
        }
        self.last.cancel();
    }
}

const REGISTERED: Duration = Duration::from_secs(15);
const SPEECH_LIMIT: Duration = Duration::from_secs(5);
const JOBS_END: Duration = Duration::from_secs(5);
const UPLOADS_END: Duration = Duration::from_secs(2);
