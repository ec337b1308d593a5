//! The agent worker against a real livekit-server.

mod support;

use livekit::{
    agent::{AgentWorker, Job, JobOffer, Participant, WorkerConfig, WorkerState},
    api::Api,
    protocol::JobStatus,
};
use std::time::Duration;
use support::{LiveKit, eventually, seat::Seat, soon, tokens};
use tokio::{
    sync::{mpsc, watch},
    time::timeout,
};
use tokio_util::sync::{CancellationToken, DropGuard};

/// A running worker that hands its offers to the test.
struct Worker {
    offers: mpsc::UnboundedReceiver<JobOffer>,
    state: watch::Receiver<WorkerState>,
    _stop: DropGuard,
}

impl Worker {
    async fn start(livekit: &LiveKit, max_jobs: usize) -> Self {
        let config = WorkerConfig {
            url: livekit.url(),
            tokens: tokens(),
            agent_name: "voice".into(),
            version: "1".into(),
            max_jobs,
        };
        let worker = AgentWorker::new(config);
        let (offered, offers) = mpsc::unbounded_channel();
        let (state, stop) = (worker.state(), CancellationToken::new());
        let handler = move |offer| {
            let _ = offered.send(offer);
            std::future::ready(())
        };
        tokio::spawn(worker.run(handler, stop.clone()));
        let mut worker = Self { offers, state, _stop: stop.drop_guard() };
        worker.is_registered().await;
        worker
    }

    async fn is_registered(&mut self) {
        let registered = self.state.wait_for(|state| matches!(state, WorkerState::Registered { .. }));
        soon("the registration", registered).await.unwrap();
    }

    async fn offer(&mut self) -> JobOffer {
        soon("the offer", self.offers.recv()).await.unwrap()
    }

    async fn job(&mut self) -> Job {
        soon("the assignment", self.offer().await.accept(us())).await.unwrap()
    }

    /// Dispatches until an offer comes: livekit-server asks its workers once, and may not know yet that
    /// one is there, or is free again.
    async fn dispatched(&mut self, api: &Api, room: &str) -> JobOffer {
        let offers = tokio::sync::Mutex::new(&mut self.offers);
        eventually("the offer", || async {
            api.create_dispatch(room, "voice", "").await.ok()?;
            timeout(Duration::from_secs(1), offers.lock().await.recv()).await.ok()?
        })
        .await
    }
}

fn us() -> Participant {
    Participant { identity: "agent-1".into(), name: "Voice".into(), ..Participant::default() }
}

/// Whether a worker took the job.
async fn is_running(api: &Api, room: &str, dispatch_id: &str) -> Option<()> {
    let dispatch = api.find_dispatch(room, dispatch_id).await.unwrap()?;
    let job = dispatch.state?.jobs.pop()?;
    (job.state?.status() == JobStatus::JsRunning).then_some(())
}

#[tokio::test]
async fn a_dispatched_job_comes_with_its_room_its_metadata_and_a_token_that_works() {
    let Some(livekit) = LiveKit::start() else { return };
    let mut worker = Worker::start(&livekit, 4).await;
    let api = livekit.api();
    worker.dispatched(&api, "warm-up").await.refuse();
    let dispatch = api.create_dispatch("call-1", "voice", r#"{"task":"voicemail"}"#).await.unwrap();

    let offer = worker.offer().await;
    assert_eq!((offer.room.as_str(), offer.metadata.as_str()), ("call-1", r#"{"task":"voicemail"}"#));
    let job = soon("the assignment", offer.accept(us())).await.unwrap();
    assert_eq!((job.assignment.room.as_str(), job.assignment.dispatch_id.as_str()), ("call-1", dispatch.id.as_str()));
    assert_eq!(
        (job.assignment.url.as_str(), job.assignment.participant_identity.as_str()),
        (livekit.url().as_str(), "agent-1")
    );
    eventually("the job", || is_running(&api, "call-1", &dispatch.id)).await;

    let seat = soon("the join", Seat::take(&job.assignment.url, &job.assignment.token)).await;
    let participant = seat.join.participant.unwrap();
    assert_eq!((participant.identity.as_str(), participant.name.as_str()), ("agent-1", "Voice"));
    job.succeeded();
}

#[tokio::test]
async fn a_full_worker_gets_the_next_job_when_one_has_ended() {
    let Some(livekit) = LiveKit::start() else { return };
    let mut worker = Worker::start(&livekit, 1).await;
    let api = livekit.api();
    let offer = worker.dispatched(&api, "call-1").await;
    let first = soon("the assignment", offer.accept(us())).await.unwrap();
    let waiting = api.create_dispatch("call-2", "voice", "").await.unwrap();
    assert_eq!(is_running(&api, "call-2", &waiting.id).await, None);

    first.failed("no reason");
    let offer = worker.dispatched(&api, "call-3").await;
    assert_eq!(offer.room, "call-3");
}

#[tokio::test]
async fn a_refused_job_goes_to_the_next_worker() {
    let Some(livekit) = LiveKit::start() else { return };
    let (mut one, mut two) = (Worker::start(&livekit, 4).await, Worker::start(&livekit, 4).await);
    let (first, other) = loop {
        // Both are registered, but livekit-server may need another moment to offer them anything.
        livekit.api().create_dispatch("call-1", "voice", "").await.unwrap();
        tokio::select! {
            offer = one.offers.recv() => break (offer.unwrap(), &mut two),
            offer = two.offers.recv() => break (offer.unwrap(), &mut one),
            () = tokio::time::sleep(Duration::from_secs(1)) => (),
        }
    };
    first.refuse();
    assert_eq!(other.job().await.assignment.room, "call-1");
}

#[tokio::test]
async fn a_deleted_dispatch_terminates_its_job() {
    let Some(livekit) = LiveKit::start() else { return };
    let mut worker = Worker::start(&livekit, 4).await;
    let api = livekit.api();
    let offer = worker.dispatched(&api, "call-1").await;
    let dispatch = offer.dispatch_id.clone();
    let job = soon("the assignment", offer.accept(us())).await.unwrap();
    eventually("the job", || is_running(&api, "call-1", &dispatch)).await;
    api.delete_dispatch("call-1", &dispatch).await.unwrap();
    soon("the termination", job.terminated()).await;
    api.delete_dispatch("call-1", &dispatch).await.unwrap();
}

#[tokio::test]
async fn without_a_worker_a_dispatch_gets_no_job() {
    let Some(livekit) = LiveKit::start() else { return };
    let api = livekit.api();
    let dispatch = api.create_dispatch("call-1", "voice", "").await.unwrap();
    assert_eq!(api.find_dispatch("call-1", &dispatch.id).await.unwrap().unwrap().agent_name, "voice");
    assert_eq!(is_running(&api, "call-1", &dispatch.id).await, None);
    assert_eq!(api.find_dispatch("call-1", "AD_none").await.unwrap(), None);
    assert!(api.list_dispatches("call-2").await.unwrap().is_empty());
    api.delete_dispatch("call-2", &dispatch.id).await.unwrap();
}

#[tokio::test]
async fn a_worker_comes_back_after_livekit_server_was_away() {
    let Some(mut livekit) = LiveKit::start() else { return };
    let mut worker = Worker::start(&livekit, 4).await;
    livekit.kill();
    soon("the loss", worker.state.wait_for(|state| *state == WorkerState::Connecting)).await.unwrap();
    livekit.launch();
    worker.is_registered().await;
    assert_eq!(worker.dispatched(&livekit.api(), "call-1").await.room, "call-1");
}
