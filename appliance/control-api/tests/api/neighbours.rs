//! What the API shows of the appliance's other daemons, and what it tells the firewall.

use crate::bed::{Bed, KEY};
use axum::{
    Json, Router,
    extract::Path,
    http::{Method, StatusCode},
    routing::{delete, get, post, put},
};
use control_api::{bans, firewall};
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
    assert_eq!(bed.with(&key, Method::GET, path, Value::Null).await.code(), "no_updates");
    bed.neighbour("fleet.sock", says(path, json!({ "current": "7", "state": "idle" })));
    let shown = bed.with(&key, Method::GET, path, Value::Null).await;
    assert_eq!((shown.status, &shown.body["current"]), (StatusCode::OK, &json!("7")));
}

const SSH_KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ operator";

/// As root's part of the box answers.
fn root(told: mpsc::UnboundedSender<Value>) -> Router {
    let open = move |Json(body): Json<Value>| {
        told.send(body).unwrap();
        std::future::ready(Json(json!({ "until": "2026-11-25T12:00:00Z" })))
    };
    Router::new().route("/v1/ssh", put(open).delete(|| std::future::ready(StatusCode::NO_CONTENT)))
}

#[tokio::test]
async fn only_the_operator_opens_ssh_and_it_is_on_record() {
    let bed = Bed::with_config(json!({ "operator_socket": "operator.sock" })).await;
    let (told, mut asked) = mpsc::unbounded_channel();
    bed.neighbour("operator.sock", root(told));
    let request = json!({ "hours": 2, "key": SSH_KEY });
    assert_eq!(bed.with(KEY, Method::PUT, "/v1/ssh", request.clone()).await.status, StatusCode::FORBIDDEN);

    let key = bed.operator_key().await;
    let opened = bed.with(&key, Method::PUT, "/v1/ssh", request.clone()).await;
    assert_eq!((opened.status, &opened.body["until"]), (StatusCode::OK, &json!("2026-11-25T12:00:00Z")));
    assert_eq!(asked.recv().await.unwrap(), request);
    let closed = bed.with(&key, Method::DELETE, "/v1/ssh", Value::Null).await;
    assert_eq!(closed.status, StatusCode::NO_CONTENT);

    let audit = bed.with(&key, Method::GET, "/v1/audit?limit=2", Value::Null).await;
    let actions: Vec<_> = audit.body["items"].as_array().unwrap().iter().map(|row| row["action"].clone()).collect();
    assert_eq!(actions, ["ssh.close", "ssh.open"]);
    assert_eq!(audit.body["items"][1]["detail"], request);
}

#[tokio::test]
async fn an_ssh_request_that_cannot_be_is_refused_by_its_fields() {
    let bed = Bed::with_config(json!({ "operator_socket": "operator.sock" })).await;
    let key = bed.operator_key().await;
    let wrong = bed.with(&key, Method::PUT, "/v1/ssh", json!({ "hours": 9, "key": "sh" })).await;
    assert_eq!(wrong.wrong(), ["hours out_of_range", "key invalid_key"]);
    let right = json!({ "hours": 1, "key": SSH_KEY });
    assert_eq!(bed.with(&key, Method::PUT, "/v1/ssh", right).await.code(), "not_ready");
}

#[tokio::test]
async fn until_when_ssh_is_open_is_what_the_firewall_says() {
    let bed = Bed::with_config(json!({ "firewall_socket": "firewall.sock" })).await;
    let until = "2026-11-25T12:00:00Z";
    let state = json!({
        "loaded": true, "generation": 1, "peers": { "trunks": [], "phones": [] },
        "management": { "networks": ["10.0.0.0/8"] }, "bans": [], "ssh_until": until,
    });
    bed.neighbour("firewall.sock", says("/v1/state", state));
    let shown = bed.with(&bed.operator_key().await, Method::GET, "/v1/ssh", Value::Null).await;
    assert_eq!((shown.status, &shown.body["until"]), (StatusCode::OK, &json!(until)));
}

