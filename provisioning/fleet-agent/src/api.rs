//! What can be asked on `fleet.sock`? The status, and the operator's wishes.
//!
//! Wishes are only noted here (202); the status tells what becomes of them.

use crate::agent::{Command, Handle, Status, Wish};
use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::json;
use tokio::sync::mpsc::error::TrySendError;

pub fn router(handle: Handle) -> Router {
    Router::new()
        .route("/v1/update", get(status))
        .route("/v1/update/check", post(check))
        .route("/v1/update/apply", post(apply))
        .route("/v1/update/rollback", post(rollback))
        .with_state(handle)
}

async fn status(State(handle): State<Handle>) -> Json<Status> {
    Json(handle.status.borrow().clone())
}

async fn check(State(handle): State<Handle>) -> Response {
    ask(&handle, Command::Check)
}

async fn apply(State(handle): State<Handle>, Json(wish): Json<Wish>) -> Response {
    if let Some(problem) = wrong(&wish) {
        let body = json!({"code": "invalid", "detail": problem});
        return (StatusCode::UNPROCESSABLE_ENTITY, Json(body)).into_response();
    }
    ask(&handle, Command::Apply(wish))
}

async fn rollback(State(handle): State<Handle>) -> Response {
    if handle.status.borrow().previous.is_none() {
        let message = "there is no older version on this box that could boot";
        return (StatusCode::CONFLICT, Json(json!({"code": "no_previous", "detail": message}))).into_response();
    }
    ask(&handle, Command::Rollback)
}

fn wrong(wish: &Wish) -> Option<&'static str> {
    let source = wish.source.as_deref();
    if source.is_some_and(|source| source != "usb" && !source.starts_with("https://") && !source.starts_with("http://"))
    {
        return Some("source: write `usb` or an http(s) URL");
    }
    (wish.force && wish.version.is_none()).then_some("force: name the version that shall be tried again")
}

fn ask(handle: &Handle, command: Command) -> Response {
    match handle.commands.try_send(command) {
        Ok(()) => (StatusCode::ACCEPTED, Json(handle.status.borrow().clone())).into_response(),
        Err(TrySendError::Full(_)) => {
            let message = "earlier requests are still waiting; ask again when the running step has ended";
            (StatusCode::CONFLICT, Json(json!({"code": "busy", "detail": message}))).into_response()
        }
        Err(TrySendError::Closed(_)) => {
            let message = "the agent is stopping";
            (StatusCode::SERVICE_UNAVAILABLE, Json(json!({"code": "stopping", "detail": message}))).into_response()
        }
    }
}
