//! A box that nobody has claimed, and how it gets its operator: once.

use crate::bed::{Answer, Bed, EMAIL, PASSWORD};
use axum::{
    Json, Router,
    body::Body,
    http::{Method, Request, StatusCode, header},
    response::IntoResponse,
    routing::{get, post},
};
use serde_json::{Value, json};

async fn unclaimed() -> Bed {
    Bed::with_config(json!({ "admin": null, "setup_socket": "setup.sock" })).await
}

fn owner(email: &str) -> Value {
    json!({ "email": email, "password": PASSWORD, "name": "Anna" })
}

async fn claim(bed: &Bed, body: Value) -> Answer {
    bed.internal(Method::POST, "/internal/v1/claim", body).await
}

async fn claimed(bed: &Bed) -> Value {
    bed.internal(Method::GET, "/internal/v1/claim", Value::Null).await.body["claimed"].clone()
}

/// Asks without being signed in.
async fn ask(bed: &Bed, method: Method, path: &str, body: Value) -> Answer {
    bed.send(Request::builder().method(method).uri(path).body(Body::from(body.to_string())).unwrap()).await
}

/// A `first-boot` that refuses every code.
fn first_boot() -> Router {
    let show = || async { Json(json!({ "state": "unclaimed", "name": "box", "version": "1" })) };
    let refuse = |body: String| async move {
        let kind = [(header::CONTENT_TYPE, "application/problem+json"), (header::RETRY_AFTER, "7")];
        (StatusCode::TOO_MANY_REQUESTS, kind, json!({ "code": "too_many_tries", "detail": body }).to_string())
            .into_response()
    };
    Router::new().route("/v1/setup", get(show)).route("/v1/setup/claim", post(refuse))
}

#[tokio::test]
async fn whoever_claims_the_box_is_its_operator() {
    let bed = unclaimed().await;
    assert_eq!(claimed(&bed).await, json!(false));
    assert_eq!(claim(&bed, owner("Anna@Example.com")).await.status, StatusCode::CREATED);
    assert_eq!(claimed(&bed).await, json!(true));
    let session = bed.sign_in("anna@example.com", PASSWORD).await;
    assert_eq!((session.status, &session.body["role"]), (StatusCode::CREATED, &json!("operator")));
}

#[tokio::test]
async fn only_the_first_claim_counts_also_of_two_at_once() {
    let bed = unclaimed().await;
    let (one, two) = tokio::join!(claim(&bed, owner("a@example.com")), claim(&bed, owner("b@example.com")));
    let mut statuses = [one.status, two.status];
    statuses.sort();
    assert_eq!(statuses, [StatusCode::CREATED, StatusCode::CONFLICT]);
    let late = claim(&bed, owner("c@example.com")).await;
    assert_eq!((late.status, late.code()), (StatusCode::CONFLICT, "already_claimed"));
}

#[tokio::test]
async fn a_claim_with_wrong_fields_names_them_and_changes_nothing() {
    let bed = unclaimed().await;
    let refused = claim(&bed, json!({ "email": "nobody", "password": "short" })).await;
    assert_eq!(refused.wrong(), ["email invalid_email", "password too_short"]);
    assert_eq!(claimed(&bed).await, json!(false));
}

#[tokio::test]
async fn a_box_claimed_by_its_configuration_cannot_be_claimed_again() {
    let bed = Bed::new().await;
    assert_eq!(claimed(&bed).await, json!(true));
    assert_eq!(claim(&bed, owner("anna@example.com")).await.code(), "already_claimed");
    assert_eq!(bed.sign_in(EMAIL, PASSWORD).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn setup_is_passed_on_with_status_body_and_when_to_come_again() {
    let bed = unclaimed().await;
    bed.neighbour("setup.sock", first_boot());
    let shown = ask(&bed, Method::GET, "/v1/setup", Value::Null).await;
    assert_eq!((shown.status, &shown.body["state"]), (StatusCode::OK, &json!("unclaimed")));
    let refused = ask(&bed, Method::POST, "/v1/setup/claim", json!({ "code": "X" })).await;
    assert_eq!((refused.status, refused.code()), (StatusCode::TOO_MANY_REQUESTS, "too_many_tries"));
    assert_eq!(refused.body["detail"], r#"{"code":"X"}"#);
    assert_eq!(refused.headers[header::RETRY_AFTER], "7");
    assert_eq!(refused.headers[header::CONTENT_TYPE], "application/problem+json");
}

#[tokio::test]
async fn setup_is_gone_once_the_box_is_claimed_or_when_nobody_listens() {
    let bed = unclaimed().await;
    let nobody = ask(&bed, Method::GET, "/v1/setup", Value::Null).await;
    assert_eq!((nobody.status, nobody.code()), (StatusCode::NOT_FOUND, "setup_done"));
    bed.neighbour("setup.sock", first_boot());
    claim(&bed, owner("anna@example.com")).await;
    for (method, path) in [(Method::GET, "/v1/setup"), (Method::POST, "/v1/setup/claim")] {
        assert_eq!(ask(&bed, method, path, json!({ "code": "X" })).await.code(), "setup_done");
    }
}
