//! A box whose neighbours are not there: reads work, calls say why not.

use crate::bed::Bed;
use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use control_api::{ready, trunks};
use serde_json::json;

#[tokio::test]
async fn health_and_readiness_answer_anybody() {
    let bed = Bed::new().await;
    let ask = |path: &str| bed.send(Request::get(path).body(Body::empty()).unwrap());
    assert_eq!(ask("/v1/health").await.status, StatusCode::OK);
    let ready = ask("/v1/ready").await;
    assert_eq!((ready.status, &ready.body["ready"]), (StatusCode::SERVICE_UNAVAILABLE, &json!(false)));
}

#[tokio::test]
async fn without_livekit_calls_are_refused_with_the_cause_and_reads_work() {
    let bed = Bed::new().await;
    let mut news = bed.app.readiness.subscribe();
    let watching = tokio::spawn(ready::watch(bed.app.clone()));
    news.changed().await.unwrap();
    let cause = bed.get("/v1/ready").await.body["cause"].as_str().unwrap().to_owned();
    assert!(cause.starts_with("livekit-server does not answer"), "{cause}");
    let refused = bed.post("/v1/calls", json!({ "from_extension_id": "x", "to": "y" })).await;
    assert_eq!((refused.status, refused.code()), (StatusCode::SERVICE_UNAVAILABLE, "scaidial_not_initialized"));
    assert_eq!(refused.body["detail"], "scaidial not initialized");
    assert!(refused.headers.contains_key("retry-after"));
    assert_eq!(bed.get("/v1/trunks").await.status, StatusCode::OK);
    bed.app.stop.cancel();
    watching.await.unwrap();
}

#[tokio::test]
async fn a_trunk_that_cannot_be_synced_says_why_and_when_it_is_tried_again() {
    let bed = Bed::new().await;
    let id = bed.trunk("Carrier").await;
    let mut events = bed.app.db.latest_event();
    let syncing = tokio::spawn(trunks::sync::run(bed.app.clone()));
    events.wait_for(|newest| *newest >= 2).await.unwrap();
    let trunk = bed.get(&format!("/v1/trunks/{id}")).await.body;
    assert_eq!((&trunk["sync_status"], &trunk["sync_attempts"]), (&json!("error"), &json!(1)));
    assert!(trunk["sync_last_error"].as_str().unwrap().contains("could not reach livekit-server"), "{trunk}");
    assert!(trunk["sync_hint"].is_string() && trunk["next_sync_at"].is_string() && trunk["sip_trunk_id"].is_null());
    bed.app.stop.cancel();
    syncing.await.unwrap();
}

#[tokio::test]
async fn network_info_tells_ports_and_capacity() {
    let bed = Bed::new().await;
    let mut info = bed.get("/v1/network-info").await;
    info.body["local_addresses"] = json!("<addresses>");
    insta::assert_json_snapshot!(info.snapshot());
}

#[tokio::test]
async fn a_second_start_changes_nothing() {
    let bed = Bed::new().await;
    control_api::first_start::claim(&bed.app).await.unwrap();
    assert_eq!(bed.get("/v1/users").await.body["items"].as_array().unwrap().len(), 1);
    assert!(bed.folder.path().join("scaibox.sqlite").exists());
}
