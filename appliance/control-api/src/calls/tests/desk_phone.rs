//! What becomes of what a desk phone dials.

use super::bed::*;
use axum::http::StatusCode;
use livekit_protocol::CreateSipParticipantRequest;
use prost::Message;
use serde_json::{Value, json};
use types::control::{Event, InboundLeg, LegEndCause, PHONES_HOST};

/// A desk phone that may register, by the name `number`.
async fn phone(bed: &Bed, number: &str) -> String {
    let body = json!({
        "number": number, "name": format!("Desk {number}"), "type": "sip_endpoint", "sip_username": number,
        "sip_password": "long enough", "timeout_action": "hangup",
    });
    let (status, body) = bed.post("/v1/extensions", body).await;
    assert_eq!(status, StatusCode::CREATED, "{body}");
    body["id"].as_str().unwrap().to_owned()
}

fn dials(extension: &str, to: &str) -> InboundLeg {
    InboundLeg {
        lk_trunk_id: None,
        from: "200".into(),
        to: to.into(),
        extension_id: extension.parse().ok(),
        ..leg("SCL_d")
    }
}

/// The phone is let in and rings; the call's id.
async fn ring(bed: &Bed, leg: InboundLeg) -> String {
    let told = bed.admit(&leg).await;
    assert_eq!((&told["decision"], &told["identity"]), (&json!("join"), &json!("sip_200")), "{told}");
    let room = told["room"].as_str().unwrap().to_owned();
    bed.event(Event::InboundRinging { leg, room: room.clone(), identity: "sip_200".into(), dispatch_rule_id: None })
        .await;
    room
}

async fn dialled(bed: &Bed) -> CreateSipParticipantRequest {
    CreateSipParticipantRequest::decode(bed.livekit.asked("SIP/CreateSIPParticipant").await).unwrap()
}

#[tokio::test]
async fn an_extension_rings_as_its_own_settings_say() {
    let bed = Bed::new().await;
    let own = phone(&bed, "200").await;
    let call = ring(&bed, dials(&own, "100")).await;
    let found = bed.find(&call).await;
    assert_eq!((&found["caller"], &found["callee"]), (&json!("200"), &json!("100")));
    assert_eq!((&found["direction"], &found["from_extension_id"]), (&json!("outbound"), &json!(own)));
    assert_eq!(found["legs"][1]["kind"], "webrtc");
    bed.leg_ended("SCL_d", LegEndCause::Cancelled, None).await;
    assert_eq!(bed.ended(&call).await["end_reason"], "cancelled");
}

#[tokio::test]
async fn another_desk_phone_is_dialled_where_it_registered_and_shown_the_extension() {
    let bed = Bed::new().await;
    let (own, other) = (phone(&bed, "200").await, phone(&bed, "201").await);
    let call = ring(&bed, dials(&own, "201")).await;
    let request = dialled(&bed).await;
    assert_eq!(request.trunk.unwrap().hostname, PHONES_HOST);
    assert_eq!((request.sip_call_to, request.sip_number), (other, "200".to_owned()));
    assert_eq!(bed.find(&call).await["legs"][1]["address"], Value::Null);
}

#[tokio::test]
async fn a_number_of_the_world_goes_through_the_trunk_in_every_spelling() {
    for spelling in ["+31612340000", "0031612340000"] {
        let bed = Bed::new().await;
        let own = phone(&bed, "200").await;
        let call = ring(&bed, dials(&own, spelling)).await;
        let request = dialled(&bed).await;
        assert_eq!((request.sip_trunk_id.as_str(), request.sip_call_to.as_str()), ("ST_out", "+31612340000"));
        assert_eq!(request.sip_number, DID);
        let found = bed.find(&call).await;
        assert_eq!((&found["caller"], &found["callee"]), (&json!(DID), &json!("+31612340000")));
    }
}

#[tokio::test]
async fn what_is_neither_is_refused_and_kept() {
    let bed = Bed::new().await;
    let own = phone(&bed, "200").await;
    let told = bed.admit(&dials(&own, "12")).await;
    assert_eq!(told, json!({"decision": "reject", "code": 404, "reason": "no_rule_matched"}));
    assert_eq!(bed.calls().await[0]["callee"], "12");
}

#[tokio::test]
async fn a_phone_whose_extension_is_gone_gets_nowhere() {
    let bed = Bed::new().await;
    let own = phone(&bed, "200").await;
    bed.call(axum::http::Method::DELETE, &format!("/v1/extensions/{own}"), Value::Null).await;
    assert_eq!(bed.admit(&dials(&own, "100")).await, json!({"decision": "continue"}));
}

#[tokio::test]
async fn another_tenants_phones_cannot_be_rung_by_their_address() {
    let bed = Bed::new().await;
    let own = phone(&bed, "200").await;
    let foreign = types::ExtensionId::new();
    let to = format!("sip:{foreign}@{PHONES_HOST}");
    let body = json!({"number": "300", "name": "Thief", "type": "external", "target": to, "timeout_action": "hangup"});
    assert_eq!(bed.post("/v1/extensions", body).await.0, StatusCode::CREATED);
    let call = ring(&bed, dials(&own, "300")).await;
    bed.leg_ended("SCL_d", LegEndCause::Rejected, Some(480)).await;
    assert_eq!(bed.ended(&call).await["state"], "ended");
    assert!(!bed.livekit.paths().iter().any(|path| path.ends_with("CreateSIPParticipant")));
}
