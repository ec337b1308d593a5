//! Calls through the real router and the real database.

mod attended;
mod bed;
mod desk_phone;
mod lost_room;

use axum::{
    body::Body,
    http::{Method, Request, StatusCode},
};
use bed::*;
use futures_util::StreamExt;
use livekit_protocol::{
    CreateSipParticipantRequest, DeleteRoomRequest, DisconnectReason, ParticipantInfo, Room,
    TransferSipParticipantRequest, WebhookEvent, participant_info::Kind,
};
use prost::Message;
use serde_json::{Value, json};
use store::trunks::SyncStatus;
use types::{
    BotId, TenantId, VoicemailId,
    control::{Event, InboundOutcome, JobMetadata, JobTask, LegEndCause, RecordedVoicemail},
};

/// The leg that rings Anna's browser.
async fn ringing_leg(bed: &Bed, call: &str) -> String {
    let call = bed.find(call).await;
    let leg = call["legs"].as_array().unwrap().iter().find(|leg| leg["kind"] == "webrtc").unwrap().clone();
    leg["id"].as_str().unwrap().to_owned()
}

/// Anna has answered and both talk.
async fn talking(bed: &Bed) -> (String, String) {
    let call = bed.ring().await;
    let leg = ringing_leg(bed, &call).await;
    let (status, body) = bed.post(&format!("/v1/calls/{call}/legs/{leg}/answer"), Value::Null).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    bed.answered("SCL_in").await;
    (call, leg)
}

#[tokio::test]
async fn a_call_that_no_rule_matches_is_refused_before_there_is_a_room_and_keeps_its_trace() {
    let bed = Bed::new().await;
    let rule = json!({"match_type": "caller_prefix", "match_params": {"prefix": "+44"}, "action_type": "hangup"});
    bed.rules(json!({ "rules": [rule] })).await;
    assert_eq!(bed.admit(&leg("SCL_1")).await, json!({"decision": "reject", "code": 404, "reason": "no_rule_matched"}));
    let call = &bed.calls().await[0];
    assert_eq!(
        (&call["state"], &call["end_reason"], &call["sip_code"]),
        (&json!("ended"), &json!("no_rule_matched"), &json!(404))
    );
    let tried = &call["trace"]["rules"][0];
    assert_eq!((&tried["outcome"], &tried["reason"]), (&json!("skipped"), &json!("other_caller")));
    assert_eq!((&tried["wanted"], &tried["observed"]), (&json!("+44"), &json!(CALLER)));
    assert_eq!((bed.count("cdr").await, bed.count("metering").await), (1, 2));
}

#[tokio::test]
async fn a_blocked_caller_and_an_extension_that_does_not_disturb_are_refused_with_their_codes() {
    let bed = Bed::new().await;
    bed.route("hangup", json!({})).await;
    assert_eq!(bed.admit(&leg("SCL_1")).await["code"], 603);
    bed.route("ring_extension", json!({"extension_id": bed.ids.extension})).await;
    let dnd = json!({"dnd": true});
    bed.call(Method::PATCH, &format!("/v1/extensions/{}", bed.ids.extension), dnd).await;
    assert_eq!(bed.admit(&leg("SCL_2")).await, json!({"decision": "reject", "code": 486, "reason": "dnd"}));
}

#[tokio::test]
async fn a_call_of_a_foreign_trunk_is_left_alone() {
    let bed = Bed::new().await;
    let mut foreign = leg("SCL_1");
    foreign.lk_trunk_id = Some("ST_foreign".into());
    assert_eq!(bed.admit(&foreign).await, json!({"decision": "continue"}));
    bed.event(ringing(foreign.clone())).await;
    bed.leg_ended("SCL_1", LegEndCause::PeerHangup, None).await;
    assert_eq!(bed.calls().await.len(), 0);
    assert_eq!(bed.gateway.paths(), Vec::<String>::new());
}

