//! Each noun made, listed, read, changed and removed.

use crate::bed::{Bed, trunk};
use axum::http::StatusCode;
use serde_json::{Value, json};

/// Walks one noun through its life; `change` is one field with its new value.
async fn live(bed: &Bed, path: &str, body: Value, change: Value) -> Value {
    let made = bed.post(path, body).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
    let one = format!("{path}/{}", made.id());
    assert_eq!(bed.get(&one).await.body, made.body);
    assert!(bed.get(path).await.body["items"].as_array().unwrap().contains(&made.body));
    let changed = bed.patch(&one, change.clone()).await;
    assert_eq!(changed.status, StatusCode::OK, "{}", changed.body);
    for (name, value) in change.as_object().unwrap() {
        assert_eq!(&changed.body[name], value, "{name}");
    }
    assert_eq!(bed.delete(&one).await.status, StatusCode::NO_CONTENT);
    assert_eq!(bed.get(&one).await.status, StatusCode::NOT_FOUND);
    made.snapshot()
}

#[tokio::test]
async fn a_trunk_lives() {
    let bed = Bed::new().await;
    let body = json!({
        "name": "Carrier", "sip_server_address": "sip.example.com:5060",
        "sip_auth_username": "user", "sip_auth_password": "hush",
    });
    let made = live(&bed, "/v1/trunks", body, json!({ "priority": 5 })).await;
    assert!(!made.to_string().contains("hush"));
    insta::assert_json_snapshot!(made);
}

#[tokio::test]
async fn a_did_lives() {
    let bed = Bed::new().await;
    let trunk = bed.trunk("Carrier").await;
    let body = json!({ "number": "+31201234567", "trunk_id": trunk });
    insta::assert_json_snapshot!(live(&bed, "/v1/dids", body, json!({ "label": "Front desk" })).await);
}

#[tokio::test]
async fn an_extension_lives() {
    let bed = Bed::new().await;
    let user = bed.make("/v1/users", json!({ "email": "a@example.com", "name": "A", "role": "user" })).await;
    let body = json!({
        "number": "100", "name": "Reception", "type": "wave", "user_id": user,
        "forwarding": [{ "when": "no_answer", "to": ["+31612345678", "sip:desk@example.com"] }],
    });
    insta::assert_json_snapshot!(live(&bed, "/v1/extensions", body, json!({ "dnd": true })).await);
}

#[tokio::test]
async fn a_dialplan_lives() {
    let bed = Bed::new().await;
    let rules = json!([
        { "priority": 999, "match_type": "always", "action_type": "voicemail" },
        { "priority": 10, "match_type": "caller_prefix", "match_params": { "prefix": "+44900" }, "action_type": "hangup" },
    ]);
    let body = json!({ "name": "Office", "rules": rules });
    insta::assert_json_snapshot!(live(&bed, "/v1/dialplans", body, json!({ "name": "Shop" })).await);
}

#[tokio::test]
async fn a_bot_lives() {
    let bed = Bed::new().await;
    let body = json!({ "name": "Support", "agent_name": "support" });
    insta::assert_json_snapshot!(live(&bed, "/v1/bots", body, json!({ "enabled": false })).await);
}

#[tokio::test]
async fn a_calendar_lives() {
    let bed = Bed::new().await;
    let days = json!([{ "date": "2026-12-26", "name": "Boxing day" }, { "date": "2026-12-25", "name": "Christmas" }]);
    let body = json!({ "name": "Holidays", "timezone": "Europe/Amsterdam", "days": days });
    insta::assert_json_snapshot!(live(&bed, "/v1/calendars", body, json!({ "name": "Days off" })).await);
}

#[tokio::test]
async fn a_user_lives() {
    let bed = Bed::new().await;
    let body = json!({ "email": "Anna@Example.com", "name": "Anna", "role": "user", "password": "a long password" });
    let made = live(&bed, "/v1/users", body, json!({ "name": "Anna B" })).await;
    assert!(!made.to_string().contains("password"));
    insta::assert_json_snapshot!(made);
}