#[tokio::test]
async fn bans_are_the_operators_to_see_and_to_lift() {
    let bed = Bed::with_config(json!({ "firewall_socket": "firewall.sock" })).await;
    let ban =
        json!({ "address": "198.51.100.66", "until": "2026-11-25T12:00:00Z", "reason": "10 wrong SIP passwords" });
    let state = json!({
        "loaded": true, "generation": 1, "peers": { "trunks": [], "phones": [] },
        "management": { "networks": ["10.0.0.0/8"] }, "bans": [ban],
    });
    let (told, mut lifted) = mpsc::unbounded_channel();
    let lift = move |Path(address): Path<String>| {
        told.send(address).unwrap();
        std::future::ready(StatusCode::NO_CONTENT)
    };
    bed.neighbour("firewall.sock", says("/v1/state", state).route("/v1/bans/{address}", delete(lift)));
    assert_eq!(bed.get("/v1/bans").await.status, StatusCode::FORBIDDEN);

    let key = bed.operator_key().await;
    let shown = bed.with(&key, Method::GET, "/v1/bans", Value::Null).await;
    assert_eq!((shown.status, &shown.body["items"]), (StatusCode::OK, &json!([ban])));
    let strange = bed.with(&key, Method::DELETE, "/v1/bans/somebody", Value::Null).await;
    assert_eq!((strange.status, strange.code()), (StatusCode::NOT_FOUND, "not_banned"));
    let done = bed.with(&key, Method::DELETE, "/v1/bans/198.51.100.66", Value::Null).await;
    assert_eq!(done.status, StatusCode::NO_CONTENT);
    assert_eq!(lifted.recv().await.unwrap(), "198.51.100.66");
    let audit = bed.with(&key, Method::GET, "/v1/audit?limit=1", Value::Null).await;
    assert_eq!(audit.body["items"][0]["action"], "ban.lift");
}

#[tokio::test]
async fn an_address_that_tries_passwords_is_banned_for_an_hour() {
    let bed = Bed::with_config(json!({ "firewall_socket": "firewall.sock" })).await;
    let (told, mut bans_told) = mpsc::unbounded_channel();
    let take = move |Json(body): Json<Value>| {
        told.send(body).unwrap();
        let ban = json!({ "address": "198.51.100.66", "until": "2026-11-25T12:00:00Z", "reason": "x" });
        std::future::ready((StatusCode::CREATED, Json(ban)))
    };
    bed.neighbour("firewall.sock", Router::new().route("/v1/bans", post(take)));
    bans::ban(bed.app.clone(), "198.51.100.66".parse().unwrap(), 10).await;
    let ban = bans_told.try_recv().unwrap();
    assert_eq!((&ban["address"], &ban["seconds"]), (&json!("198.51.100.66"), &json!(3600)));
    assert_eq!(ban["reason"], "10 wrong SIP passwords within ten minutes");
}

#[tokio::test]
async fn an_update_is_asked_for_with_what_the_operator_wants_and_a_refusal_keeps_its_words() {
    let bed = Bed::with_config(json!({ "fleet_socket": "fleet.sock" })).await;
    let (told, mut asked) = mpsc::unbounded_channel();
    let apply = move |Json(body): Json<Value>| {
        told.send(body).unwrap();
        std::future::ready((StatusCode::ACCEPTED, Json(json!({ "state": "downloading" }))))
    };
    let none = || {
        std::future::ready((StatusCode::CONFLICT, Json(json!({ "code": "no_previous", "detail": "there is none" }))))
    };
    let fleet = Router::new().route("/v1/update/apply", post(apply)).route("/v1/update/rollback", post(none));
    bed.neighbour("fleet.sock", fleet);

    let key = bed.operator_key().await;
    let answer = bed.with(&key, Method::POST, "/v1/update/apply", json!({ "version": "9", "now": true })).await;
    assert_eq!((answer.status, &answer.body["state"]), (StatusCode::ACCEPTED, &json!("downloading")));
    let wish = json!({ "version": "9", "source": null, "now": true, "force": false });
    assert_eq!(asked.recv().await.unwrap(), wish);
    let wrong = bed.with(&key, Method::POST, "/v1/update/apply", json!({ "now": 1, "later": true })).await;
    assert_eq!(wrong.wrong(), ["now invalid_type", "later unknown_field"]);
    let refused = bed.with(&key, Method::POST, "/v1/update/rollback", Value::Null).await;
    assert_eq!((refused.status, refused.code()), (StatusCode::CONFLICT, "no_previous"));
    assert_eq!(refused.body["detail"], "there is none");
    assert_eq!(bed.with(KEY, Method::POST, "/v1/update/apply", json!({})).await.status, StatusCode::FORBIDDEN);
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
