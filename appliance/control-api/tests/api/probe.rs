//! What of a probe is checked, passed on and kept. The gateway is one that always saw the same.

use crate::bed::{Bed, KEY};
use axum::{
    Json, Router,
    body::Body,
    http::{Method, Request, StatusCode, header},
    response::IntoResponse,
    routing::post,
};
use serde_json::{Value, json};
use tokio::sync::mpsc;

const NUMBER: &str = "+31201234567";

fn report(request: &Value) -> Value {
    let call = json!({
        "sip_call_id": "c", "caller": "box", "number": request["number"], "started_at": "2026-11-25T10:00:00Z",
        "answered_at": "2026-11-25T10:00:01Z", "ended_at": "2026-11-25T10:00:11Z", "sip_code": null,
    });
    let step = json!({
        "name": "refer", "outcome": "warning", "sent": "", "saw": "Allow: INVITE", "defects": ["no_refer"],
        "hint": "words", "took_ms": 1,
    });
    let call = if request["number"].is_null() { Value::Null } else { call };
    json!({ "outcome": "warning", "defects": ["no_refer"], "steps": [step], "call": call, "took_ms": 5 })
}

/// A box whose gateway says what it was asked.
async fn bed() -> (Bed, mpsc::UnboundedReceiver<Value>) {
    let bed = Bed::new().await;
    let (told, asked) = mpsc::unbounded_channel();
    let answer = move |Json(body): Json<Value>| {
        let report = report(&body);
        told.send(body).unwrap();
        std::future::ready(Json(report))
    };
    bed.neighbour("gateway.sock", Router::new().route("/v1/probe", post(answer)));
    (bed, asked)
}

fn trunk() -> Value {
    json!({
        "name": "A", "sip_server_address": "sip.example.com", "sip_auth_username": "box", "sip_auth_password": "hunter2",
    })
}

#[tokio::test]
async fn a_probe_of_a_body_stores_no_trunk_and_shows_no_password() {
    let (bed, mut asked) = bed().await;
    let answer = bed.post("/v1/trunks/probe", trunk()).await;
    assert_eq!((answer.status, &answer.body["defects"]), (StatusCode::OK, &json!(["no_refer"])), "{}", answer.body);
    let request = asked.recv().await.unwrap();
    assert_eq!((&request["server"], &request["password"]), (&json!("sip.example.com"), &json!("hunter2")));
    assert_eq!((&request["register"], &request["number"]), (&json!(true), &Value::Null));
    assert_eq!(bed.get("/v1/trunks").await.body["items"], json!([]));
    assert_eq!(bed.get("/v1/calls").await.body["items"], json!([]), "nobody was called");
    let audit = bed.get("/v1/audit?limit=1").await.body;
    assert_eq!(audit["items"][0]["action"], "trunk.probe");
    assert!(!audit.to_string().contains("hunter2"));
}

#[tokio::test]
async fn every_wrong_field_is_named_and_the_gateway_is_not_asked() {
    let (bed, mut asked) = bed().await;
    let wrong = json!({ "name": "A", "sip_server_address": "sip:x", "auth_mode": "ip", "number": "1234", "x": 1 });
    let answer = bed.post("/v1/trunks/probe", wrong).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    insta::assert_json_snapshot!(answer.wrong());
    let id = bed.trunk("A").await;
    let path = format!("/v1/trunks/{id}/probe");
    assert_eq!(bed.post(&path, json!({ "number": "1234" })).await.wrong(), ["number invalid_number"]);
    assert_eq!(bed.post(&path, json!({ "name": "B" })).await.wrong(), ["name unknown_field"]);
    bed.patch(&format!("/v1/trunks/{id}"), json!({ "enabled": false })).await;
    assert_eq!(bed.post(&path, json!({ "number": NUMBER })).await.wrong(), ["number trunk_disabled"]);
    assert!(asked.try_recv().is_err());
}

#[tokio::test]
async fn only_who_manages_telephony_probes_and_only_trunks_of_their_own() {
    let (bed, mut asked) = bed().await;
    let path = format!("/v1/trunks/{}/probe", bed.trunk("A").await);
    let viewer = bed.key("viewer", json!({})).await;
    for (key, status) in [(viewer, StatusCode::FORBIDDEN), (bed.other_tenant().await, StatusCode::NOT_FOUND)] {
        assert_eq!(bed.with(&key, Method::POST, &path, json!({})).await.status, status);
    }
    assert!(asked.try_recv().is_err());
}

#[tokio::test]
async fn a_stored_trunk_keeps_its_card_until_it_is_probed_again_or_gone() {
    let (bed, mut asked) = bed().await;
    let id = bed.trunk("A").await;
    let path = format!("/v1/trunks/{id}/probe");
    let never = bed.get(&path).await;
    assert_eq!((never.status, never.code()), (StatusCode::NOT_FOUND, "never_probed"));
    let card = bed.with(KEY, Method::POST, &path, Value::Null).await;
    assert_eq!((card.status, &card.body["outdated"]), (StatusCode::OK, &json!(false)), "{}", card.body);
    assert_eq!(asked.recv().await.unwrap()["number"], Value::Null);
    assert_eq!(bed.get(&path).await.body, card.body);
    bed.patch(&format!("/v1/trunks/{id}"), json!({ "priority": 1 })).await;
    assert_eq!(bed.get(&path).await.body["outdated"], true);
    assert_eq!(bed.delete(&format!("/v1/trunks/{id}")).await.status, StatusCode::NO_CONTENT);
    assert_eq!(bed.get(&path).await.code(), "not_found");
}

#[tokio::test]
async fn a_call_of_a_probe_is_made_once_for_its_key_and_is_on_record() {
    let (bed, mut asked) = bed().await;
    let path = format!("/v1/trunks/{}/probe", bed.trunk("A").await);
    for _ in 0..2 {
        let request = Request::post(&path).header(header::AUTHORIZATION, format!("Bearer {KEY}"));
        let request = request.header("idempotency-key", "one");
        let answer = bed.send(request.body(Body::from(json!({ "number": NUMBER }).to_string())).unwrap()).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    }
    assert_eq!(asked.recv().await.unwrap()["number"], NUMBER);
    assert!(asked.try_recv().is_err(), "asked once");
    let calls = bed.get("/v1/calls").await.body["items"].clone();
    let [call] = calls.as_array().unwrap().as_slice() else { panic!("{calls}") };
    assert_eq!((&call["callee"], &call["end_code"]), (&json!(NUMBER), &json!("trunk_probe")));
    assert_eq!((&call["state"], &call["end_reason"]), (&json!("ended"), &json!("completed")));
}

#[tokio::test]
async fn a_gateway_that_is_busy_is_told_in_its_own_words() {
    let bed = Bed::new().await;
    assert_eq!(bed.post("/v1/trunks/probe", trunk()).await.code(), "not_ready", "nobody is there");
    let busy = || async {
        let words = json!({ "code": "probe_busy", "detail": "other carriers are being tried out" });
        (StatusCode::SERVICE_UNAVAILABLE, Json(words)).into_response()
    };
    bed.neighbour("gateway.sock", Router::new().route("/v1/probe", post(busy)));
    let answer = bed.post("/v1/trunks/probe", trunk()).await;
    assert_eq!((answer.status, answer.code()), (StatusCode::SERVICE_UNAVAILABLE, "probe_busy"));
}