#[tokio::test]
async fn anna_answers_in_her_browser_and_the_caller_hangs_up() {
    let bed = Bed::new().await;
    let call = bed.ring().await;
    assert_eq!(bed.find(&call).await["state"], "ringing");
    let leg = ringing_leg(&bed, &call).await;
    let path = format!("/v1/calls/{call}/legs/{leg}/answer");
    let (status, body) = bed.call_as(&bed.ids.user_key, Method::POST, &path, Value::Null).await;
    assert_eq!((status, &body["livekit"]["url"]), (StatusCode::OK, &json!("wss://box.example")));
    assert!(body["livekit"]["token"].as_str().unwrap().split('.').count() == 3);
    let (status, body) = bed.call_as(&bed.ids.user_key, Method::POST, &path, Value::Null).await;
    assert_eq!((status, &body["code"]), (StatusCode::CONFLICT, &json!("leg_already_answered")));
    bed.answered("SCL_in").await;
    assert_eq!(bed.find(&call).await["state"], "active");
    bed.leg_ended("SCL_in", LegEndCause::PeerHangup, None).await;
    let ended = bed.find(&call).await;
    assert_eq!((&ended["state"], &ended["end_reason"]), (&json!("ended"), &json!("caller_hangup")));
    assert_eq!(ended["legs"][0]["codec"], "PCMU");
    assert_eq!(ended["legs"][0]["stats"]["packets"], 500);
    assert_eq!(ended["legs"][0]["stats"]["mos"], 4.2);
    let deleted = bed.livekit.asked("RoomService/DeleteRoom").await;
    assert_eq!(DeleteRoomRequest::decode(deleted).unwrap().room, "room-1");
    assert_eq!(bed.count("cdr").await, 1);
    let (status, body) = bed.post(&format!("/v1/calls/{call}/hangup"), Value::Null).await;
    assert_eq!((status, &body["code"]), (StatusCode::CONFLICT, &json!("call_already_ended")));
}

#[tokio::test]
async fn what_is_told_twice_happens_once() {
    let bed = Bed::new().await;
    let call = bed.ring().await;
    bed.event(ringing(leg("SCL_in"))).await;
    bed.event_again(1, ringing(leg("SCL_in"))).await;
    assert_eq!(bed.calls().await.len(), 1);
    bed.leg_ended("SCL_in", LegEndCause::Cancelled, Some(487)).await;
    bed.leg_ended("SCL_in", LegEndCause::Cancelled, Some(487)).await;
    bed.event(ringing(leg("SCL_in"))).await;
    let ended = bed.find(&call).await;
    assert_eq!((&ended["end_reason"], &ended["sip_code"]), (&json!("cancelled"), &json!(487)));
    assert_eq!((bed.calls().await.len(), bed.count("cdr").await), (1, 1));
}

#[tokio::test]
async fn a_call_that_anna_rejects_is_busy() {
    let bed = Bed::new().await;
    let call = bed.ring().await;
    let leg = ringing_leg(&bed, &call).await;
    let (status, _) = bed.post(&format!("/v1/calls/{call}/legs/{leg}/reject"), Value::Null).await;
    assert_eq!(status, StatusCode::OK);
    let told = json_of(&bed.gateway.asked("/v1/legs/SCL_in/reject").await);
    assert_eq!(told, json!({"code": 486, "reason": "busy"}));
    assert_eq!(bed.find(&call).await["end_reason"], "busy");
}

#[tokio::test]
async fn a_browser_that_leaves_the_room_has_hung_up() {
    let bed = Bed::new().await;
    let (call, leg) = talking(&bed).await;
    bed.gateway_has(&["SCL_in"]);
    assert_eq!(bed.webhook(&left(&leg, DisconnectReason::DuplicateIdentity)).await, StatusCode::OK);
    assert_eq!(bed.find(&call).await["state"], "active", "it came back at once");
    assert_eq!(bed.webhook(&left(&leg, DisconnectReason::ClientInitiated)).await, StatusCode::OK);
    assert_eq!(bed.find(&call).await["end_reason"], "callee_hangup");
    bed.gateway.asked("/v1/legs/SCL_in/hangup").await;
    let unsigned = Request::post("/internal/livekit/webhook").body(Body::from("{}")).unwrap();
    assert_eq!(bed.send(unsigned).await.status(), StatusCode::UNAUTHORIZED);
}

