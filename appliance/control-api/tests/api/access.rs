//! Who gets in, and how far.

use crate::bed::{Bed, EMAIL, KEY, PASSWORD};
use axum::{
    body::Body,
    http::{Method, Request, StatusCode, header},
};
use serde_json::{Value, json};

#[tokio::test]
async fn without_credentials_nothing_is_told() {
    let bed = Bed::new().await;
    let answer = bed.send(Request::get("/v1/trunks").body(Body::empty()).unwrap()).await;
    assert_eq!(answer.headers[header::CONTENT_TYPE], "application/problem+json");
    insta::assert_json_snapshot!(answer.snapshot());
    assert_eq!(bed.with("sbx_test_wrong", Method::GET, "/v1/trunks", Value::Null).await.code(), "invalid_key");
}

#[tokio::test]
async fn a_session_needs_its_csrf_token_for_everything_but_reads() {
    let bed = Bed::new().await;
    let session = bed.sign_in(EMAIL, PASSWORD).await;
    assert_eq!(session.status, StatusCode::CREATED);
    let line = session.headers[header::SET_COOKIE].to_str().unwrap();
    assert!(line.starts_with("__Host-scaibox=") && line.contains("HttpOnly") && line.contains("SameSite"), "{line}");

    let read = Request::get("/v1/trunks").header(header::COOKIE, session.cookie());
    assert_eq!(bed.send(read.body(Body::empty()).unwrap()).await.status, StatusCode::OK);
    let write = || Request::post("/v1/bots").header(header::COOKIE, session.cookie());
    let bot = json!({ "name": "Bot", "agent_name": "bot" }).to_string();
    let refused = bed.send(write().body(Body::from(bot.clone())).unwrap()).await;
    assert_eq!((refused.status, refused.code()), (StatusCode::FORBIDDEN, "csrf_token_missing"));
    let csrf = session.body["csrf_token"].as_str().unwrap();
    let made = bed.send(write().header("x-csrf-token", csrf).body(Body::from(bot)).unwrap()).await;
    assert_eq!(made.status, StatusCode::CREATED);
}

