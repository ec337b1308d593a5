//! What the API shows of the appliance's other daemons, and what it tells the firewall.

use crate::bed::Bed;
use axum::{
    Json, Router,
    http::StatusCode,
    routing::{get, put},
};
use control_api::firewall;
use serde_json::{Value, json};
use std::time::Duration;
use store::trunks::{SyncResult, SyncStatus, Trunk};
use tokio::sync::mpsc;

/// Answers every question the same way.
fn says(path: &str, body: Value) -> Router {
    Router::new().route(path, get(move || std::future::ready(Json(body.clone()))))
}

#[tokio::test]
async fn network_info_shows_what_the_daemon_found_out() {
    let bed = Bed::with_config(json!({ "network_info_socket": "network-info.sock" })).await;
    let found = json!({
        "egress_ip": "203.0.113.7", "egress_ip6": null, "source": "stun", "checked_at": "2026-11-21T10:00:00Z",
        "local_addresses": ["192.168.1.5"], "networks": ["192.168.1.0/24"], "nat": "address_dependent", "problem": null,
    });
    bed.neighbour("network-info.sock", says("/v1/network-info", found));
    insta::assert_json_snapshot!(bed.get("/v1/network-info").await.snapshot());
}

#[tokio::test]
async fn network_info_says_so_when_its_daemon_does_not_answer() {
    let bed = Bed::with_config(json!({ "network_info_socket": "network-info.sock" })).await;
    let info = bed.get("/v1/network-info").await.body;
    assert_eq!((&info["source"], &info["nat"], &info["egress_ip"]), (&json!("none"), &json!("unknown"), &Value::Null));
    assert!(info["problem"].as_str().unwrap().starts_with("network-info does not answer"), "{info}");
}

#[tokio::test]
async fn updates_are_the_operators_to_see() {
    let bed = Bed::with_config(json!({ "fleet_socket": "fleet.sock" })).await;
    let path = "/v1/update";
    assert_eq!(bed.get(path).await.status, StatusCode::FORBIDDEN);
    let key = bed.operator_key().await;
    assert_eq!(bed.with(&key, axum::http::Method::GET, path, Value::Null).await.code(), "no_updates");
    bed.neighbour("fleet.sock", says(path, json!({ "current": "7", "state": "idle" })));
    let shown = bed.with(&key, axum::http::Method::GET, path, Value::Null).await;
    assert_eq!((shown.status, &shown.body["current"]), (StatusCode::OK, &json!("7")));
}

/// What the firewall is told, one list after the other.
fn listening(bed: &Bed) -> mpsc::UnboundedReceiver<Value> {
    let (told, peers) = mpsc::unbounded_channel();
    let take = move |Json(body): Json<Value>| {
        told.send(body).unwrap();
        std::future::ready(Json(json!({ "generation": 1 })))
    };
    bed.neighbour("firewall.sock", Router::new().route("/v1/peers", put(take)));
    peers
}

async fn next(peers: &mut mpsc::UnboundedReceiver<Value>) -> Value {
    tokio::time::timeout(Duration::from_secs(10), peers.recv()).await.expect("the firewall is told").unwrap()
}

/// As the trunk sync would, once the server's name is known.
async fn resolved(bed: &Bed, address: &str) {
    let result = SyncResult {
        status: SyncStatus::Synced,
        error: None,
        hint: None,
        attempts: 0,
        next_sync_at: None,
        sip_trunk_id: None,
        lk_inbound_trunk_id: None,
        lk_dispatch_rule_id: None,
        resolved_addresses: vec![address.to_owned()],
        registration: None,
    };
    let write = move |tx: &store::Transaction<'_>| {
        for Trunk { id, revision, .. } in store::trunks::all(tx)? {
            store::trunks::mark_synced(tx, id, revision, &result)?;
        }
        Ok::<_, store::StoreError>(())
    };
    bed.app.db.write(write).await.unwrap();
    bed.app.peers_changed.notify_one();
}

#[tokio::test]
async fn the_firewall_is_told_carriers_and_phones_on_every_change() {
    let bed = Bed::with_config(json!({ "firewall_socket": "firewall.sock" })).await;
    let mut peers = listening(&bed);
    let telling = tokio::spawn(firewall::run(bed.app.clone()));
    assert_eq!(next(&mut peers).await, json!({ "trunks": [], "phones": [] }));

    let trunk = json!({
        "name": "Carrier", "sip_server_address": "sip.example.org", "auth_mode": "ip",
        "allowed_addresses": ["192.0.2.0/24", "198.51.100.9", "127.0.0.0/8"],
    });
    let trunk = bed.make("/v1/trunks", trunk).await;
    resolved(&bed, "203.0.113.5").await;
    assert_eq!(next(&mut peers).await["trunks"], json!(["192.0.2.0/24", "198.51.100.9/32", "203.0.113.5/32"]));

    let phone = json!({ "number": "20", "name": "Desk", "type": "sip_endpoint", "target": "sip:20@192.168.1.20:5061" });
    bed.make("/v1/extensions", phone).await;
    assert_eq!(next(&mut peers).await["phones"], json!(["192.168.1.20/32"]));

    bed.patch(&format!("/v1/trunks/{trunk}"), json!({ "enabled": false })).await;
    bed.app.peers_changed.notify_one();
    assert_eq!(next(&mut peers).await["trunks"], json!([]));
    bed.app.stop.cancel();
    telling.await.unwrap();
}