/// A browser's participant is gone from the room.
fn left(identity: &str, reason: DisconnectReason) -> WebhookEvent {
    WebhookEvent {
        event: "participant_left".into(),
        room: Some(Room { name: "room-1".into(), ..Default::default() }),
        participant: Some(ParticipantInfo {
            identity: identity.into(),
            kind: Kind::Standard as i32,
            disconnect_reason: reason as i32,
            ..Default::default()
        }),
        ..Default::default()
    }
}

#[tokio::test]
async fn a_browser_that_leaves_just_after_the_caller_hung_up_did_not_end_the_call() {
    let bed = Bed::new().await;
    let (call, leg) = talking(&bed).await;
    bed.gateway_has(&[]);
    assert_eq!(bed.webhook(&left(&leg, DisconnectReason::ClientInitiated)).await, StatusCode::OK);
    assert_eq!(bed.find(&call).await["state"], "active", "the gateway has yet to say why the phone is gone");
    bed.leg_ended("SCL_in", LegEndCause::PeerHangup, None).await;
    assert_eq!(bed.find(&call).await["end_reason"], "caller_hangup");
}

#[tokio::test]
async fn a_browser_that_leaves_ends_the_call_when_the_gateway_never_says_what_became_of_the_phone() {
    let bed = Bed::new().await;
    let (call, leg) = talking(&bed).await;
    bed.gateway_has(&[]);
    assert_eq!(bed.webhook(&left(&leg, DisconnectReason::ClientInitiated)).await, StatusCode::OK);
    assert_eq!(bed.ended(&call).await["end_reason"], "callee_hangup");
}

#[tokio::test]
async fn a_webhook_begins_a_call_whose_gateway_is_silent() {
    let bed = Bed::new().await;
    let attributes = [
        ("sip.callID", "SCL_in"),
        ("sip.trunkID", "ST_in"),
        ("sip.phoneNumber", CALLER),
        ("sip.trunkPhoneNumber", DID),
    ];
    let event = WebhookEvent {
        event: "participant_joined".into(),
        room: Some(Room { name: "room-1".into(), ..Default::default() }),
        participant: Some(ParticipantInfo {
            identity: "sip_caller".into(),
            kind: Kind::Sip as i32,
            attributes: attributes.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
            ..Default::default()
        }),
        ..Default::default()
    };
    assert_eq!(bed.webhook(&event).await, StatusCode::OK);
    bed.event(ringing(leg("SCL_in"))).await;
    let calls = bed.calls().await;
    assert_eq!((calls.len(), &calls[0]["state"]), (1, &json!("ringing")));
}

fn job(body: &[u8]) -> JobMetadata {
    let request = livekit_protocol::CreateAgentDispatchRequest::decode(body).unwrap();
    assert_eq!(request.room, "room-1");
    serde_json::from_str(&request.metadata).unwrap()
}

#[tokio::test]
async fn a_message_is_recorded_stored_and_decides_the_reason() {
    let bed = Bed::new().await;
    bed.route("voicemail", json!({"extension_id": bed.ids.extension})).await;
    let call = bed.ring().await;
    let job = job(&bed.livekit.asked("AgentDispatchService/CreateDispatch").await);
    assert_eq!((job.call_id.to_string(), job.caller.as_str()), (call.clone(), CALLER));
    let JobTask::Voicemail { voicemail_id, extension_id, object_key, .. } = job.task else { panic!("{job:?}") };
    bed.event(Event::JobStarted { call_id: job.call_id, task: "voicemail".into() }).await;
    bed.answered("SCL_in").await;
    assert_eq!(bed.find(&call).await["state"], "active");
    bed.leg_ended("SCL_in", LegEndCause::PeerHangup, None).await;
    assert_eq!(bed.find(&call).await["state"], "active", "the recording is still being written");
    let voicemail = RecordedVoicemail {
        voicemail_id,
        call_id: job.call_id,
        tenant_id: job.tenant_id,
        extension_id,
        caller: CALLER.into(),
        received_at: jiff::Timestamp::now(),
        duration_ms: 4_200,
        object_key,
        bytes: 9_000,
        stored: true,
        ended_by: "hangup".into(),
    };
    bed.event(Event::VoicemailRecorded { voicemail: voicemail.clone() }).await;
    bed.event(Event::VoicemailRecorded { voicemail }).await;
    assert_eq!(bed.find(&call).await["end_reason"], "voicemail");
    assert_eq!((bed.count("voicemail").await, bed.count("cdr").await), (1, 1));
}

