//! What is kept of changes: the audit, the events, and the messages that callers left.

use crate::bed::{Bed, KEY};
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use store::{Connection, StoreError};
use types::{CallId, VoicemailId, control::RecordedVoicemail};

#[tokio::test]
async fn every_change_is_audited_without_secrets_and_chained() {
    let bed = Bed::new().await;
    let body = json!({
        "name": "Carrier", "sip_server_address": "sip.example.com",
        "sip_auth_username": "user", "sip_auth_password": "hush",
    });
    let id = bed.make("/v1/trunks", body).await;
    bed.patch(&format!("/v1/trunks/{id}"), json!({ "name": "Other" })).await;
    bed.delete(&format!("/v1/trunks/{id}")).await;
    bed.sign_in("admin@example.com", "wrong").await;
    let rows = bed.get("/v1/audit").await.body;
    let actions: Vec<_> = rows["items"].as_array().unwrap().iter().map(|row| row["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["session.refused", "trunk.delete", "trunk.update", "trunk.create", "box.claim"]);
    assert!(!rows.to_string().contains("hush"));
    assert!(rows["items"][1]["actor"].as_str().unwrap().starts_with("key_"));

    let broken = |conn: &Connection| store::audit::first_break(conn);
    assert_eq!(bed.app.db.read(broken).await.unwrap(), None);
    let tamper = |tx: &store::Transaction<'_>| -> Result<(), StoreError> {
        Ok(tx.execute("UPDATE audit SET actor = 'nobody' WHERE action = 'trunk.update'", []).map(drop)?)
    };
    bed.app.db.write(tamper).await.unwrap();
    let altered = rows["items"][2]["id"].as_str().map(str::to_owned);
    assert_eq!(bed.app.db.read(broken).await.unwrap(), altered);
}

#[tokio::test]
async fn a_refused_change_leaves_no_trace_in_audit_or_events() {
    let bed = Bed::new().await;
    let before = bed.get("/v1/audit").await.body;
    assert_eq!(bed.post("/v1/trunks", json!({})).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(bed.get("/v1/audit").await.body, before);
    assert_eq!(*bed.app.db.latest_event().borrow(), 0);
}

/// A message in the box of the tenant, or of an extension.
async fn leave_message(bed: &Bed, extension: Option<&str>) -> String {
    let tenant = bed.get("/v1/tenants").await.body["items"][0]["id"].as_str().unwrap().parse().unwrap();
    let id = VoicemailId::new();
    let message = RecordedVoicemail {
        voicemail_id: id,
        call_id: CallId::new(),
        tenant_id: tenant,
        extension_id: extension.map(|id| id.parse().unwrap()),
        caller: "+31612345678".into(),
        received_at: "2026-11-21T10:00:00Z".parse().unwrap(),
        duration_ms: 4200,
        object_key: "voicemail/one.ogg".into(),
        bytes: 1000,
        stored: false,
        ended_by: "hangup".into(),
    };
    let twice = move |tx: &store::Transaction<'_>| {
        assert!(store::voicemails::record(tx, &message)?);
        assert!(!store::voicemails::record(tx, &message)?);
        Ok::<_, StoreError>(())
    };
    bed.app.db.write(twice).await.unwrap();
    id.to_string()
}

#[tokio::test]
async fn a_message_is_listed_marked_and_removed() {
    let bed = Bed::new().await;
    let id = leave_message(&bed, None).await;
    let one = format!("/v1/voicemails/{id}");
    insta::assert_json_snapshot!(bed.get(&one).await.snapshot());
    assert_eq!(bed.get("/v1/voicemails?unread=true").await.body["items"].as_array().unwrap().len(), 1);
    assert!(bed.patch(&one, json!({ "read": true })).await.body["read_at"].is_string());
    assert_eq!(bed.get("/v1/voicemails?unread=true").await.body["items"], json!([]));
    assert!(bed.patch(&one, json!({ "read": false })).await.body["read_at"].is_null());
    let refused = bed.get(&format!("{one}/audio")).await;
    assert_eq!((refused.status, refused.code()), (StatusCode::SERVICE_UNAVAILABLE, "recording_not_stored_yet"));
    assert_eq!(bed.delete(&one).await.status, StatusCode::NO_CONTENT);
    assert_eq!(bed.get(&one).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn users_see_their_own_things_only() {
    let bed = Bed::new().await;
    let user = bed.make("/v1/users", json!({ "email": "u@example.com", "name": "U", "role": "user" })).await;
    let mine = json!({ "number": "100", "name": "Mine", "type": "wave", "user_id": user });
    let mine = bed.make("/v1/extensions", mine).await;
    let theirs = bed.make("/v1/extensions", json!({ "number": "200", "name": "Box", "type": "voicemail" })).await;
    let (ours, foreign) = (leave_message(&bed, Some(&mine)).await, leave_message(&bed, Some(&theirs)).await);
    let key = bed.key("user", json!({ "user_id": user })).await;
    let ask = |method: Method, path: String, body: Value| {
        let (bed, key) = (&bed, &key);
        async move { bed.with(key, method, &path, body).await }
    };
    let list = ask(Method::GET, "/v1/my/voicemails".into(), Value::Null).await.body;
    assert_eq!(
        list["items"].as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap()).collect::<Vec<_>>(),
        [&ours]
    );
    assert_eq!(ask(Method::GET, format!("/v1/voicemails/{foreign}"), Value::Null).await.status, StatusCode::NOT_FOUND);
    assert_eq!(ask(Method::GET, format!("/v1/voicemails/{ours}"), Value::Null).await.status, StatusCode::OK);
    let changed = ask(Method::PATCH, format!("/v1/my/extensions/{mine}"), json!({ "dnd": true })).await;
    assert_eq!(changed.body["dnd"], true);
    let renamed = ask(Method::PATCH, format!("/v1/my/extensions/{mine}"), json!({ "name": "x" })).await;
    assert_eq!(renamed.wrong(), ["name unknown_field"]);
    let foreign = ask(Method::PATCH, format!("/v1/my/extensions/{theirs}"), json!({ "dnd": true })).await;
    assert_eq!(foreign.status, StatusCode::NOT_FOUND);
    let settings = ask(Method::PATCH, "/v1/my/settings".into(), json!({ "name": "Uwe" })).await;
    assert_eq!(settings.body["name"], "Uwe");
    assert_eq!(bed.with(KEY, Method::GET, "/v1/my/settings", Value::Null).await.status, StatusCode::FORBIDDEN);
}
