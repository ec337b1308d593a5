//! `/v1/update`: which version runs, and is there a newer one? `fleet-agent` knows, and does what it is asked.

use crate::{
    app::App,
    audit,
    auth::{Caller, Permission},
    error::{ApiError, ApiResult},
    extract::Body,
    fields::{Fields, boolean, text},
    neighbour::{pass_on, refusal},
};
use axum::{Json, extract::State, http::StatusCode, response::Response};
use daemon::unix_http::{Bytes, Client, Method};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

type Accepted = (StatusCode, Json<Value>);

/// Which version to install, and how.
#[derive(Serialize, ToSchema)]
struct UpdateRequest {
    /// The channel's newest when left out.
    version: Option<String>,
    /// `usb` for a stick labelled SCAIBOX, or the URL of another channel.
    source: Option<String>,
    /// Wait neither for the maintenance window nor for calls to end.
    #[schema(required = false)]
    now: bool,
    /// Also when that very version failed before.
    #[schema(required = false)]
    force: bool,
}

/// The running version, the one before, what is available, and versions that failed with their reason.
#[utoipa::path(get, path = "/v1/update", operation_id = "find_update", tag = "box",
    responses((status = 200, body = Object)))]
async fn find(State(app): State<App>, caller: Caller) -> ApiResult<Response> {
    caller.require(Permission::ManageBox)?;
    pass_on(fleet(&app)?, Method::GET, "/v1/update", Bytes::new()).await?.ok_or_else(no_updates)
}

/// Ask the channel for news.
#[utoipa::path(post, path = "/v1/update/check", operation_id = "check_update", tag = "box",
    responses((status = 202, body = Object)))]
async fn check(State(app): State<App>, caller: Caller) -> ApiResult<Accepted> {
    ask(&app, &caller, "update.check", "/v1/update/check", &json!({})).await
}

/// Install a version. `GET /v1/update` tells what becomes of it.
#[utoipa::path(post, path = "/v1/update/apply", operation_id = "apply_update", tag = "box", request_body = UpdateRequest,
    responses((status = 202, body = Object)))]
async fn apply(State(app): State<App>, caller: Caller, body: Body) -> ApiResult<Accepted> {
    let wish = json!(read(body.fields()?)?);
    ask(&app, &caller, "update.apply", "/v1/update/apply", &wish).await
}

/// Restart with the previous version.
#[utoipa::path(post, path = "/v1/update/rollback", operation_id = "roll_back_update", tag = "box",
    responses((status = 202, body = Object)))]
async fn roll_back(State(app): State<App>, caller: Caller) -> ApiResult<Accepted> {
    ask(&app, &caller, "update.rollback", "/v1/update/rollback", &json!({})).await
}

fn read(mut fields: Fields) -> ApiResult<UpdateRequest> {
    let version = fields.opt("version", text(1..=64));
    let source = fields.opt("source", text(1..=2048));
    let now = fields.or("now", false, boolean);
    let force = fields.or("force", false, boolean);
    fields.build(|| Some(UpdateRequest { version: version?, source: source?, now: now?, force: force? }))
}

async fn ask(app: &App, caller: &Caller, action: &'static str, path: &str, body: &Value) -> ApiResult<Accepted> {
    caller.require(Permission::ManageBox)?;
    let fleet = fleet(app)?;
    audit::note(app, caller, action, None, body.clone()).await?;
    let status = fleet.post(path, body).await.map_err(refusal)?;
    Ok((StatusCode::ACCEPTED, Json(status)))
}

fn fleet(app: &App) -> ApiResult<&Client> {
    app.fleet.as_ref().ok_or_else(no_updates)
}

fn no_updates() -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, "no_updates", "nothing on this box looks after updates")
        .hint("a box run from source has no fleet-agent; on an appliance see whether it runs")
}

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(find)).routes(routes!(check)).routes(routes!(apply)).routes(routes!(roll_back))
}