#[tokio::test]
async fn a_message_that_turns_up_late_still_decides_the_reason() {
    let bed = Bed::new().await;
    let (call, _) = talking(&bed).await;
    bed.leg_ended("SCL_in", LegEndCause::PeerHangup, None).await;
    let stored = bed.find(&call).await;
    let voicemail = RecordedVoicemail {
        voicemail_id: VoicemailId::new(),
        call_id: call.parse().unwrap(),
        tenant_id: stored["tenant_id"].as_str().unwrap().parse::<TenantId>().unwrap(),
        extension_id: None,
        caller: CALLER.into(),
        received_at: jiff::Timestamp::now(),
        duration_ms: 1_000,
        object_key: "k".into(),
        bytes: 1,
        stored: false,
        ended_by: "recovered".into(),
    };
    bed.event(Event::VoicemailRecorded { voicemail }).await;
    assert_eq!(bed.find(&call).await["end_reason"], "voicemail");
}

#[tokio::test]
async fn an_unknown_bot_fails_the_call_at_once() {
    let bed = Bed::new().await;
    let (status, bot) = bed.post("/v1/bots", json!({"name": "b", "agent_name": "b", "enabled": false})).await;
    assert_eq!(status, StatusCode::CREATED, "{bot}");
    bed.route("ring_bot", json!({"bot_id": bot["id"]})).await;
    assert!(bot["id"].as_str().unwrap().parse::<BotId>().is_ok());
    let call = bed.ring().await;
    let told = json_of(&bed.gateway.asked("/v1/legs/SCL_in/reject").await);
    assert_eq!(told["code"], 503);
    let ended = bed.ended(&call).await;
    assert_eq!((&ended["end_reason"], &ended["end_code"]), (&json!("failed"), &json!("bot_not_found")));
}

#[tokio::test]
async fn without_a_bot_worker_the_caller_is_told_503_after_five_seconds() {
    let bed = Bed::new().await;
    let (_, bot) = bed.post("/v1/bots", json!({"name": "b", "agent_name": "support"})).await;
    bed.route("ring_bot", json!({"bot_id": bot["id"]})).await;
    let call = bed.ring().await;
    let job = job(&bed.livekit.asked("AgentDispatchService/CreateDispatch").await);
    assert!(matches!(job.task, JobTask::Bot { bot_id } if json!(bot_id) == bot["id"]));
    let ended = bed.ended(&call).await;
    assert_eq!((&ended["end_reason"], &ended["end_code"]), (&json!("failed"), &json!("no_bot_worker")));
    assert_eq!(json_of(&bed.gateway.asked("/v1/legs/SCL_in/reject").await)["code"], 503);
}

#[tokio::test]
async fn a_message_is_played_and_the_caller_hung_up() {
    let bed = Bed::new().await;
    bed.route("play_message", json!({"text": "We are closed."})).await;
    let call = bed.ring().await;
    let job = job(&bed.livekit.asked("AgentDispatchService/CreateDispatch").await);
    assert!(matches!(&job.task, JobTask::PlayMessage { text, .. } if text == "We are closed."));
    bed.event(Event::JobStarted { call_id: job.call_id, task: "play_message".into() }).await;
    bed.answered("SCL_in").await;
    bed.event(Event::MessagePlayed { call_id: job.call_id }).await;
    bed.gateway.asked("/v1/legs/SCL_in/hangup").await;
    assert_eq!(bed.find(&call).await["end_reason"], "message_played");
}

