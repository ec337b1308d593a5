//! Bad input: 422 with one entry per field, for every noun.

use crate::bed::{Bed, KEY};
use axum::{
    body::Body,
    http::{Request, StatusCode, header},
};
use serde_json::json;

const NOUNS: [&str; 9] = [
    "/v1/tenants",
    "/v1/users",
    "/v1/keys",
    "/v1/trunks",
    "/v1/dids",
    "/v1/extensions",
    "/v1/dialplans",
    "/v1/calendars",
    "/v1/bots",
];

#[tokio::test]
async fn bad_json_is_refused_with_its_place() {
    let bed = Bed::new().await;
    for path in NOUNS.into_iter().filter(|path| *path != "/v1/tenants") {
        for (body, code) in [("{\"name\": ", "invalid_json"), ("[1]", "invalid_type"), ("", "invalid_json")] {
            let request = Request::post(path).header(header::AUTHORIZATION, format!("Bearer {KEY}"));
            let answer = bed.send(request.body(Body::from(body)).unwrap()).await;
            assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{path}");
            assert_eq!(answer.wrong(), [format!(" {code}")], "{path} {body}");
        }
    }
}

#[tokio::test]
async fn an_empty_object_and_an_unknown_field_name_every_mistake() {
    let bed = Bed::new().await;
    let operator = bed.operator().await;
    let mut found = Vec::new();
    for path in NOUNS {
        let answer = bed.by_operator(&operator, path, None, json!({ "colour": "red" })).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
        found.push(json!({ path: answer.wrong() }));
    }
    insta::assert_json_snapshot!(found);
}

#[tokio::test]
async fn every_wrong_field_of_a_trunk_is_named() {
    let bed = Bed::new().await;
    let answer = bed.post(
        "/v1/trunks",
        json!({
            "name": " ", "sip_server_address": "sip:carrier", "sip_transport": "sctp", "auth_mode": "magic",
            "register": "yes", "allowed_addresses": ["192.0.2.0/24", "here"], "media_encryption": 1,
            "codecs": ["pcmu", "mp3"], "number_format": "roman", "priority": -1, "enabled": "true", "id": "trk_1",
        }),
    );
    insta::assert_json_snapshot!(answer.await.snapshot());
    let without = bed.post("/v1/trunks", json!({ "name": "A", "sip_server_address": "sip.example.com" })).await;
    assert_eq!(without.wrong(), ["sip_auth_username required", "sip_auth_password required"]);
    let by_address =
        json!({ "name": "A", "sip_server_address": "sip.example.com", "auth_mode": "ip", "register": true });
    assert_eq!(bed.post("/v1/trunks", by_address).await.wrong(), ["register needs_credentials"]);
}

#[tokio::test]
async fn every_wrong_field_of_an_extension_is_named() {
    let bed = Bed::new().await;
    let answer = bed.post(
        "/v1/extensions",
        json!({
            "number": "12a", "name": "", "type": "phone", "user_id": "ext_1", "bot_id": 7, "target": "somewhere",
            "dnd": "no", "forwarding": [{ "when": "never", "to": [] }], "ring_timeout_s": 1000,
            "timeout_action": "ring_bot", "timeout_forward_to": "ext_1",
        }),
    );
    insta::assert_json_snapshot!(answer.await.snapshot());
}

#[tokio::test]
async fn each_type_and_action_asks_for_what_it_needs() {
    let bed = Bed::new().await;
    for (more, wrong) in [
        (json!({ "type": "wave" }), "user_id required"),
        (json!({ "type": "bot" }), "bot_id required"),
        (json!({ "type": "external" }), "target required"),
        (json!({ "type": "sip_endpoint" }), "target required"),
        (json!({ "type": "voicemail", "timeout_action": "forward" }), "timeout_forward_to required"),
        (
            json!({ "type": "voicemail", "timeout_action": "hangup", "timeout_forward_to": "+31" }),
            "timeout_forward_to invalid_target",
        ),
        (json!({ "type": "wave", "user_id": "usr_01jd0000000000000000000000" }), "user_id unknown_reference"),
    ] {
        let mut body = json!({ "number": "100", "name": "A" });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        assert_eq!(bed.post("/v1/extensions", body).await.wrong(), [wrong]);
    }
}

#[tokio::test]
async fn every_wrong_field_of_a_rule_is_named() {
    let bed = Bed::new().await;
    let window = json!({ "days": [7], "start_time": "9:00", "end_time": "25:00", "timezone": "Mars" });
    let answer = bed.post(
        "/v1/dialplans",
        json!({ "name": "Office", "rules": [
        { "match_type": "always", "action_type": "hangup" },
        { "match_type": "time_window", "match_params": window, "action_type": "forward", "action_params": {} },
    ] }),
    );
    insta::assert_json_snapshot!(answer.await.snapshot());
    let bot = json!({ "bot_id": "bot_01jd0000000000000000000000" });
    let rule = json!({ "match_type": "always", "action_type": "ring_bot", "action_params": bot });
    let answer = bed.post("/v1/dialplans", json!({ "name": "Office", "rules": [rule] })).await;
    assert_eq!(answer.wrong(), ["rules[0].action_params.bot_id unknown_reference"]);
}

#[tokio::test]
async fn a_path_or_method_that_is_not_there_is_a_problem_too() {
    let bed = Bed::new().await;
    assert_eq!(bed.get("/v1/nothing").await.code(), "no_such_path");
    assert_eq!(bed.delete("/v1/trunks").await.code(), "method_not_allowed");
    assert_eq!(bed.get("/v1/trunks/hello").await.code(), "not_found");
    assert_eq!(bed.get("/v1/trunks/did_01jd0000000000000000000000").await.status, StatusCode::NOT_FOUND);
}
