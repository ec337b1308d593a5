//! Is a message told of and stored exactly once, whatever the object store does?

mod support;

use axum::{Router, http::StatusCode, routing::put};
use jiff::Timestamp;
use parking_lot::Mutex;
use speech::recording::OggOpusWriter;
use std::sync::Arc;
use std::time::{Duration, Instant};
use support::*;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use types::control::Event;
use types::{CallId, CorrelationId, TenantId, VoicemailId};
use voice_worker::job::Desk;
use voice_worker::script::EndedBy;
use voice_worker::shelf::Message;

/// Puts a finished message of one second on the desk's shelf.
fn message_on(desk: &Desk) -> Message {
    let voicemail_id = VoicemailId::new();
    let message = Message {
        correlation_id: CorrelationId::new(),
        voicemail_id,
        call_id: CallId::new(),
        tenant_id: TenantId::new(),
        extension_id: None,
        caller: "anonymous".to_owned(),
        received_at: Timestamp::now(),
        object_key: format!("ten/{voicemail_id}.ogg"),
        finished: None,
    };
    let mut writer = OggOpusWriter::create(&desk.shelf.sound(voicemail_id), 8_000).unwrap();
    writer.write(&tone(440.0, 1000)).unwrap();
    desk.shelf.finish(message, writer.finish().unwrap(), EndedBy::Hangup).unwrap().unwrap()
}

/// An S3 server as far as one PUT goes: remembers what was put.
async fn serve(listener: TcpListener) -> Arc<Mutex<Vec<(String, usize)>>> {
    let stored = Arc::new(Mutex::new(Vec::new()));
    let inside = stored.clone();
    let store = move |path: axum::extract::Path<String>, body: axum::body::Bytes| async move {
        inside.lock().push((path.0, body.len()));
        StatusCode::OK
    };
    let app = Router::new()
        .route("/{*key}", put(store).head(|| async { StatusCode::OK }))
        .fallback(|| async { StatusCode::OK });
    tokio::spawn(async move { axum::serve(listener, app).await });
    stored
}

fn told(dir: &tempfile::TempDir) -> Vec<bool> {
    let stored = |event| match event {
        Event::VoicemailRecorded { voicemail } => voicemail.stored,
        other => panic!("{other:?}"),
    };
    events(dir).into_iter().map(stored).collect()
}

async fn until(what: &str, mut done: impl FnMut() -> bool) {
    let limit = Instant::now() + Duration::from_secs(30);
    while !done() {
        assert!(Instant::now() < limit, "{what} never happened");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_stored_message_is_told_of_once_and_leaves_the_shelf() {
    let dir = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let stored = serve(listener).await;
    let desk = desk_with(&dir, &endpoint, CancellationToken::new());
    let message = message_on(&desk);

    desk.uploads.add(message.clone());
    desk.uploads.wait().await;
    let put = stored.lock().clone();
    assert_eq!(put, [(format!("recordings/{}", message.object_key), message.finished.unwrap().bytes as usize)]);
    assert_eq!(told(&dir), [true]);
    assert!(desk.shelf.recover().unwrap().is_empty());
    assert!(!desk.shelf.sound(message.voicemail_id).exists());
}

#[tokio::test]
async fn an_outage_is_told_of_and_outlived() {
    let dir = tempfile::tempdir().unwrap();
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let desk = desk_with(&dir, &format!("http://{address}"), CancellationToken::new());
    desk.uploads.add(message_on(&desk));
    until("the announcement", || told(&dir) == [false]).await;
    assert_eq!(desk.shelf.recover().unwrap().len(), 1);

    let stored = serve(TcpListener::bind(address).await.unwrap()).await;
    until("the upload", || told(&dir) == [false, true]).await;
    assert_eq!(stored.lock().len(), 1);
    desk.uploads.wait().await;
    assert!(desk.shelf.recover().unwrap().is_empty());
}

#[tokio::test]
async fn a_message_announced_before_a_restart_is_not_announced_again() {
    let dir = tempfile::tempdir().unwrap();
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let stop = CancellationToken::new();
    let before = desk_with(&dir, &format!("http://{address}"), stop.clone());
    before.uploads.add(message_on(&before));
    until("the announcement", || told(&dir) == [false]).await;
    stop.cancel();
    before.uploads.wait().await;

    let _stored = serve(TcpListener::bind(address).await.unwrap()).await;
    let after = desk_with(&dir, &format!("http://{address}"), CancellationToken::new());
    after.shelf.recover().unwrap().into_iter().for_each(|message| after.uploads.add(message));
    after.uploads.wait().await;
    assert_eq!(told(&dir), [false, true]);
}
