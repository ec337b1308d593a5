//! Two calls of one person become one, through the API.

use super::{bed::*, dial, dialing, talking};
use axum::http::StatusCode;
use livekit_protocol::RoomParticipantIdentity;
use prost::Message;
use serde_json::{Value, json};

/// Anna, in her browser, talks to a caller in one call and to a number that she dialled in another: the ids of the two
/// and of the caller's leg.
async fn consulted(bed: &Bed) -> (String, String, String) {
    let (first, _) = talking(bed).await;
    let (second, asked) = dial(bed).await;
    bed.event(dialing("SCL_out", &asked.room_name, &asked.participant_identity)).await;
    bed.answered("SCL_out").await;
    let leg = bed.find(&first).await["legs"][0]["id"].as_str().unwrap().to_owned();
    (first, second, leg)
}

async fn transfer(bed: &Bed, key: &str, (call, leg): (&str, &str), body: Value) -> (StatusCode, Value) {
    let path = format!("/v1/calls/{call}/legs/{leg}/transfer");
    bed.call_as(key, axum::http::Method::POST, &path, body).await
}

#[tokio::test]
async fn a_browser_that_talks_to_two_joins_them_and_leaves() {
    let bed = Bed::new().await;
    let (first, second, leg) = consulted(&bed).await;
    let body = json!({"mode": "attended", "to_call_id": second});
    let (status, done) = transfer(&bed, &bed.ids.user_key, (&first, &leg), body).await;
    assert_eq!((status, &done["end_reason"]), (StatusCode::OK, &json!("transferred")), "{done}");
    let place = json_of(&bed.gateway.asked("/v1/legs/SCL_in/move").await);
    let joined = bed.find(&second).await;
    assert_eq!(joined["state"], "active");
    let legs = joined["legs"].as_array().unwrap();
    let heir = legs.iter().find(|leg| leg["id"] == place["identity"]).expect("the caller's leg is in the other call");
    assert_eq!((&heir["address"], &heir["state"]), (&json!(CALLER), &json!("active")));
    let own = legs.iter().find(|leg| leg["kind"] == "webrtc").unwrap();
    assert_eq!((&own["state"], &own["end_cause"]), (&json!("ended"), &json!("transferred")));
    let put_out = bed.livekit.asked("RoomService/RemoveParticipant").await;
    let put_out = RoomParticipantIdentity::decode(put_out).unwrap();
    assert_eq!((json!(put_out.room), json!(put_out.identity)), (place["room"].clone(), own["id"].clone()));
    bed.leg_ended("SCL_out", types::control::LegEndCause::PeerHangup, None).await;
    assert_eq!(bed.ended(&second).await["end_reason"], "callee_hangup");
}

#[tokio::test]
async fn what_cannot_be_joined_is_said_by_field_and_the_calls_go_on() {
    let bed = Bed::new().await;
    let (first, second, leg) = consulted(&bed).await;
    let at = (first.as_str(), leg.as_str());
    let admin = Bed::ADMIN;
    for (body, code) in [
        (json!({"mode": "attended"}), "required"),
        (json!({"mode": "attended", "to": "+31209999999"}), "required"),
        (json!({"mode": "attended", "to_call_id": first}), "same_call"),
        (json!({"mode": "attended", "to_call_id": "nonsense"}), "invalid_id"),
    ] {
        let (status, refused) = transfer(&bed, admin, at, body).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{refused}");
        let error = &refused["errors"][0];
        assert_eq!((&error["field"], &error["code"]), (&json!("to_call_id"), &json!(code)), "{refused}");
    }
    bed.leg_ended("SCL_out", types::control::LegEndCause::PeerHangup, None).await;
    bed.ended(&second).await;
    let (status, refused) = transfer(&bed, admin, at, json!({"mode": "attended", "to_call_id": second})).await;
    assert_eq!((status, &refused["code"]), (StatusCode::CONFLICT, &json!("call_already_ended")));
    assert_eq!(bed.find(&first).await["state"], "active");
}
