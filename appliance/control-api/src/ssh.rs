//! `/v1/ssh`: a shell on the box for a while, for whoever operates it. Root opens and closes it ([`types::ssh`]);
//! the firewall knows until when it is open.

use crate::{
    app::App,
    audit,
    auth::{Caller, Permission},
    error::{ApiError, ApiResult},
    extract::Body,
    fields::{Fields, integer, parsed},
    neighbour::refusal,
};
use axum::{Json, extract::State, http::StatusCode};
use daemon::unix_http::Client;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;
use std::time::Duration;
use types::{
    firewall::{FirewallState, SshWindow},
    ssh::{HOURS, SshRequest},
};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The first time, the host key is made.
const PATIENCE: Duration = Duration::from_secs(60);

/// Until when somebody may sign in as root with the key; null when SSH is closed.
#[derive(Serialize, ToSchema)]
struct Ssh {
    #[schema(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
}

/// Who, and how long.
#[derive(ToSchema)]
#[allow(dead_code)] // describes the body
struct SshInput {
    #[schema(minimum = 1, maximum = 8)]
    hours: u32,
    /// The public key that may sign in, in the place of all others.
    #[schema(example = "ssh-ed25519 AAAAC3Nz… name")]
    key: String,
}

#[utoipa::path(get, path = "/v1/ssh", operation_id = "find_ssh", tag = "box", responses((status = 200, body = Ssh)))]
async fn find(State(app): State<App>, caller: Caller) -> ApiResult<Json<Ssh>> {
    caller.require(Permission::ManageBox)?;
    let firewall = app.firewall.as_ref().ok_or_else(no_ssh)?;
    let state: FirewallState = firewall.get("/v1/state").await.map_err(refusal)?;
    Ok(Json(Ssh { until: state.ssh_until }))
}

/// Open SSH from the management networks. It closes by itself, whoever is signed in then.
#[utoipa::path(put, path = "/v1/ssh", operation_id = "open_ssh", tag = "box", request_body = SshInput,
    responses((status = 200, body = Ssh)))]
async fn open(State(app): State<App>, caller: Caller, body: Body) -> ApiResult<Json<Ssh>> {
    caller.require(Permission::ManageBox)?;
    let request = read(body.fields()?)?;
    let operator = operator(&app)?;
    audit::note(&app, &caller, "ssh.open", None, json!(request)).await?;
    let window: SshWindow = operator.put("/v1/ssh", &request).await.map_err(refusal)?;
    Ok(Json(Ssh { until: window.until }))
}

/// Close it at once, and end the sessions.
#[utoipa::path(delete, path = "/v1/ssh", operation_id = "close_ssh", tag = "box", responses((status = 204)))]
async fn close(State(app): State<App>, caller: Caller) -> ApiResult<StatusCode> {
    caller.require(Permission::ManageBox)?;
    let operator = operator(&app)?;
    audit::note(&app, &caller, "ssh.close", None, json!({})).await?;
    operator.delete("/v1/ssh").await.map_err(refusal)?;
    Ok(StatusCode::NO_CONTENT)
}

fn read(mut fields: Fields) -> ApiResult<SshRequest> {
    let hours = fields.req("hours", integer(HOURS));
    let key = fields.req("key", parsed("invalid_key"));
    fields.build(|| Some(SshRequest { hours: hours?, key: key? }))
}

fn operator(app: &App) -> ApiResult<Client> {
    app.operator.as_ref().map(|client| client.with_limit(PATIENCE)).ok_or_else(no_ssh)
}

fn no_ssh() -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, "no_ssh", "only an appliance has SSH to open")
        .hint("on a box run from source you have its shell already")
}

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(find, open, close))
}
