//! What is a client told when something cannot be done?
//!
//! RFC 9457 `application/problem+json` with a stable `code`, a sentence and what to do next. Every
//! error of the store and the adapters becomes one here, and server faults are logged here, once.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use std::borrow::Cow;
use store::StoreError;
use utoipa::ToSchema;

pub type ApiResult<T> = Result<T, ApiError>;

/// A refusal on its way to the client.
#[derive(Debug)]
pub struct ApiError {
    status: StatusCode,
    code: Cow<'static, str>,
    detail: String,
    hint: Option<Cow<'static, str>>,
    errors: Vec<FieldError>,
    retry_after_s: Option<u64>,
}

/// The body of every refusal.
#[derive(Serialize, ToSchema)]
pub struct Problem {
    /// `urn:scaibox:problem:<code>`
    #[serde(rename = "type")]
    kind: String,
    /// The status in words.
    title: String,
    status: u16,
    /// What went wrong, for people.
    detail: String,
    /// What went wrong, for programs; stable.
    code: String,
    /// What to do next.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    /// Stands on the log lines of this request too.
    correlation_id: String,
    /// One entry per wrong field, with status 422.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldError>,
}

/// One wrong field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// Path from the body's root, `rules[0].match_params.days`.
    pub field: String,
    /// `required`, `invalid_type`, `unknown_field`, …; stable.
    pub code: Cow<'static, str>,
    pub message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl FieldError {
    pub fn new(field: impl Into<String>, code: &'static str, message: impl ToString) -> Self {
        Self { field: field.into(), code: code.into(), message: message.to_string(), hint: None }
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl From<dialplan::FieldError> for FieldError {
    fn from(err: dialplan::FieldError) -> Self {
        Self::new(err.field, err.code, err.message)
    }
}

impl ApiError {
    pub fn new(status: StatusCode, code: impl Into<Cow<'static, str>>, detail: impl Into<String>) -> Self {
        Self { status, code: code.into(), detail: detail.into(), hint: None, errors: vec![], retry_after_s: None }
    }

    pub fn hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    /// Adds a wrong field.
    pub fn field(mut self, error: FieldError) -> Self {
        self.errors.push(error);
        self
    }

    /// 422 with one entry per wrong field.
    pub fn invalid(errors: Vec<FieldError>) -> Self {
        let detail = match errors.as_slice() {
            [one] => format!("{}: {}", one.field, one.message),
            many => format!("{} fields are not right", many.len()),
        };
        let base = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", detail);
        Self { errors, ..base }
    }

    pub fn not_found(noun: &str, id: &impl ToString) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", format!("no {noun} {}", id.to_string()))
    }

    pub fn conflict(code: impl Into<Cow<'static, str>>, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, detail)
    }

    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", detail)
    }

    pub fn unauthorized(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, code, detail)
    }

    /// A fault of ours: logged with its cause, told without it.
    pub fn internal(cause: impl std::fmt::Debug) -> Self {
        tracing::error!(cause = ?cause, correlation_id = %crate::correlation::current(), "request_failed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "something went wrong in the box")
            .hint("look for the correlation_id in the log")
    }

    pub fn status(&self) -> StatusCode {
        self.status
    }

    pub fn code(&self) -> &str {
        &self.code
    }

    /// The body as it will be sent.
    pub fn problem(&self) -> Problem {
        Problem {
            kind: format!("urn:scaibox:problem:{}", self.code),
            title: self.status.canonical_reason().unwrap_or("Error").to_owned(),
            status: self.status.as_u16(),
            detail: self.detail.clone(),
            code: self.code.clone().into_owned(),
            hint: self.hint.clone().map(Cow::into_owned),
            correlation_id: crate::correlation::current().to_string(),
            errors: self.errors.clone(),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.problem())).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"scaibox\""));
        }
        response
    }
}

impl From<StoreError> for ApiError {
    fn from(err: StoreError) -> Self {
        match err {
            StoreError::NotFound { noun, id } => Self::not_found(noun, &id),
            StoreError::Taken { noun, field } => {
                let detail = format!("another {noun} has this {field} already");
                let error = FieldError::new(field.clone(), "taken", &detail);
                Self::conflict(format!("{field}_taken"), detail).field(error)
            }
            StoreError::InUse { noun, by } => {
                Self::conflict("in_use", format!("the {noun} is still used by {by}")).hint("change what uses it first")
            }
            full if full.disk_full() => {
                tracing::error!(cause = ?full, "disk_full");
                Self::new(StatusCode::INSUFFICIENT_STORAGE, "disk_full", "the box has no room left on its disk")
            }
            StoreError::Closed => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "stopping", "the box is stopping").retry_after(5)
            }
            other => Self::internal(other),
        }
    }
}
