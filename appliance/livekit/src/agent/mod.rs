//! How does a worker get jobs from livekit-server?
//!
//! It registers over a WebSocket under a name, is asked before each job whether it is free, and gets
//! the room and a token when it says yes (livekit-server `pkg/agent/worker.go`). [`AgentWorker`] does
//! that and comes back whenever the connection is lost; running jobs do not depend on it.
//!
//! Which answer follows which message, and how loaded we are: `desk`, without I/O. The socket:
//! `connection`. What a job's code holds: [`JobOffer`] and [`Job`].

mod connection;
mod desk;
mod job;
mod worker;

pub use job::{AgentError, Job, JobAssignment, JobOffer, Participant};
pub use worker::{AgentWorker, WorkerConfig, WorkerState};
