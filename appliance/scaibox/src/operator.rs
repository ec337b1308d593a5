//! What may an operator ask of root through the API? SSH for a while.
//!
//! `scaibox operator` serves the routes of [`types::ssh`] on a socket for `control-api`, which has
//! asked who it is. Everything else that is root's own is a command for whoever is signed in then.

use crate::{neighbours::Neighbours, places::Places, ssh};
use anyhow::Context;
use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::put,
};
use daemon::unix_http;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use types::{
    firewall::SshWindow,
    ssh::{HOURS, SshRequest},
};

/// Until it is told to stop.
pub async fn serve(places: Places, stop: CancellationToken) -> anyhow::Result<()> {
    let path = places.socket("scaibox-operator", "operator");
    let socket = unix_http::bind(&path).with_context(|| format!("{} cannot be bound", path.display()))?;
    daemon::ready();
    Ok(axum::serve(socket, router(places)).with_graceful_shutdown(stop.cancelled_owned()).await?)
}

pub fn router(places: Places) -> Router {
    Router::new().route("/v1/ssh", put(open).delete(close)).with_state(places)
}

async fn open(State(places): State<Places>, Json(request): Json<SshRequest>) -> Response {
    if !HOURS.contains(&i64::from(request.hours)) {
        return refused(StatusCode::UNPROCESSABLE_ENTITY, "invalid", "hours: from 1 to 8");
    }
    match ssh::open(&places, request.hours, Some(request.key)).await {
        Ok(until) => Json(SshWindow { until: Some(until) }).into_response(),
        Err(error) => failed(&error),
    }
}

async fn close(State(places): State<Places>) -> Response {
    match ssh::close(&Neighbours::at(&places)).await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => failed(&error),
    }
}

fn failed(error: &anyhow::Error) -> Response {
    tracing::error!(error = format!("{error:#}"), "ssh_not_changed");
    refused(StatusCode::SERVICE_UNAVAILABLE, "ssh_not_changed", &format!("{error:#}"))
}

fn refused(status: StatusCode, code: &str, detail: &str) -> Response {
    (status, Json(json!({ "code": code, "detail": detail }))).into_response()
}
