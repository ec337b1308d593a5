//! The box's call to itself: refused with the cause, found by its Call-ID, and hidden from everybody.

use crate::bed::{Answer, Bed, ended_call};
use axum::http::{Method, Request, StatusCode, header};
use jiff::{Timestamp, ToSpan};
use serde_json::{Value, json};
use store::{
    StoreError, Transaction,
    calls::Call,
    legs::{Leg, LegKind, LegState},
    tenants,
};
use types::{CallId, EndReason, TenantId, VoicemailId, control::RecordedVoicemail};

const CALL_ID: &str = "5f2c@127.0.0.1";

async fn prepare(bed: &Bed) -> Answer {
    bed.internal(Method::POST, "/internal/v1/self-call", json!({ "wait_s": 0 })).await
}

async fn recording(bed: &Bed, method: Method) -> Answer {
    bed.internal(method, &format!("/internal/v1/self-call/{CALL_ID}/recording"), Value::Null).await
}

async fn own_tenant(bed: &Bed) -> TenantId {
    bed.app.db.write(tenants::system).await.unwrap().id
}

/// A self-call that ended at `at`, as the gateway would have reported it.
fn call(tenant: TenantId, at: Timestamp) -> (Call, Leg) {
    let call = Call {
        caller: "self-call".into(),
        callee: "+999000000000001".into(),
        started_at: at,
        answered_at: Some(at),
        ended_at: Some(at),
        end_reason: Some(EndReason::Voicemail),
        ..ended_call(tenant)
    };
    let mut leg = Leg::new(call.id, tenant, 0, LegKind::Sip, LegState::Ended, at);
    leg.sip_call_id = Some(CALL_ID.into());
    (call, leg)
}

async fn has_called(bed: &Bed, at: Timestamp) -> (TenantId, CallId) {
    let tenant = own_tenant(bed).await;
    let (call, leg) = call(tenant, at);
    let id = call.id;
    bed.app.db.write(move |tx| store::calls::put(tx, &call, &[leg])).await.unwrap();
    (tenant, id)
}

async fn has_left_a_message(bed: &Bed, (tenant_id, call_id): (TenantId, CallId), at: Timestamp, stored: bool) {
    let message = RecordedVoicemail {
        voicemail_id: VoicemailId::new(),
        call_id,
        tenant_id,
        extension_id: None,
        caller: "self-call".into(),
        received_at: at,
        duration_ms: 4200,
        object_key: "voicemail/one.ogg".into(),
        bytes: 1000,
        stored,
        ended_by: "hangup".into(),
    };
    bed.app.db.write(move |tx| store::voicemails::record(tx, &message)).await.unwrap();
}

async fn count(bed: &Bed, table: &'static str) -> i64 {
    let sql = format!("SELECT count(*) FROM {table}");
    let count = move |tx: &Transaction<'_>| Ok::<_, StoreError>(tx.query_row(&sql, [], |row| row.get(0))?);
    bed.app.db.write(count).await.unwrap()
}

#[tokio::test]
async fn it_is_refused_with_the_cause_while_livekit_does_not_know_its_trunk() {
    let bed = Bed::new().await;
    let refused = prepare(&bed).await;
    assert_eq!((refused.status, refused.code()), (StatusCode::SERVICE_UNAVAILABLE, "self_call_not_ready"));
    let detail = refused.body["detail"].as_str().unwrap();
    assert!(detail.contains("livekit-server does not know the self-call's trunk"), "{detail}");
}

#[tokio::test]
async fn what_it_rings_is_made_once() {
    let bed = Bed::new().await;
    prepare(&bed).await;
    prepare(&bed).await;
    for table in ["trunk", "did", "extension", "dialplan", "rule"] {
        assert_eq!(count(&bed, table).await, 1, "{table}");
    }
    assert_eq!(count(&bed, "tenant").await, 2);
}

