//! `/v1/network-info`: which addresses and ports the box uses, and how many calls they carry.
//!
//! Which address the world sees is found out by `network-info`; where it does not run (a box started
//! from source) the egress address is null and `source` says `none`.

use crate::{
    app::App,
    auth::{Caller, Permission},
    config::Config,
    error::ApiResult,
};
use axum::{Json, extract::State};
use jiff::Timestamp;
use serde::Serialize;
use std::net::IpAddr;
use types::network::{Nat, NetworkState, Source};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

#[derive(Debug, PartialEq, Serialize, ToSchema)]
struct NetworkInfo {
    /// The address the world sees; null while nobody has found out.
    #[schema(value_type = Option<String>)]
    egress_ip: Option<IpAddr>,
    #[schema(value_type = Option<String>)]
    egress_ip6: Option<IpAddr>,
    /// How the egress address was found; `none` when it was not.
    #[schema(value_type = String, pattern = "stun|http|fixed|none")]
    source: Source,
    #[schema(value_type = String, format = DateTime)]
    checked_at: Timestamp,
    #[schema(value_type = Vec<String>)]
    local_addresses: Vec<IpAddr>,
    /// What stands between the box and the internet; `none` when it has a public address itself.
    #[schema(value_type = String, pattern = "none|endpoint_independent|address_dependent|unknown")]
    nat: Nat,
    /// What is wrong and what to do about it.
    problem: Option<String>,
    sip: SipPorts,
    rtp: PortRange,
    livekit: MediaPorts,
    /// Port pairs of the RTP range: one for each leg.
    max_legs: u32,
    /// Calls to one SIP party; bridged ones take two legs.
    max_calls: u32,
}

#[derive(Debug, PartialEq, Serialize, ToSchema)]
struct SipPorts {
    udp: u16,
    tcp: u16,
    tls: Option<u16>,
}

#[derive(Debug, PartialEq, Serialize, ToSchema)]
struct PortRange {
    start: u16,
    end: u16,
}

#[derive(Debug, PartialEq, Serialize, ToSchema)]
struct MediaPorts {
    udp: Option<u16>,
    tcp: Option<u16>,
}

/// Addresses and ports, for firewalls and carriers.
#[utoipa::path(get, path = "/v1/network-info", operation_id = "network_info", tag = "box",
    responses((status = 200, body = NetworkInfo)))]
async fn network_info(State(app): State<App>, caller: Caller) -> ApiResult<Json<NetworkInfo>> {
    caller.require(Permission::ReadAll)?;
    Ok(Json(describe(&app.config, network_state(&app).await)))
}

/// What `network-info` knows; our own addresses at least.
async fn network_state(app: &App) -> NetworkState {
    let Some(daemon) = &app.network_info else { return unknown(None) };
    daemon.get("/v1/network-info").await.unwrap_or_else(|error| {
        let problem = crate::ready::with_causes("network-info does not answer", &error);
        tracing::warn!(problem, "network_info_unknown");
        unknown(Some(problem))
    })
}

fn unknown(problem: Option<String>) -> NetworkState {
    NetworkState {
        egress_ip: None,
        egress_ip6: None,
        source: Source::None,
        checked_at: Timestamp::now(),
        local_addresses: local_addresses(),
        networks: Vec::new(),
        nat: Nat::Unknown,
        problem,
    }
}

fn describe(config: &Config, state: NetworkState) -> NetworkInfo {
    let ports = &config.livekit.ports;
    NetworkInfo {
        egress_ip: state.egress_ip,
        egress_ip6: state.egress_ip6,
        source: state.source,
        checked_at: state.checked_at,
        local_addresses: state.local_addresses,
        nat: state.nat,
        problem: state.problem,
        sip: SipPorts { udp: config.sip.port, tcp: config.sip.port, tls: config.sip.tls_port },
        rtp: PortRange { start: config.rtp.start, end: config.rtp.end },
        livekit: MediaPorts { udp: ports.udp, tcp: ports.tcp },
        max_legs: config.rtp.legs(),
        max_calls: config.rtp.legs(),
    }
}

/// The addresses of all interfaces that are up, loopback left out.
fn local_addresses() -> Vec<IpAddr> {
    let interfaces = nix::ifaddrs::getifaddrs().into_iter().flatten();
    let addresses = interfaces.filter_map(|interface| interface.address).filter_map(|address| {
        let v4 = address.as_sockaddr_in().map(|it| IpAddr::V4(it.ip()));
        v4.or_else(|| address.as_sockaddr_in6().map(|it| IpAddr::V6(it.ip())))
    });
    let mut addresses: Vec<_> = addresses.filter(|address| !address.is_loopback()).collect();
    addresses.sort();
    addresses.dedup();
    addresses
}

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(network_info))
}