#[tokio::test]
async fn a_forward_answers_refers_and_lets_the_caller_go() {
    let bed = Bed::new().await;
    bed.route("forward", json!({"to": "+31209999999"})).await;
    let call = bed.ring().await;
    bed.gateway.asked("/v1/legs/SCL_in/answer").await;
    bed.answered("SCL_in").await;
    let asked = bed.livekit.asked("SIP/TransferSIPParticipant").await;
    let asked = TransferSipParticipantRequest::decode(asked).unwrap();
    assert_eq!((asked.transfer_to.as_str(), asked.participant_identity.as_str()), ("tel:+31209999999", "sip_caller"));
    assert_eq!(bed.ended(&call).await["end_reason"], "forwarded");
}

/// Twirp's error for a SIP failure.
fn sip_error(code: u16, words: &str) -> String {
    let meta = json!({"sip_status_code": code.to_string(), "sip_status": words});
    json!({"code": "failed_precondition", "msg": words, "meta": meta}).to_string()
}

#[tokio::test]
async fn a_forward_that_the_carrier_refuses_is_bridged_through_the_trunk() {
    let bed = Bed::new().await;
    let path = "/twirp/livekit.SIP/TransferSIPParticipant";
    bed.livekit.answer(path, StatusCode::PRECONDITION_FAILED, sip_error(603, "Decline"));
    bed.route("forward", json!({"to": "+31209999999"})).await;
    let call = bed.ring().await;
    bed.gateway.asked("/v1/legs/SCL_in/answer").await;
    bed.answered("SCL_in").await;
    let dialled = CreateSipParticipantRequest::decode(bed.livekit.asked("SIP/CreateSIPParticipant").await).unwrap();
    assert_eq!((dialled.sip_trunk_id.as_str(), dialled.sip_call_to.as_str()), ("ST_out", "+31209999999"));
    assert_eq!((dialled.sip_number.as_str(), dialled.room_name.as_str()), (DID, "room-1"));
    bed.event(dialing("SCL_out", "room-1", &dialled.participant_identity)).await;
    bed.answered("SCL_out").await;
    bed.leg_ended("SCL_out", LegEndCause::PeerHangup, None).await;
    assert_eq!(bed.find(&call).await["end_reason"], "callee_hangup");
    bed.gateway.asked("/v1/legs/SCL_in/hangup").await;
}

fn dialing(lk_call_id: &str, room: &str, identity: &str) -> Event {
    Event::OutboundDialing {
        lk_call_id: lk_call_id.into(),
        sip_call_id: "out@box".into(),
        lk_trunk_id: Some("ST_out".into()),
        room: room.into(),
        identity: identity.into(),
        to: "+31209999999".into(),
    }
}

async fn dial(bed: &Bed) -> (String, CreateSipParticipantRequest) {
    let body = json!({"from_extension_id": bed.ids.extension, "to": "+31209999999"});
    let (status, body) = bed.call_as(&bed.ids.user_key, Method::POST, "/v1/calls", body).await;
    assert_eq!(status, StatusCode::CREATED, "{body}");
    assert_eq!(body["livekit"]["url"], "wss://box.example");
    assert_eq!(body["call"]["direction"], "outbound");
    let asked = CreateSipParticipantRequest::decode(bed.livekit.asked("SIP/CreateSIPParticipant").await).unwrap();
    assert!(!asked.wait_until_answered);
    (body["call"]["id"].as_str().unwrap().to_owned(), asked)
}

