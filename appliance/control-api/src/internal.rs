//! What do the other daemons ask and tell? The routes of `run/control.sock`.
//!
//! Beside what [`types::control`] describes:
//! - `GET`, `POST /internal/v1/claim`, from `first-boot`: see [`crate::claim`]
//! - `GET /internal/v1/activity` -> [`Activity`], from `fleet-agent`
//! - `/internal/v1/self-call…`, from `self-call`: see [`crate::self_call`]
//!
//! Who can reach the socket is decided by its file permissions; there is no other sign-in.

use crate::{app::App, calls, claim, error::ApiResult, self_call};
use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, State},
    http::StatusCode,
    routing::{get, post},
};
use serde::Serialize;
use types::control::{
    Admission, AdmissionRequest, EventBatch, EventsAccepted, LegView, ReferralAnswer, ReferralRequest,
};

/// A spool that grew while we were away comes in batches of some hundred events.
const LARGEST_BATCH: usize = 8 << 20;

pub fn router(app: App) -> Router {
    Router::new()
        .route("/internal/v1/health", get(|| async { StatusCode::NO_CONTENT }))
        .route("/internal/v1/admission", post(admission))
        .route("/internal/v1/referral", post(referral))
        .route("/internal/v1/events", post(events))
        .route("/internal/v1/claim", get(claim::find).post(claim::create))
        .route("/internal/v1/activity", get(activity))
        .merge(self_call::routes())
        .layer(DefaultBodyLimit::max(LARGEST_BATCH))
        .with_state(app)
}

async fn admission(State(app): State<App>, Json(request): Json<AdmissionRequest>) -> Json<Admission> {
    Json(calls::admit(&app, request).await)
}

async fn referral(State(app): State<App>, Json(request): Json<ReferralRequest>) -> Json<ReferralAnswer> {
    Json(calls::refer(&app, request).await)
}

/// An error makes the sender keep its events and come again.
async fn events(State(app): State<App>, Json(batch): Json<EventBatch>) -> Result<Json<EventsAccepted>, StatusCode> {
    let source = batch.source.clone();
    calls::ingest::take(&app, batch).await.map(Json).map_err(|error| {
        tracing::error!(source, %error, "scaidial_events_not_stored");
        StatusCode::SERVICE_UNAVAILABLE
    })
}

/// Is this a good moment for a restart?
#[derive(Serialize)]
struct Activity {
    active_calls: u64,
}

/// Our calls, but for the box's own, and the phones of calls that are LiveKit's alone.
async fn activity(State(app): State<App>) -> ApiResult<Json<Activity>> {
    let ours = app.db.read(store::calls::count_unfinished).await?;
    let legs: Vec<LegView> = app.gateway.get("/v1/legs").await.unwrap_or_else(|error| {
        tracing::warn!(%error, "gateway_legs_unknown");
        Vec::new()
    });
    let foreign = legs.iter().filter(|leg| app.calls.find_by_leg(&leg.lk_call_id).is_none()).count();
    Ok(Json(Activity { active_calls: u64::from(ours) + foreign as u64 }))
}
