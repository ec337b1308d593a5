//! Does the box live, and is it ready? Both always answer, to anybody.

use crate::{app::App, ready::State as Readiness};
use axum::{Json, extract::State, http::StatusCode};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

#[derive(Serialize, ToSchema)]
struct Health {
    status: &'static str,
    version: &'static str,
}

#[derive(Serialize, ToSchema)]
struct Ready {
    ready: bool,
    /// What is missing.
    cause: Option<String>,
}

/// The daemon runs.
#[utoipa::path(get, path = "/v1/health", operation_id = "health", tag = "box", security(()),
    responses((status = 200, body = Health)))]
async fn health() -> Json<Health> {
    Json(Health { status: "ok", version: env!("CARGO_PKG_VERSION") })
}

/// Calls can be made; 503 says what is missing.
#[utoipa::path(get, path = "/v1/ready", operation_id = "ready", tag = "box", security(()),
    responses((status = 200, body = Ready), (status = 503, body = Ready)))]
async fn ready(State(app): State<App>) -> (StatusCode, Json<Ready>) {
    let cause = match app.readiness.state() {
        Readiness::Ready => return (StatusCode::OK, Json(Ready { ready: true, cause: None })),
        Readiness::Starting => "starting".to_owned(),
        Readiness::Waiting(cause) => cause,
    };
    (StatusCode::SERVICE_UNAVAILABLE, Json(Ready { ready: false, cause: Some(cause) }))
}

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(health)).routes(routes!(ready))
}
