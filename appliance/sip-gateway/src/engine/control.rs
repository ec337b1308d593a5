//! What may the control plane ask while livekit-sip is the engine?
//!
//! The socket described in [`types::control`], as far as livekit-sip can do it: health, legs and the end of one, and our
//! addresses. Everything else is refused with 501 and the setting that would help.

use super::{rooms, state::Shared};
use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{any, get, post, put},
};
use std::{path::PathBuf, sync::Arc};
use tokio_util::sync::CancellationToken;
use types::{
    control::{
        GatewayHealth, LegView, NOT_AVAILABLE, PhoneSet, Refusal, RegistrationSet, RegistrationState, RegistrationView,
    },
    network::Addresses,
};

type App = State<Arc<Shared>>;

/// Serves until `stop`.
pub async fn serve(shared: Arc<Shared>, socket: PathBuf, stop: CancellationToken) -> anyhow::Result<()> {
    crate::control::listen(&socket, router(shared), stop).await
}

fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/v1/health", get(health))
        .route("/v1/legs", get(legs))
        .route("/v1/legs/{id}/hangup", post(hang_up))
        .route("/v1/legs/{id}/{verb}", any(leg_command))
        .route("/v1/registrations", put(registrations))
        .route("/v1/registrations/{trunk}/refresh", any(|| async { unable("register with carriers") }))
        .route("/v1/phones", put(phones))
        .route("/v1/phones/{extension}", any(|| async { unable("let desk phones register") }))
        .route("/v1/options", any(|| async { unable("ask a carrier whether it is there") }))
        .route("/v1/probe", any(|| async { unable("try a carrier out") }))
        .route("/v1/addresses", get(addresses).put(set_addresses))
        .with_state(shared)
}

/// What it is, and what to do about it.
fn unable(what: &str) -> Response {
    let detail = format!("livekit-sip cannot {what}: set sip.engine = \"sip-gateway\" in box.toml for a box that can");
    (StatusCode::NOT_IMPLEMENTED, Json(Refusal { code: NOT_AVAILABLE.into(), detail })).into_response()
}

async fn health(State(shared): App) -> Json<GatewayHealth> {
    Json(shared.health())
}

/// As they are now: whoever asks has heard that somebody came or left.
async fn legs(State(shared): App) -> Json<Vec<LegView>> {
    rooms::look(&shared).await;
    shared.looked.notify_one();
    Json(shared.ledger.lock().views())
}

/// Whoever is put out of the room is hung up by livekit-sip.
async fn hang_up(State(shared): App, Path(id): Path<String>) -> Response {
    let refused = |status, code: &str, detail| (status, Json(Refusal { code: code.into(), detail })).into_response();
    if shared.ledger.lock().place(&id).is_none() {
        rooms::look(&shared).await; // it may be a new one
    }
    let Some((room, identity)) = shared.ledger.lock().place(&id) else {
        return refused(StatusCode::NOT_FOUND, "leg_not_found", format!("there is no leg {id}"));
    };
    match shared.livekit.remove_participant(&room, &identity).await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => refused(StatusCode::BAD_GATEWAY, "livekit_unavailable", error.to_string()),
    }
}

async fn leg_command(Path((_, verb)): Path<(String, String)>) -> Response {
    unable(match verb.as_str() {
        "answer" => "answer a call before somebody in its room speaks",
        "reject" => "refuse a call with a code of ours",
        "hold" | "unhold" => "hold a call",
        "dtmf" => "press keys on behalf of the API",
        "report" | "move" => "take a call into another room",
        "trace" => "show what was said in a call",
        _ => "do this to a call",
    })
}

/// None of them is made.
async fn registrations(Json(set): Json<RegistrationSet>) -> Json<Vec<RegistrationView>> {
    let view = |spec: types::control::RegistrationSpec| RegistrationView {
        trunk_id: spec.trunk_id,
        state: RegistrationState::NotAvailable,
        expires_at: None,
        last_response: None,
        failures: 0,
        next_try_at: None,
    };
    Json(set.registrations.into_iter().map(view).collect())
}

/// Answers how many may register.
async fn phones(Json(_): Json<PhoneSet>) -> Json<usize> {
    Json(0)
}

async fn addresses(State(shared): App) -> Json<Addresses> {
    Json(shared.addresses())
}

async fn set_addresses(State(shared): App, Json(told): Json<Addresses>) -> Json<Addresses> {
    shared.learn(told.clone());
    Json(told)
}
