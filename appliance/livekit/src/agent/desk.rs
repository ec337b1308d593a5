//! Which jobs do we have, and could we take another?

use super::job::JobAssignment;
use livekit_protocol::{self as proto, WorkerStatus, worker_message::Message};
use parking_lot::Mutex;
use std::{collections::HashSet, sync::Arc};

/// livekit-server passes over a worker whose load is 0.7 (its `agents.target_load`) or more, full or
/// not: the load we report stays below that, and `WS_FULL` alone says that we are full.
const HEAVIEST_LOAD: f32 = 0.65;

/// A worker's jobs. Clones share them: they outlive the connection that brought them.
#[derive(Clone)]
pub struct Desk {
    max_jobs: usize,
    /// Offered or running.
    jobs: Arc<Mutex<HashSet<String>>>,
}

/// A job's place at the desk; dropping it makes room for another.
pub struct Place {
    desk: Desk,
    job_id: String,
}

impl Desk {
    pub fn new(max_jobs: usize) -> Self {
        Self { max_jobs, jobs: Arc::default() }
    }

    /// A place for an offer, if there is one.
    pub fn take(&self, job_id: &str) -> Option<Place> {
        let mut jobs = self.jobs.lock();
        let taken = jobs.len() < self.max_jobs && jobs.insert(job_id.to_owned());
        taken.then(|| Place { desk: self.clone(), job_id: job_id.to_owned() })
    }

    /// How loaded we are, as livekit-server wants it.
    pub fn status(&self) -> Message {
        let count = self.jobs.lock().len();
        let full = count >= self.max_jobs;
        let status = if full { WorkerStatus::WsFull } else { WorkerStatus::WsAvailable };
        Message::UpdateWorker(proto::UpdateWorkerStatus {
            status: Some(status.into()),
            load: HEAVIEST_LOAD * count as f32 / self.max_jobs.max(1) as f32,
            job_count: count as u32,
            ..Default::default()
        })
    }
}

impl Place {
    pub fn job_id(&self) -> &str {
        &self.job_id
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.desk.jobs.lock().remove(&self.job_id);
    }
}

/// An assignment in our words; without a URL it means the server that we are registered with.
pub fn assignment(from: proto::JobAssignment, our_url: &str, identity: &str) -> JobAssignment {
    let job = from.job.unwrap_or_default();
    JobAssignment {
        job_id: job.id,
        dispatch_id: job.dispatch_id,
        room: job.room.unwrap_or_default().name,
        metadata: job.metadata,
        url: from.url.filter(|url| !url.is_empty()).unwrap_or_else(|| our_url.to_owned()),
        token: from.token,
        participant_identity: identity.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(desk: &Desk) -> (Option<i32>, f32, u32) {
        match desk.status() {
            Message::UpdateWorker(update) => (update.status, update.load, update.job_count),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_worker_takes_jobs_until_it_is_full() {
        let desk = Desk::new(2);
        let (first, second) = (desk.take("AJ_1"), desk.take("AJ_2"));
        assert!(first.is_some() && second.is_some());
        assert!(desk.take("AJ_3").is_none());
        drop(first);
        assert!(desk.take("AJ_3").is_some());
    }

    #[test]
    fn the_same_job_is_not_taken_twice() {
        let desk = Desk::new(9);
        let first = desk.take("AJ_1");
        assert!(first.is_some() && desk.take("AJ_1").is_none());
    }

    #[test]
    fn the_load_stays_below_what_livekit_passes_over() {
        let desk = Desk::new(2);
        assert_eq!(load(&desk), (Some(WorkerStatus::WsAvailable.into()), 0.0, 0));
        let _jobs = (desk.take("AJ_1"), desk.take("AJ_2"));
        assert_eq!(load(&desk), (Some(WorkerStatus::WsFull.into()), 0.65, 2));
    }

    #[test]
    fn an_assignment_without_a_url_is_for_the_server_that_gave_it() {
        let job = proto::Job { id: "AJ_1".into(), metadata: "{}".into(), ..Default::default() };
        let given = proto::JobAssignment { job: Some(job), url: None, token: "t".into() };
        let ours = assignment(given, "ws://127.0.0.1:7880", "agent-1");
        assert_eq!((ours.url.as_str(), ours.participant_identity.as_str()), ("ws://127.0.0.1:7880", "agent-1"));
    }
}
