//! `/v1/bans`: who gets nothing from the box for a while? The gateway finds offenders, the firewall keeps them away and
//! knows whom never to ban (carriers, management networks); the operator sees them and may be lenient.

use crate::{
    app::App,
    audit,
    auth::{Caller, Permission},
    error::{ApiError, ApiResult},
    neighbour::refusal,
};
use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use daemon::unix_http::Client;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;
use std::net::IpAddr;
use types::firewall::{Ban, FirewallState, NewBan};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// How long an offender is kept away.
const SECONDS: u32 = 3600;

/// Addresses that get nothing from the box, until when and why.
#[derive(Serialize, ToSchema)]
struct Bans {
    items: Vec<BanView>,
}

#[derive(Serialize, ToSchema)]
struct BanView {
    #[schema(value_type = String, example = "198.51.100.66")]
    address: IpAddr,
    #[schema(value_type = String, format = DateTime)]
    until: Timestamp,
    reason: String,
}

impl From<Ban> for BanView {
    fn from(Ban { address, until, reason }: Ban) -> Self {
        Self { address, until, reason }
    }
}

/// Has the firewall keep an offender away; a box without a firewall of its own only logs it.
pub async fn ban(app: App, address: IpAddr, failures: usize) {
    let Some(firewall) = &app.firewall else { return };
    let reason = format!("{failures} wrong SIP passwords within ten minutes");
    let banned: Result<Ban, _> = firewall.post("/v1/bans", &NewBan { address, seconds: SECONDS, reason }).await;
    match banned {
        Ok(ban) => tracing::warn!(peer.ip = %address, until = %ban.until, failures, "address_banned"),
        Err(error) => tracing::warn!(peer.ip = %address, failures, %error, "address_not_banned"),
    }
}

#[utoipa::path(get, path = "/v1/bans", operation_id = "list_bans", tag = "box", responses((status = 200, body = Bans)))]
async fn list(State(app): State<App>, caller: Caller) -> ApiResult<Json<Bans>> {
    caller.require(Permission::ManageBox)?;
    let state: FirewallState = firewall(&app)?.get("/v1/state").await.map_err(refusal)?;
    Ok(Json(Bans { items: state.bans.into_iter().map(BanView::from).collect() }))
}

/// Let an address in again before its time.
#[utoipa::path(delete, path = "/v1/bans/{address}", operation_id = "lift_ban", tag = "box",
    params(("address" = String, Path)), responses((status = 204)))]
async fn lift(State(app): State<App>, caller: Caller, Path(address): Path<String>) -> ApiResult<StatusCode> {
    caller.require(Permission::ManageBox)?;
    let address: IpAddr = address.parse().map_err(|_| not_banned(&address))?;
    firewall(&app)?.delete(&format!("/v1/bans/{address}")).await.map_err(refusal)?;
    audit::note(&app, &caller, "ban.lift", None, json!({ "address": address })).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn firewall(app: &App) -> ApiResult<&Client> {
    app.firewall.as_ref().ok_or_else(|| {
        ApiError::new(StatusCode::NOT_FOUND, "no_firewall", "only an appliance has a firewall of its own")
            .hint("on a box run from source nobody is banned")
    })
}

fn not_banned(address: &str) -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, "not_banned", format!("{address} is not banned"))
        .hint("give an address as GET /v1/bans shows it")
}

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(lift))
}
