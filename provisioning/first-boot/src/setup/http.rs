//! The two routes of the claim.

use super::{
    clerk::{Clerk, NewOwner},
    problem::{FieldError, Problem},
};
use crate::claim::code::ClaimCode;
use axum::{
    Json, Router,
    body::Bytes,
    extract::State,
    http::StatusCode,
    routing::{get, post},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use types::Redacted;

const SHORTEST_PASSWORD: usize = 12;
const LONGEST_FIELD: usize = 200;
const LONGEST_NAME: usize = 80;

pub fn router(clerk: Arc<Clerk>) -> Router {
    Router::new().route("/v1/setup", get(show)).route("/v1/setup/claim", post(claim)).with_state(clerk)
}

/// What a page needs to know before it asks for the code.
#[derive(Serialize)]
pub struct Setup {
    pub state: &'static str,
    pub name: String,
    pub version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claim_url: Option<String>,
}

async fn show(State(clerk): State<Arc<Clerk>>) -> Result<Json<Setup>, Problem> {
    clerk.setup().await.map(Json)
}

async fn claim(State(clerk): State<Arc<Clerk>>, body: Bytes) -> Result<(StatusCode, Json<Setup>), Problem> {
    let (code, owner) = read(&body)?;
    clerk.claim(&code, &owner).await?;
    Ok((StatusCode::CREATED, Json(clerk.setup().await?)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    #[serde(default)]
    code: String,
    #[serde(default)]
    email: String,
    #[serde(default = "nothing")]
    password: Redacted<String>,
    name: Option<String>,
}

fn nothing() -> Redacted<String> {
    Redacted(String::new())
}

/// The code and the account, or every field that is not right. A code that cannot be one is no try.
fn read(body: &[u8]) -> Result<(ClaimCode, NewOwner), Problem> {
    let body: Body = serde_json::from_slice(body).map_err(|_| {
        let message = "a JSON object with code, email, password and, if you like, name";
        Problem::Invalid(vec![FieldError { field: "body", code: "invalid_body", message }])
    })?;
    let code = ClaimCode::parse(&body.code);
    let errors: Vec<_> = [
        wrong(code.is_none(), "code", "the claim code has ten letters and digits, like ABCDE-23456"),
        wrong(!is_email(&body.email), "email", "an address like you@example.com"),
        wrong(!is_password(body.password.expose()), "password", "at least 12 and at most 200 characters"),
        wrong(!body.name.as_deref().is_none_or(is_name), "name", "1 to 80 characters on one line"),
    ]
    .into_iter()
    .flatten()
    .collect();
    match code {
        Some(code) if errors.is_empty() => {
            Ok((code, NewOwner { email: body.email.trim().to_owned(), password: body.password, name: body.name }))
        }
        _ => Err(Problem::Invalid(errors)),
    }
}

fn wrong(is_wrong: bool, field: &'static str, message: &'static str) -> Option<FieldError> {
    is_wrong.then_some(FieldError { field, code: "invalid_value", message })
}

fn is_email(text: &str) -> bool {
    let text = text.trim();
    let plain = text.len() <= LONGEST_FIELD && !text.contains(|c: char| c.is_whitespace() || c.is_control());
    plain && text.split_once('@').is_some_and(|(who, host)| !who.is_empty() && !host.is_empty() && !host.contains('@'))
}

fn is_password(text: &str) -> bool {
    (SHORTEST_PASSWORD..=LONGEST_FIELD).contains(&text.chars().count())
}

fn is_name(text: &str) -> bool {
    (1..=LONGEST_NAME).contains(&text.trim().chars().count()) && !text.contains(char::is_control)
}