#[tokio::test]
async fn a_key_lives() {
    let bed = Bed::new().await;
    let made = bed.post("/v1/keys", json!({ "name": "Monitoring", "role": "viewer" })).await;
    let one = format!("/v1/keys/{}", made.id());
    assert!(made.body["secret"].as_str().unwrap().starts_with(&made.id()));
    assert_eq!(bed.patch(&one, json!({ "name": "Graphs" })).await.body["name"], "Graphs");
    assert_eq!(bed.delete(&one).await.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn a_tenants_settings_are_its_admins() {
    let bed = Bed::new().await;
    let tenant = bed.get("/v1/tenants").await.body["items"][0]["id"].as_str().unwrap().to_owned();
    let settings = json!({ "country_code": "31", "timezone": "Europe/Amsterdam", "voicemail_transcripts": true });
    let changed = bed.patch(&format!("/v1/tenants/{tenant}"), settings).await;
    insta::assert_json_snapshot!(changed.snapshot());
}

#[tokio::test]
async fn a_patch_keeps_the_trunks_password() {
    let bed = Bed::new().await;
    let body = json!({
        "name": "Carrier", "sip_server_address": "sip.example.com",
        "sip_auth_username": "user", "sip_auth_password": "hush",
    });
    let id = bed.make("/v1/trunks", body).await;
    assert_eq!(bed.patch(&format!("/v1/trunks/{id}"), json!({ "name": "Other" })).await.status, StatusCode::OK);
    let stored = bed.app.db.read(move |conn| store::find_any::<store::trunks::Trunk>(conn, &id)).await.unwrap();
    assert_eq!(stored.spec.sip_auth_password.as_deref(), Some("hush"));
}

#[tokio::test]
async fn resync_makes_a_trunk_pending() {
    let bed = Bed::new().await;
    let id = bed.trunk("Carrier").await;
    let answer = bed.post(&format!("/v1/trunks/{id}/resync"), Value::Null).await;
    assert_eq!((answer.status, &answer.body["sync_status"]), (StatusCode::ACCEPTED, &json!("pending")));
}

#[tokio::test]
async fn names_and_numbers_are_unique() {
    let bed = Bed::new().await;
    let id = bed.trunk("Carrier").await;
    let again = bed.post("/v1/trunks", trunk("Carrier")).await;
    insta::assert_json_snapshot!(again.snapshot());
    let did = json!({ "number": "+31201234567", "trunk_id": id });
    bed.make("/v1/dids", did.clone()).await;
    assert_eq!(bed.post("/v1/dids", did).await.code(), "number_taken");
    let user = json!({ "email": "a@example.com", "name": "A", "role": "user" });
    bed.make("/v1/users", user.clone()).await;
    assert_eq!(bed.post("/v1/users", user).await.code(), "email_taken");
}

#[tokio::test]
async fn what_is_still_used_stays() {
    let bed = Bed::new().await;
    let trunk = bed.trunk("Carrier").await;
    bed.make("/v1/dids", json!({ "number": "+31201234567", "trunk_id": trunk })).await;
    let refused = bed.delete(&format!("/v1/trunks/{trunk}")).await;
    assert_eq!((refused.status, refused.code()), (StatusCode::CONFLICT, "in_use"));
    let bot = bed.make("/v1/bots", json!({ "name": "Bot", "agent_name": "bot" })).await;
    let rule = json!({ "match_type": "always", "action_type": "ring_bot", "action_params": { "bot_id": bot } });
    bed.make("/v1/dialplans", json!({ "name": "Office", "rules": [rule] })).await;
    let refused = bed.delete(&format!("/v1/bots/{bot}")).await;
    assert_eq!(refused.body["detail"], "the bot is still used by the dialplan `Office`");
}

#[tokio::test]
async fn rules_are_changed_one_by_one_or_all_at_once() {
    let bed = Bed::new().await;
    let plan = bed.make("/v1/dialplans", json!({ "name": "Office" })).await;
    let one = format!("/v1/dialplans/{plan}");
    let rules = format!("{one}/rules");
    let first = bed.make(&rules, json!({ "match_type": "always", "action_type": "hangup" })).await;
    let second = bed.make(&rules, json!({ "priority": 5, "match_type": "always", "action_type": "voicemail" })).await;
    let order = |body: &Value| {
        let ids = body["rules"].as_array().unwrap().iter().map(|rule| rule["id"].as_str().unwrap().to_owned());
        ids.collect::<Vec<_>>()
    };
    assert_eq!(order(&bed.get(&one).await.body), [second.clone(), first.clone()]);
    let changed = bed.patch(&format!("{rules}/{second}"), json!({ "priority": 500 })).await;
    assert_eq!((&changed.body["priority"], &changed.body["action_type"]), (&json!(500), &json!("voicemail")));
    assert_eq!(order(&bed.get(&one).await.body), [first.clone(), second.clone()]);
    let kept = json!([{ "id": second, "match_type": "always", "action_type": "hangup" }]);
    assert_eq!(order(&bed.patch(&one, json!({ "rules": kept })).await.body), std::slice::from_ref(&second));
    assert_eq!(bed.delete(&format!("{rules}/{first}")).await.status, StatusCode::NOT_FOUND);
    assert_eq!(bed.delete(&format!("{rules}/{second}")).await.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn a_dialplan_is_tried_without_a_call() {
    let bed = Bed::new().await;
    let window = json!({ "days": [4, 0, 1, 2, 3, 0], "start_time": "09:00", "end_time": "17:00", "timezone": "Europe/Amsterdam" });
    let rules = json!([
        { "priority": 10, "match_type": "caller_prefix", "match_params": { "prefix": "+44900" }, "action_type": "hangup" },
        { "priority": 100, "match_type": "time_window", "match_params": window, "action_type": "voicemail" },
    ]);
    let plan = bed.make("/v1/dialplans", json!({ "name": "Office", "rules": rules })).await;
    let imagined = json!({ "caller": "+31612345678", "at": "2026-11-20T08:00:00Z" });
    insta::assert_json_snapshot!(bed.post(&format!("/v1/dialplans/{plan}/evaluate"), imagined).await.snapshot());
    let at_night = json!({ "caller": "+31612345678", "at": "2026-11-20T23:00:00Z" });
    let answer = bed.post(&format!("/v1/dialplans/{plan}/evaluate"), at_night).await;
    assert_eq!(answer.body["decision"]["outcome"], "no_rule_matched");
}

#[tokio::test]
async fn an_imagined_caller_is_understood_in_every_spelling_like_a_real_one() {
    let bed = Bed::new().await;
    let tenant = bed.get("/v1/tenants").await.body["items"][0]["id"].as_str().unwrap().to_owned();
    bed.patch(&format!("/v1/tenants/{tenant}"), json!({ "country_code": "31" })).await;
    let dutch =
        json!([{ "match_type": "caller_prefix", "match_params": { "prefix": "+316" }, "action_type": "voicemail" }]);
    let plan = bed.make("/v1/dialplans", json!({ "name": "Dutch", "rules": dutch })).await;
    for spelling in ["+31612345678", "0031612345678", "31612345678", "0612345678"] {
        let answer = bed.post(&format!("/v1/dialplans/{plan}/evaluate"), json!({ "caller": spelling })).await;
        assert_eq!(answer.body["decision"]["outcome"], "matched", "{spelling}: {}", answer.body);
    }
}

#[tokio::test]
async fn lists_are_read_page_by_page() {
    let bed = Bed::new().await;
    for n in 0..5 {
        bed.make("/v1/bots", json!({ "name": format!("Bot {n}"), "agent_name": "bot" })).await;
    }
    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = bed.get(&format!("/v1/bots?limit=2{cursor}")).await.body;
        seen.extend(page["items"].as_array().unwrap().iter().map(|bot| bot["name"].as_str().unwrap().to_owned()));
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    seen.sort();
    assert_eq!(seen, ["Bot 0", "Bot 1", "Bot 2", "Bot 3", "Bot 4"]);
    assert_eq!(bed.get("/v1/bots?limit=0").await.wrong(), ["limit out_of_range"]);
    assert_eq!(bed.get("/v1/bots?limit=many").await.status, StatusCode::UNPROCESSABLE_ENTITY);
}
