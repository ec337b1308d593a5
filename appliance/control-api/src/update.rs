//! `/v1/update`: which version runs, and is there a newer one? Passed on to `fleet-agent`; updates are
//! started on the box itself, with `scaibox update`.

use crate::{
    app::App,
    auth::{Caller, Permission},
    error::{ApiError, ApiResult},
    neighbour,
};
use axum::{extract::State, http::StatusCode, response::Response};
use daemon::unix_http::{Bytes, Method};
use utoipa_axum::{router::OpenApiRouter, routes};

/// The running version, the one before, what is available, and versions that failed with their reason.
#[utoipa::path(get, path = "/v1/update", operation_id = "find_update", tag = "box",
    responses((status = 200, body = Object)))]
async fn find(State(app): State<App>, caller: Caller) -> ApiResult<Response> {
    caller.require(Permission::ManageBox)?;
    let Some(fleet) = &app.fleet else { return Err(no_updates()) };
    let answer = neighbour::pass_on(fleet, Method::GET, "/v1/update", Bytes::new()).await?;
    answer.ok_or_else(no_updates)
}

fn no_updates() -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, "no_updates", "nothing on this box looks after updates")
        .hint("a box run from source has no fleet-agent; on an appliance see whether it runs")
}

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(find))
}
