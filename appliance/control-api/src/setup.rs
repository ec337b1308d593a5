//! `/v1/setup`: how somebody who stands before a new box makes it theirs. Nobody can be signed in yet.
//!
//! Passed on to `first-boot`, which knows the claim code and counts wrong ones. Once the box is
//! claimed there is nothing here any more.

use crate::{
    app::App,
    claim,
    error::{ApiError, ApiResult},
    extract::Body,
    neighbour,
};
use axum::{extract::State, http::StatusCode, response::Response};
use daemon::unix_http::{Bytes, Method};
use jiff::Timestamp;
use std::time::Duration;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// Making the account takes the time of a password hash.
const PATIENCE: Duration = Duration::from_secs(30);

/// The box before it has an owner.
#[derive(ToSchema)]
#[allow(dead_code)] // describes what `first-boot` answers
struct Setup {
    #[schema(pattern = "unclaimed|claimed")]
    state: String,
    name: String,
    version: String,
    /// When the claim code ends; a restart of the box makes a new one.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
    /// The page that asks for the code.
    claim_url: Option<String>,
}

/// The code on the box's own screen, and who the operator will be.
#[derive(ToSchema)]
#[allow(dead_code)] // describes the body; `first-boot` reads it
struct ClaimInput {
    #[schema(example = "ABCDE-23456")]
    code: String,
    email: String,
    #[schema(write_only, min_length = 12)]
    password: String,
    name: Option<String>,
}

/// Is the box still to be claimed? 404 once it is not.
#[utoipa::path(get, path = "/v1/setup", operation_id = "find_setup", tag = "box", security(()),
    responses((status = 200, body = Setup)))]
async fn find(State(app): State<App>) -> ApiResult<Response> {
    ask(&app, Method::GET, "/v1/setup", Bytes::new()).await
}

/// Claim the box with the code that its own screen shows.
#[utoipa::path(post, path = "/v1/setup/claim", operation_id = "claim_box", tag = "box", security(()),
    request_body = ClaimInput, responses((status = 201, body = Setup)))]
async fn claim(State(app): State<App>, body: Body) -> ApiResult<Response> {
    ask(&app, Method::POST, "/v1/setup/claim", body.0).await
}

async fn ask(app: &App, method: Method, path: &str, body: Bytes) -> ApiResult<Response> {
    let Some(setup) = &app.setup else { return Err(done()) };
    if claim::is_claimed(app).await? {
        return Err(done());
    }
    let answer = neighbour::pass_on(&setup.with_limit(PATIENCE), method, path, body).await?;
    answer.ok_or_else(done)
}

fn done() -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, "setup_done", "this box is not to be set up here")
        .hint("it has an owner already, or was claimed by its configuration: sign in with POST /v1/session")
}

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(find)).routes(routes!(claim))
}
