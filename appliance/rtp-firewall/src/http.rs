//! What may neighbours ask of the firewall?
//!
//! The routes of [`types::firewall`]. Who may connect is decided by the socket's owner and group.

use crate::{
    keeper::Keeper,
    problem::{Problem, Taken},
};
use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    routing::{delete, get, post, put},
};
use std::{net::IpAddr, sync::Arc};
use types::firewall::{Applied, Ban, FirewallState, ManagementChange, ManagementNetworks, NewBan, Peers, SshWindow};

type App = State<Arc<Keeper>>;

pub fn router(keeper: Arc<Keeper>) -> Router {
    Router::new()
        .route("/v1/state", get(state))
        .route("/v1/peers", put(set_peers))
        .route("/v1/management", put(set_management))
        .route("/v1/management/confirm", post(confirm_management))
        .route("/v1/bans", post(ban))
        .route("/v1/bans/{address}", delete(unban))
        .route("/v1/ssh", put(set_ssh))
        .with_state(keeper)
}

async fn state(State(keeper): App) -> Json<FirewallState> {
    Json(keeper.state().await)
}

/// All peers; the same list again changes nothing.
async fn set_peers(State(keeper): App, Taken(peers): Taken<Peers>) -> Result<Json<Applied>, Problem> {
    keeper.change(|desired, _| desired.set_peers(peers)).await?;
    Ok(Json(Applied { generation: keeper.generation().await }))
}

/// 202 when the change is on trial.
async fn set_management(
    State(keeper): App,
    Taken(body): Taken<ManagementNetworks>,
) -> Result<(StatusCode, Json<ManagementChange>), Problem> {
    let change = keeper.change(|desired, now| desired.set_management(body.networks, now)).await?;
    tracing::info!(confirm_by = ?change.confirm_by, "the management networks changed");
    let status = if change.confirm_by.is_some() { StatusCode::ACCEPTED } else { StatusCode::OK };
    Ok((status, Json(change)))
}

async fn confirm_management(State(keeper): App) -> Result<StatusCode, Problem> {
    keeper.change(|desired, now| desired.confirm_management(now)).await?;
    tracing::info!("the management networks were confirmed");
    Ok(StatusCode::NO_CONTENT)
}

async fn ban(State(keeper): App, Taken(new): Taken<NewBan>) -> Result<(StatusCode, Json<Ban>), Problem> {
    let ban = keeper.change(|desired, now| desired.ban(new, now)).await?;
    tracing::info!(ban.address = %ban.address, ban.until = %ban.until, ban.reason = %ban.reason, "banned");
    Ok((StatusCode::CREATED, Json(ban)))
}

async fn unban(State(keeper): App, Path(address): Path<String>) -> Result<StatusCode, Problem> {
    let address: IpAddr =
        address.parse().map_err(|_| Problem::invalid(format!("address: `{address}` is not an IP address")))?;
    keeper.change(|desired, _| desired.unban(address)).await?;
    tracing::info!(ban.address = %address, "no longer banned");
    Ok(StatusCode::NO_CONTENT)
}

async fn set_ssh(State(keeper): App, Taken(window): Taken<SshWindow>) -> Result<Json<SshWindow>, Problem> {
    keeper.change(|desired, now| desired.set_ssh(window.until, now)).await?;
    tracing::info!(ssh.until = ?window.until, "SSH was opened or closed");
    Ok(Json(window))
}
