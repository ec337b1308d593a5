//! Two daemons on one Unix socket: requests, refusals, and events that survive an absent receiver.

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    routing::{get, post},
};
use daemon::{spool::Spool, unix_http};
use std::{path::Path, sync::Arc, time::Duration};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use types::control::{Event, EventBatch, EventsAccepted, Refusal};

type Seen = Arc<mpsc::UnboundedSender<EventBatch>>;

async fn take(State(seen): State<Seen>, Json(batch): Json<EventBatch>) -> Json<EventsAccepted> {
    let through = batch.events.last().map_or(0, |event| event.seq);
    seen.send(batch).unwrap();
    Json(EventsAccepted { through })
}

fn receiver(socket: &Path) -> mpsc::UnboundedReceiver<EventBatch> {
    let (seen, batches) = mpsc::unbounded_channel();
    let router = Router::new().route("/internal/v1/events", post(take)).with_state(Arc::new(seen));
    let listener = unix_http::bind(socket).unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    batches
}

fn rings(id: &str) -> Event {
    Event::OutboundRinging { lk_call_id: id.into() }
}

#[tokio::test]
async fn events_said_while_nobody_listens_arrive_in_order_when_somebody_does() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("control.sock");
    let spool = Spool::open(&folder.path().join("spool"), "sip-gateway").unwrap();
    let stop = CancellationToken::new();
    for id in ["a", "b", "c"] {
        spool.append(None, rings(id));
    }
    assert!(!spool.told(Duration::from_millis(1)).await);
    let running = tokio::spawn({
        let (spool, stop, client) = (spool.clone(), stop.clone(), unix_http::Client::new(&socket));
        async move { spool.run(client, stop).await }
    });
    let mut batches = receiver(&socket);
    let batch = batches.recv().await.unwrap();
    assert_eq!(batch.instance, spool.instance());
    assert_eq!(batch.events.iter().map(|event| event.seq).collect::<Vec<_>>(), [1, 2, 3]);
    spool.append(None, rings("d"));
    assert!(spool.told(Duration::from_secs(10)).await);
    assert_eq!(batches.try_recv().unwrap().events[0].seq, 4, "it was told before the wait was over");
    stop.cancel();
    running.await.unwrap();
}

#[tokio::test]
async fn what_a_killed_daemon_left_is_said_by_its_successor_first() {
    let folder = tempfile::tempdir().unwrap();
    let (socket, events) = (folder.path().join("control.sock"), folder.path().join("spool"));
    let killed = Spool::open(&events, "sip-gateway").unwrap();
    killed.append(None, rings("old"));
    let first = killed.instance().to_owned();
    drop(killed);
    let spool = Spool::open(&events, "sip-gateway").unwrap();
    spool.append(None, rings("new"));
    let mut batches = receiver(&socket);
    let stop = CancellationToken::new();
    let running = tokio::spawn({
        let (spool, stop) = (spool.clone(), stop.clone());
        async move { spool.run(unix_http::Client::new(&socket), stop).await }
    });
    assert_eq!(batches.recv().await.unwrap().instance, first);
    assert_eq!(batches.recv().await.unwrap().instance, spool.instance());
    stop.cancel();
    running.await.unwrap();
    assert!(!events.join(format!("{first}.jsonl")).exists());
}

#[tokio::test]
async fn a_refusal_comes_back_with_its_reason() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("gateway.sock");
    let refuse =
        || async { (StatusCode::NOT_FOUND, Json(Refusal { code: "leg_not_found".into(), detail: "no leg x".into() })) };
    let listener = unix_http::bind(&socket).unwrap();
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/v1/legs/x", get(refuse))).await });
    let error = unix_http::Client::new(&socket).get::<()>("/v1/legs/x").await.unwrap_err();
    let (status, refusal) = error.refusal::<Refusal>().unwrap();
    assert_eq!((status.as_u16(), refusal.code.as_str()), (404, "leg_not_found"));
}

#[tokio::test]
async fn a_socket_nobody_listens_on_is_named() {
    let error = unix_http::Client::new("/nowhere/x.sock").get::<()>("/").await.unwrap_err();
    assert_eq!(error.to_string(), "nobody listens on /nowhere/x.sock");
}

#[tokio::test]
async fn a_socket_is_for_its_owner_and_group_and_takes_the_place_of_a_dead_one() {
    use std::os::unix::fs::{FileTypeExt, PermissionsExt};
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("made/x.sock");
    drop(unix_http::bind(&socket).unwrap());
    let _listener = unix_http::bind(&socket).unwrap();
    let found = std::fs::metadata(&socket).unwrap();
    assert!(found.file_type().is_socket());
    assert_eq!(found.permissions().mode() & 0o777, 0o660);
}
