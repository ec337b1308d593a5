//! What do the other daemons ask and tell? The routes of `run/control.sock`.
//!
//! Who can reach the socket is decided by its file permissions; there is no other sign-in.

use crate::{app::App, calls};
use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, State},
    http::StatusCode,
    routing::{get, post},
};
use types::control::{Admission, AdmissionRequest, EventBatch, EventsAccepted};

/// A spool that grew while we were away comes in batches of some hundred events.
const LARGEST_BATCH: usize = 8 << 20;

pub fn router(app: App) -> Router {
    Router::new()
        .route("/internal/v1/health", get(|| async { StatusCode::NO_CONTENT }))
        .route("/internal/v1/admission", post(admission))
        .route("/internal/v1/events", post(events))
        .layer(DefaultBodyLimit::max(LARGEST_BATCH))
        .with_state(app)
}

async fn admission(State(app): State<App>, Json(request): Json<AdmissionRequest>) -> Json<Admission> {
    Json(calls::admit(&app, request).await)
}

/// An error makes the sender keep its events and come again.
async fn events(State(app): State<App>, Json(batch): Json<EventBatch>) -> Result<Json<EventsAccepted>, StatusCode> {
    let source = batch.source.clone();
    calls::ingest::take(&app, batch).await.map(Json).map_err(|error| {
        tracing::error!(source, %error, "scaidial_events_not_stored");
        StatusCode::SERVICE_UNAVAILABLE
    })
}
