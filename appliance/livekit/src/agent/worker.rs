//! The worker: registered as long as it can be.

use super::{
    connection::{Connection, ConnectionError},
    desk::Desk,
    job::JobOffer,
};
use crate::api::Tokens;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

const FIRST_RETRY: Duration = Duration::from_millis(250);
const LAST_RETRY: Duration = Duration::from_secs(5);

/// Where to register, and as what.
#[derive(Clone, Debug)]
pub struct WorkerConfig {
    /// `ws://host:port`.
    pub url: String,
    pub tokens: Tokens,
    /// Jobs are dispatched to this name.
    pub agent_name: String,
    /// Ours, for livekit-server's log.
    pub version: String,
    /// More at once are refused.
    pub max_jobs: usize,
}

/// Whether jobs can reach us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WorkerState {
    Connecting,
    Registered { worker_id: String },
}

/// A worker of livekit-server.
pub struct AgentWorker {
    config: WorkerConfig,
    state: watch::Sender<WorkerState>,
}

impl AgentWorker {
    pub fn new(config: WorkerConfig) -> Self {
        Self { config, state: watch::Sender::new(WorkerState::Connecting) }
    }

    pub fn state(&self) -> watch::Receiver<WorkerState> {
        self.state.subscribe()
    }

    /// Registers and serves until `cancel`. `handler` runs once per offer, as a task of its own that
    /// outlives the connection; let it end with [`Job::succeeded`](super::Job::succeeded) or
    /// [`Job::failed`](super::Job::failed).
    pub async fn run<F, Fut>(self, handler: F, cancel: CancellationToken)
    where
        F: Fn(JobOffer) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        cancel.run_until_cancelled(self.register_forever(&handler)).await;
    }

    async fn register_forever<F, Fut>(&self, handler: &F)
    where
        F: Fn(JobOffer) -> Fut,
        Fut: Future<Output = ()> + Send + 'static,
    {
        // Both outlive a connection: jobs run on, and end, while there is none.
        let desk = Desk::new(self.config.max_jobs);
        let (reports, mut reported) = mpsc::unbounded_channel();
        let mut retry = FIRST_RETRY;
        loop {
            let error = match Connection::open(&self.config, desk.clone(), reports.clone()).await {
                Ok(connection) => {
                    retry = FIRST_RETRY;
                    self.registered(&connection);
                    connection.serve(handler, &mut reported).await
                }
                Err(error) => error,
            };
            self.lost(&error);
            tokio::time::sleep(retry).await;
            retry = (retry * 2).min(LAST_RETRY);
        }
    }

    fn registered(&self, connection: &Connection) {
        let worker_id = connection.worker_id().to_owned();
        tracing::info!(agent.name = self.config.agent_name, worker.id = worker_id, "registered with livekit-server");
        self.state.send_replace(WorkerState::Registered { worker_id });
    }

    /// Says once that we are gone, not at every try.
    fn lost(&self, error: &ConnectionError) {
        match self.state.send_replace(WorkerState::Connecting) {
            WorkerState::Registered { .. } => tracing::warn!(%error, "lost livekit-server, registering again"),
            WorkerState::Connecting => tracing::debug!(%error, "could not register with livekit-server"),
        }
    }
}