#[tokio::test]
async fn anna_dials_out_and_the_far_end_hangs_up() {
    let bed = Bed::new().await;
    let (call, asked) = dial(&bed).await;
    assert_eq!(bed.find(&call).await["state"], "ringing");
    bed.event(dialing("SCL_out", &asked.room_name, &asked.participant_identity)).await;
    bed.event(Event::OutboundRinging { lk_call_id: "SCL_out".into() }).await;
    bed.answered("SCL_out").await;
    assert_eq!(bed.find(&call).await["state"], "active");
    bed.leg_ended("SCL_out", LegEndCause::PeerHangup, None).await;
    assert_eq!(bed.find(&call).await["end_reason"], "callee_hangup");
    let mine = bed.call_as(&bed.ids.user_key, Method::GET, "/v1/my/calls", Value::Null).await.1;
    assert_eq!(mine["items"][0]["id"], json!(call));
}

#[tokio::test]
async fn a_busy_far_end_ends_the_call_with_its_code() {
    let bed = Bed::new().await;
    let (call, asked) = dial(&bed).await;
    bed.event(dialing("SCL_out", &asked.room_name, &asked.participant_identity)).await;
    bed.leg_ended("SCL_out", LegEndCause::Rejected, Some(486)).await;
    let ended = bed.find(&call).await;
    assert_eq!((&ended["end_reason"], &ended["sip_code"]), (&json!("busy"), &json!(486)));
    assert_eq!(bed.count("cdr").await, 1);
}

