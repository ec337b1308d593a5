//! What is somebody told when the box cannot be claimed?
//!
//! RFC 9457 `application/problem+json`, like every refusal of the API.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use serde_json::{Value, json};
use std::time::Duration;
use types::CorrelationId;

/// One wrong field.
#[derive(Debug, Serialize)]
pub struct FieldError {
    pub field: &'static str,
    pub code: &'static str,
    pub message: &'static str,
}

/// A refusal on its way to the client.
#[derive(Debug)]
pub enum Problem {
    Invalid(Vec<FieldError>),
    WrongCode,
    TooManyTries {
        wait: Duration,
    },
    CodeExpired,
    AlreadyClaimed,
    NotReady,
    /// `control-api`'s own words.
    Passed(StatusCode, Value),
    Internal,
}

impl Problem {
    /// Status, code, sentence and what to do next.
    fn words(&self) -> (StatusCode, &'static str, &'static str, &'static str) {
        use StatusCode as S;
        match self {
            Self::Invalid(_) => (S::UNPROCESSABLE_ENTITY, "invalid", "some fields are not right", "correct them"),
            Self::WrongCode => (
                S::FORBIDDEN,
                "wrong_claim_code",
                "this is not the box's claim code",
                "read it from the box's own screen",
            ),
            Self::TooManyTries { .. } => {
                (S::TOO_MANY_REQUESTS, "too_many_tries", "too many wrong codes", "wait, then read the code again")
            }
            Self::CodeExpired => {
                (S::GONE, "claim_code_expired", "the claim code is older than a day", "restart the box for a new one")
            }
            Self::AlreadyClaimed => {
                (S::CONFLICT, "already_claimed", "the box has an owner", "sign in, or ask its operator")
            }
            Self::NotReady => {
                (S::SERVICE_UNAVAILABLE, "not_ready", "the box is still starting", "try again in some seconds")
            }
            Self::Passed(status, _) => (*status, "refused", "the account could not be made", "see the details"),
            Self::Internal => {
                (S::INTERNAL_SERVER_ERROR, "internal", "something went wrong in the box", "look into its log")
            }
        }
    }

    fn body(&self) -> Value {
        if let Self::Passed(_, body) = self {
            return body.clone();
        }
        let (status, code, detail, hint) = self.words();
        let mut body = json!({
            "type": format!("urn:scaibox:problem:{code}"),
            "title": status.canonical_reason(),
            "status": status.as_u16(),
            "detail": detail,
            "code": code,
            "hint": hint,
            "correlation_id": CorrelationId::new(),
        });
        if let Self::Invalid(errors) = self {
            body["errors"] = json!(errors);
        }
        body
    }

    fn retry_after(&self) -> Option<u64> {
        match self {
            Self::TooManyTries { wait } => Some(wait.as_secs() + u64::from(wait.subsec_nanos() > 0)),
            Self::NotReady => Some(5),
            _ => None,
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.words().0, Json(self.body())).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.retry_after() {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}
