//! How does a client's request get to a neighbour of ours and its answer back?
//!
//! The neighbour decides everything: its status, its words and when to come again are passed on.

use crate::{
    error::{ApiError, ApiResult},
    ready::with_causes,
};
use axum::{
    body::Body,
    http::{StatusCode, header},
    response::Response,
};
use daemon::unix_http::{Bytes, Client, Method, UnixHttpError};
use types::control::Refusal;

/// What may come along from the neighbour.
const HEADERS: [header::HeaderName; 2] = [header::CONTENT_TYPE, header::RETRY_AFTER];

/// Asks; `None` when nobody listens there.
pub async fn pass_on(client: &Client, method: Method, path: &str, body: Bytes) -> ApiResult<Option<Response>> {
    match client.request(method, path, body).await {
        Ok(answer) => Ok(Some(passed_on(answer))),
        Err(UnixHttpError::Unreachable { .. }) => Ok(None),
        Err(error) => Err(refusal(error)),
    }
}

/// Why a neighbour did not do what it was asked: in its own words if it refused, "not ready" if it did not answer.
pub fn refusal(error: UnixHttpError) -> ApiError {
    if let Some((status, Refusal { code, detail })) = error.refusal() {
        return ApiError::new(status, code, detail);
    }
    tracing::warn!(error = %with_causes("neighbour", &error), "neighbour_did_not_answer");
    ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "not_ready", "a part of the box does not answer")
        .hint("try again in some seconds")
        .retry_after(5)
}

fn passed_on(answer: daemon::unix_http::Response<Bytes>) -> Response {
    let (head, body) = answer.into_parts();
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = head.status;
    for name in HEADERS {
        if let Some(value) = head.headers.get(&name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    response
}
