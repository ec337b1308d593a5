//! What a call's trace shows of the gateway's words, and what is said when there is none.

use crate::bed::{Bed, ended_call};
use axum::{
    Json, Router,
    http::{Method, StatusCode},
    routing::get,
};
use serde_json::{Value, json};
use store::{
    StoreError, Transaction,
    legs::{Leg, LegKind, LegState},
};
use types::CallId;

/// The path of a call's trace; its legs are SIP where LiveKit has a name for them, else a bot's.
async fn path_of(bed: &Bed, legs: &'static [Option<&'static str>]) -> String {
    let tenant = bed.get("/v1/tenants").await.body["items"][0]["id"].as_str().unwrap().parse().unwrap();
    let call = ended_call(tenant);
    let path = format!("/v1/calls/{}/trace", call.id);
    let put = move |tx: &Transaction<'_>| -> Result<(), StoreError> {
        let leg = |(party, lk_call_id): (usize, &Option<&str>)| Leg {
            lk_call_id: lk_call_id.map(str::to_owned),
            ..Leg::new(call.id, tenant, party as u16, kind_of(*lk_call_id), LegState::Ended, call.started_at)
        };
        let legs: Vec<Leg> = legs.iter().enumerate().map(leg).collect();
        store::calls::put(tx, &call, &legs)
    };
    bed.app.db.write(put).await.unwrap();
    path
}

fn kind_of(lk_call_id: Option<&str>) -> LegKind {
    if lk_call_id.is_some() { LegKind::Sip } else { LegKind::Bot }
}

fn leg_trace() -> Value {
    json!({
        "messages": [{
            "at": "2026-03-02T10:00:01Z", "way": "received", "transport": "tcp", "from": "192.0.2.1:5060", "to": "192.0.2.2:5060",
            "size": 26, "text": "BYE sip:a SIP/2.0\r\nTo: b\r\n",
        }],
        "left_out": 3,
        "packets": [{
            "at": "2026-03-02T10:00:00Z", "way": "sent", "from": "192.0.2.2:10000", "to": "192.0.2.1:4000",
            "size": 172, "header": "80080001000000a0aabbccdd", "codec": "PCMA/8000",
        }],
        "figures": [{
            "at": "2026-03-02T10:00:01Z", "packets_received": 5, "packets_sent": 6, "lost": 0, "jitter_ms": 1.5,
            "mos": 4.4, "rtt_ms": null,
        }],
    })
}

/// A gateway that remembers only SCL_kept.
fn gateway() -> Router {
    let gone = || (StatusCode::NOT_FOUND, Json(json!({ "code": "trace_gone", "detail": "nothing is kept" })));
    Router::new()
        .route("/v1/legs/SCL_kept/trace", get(|| std::future::ready(Json(leg_trace()))))
        .route("/v1/legs/{id}/trace", get(move || std::future::ready(gone())))
}

#[tokio::test]
async fn a_trace_names_the_legs_of_which_something_is_kept() {
    let bed = Bed::new().await;
    bed.neighbour("gateway.sock", gateway());
    let path = path_of(&bed, &[Some("SCL_kept"), Some("SCL_gone"), None]).await;
    insta::assert_json_snapshot!(bed.get(&path).await.snapshot());
    let audit = &bed.get("/v1/audit?limit=1").await.body["items"][0];
    assert_eq!((&audit["action"], &audit["detail"]), (&json!("call.trace"), &json!({ "format": "json" })));
}

#[tokio::test]
async fn a_capture_is_a_file_of_its_own_kind() {
    let bed = Bed::new().await;
    bed.neighbour("gateway.sock", gateway());
    let path = path_of(&bed, &[Some("SCL_kept")]).await;
    let answer = bed.get(&format!("{path}.pcap")).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.headers["content-type"], "application/vnd.tcpdump.pcap");
    let name = answer.headers["content-disposition"].to_str().unwrap();
    assert!(name.starts_with("attachment; filename=\"call_") && name.ends_with(".pcap\""), "{name}");
}

#[tokio::test]
async fn a_call_without_a_trace_says_why() {
    let bed = Bed::new().await;
    bed.neighbour("gateway.sock", gateway());
    let (gone, bots) = (path_of(&bed, &[Some("SCL_gone")]).await, path_of(&bed, &[None]).await);
    for suffix in ["", ".pcap"] {
        for (path, code) in [(&gone, "trace_gone"), (&bots, "no_sip_leg")] {
            let answer = bed.get(&format!("{path}{suffix}")).await;
            assert_eq!((answer.status, answer.code()), (StatusCode::NOT_FOUND, code));
            assert!(answer.body["hint"].is_string());
        }
    }
    let unknown = bed.get(&format!("/v1/calls/{}/trace", CallId::new())).await;
    assert_eq!((unknown.status, unknown.code()), (StatusCode::NOT_FOUND, "not_found"));
}

#[tokio::test]
async fn without_the_gateway_a_trace_is_to_be_asked_for_again() {
    let bed = Bed::new().await;
    let answer = bed.get(&path_of(&bed, &[Some("SCL_kept")]).await).await;
    assert_eq!((answer.status, answer.code()), (StatusCode::SERVICE_UNAVAILABLE, "not_ready"));
    assert_eq!(answer.headers["retry-after"], "5");
}

#[tokio::test]
async fn only_admins_of_the_tenant_see_what_was_said() {
    let bed = Bed::new().await;
    bed.neighbour("gateway.sock", gateway());
    let path = path_of(&bed, &[Some("SCL_kept")]).await;
    let viewer = bed.key("viewer", json!({})).await;
    for (key, status) in [(viewer, StatusCode::FORBIDDEN), (bed.other_tenant().await, StatusCode::NOT_FOUND)] {
        for suffix in ["", ".pcap"] {
            assert_eq!(bed.with(&key, Method::GET, &format!("{path}{suffix}"), Value::Null).await.status, status);
        }
    }
}
