//! Was this request made before? With an `Idempotency-Key`, the second of two equal requests gets the
//! first one's answer instead of a second call. The work goes on when the client hangs up meanwhile, so
//! that its next try finds the answer.

use crate::{
    app::App,
    auth::Caller,
    correlation,
    error::{ApiError, ApiResult, FieldError},
};
use axum::{
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::Value;
use sha2::{Digest, Sha256};
use store::{
    Db,
    idempotency::{Claim, claim, release, store},
};
use types::TenantId;

const HEADER: &str = "idempotency-key";

/// Runs `work` once per key; `what` names the request (method and path) so that a key fits one only.
pub async fn run(
    app: &App,
    caller: &Caller,
    headers: &HeaderMap,
    what: &str,
    body: &[u8],
    work: impl Future<Output = ApiResult<(StatusCode, Value)>> + Send + 'static,
) -> ApiResult<Response> {
    let Some(key) = key_of(headers)? else {
        let (status, answer) = work.await?;
        return Ok(json_response(status, answer.to_string()));
    };
    let (tenant, hash) = (caller.tenant_id, hash(caller, what, body));
    let named = key.clone();
    match app.db.write(move |tx| claim(tx, tenant, &named, &hash)).await? {
        Claim::Fresh => {}
        Claim::Answered { status, body } => {
            let status = StatusCode::from_u16(status).map_err(ApiError::internal)?;
            return Ok(json_response(status, body));
        }
        Claim::InProgress => {
            let refusal = ApiError::conflict("request_in_progress", "this request is still being worked on");
            return Err(refusal.retry_after(1));
        }
        Claim::Mismatch => {
            let error = FieldError::new("Idempotency-Key", "reused", "came with another request before");
            return Err(ApiError::invalid(vec![error.hint("make a fresh key for each new request")]));
        }
    }
    let finish = correlation::carry_into(finish(app.db.clone(), tenant, key, work));
    tokio::spawn(finish).await.map_err(ApiError::internal)?
}

async fn finish(
    db: Db,
    tenant: TenantId,
    key: String,
    work: impl Future<Output = ApiResult<(StatusCode, Value)>>,
) -> ApiResult<Response> {
    match work.await {
        Ok((status, answer)) => {
            let text = answer.to_string();
            let kept = text.clone();
            db.write(move |tx| store(tx, tenant, &key, status.as_u16(), &kept)).await?;
            Ok(json_response(status, text))
        }
        Err(err) => {
            db.write(move |tx| release(tx, tenant, &key)).await?;
            Err(err)
        }
    }
}

fn key_of(headers: &HeaderMap) -> ApiResult<Option<String>> {
    let Some(value) = headers.get(HEADER) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default();
    if (1..=255).contains(&text.len()) {
        return Ok(Some(text.to_owned()));
    }
    Err(ApiError::invalid(vec![FieldError::new("Idempotency-Key", "invalid_key", "1 to 255 visible characters")]))
}

fn hash(caller: &Caller, what: &str, body: &[u8]) -> String {
    let mut hasher = Sha256::new();
    for part in [caller.actor.as_bytes(), what.as_bytes(), body] {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    hex::encode(hasher.finalize())
}

fn json_response(status: StatusCode, body: String) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}