#[tokio::test]
async fn nobody_is_shown_the_tenant_it_belongs_to() {
    let bed = Bed::new().await;
    let key = bed.operator_key().await;
    let before = bed.get("/v1/audit").await.body;
    prepare(&bed).await;
    let tenant = own_tenant(&bed).await;
    let ask = async |path: String| bed.with(&key, Method::GET, &path, Value::Null).await;
    let tenants = ask("/v1/tenants".into()).await.body;
    assert_eq!(tenants["items"].as_array().unwrap().len(), 1);
    assert_eq!(ask(format!("/v1/tenants/{tenant}")).await.status, StatusCode::NOT_FOUND);
    let inside = Request::get("/v1/dids").header(header::AUTHORIZATION, format!("Bearer {key}"));
    let inside = inside.header("scaibox-tenant", tenant.to_string()).body(axum::body::Body::empty()).unwrap();
    assert_eq!(bed.send(inside).await.status, StatusCode::NOT_FOUND);
    assert_eq!(bed.get("/v1/dids").await.body["items"], json!([]));
    assert_eq!(bed.get("/v1/audit").await.body, before);
}

#[tokio::test]
async fn a_box_that_has_called_itself_is_still_unclaimed() {
    let bed = Bed::with_config(json!({ "admin": null })).await;
    prepare(&bed).await;
    assert_eq!(bed.internal(Method::GET, "/internal/v1/claim", Value::Null).await.body["claimed"], false);
}

#[tokio::test]
async fn nobody_else_can_have_its_number() {
    let bed = Bed::new().await;
    let trunk = bed.trunk("Carrier").await;
    let refused = bed.post("/v1/dids", json!({ "number": "+999000000000001", "trunk_id": trunk })).await;
    assert_eq!(refused.wrong(), ["number reserved"]);
}

#[tokio::test]
async fn while_there_is_no_recording_the_answer_says_how_far_it_has_come() {
    let bed = Bed::new().await;
    let now = Timestamp::now();
    let code = async |bed: &Bed| {
        let answer = recording(bed, Method::GET).await;
        (answer.status, answer.code().to_owned())
    };
    assert_eq!(code(&bed).await, (StatusCode::NOT_FOUND, "no_such_call".into()));
    let call = has_called(&bed, now).await;
    assert_eq!(code(&bed).await, (StatusCode::NOT_FOUND, "not_recorded_yet".into()));
    has_left_a_message(&bed, call, now, false).await;
    assert_eq!(code(&bed).await, (StatusCode::NOT_FOUND, "not_stored_yet".into()));
}

#[tokio::test]
async fn a_recording_that_the_object_store_does_not_give_is_no_recording() {
    let bed = Bed::new().await;
    let call = has_called(&bed, Timestamp::now()).await;
    has_left_a_message(&bed, call, Timestamp::now(), true).await;
    let refused = recording(&bed, Method::GET).await;
    assert_eq!((refused.status, refused.code()), (StatusCode::SERVICE_UNAVAILABLE, "object_store_unavailable"));
}

#[tokio::test]
async fn a_fetched_call_leaves_nothing_behind() {
    let bed = Bed::new().await;
    let call = has_called(&bed, Timestamp::now()).await;
    has_left_a_message(&bed, call, Timestamp::now(), false).await;
    assert_eq!(recording(&bed, Method::DELETE).await.status, StatusCode::NO_CONTENT);
    for table in ["call", "leg", "voicemail", "cdr", "metering"] {
        assert_eq!(count(&bed, table).await, 0, "{table}");
    }
    assert_eq!(recording(&bed, Method::DELETE).await.code(), "no_such_call");
}

#[tokio::test]
async fn what_a_failed_one_left_goes_with_the_next() {
    let bed = Bed::new().await;
    let earlier = Timestamp::now() - 1.hour();
    let call = has_called(&bed, earlier).await;
    has_left_a_message(&bed, call, earlier, false).await;
    prepare(&bed).await;
    assert_eq!((count(&bed, "call").await, count(&bed, "voicemail").await), (0, 0));
}