#[tokio::test]
async fn signing_out_ends_the_session() {
    let bed = Bed::new().await;
    let session = bed.sign_in(EMAIL, PASSWORD).await;
    let csrf = session.body["csrf_token"].as_str().unwrap();
    let out = Request::delete("/v1/session").header(header::COOKIE, session.cookie()).header("x-csrf-token", csrf);
    assert_eq!(bed.send(out.body(Body::empty()).unwrap()).await.status, StatusCode::NO_CONTENT);
    let again = Request::get("/v1/session").header(header::COOKIE, session.cookie());
    assert_eq!(bed.send(again.body(Body::empty()).unwrap()).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_wrong_password_is_401_and_the_sixth_is_429() {
    let bed = Bed::new().await;
    for _ in 0..5 {
        let refused = bed.sign_in(EMAIL, "wrong").await;
        assert_eq!((refused.status, refused.code()), (StatusCode::UNAUTHORIZED, "wrong_credentials"));
    }
    let refused = bed.sign_in(EMAIL, PASSWORD).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(refused.headers.contains_key(header::RETRY_AFTER));
    assert_eq!(bed.sign_in("nobody@example.com", "wrong").await.code(), "wrong_credentials");
}

#[tokio::test]
async fn a_new_password_ends_the_old_sessions() {
    let bed = Bed::new().await;
    let anna = json!({ "email": "anna@example.com", "name": "Anna", "role": "viewer", "password": "anna's password" });
    let anna = bed.make("/v1/users", anna).await;
    let session = bed.sign_in("Anna@Example.com", "anna's password").await;
    let changed = bed.patch(&format!("/v1/users/{anna}"), json!({ "password": "another password" })).await;
    assert_eq!(changed.status, StatusCode::OK);
    let read = Request::get("/v1/session").header(header::COOKIE, session.cookie());
    assert_eq!(bed.send(read.body(Body::empty()).unwrap()).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(bed.sign_in("anna@example.com", "another password").await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn each_role_gets_as_far_as_it_may() {
    let bed = Bed::new().await;
    let user = json!({ "email": "u@example.com", "name": "U", "role": "user" });
    let user = bed.make("/v1/users", user).await;
    let bot = json!({ "name": "Bot", "agent_name": "bot" });
    for (role, read, write, own) in [("admin", 200, 201, 403), ("viewer", 200, 403, 403), ("user", 403, 403, 200)] {
        let owner = if role == "user" { json!({ "user_id": user }) } else { json!({}) };
        let key = bed.key(role, owner).await;
        let got = bed.with(&key, Method::GET, "/v1/trunks", Value::Null).await.status.as_u16();
        let put = bed.with(&key, Method::POST, "/v1/bots", bot.clone()).await.status.as_u16();
        let mine = bed.with(&key, Method::GET, "/v1/my/extensions", Value::Null).await.status.as_u16();
        assert_eq!((got, put, mine), (read, write, own), "{role}");
    }
}

#[tokio::test]
async fn only_an_operator_makes_tenants_and_operators() {
    let bed = Bed::new().await;
    assert_eq!(bed.post("/v1/tenants", json!({ "name": "Mine" })).await.status, StatusCode::FORBIDDEN);
    let boss = json!({ "email": "boss@example.com", "name": "Boss", "role": "operator" });
    assert_eq!(bed.post("/v1/users", boss).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn another_tenants_things_do_not_exist() {
    let bed = Bed::new().await;
    let trunk = bed.trunk("Ours").await;
    let plan = bed.make("/v1/dialplans", json!({ "name": "Plan" })).await;
    let theirs = bed.other_tenant().await;
    for path in [
        format!("/v1/trunks/{trunk}"),
        format!("/v1/dialplans/{plan}"),
        format!("/v1/users/{}", bed.get("/v1/users").await.body["items"][0]["id"].as_str().unwrap()),
        format!("/v1/tenants/{}", bed.get("/v1/tenants").await.body["items"][0]["id"].as_str().unwrap()),
    ] {
        for method in [Method::GET, Method::PATCH] {
            let answer = bed.with(&theirs, method.clone(), &path, json!({ "name": "x" })).await;
            assert_eq!((answer.status, answer.code()), (StatusCode::NOT_FOUND, "not_found"), "{method} {path}");
        }
    }
    let did = json!({ "number": "+31201234567", "trunk_id": trunk });
    assert_eq!(bed.with(&theirs, Method::POST, "/v1/dids", did).await.wrong(), ["trunk_id unknown_reference"]);
    let list = bed.with(&theirs, Method::GET, "/v1/trunks", Value::Null).await;
    assert_eq!(list.body["items"], json!([]));
    let mut strange = Request::get("/v1/trunks").header(header::AUTHORIZATION, format!("Bearer {theirs}"));
    strange = strange.header("scaibox-tenant", bed.get("/v1/tenants").await.body["items"][0]["id"].as_str().unwrap());
    assert_eq!(bed.send(strange.body(Body::empty()).unwrap()).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_keys_secret_is_shown_once_and_a_deleted_key_is_out_at_once() {
    let bed = Bed::new().await;
    let key = bed.key("viewer", json!({})).await;
    assert_eq!(bed.with(&key, Method::GET, "/v1/bots", Value::Null).await.status, StatusCode::OK);
    let list = bed.get("/v1/keys").await;
    assert!(!list.body.to_string().contains("secret"), "{}", list.body);
    let id = key.rsplit_once('_').unwrap().0;
    assert_eq!(bed.delete(&format!("/v1/keys/{id}")).await.status, StatusCode::NO_CONTENT);
    assert_eq!(bed.with(&key, Method::GET, "/v1/bots", Value::Null).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(bed.with(KEY, Method::GET, "/v1/bots", Value::Null).await.status, StatusCode::OK);
}

#[tokio::test]
async fn the_last_admin_cannot_be_removed() {
    let bed = Bed::new().await;
    let cookie = bed.operator().await;
    let tenant = bed.by_operator(&cookie, "/v1/tenants", None, json!({ "name": "Other" })).await.id();
    let made = bed.by_operator(&cookie, "/v1/keys", Some(&tenant), json!({ "name": "k", "role": "admin" })).await;
    let key = made.body["secret"].as_str().unwrap();
    let admin = json!({ "email": "only@example.com", "name": "Only", "role": "admin" });
    let admin = bed.with(key, Method::POST, "/v1/users", admin).await.id();
    let refused = bed.with(key, Method::DELETE, &format!("/v1/users/{admin}"), Value::Null).await;
    assert_eq!((refused.status, refused.code()), (StatusCode::CONFLICT, "last_admin"));
    let demoted = bed.with(key, Method::PATCH, &format!("/v1/users/{admin}"), json!({ "role": "viewer" })).await;
    assert_eq!(demoted.code(), "last_admin");
}