#[tokio::test]
async fn without_a_synced_trunk_nobody_dials_out() {
    let bed = Bed::new().await;
    bed.sync_trunk(SyncStatus::Error).await;
    let body = json!({"from_extension_id": bed.ids.extension, "to": "+31209999999"});
    let (status, body) = bed.post("/v1/calls", body).await;
    assert_eq!((status, &body["code"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("no_synced_outbound_trunk")));
    assert_eq!(body["detail"], "Your tenant has no synced outbound trunk.");
    let (status, body) = bed.post("/v1/calls", json!({"to": "nobody"})).await;
    assert_eq!((status, body["errors"].as_array().unwrap().len()), (StatusCode::UNPROCESSABLE_ENTITY, 2));
}

#[tokio::test]
async fn a_request_repeated_with_its_key_dials_once() {
    let bed = Bed::new().await;
    let body = json!({"from_extension_id": bed.ids.extension, "to": "+31209999999"});
    let request = || {
        Request::post("/v1/calls")
            .header("authorization", format!("Bearer {}", bed.ids.user_key))
            .header("idempotency-key", "one")
            .body(Body::from(body.to_string()))
            .unwrap()
    };
    assert_eq!(bed.send(request()).await.status(), StatusCode::CREATED);
    assert_eq!(bed.send(request()).await.status(), StatusCode::CREATED);
    assert_eq!(bed.calls().await.len(), 1);
}

#[tokio::test]
async fn a_phone_is_held_gets_digits_and_is_not_transferred_when_the_carrier_refuses() {
    let bed = Bed::new().await;
    let (call, browser) = talking(&bed).await;
    let phone = bed.find(&call).await["legs"][0]["id"].as_str().unwrap().to_owned();
    let path = |leg: &str, verb: &str| format!("/v1/calls/{call}/legs/{leg}/{verb}");
    assert_eq!(bed.post(&path(&phone, "hold"), Value::Null).await.0, StatusCode::OK);
    bed.gateway.asked("/v1/legs/SCL_in/hold").await;
    assert_eq!(bed.find(&call).await["state"], "held");
    bed.event(Event::LegHeld { lk_call_id: "SCL_in".into(), by_peer: false }).await;
    assert_eq!(bed.post(&path(&phone, "unhold"), Value::Null).await.0, StatusCode::OK);
    assert_eq!(bed.find(&call).await["state"], "active");
    let refused = bed.post(&path(&browser, "hold"), Value::Null).await;
    assert_eq!((refused.0, &refused.1["code"]), (StatusCode::CONFLICT, &json!("hold_unsupported")));

    let digits = json!({"digits": "12#"});
    assert_eq!(bed.post(&path(&phone, "dtmf"), digits.clone()).await.0, StatusCode::NO_CONTENT);
    assert_eq!(json_of(&bed.gateway.asked("/v1/legs/SCL_in/dtmf").await), digits);
    let forbidden = bed.call_as(&bed.ids.user_key, Method::POST, &path(&phone, "dtmf"), digits).await;
    assert_eq!(forbidden.0, StatusCode::FORBIDDEN);

    let transfer = "/twirp/livekit.SIP/TransferSIPParticipant";
    bed.livekit.answer(transfer, StatusCode::PRECONDITION_FAILED, sip_error(405, "Method Not Allowed"));
    let refused = bed.post(&path(&phone, "transfer"), json!({"to": "+31209999999"})).await;
    assert_eq!((refused.0, &refused.1["code"]), (StatusCode::CONFLICT, &json!("transfer_rejected_by_carrier")));
    assert_eq!(refused.1["detail"], "transfer failed: the carrier answered 405 Method Not Allowed");
    bed.livekit.answer(transfer, StatusCode::OK, "");
    let done = bed.post(&path(&phone, "transfer"), json!({"to": "+31209999999"})).await;
    assert_eq!((done.0, &done.1["end_reason"]), (StatusCode::OK, &json!("transferred")));
}

#[tokio::test]
async fn an_operator_who_hangs_up_completes_the_call_and_anna_has_hung_up_hers() {
    let bed = Bed::new().await;
    let (call, _) = talking(&bed).await;
    let (status, body) = bed.post(&format!("/v1/calls/{call}/hangup"), Value::Null).await;
    assert_eq!((status, &body["end_reason"]), (StatusCode::OK, &json!("completed")));
    let bed = Bed::new().await;
    let (call, _) = talking(&bed).await;
    let path = format!("/v1/calls/{call}/hangup");
    let (_, body) = bed.call_as(&bed.ids.user_key, Method::POST, &path, Value::Null).await;
    assert_eq!(body["end_reason"], "callee_hangup");
}

#[tokio::test]
async fn a_call_goes_on_over_a_restart_and_its_record_is_complete() {
    let mut bed = Bed::new().await;
    let (call, _) = talking(&bed).await;
    bed.restart().await;
    assert_eq!(bed.find(&call).await["state"], "active");
    bed.leg_ended("SCL_in", LegEndCause::PeerHangup, None).await;
    let ended = bed.find(&call).await;
    assert_eq!((&ended["end_reason"], &ended["legs"][0]["stats"]["packets"]), (&json!("caller_hangup"), &json!(500)));
    assert_eq!(bed.count("cdr").await, 1);
}

#[tokio::test]
async fn a_phone_that_vanished_while_we_were_away_ends_its_call() {
    let mut bed = Bed::new().await;
    let (call, _) = talking(&bed).await;
    bed.restart().await;
    *bed.instance.lock() = "two".into();
    bed.gateway_has(&[]);
    super::reconcile(&bed.app).await.unwrap();
    assert_eq!(bed.ended(&call).await["end_reason"], "gateway_restart");
}

#[tokio::test]
async fn a_new_start_of_the_gateway_ends_the_calls_it_does_not_have() {
    let bed = Bed::new().await;
    let (call, _) = talking(&bed).await;
    *bed.instance.lock() = "two".into();
    bed.event(Event::Started { legs: vec!["SCL_in".into()] }).await;
    assert_eq!(bed.find(&call).await["state"], "active");
    *bed.instance.lock() = "three".into();
    bed.event(Event::Started { legs: vec![] }).await;
    assert_eq!(bed.find(&call).await["end_reason"], "gateway_restart");
}

#[tokio::test]
async fn a_refused_invite_of_ours_is_kept_and_a_strangers_is_not() {
    let bed = Bed::new().await;
    let refused = |leg, outcome, code| Event::InboundRefused { leg, outcome, sip_code: Some(code), detail: "x".into() };
    bed.event(refused(leg("SCL_1"), InboundOutcome::LimitReached, 503)).await;
    let mut stranger = leg("SCL_2");
    stranger.lk_trunk_id = None;
    bed.event(refused(stranger, InboundOutcome::NoTrunk, 404)).await;
    let calls = bed.calls().await;
    assert_eq!(
        (calls.len(), &calls[0]["end_reason"], &calls[0]["sip_code"]),
        (1, &json!("limit_reached"), &json!(503))
    );
}

#[tokio::test]
async fn the_stream_tells_anna_that_her_phone_rings_and_goes_on_where_she_left() {
    let bed = Bed::new().await;
    let stream = |last: &str| {
        Request::get("/v1/events")
            .header("authorization", format!("Bearer {}", bed.ids.user_key))
            .header("last-event-id", last.to_owned())
            .body(Body::empty())
            .unwrap()
    };
    let call = bed.ring().await;
    let mut body = bed.send(stream("0")).await.into_body().into_data_stream();
    let mut text = String::new();
    while !text.contains("leg.ringing") || !text.ends_with("\n\n") {
        text.push_str(std::str::from_utf8(&body.next().await.unwrap().unwrap()).unwrap());
    }
    assert!(text.contains(&call), "{text}");
    let frame = text.split("\n\n").find(|frame| frame.contains("event: leg.ringing")).unwrap();
    let id = frame.lines().find_map(|line| line.strip_prefix("id: ")).unwrap().to_owned();
    bed.leg_ended("SCL_in", LegEndCause::Cancelled, Some(487)).await;
    let mut body = bed.send(stream(&id)).await.into_body().into_data_stream();
    let mut rest = String::new();
    while !rest.contains("call.ended") {
        rest.push_str(std::str::from_utf8(&body.next().await.unwrap().unwrap()).unwrap());
    }
    assert!(!rest.contains("event: leg.ringing"), "{rest}");
}

#[tokio::test]
async fn nobody_acts_on_calls_before_they_are_reconciled_but_everybody_may_read() {
    let bed = Bed::new().await;
    let call = bed.ring().await;
    bed.app.readiness.set(crate::ready::State::Starting);
    let (status, body) = bed.post(&format!("/v1/calls/{call}/hangup"), Value::Null).await;
    assert_eq!((status, &body["code"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("scaidial_not_initialized")));
    assert_eq!(bed.find(&call).await["state"], "ringing");
}

#[tokio::test]
async fn history_is_filtered_and_given_as_csv() {
    let bed = Bed::new().await;
    let call = bed.ring().await;
    let found = async |query: &str| bed.get(&format!("/v1/calls?{query}")).await["items"].as_array().unwrap().len();
    assert_eq!(found("state=ringing&direction=inbound&kind=phone&q=6123").await, 1);
    assert_eq!(found("state=ended").await, 0);
    assert_eq!(found(&format!("extension_id={}", bed.ids.extension)).await, 1);
    let (status, body) = bed.call(Method::GET, "/v1/calls?state=loud&from=yesterday", Value::Null).await;
    assert_eq!((status, body["errors"].as_array().unwrap().len()), (StatusCode::UNPROCESSABLE_ENTITY, 2));
    let request = Request::get("/v1/calls").header("accept", "text/csv");
    let request = request.header("authorization", "Bearer sk_test_a_key_for_the_first_tenant");
    let response = bed.send(request.body(Body::empty()).unwrap()).await;
    let text = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    let text = std::str::from_utf8(&text).unwrap();
    assert!(text.starts_with("id,kind,direction") && text.contains(&call), "{text}");
}

#[tokio::test]
async fn our_calls_and_livekits_own_count_as_activity_until_they_end() {
    let bed = Bed::new().await;
    assert_eq!(bed.active_calls().await, 0);
    let call = bed.ring().await;
    bed.gateway_has(&["SCL_in"]);
    assert_eq!(bed.active_calls().await, 1);
    bed.gateway_has(&["SCL_in", "SCL_foreign"]);
    assert_eq!(bed.active_calls().await, 2);
    bed.gateway_has(&[]);
    bed.leg_ended("SCL_in", LegEndCause::Cancelled, Some(487)).await;
    bed.ended(&call).await;
    assert_eq!(bed.active_calls().await, 0);
}
