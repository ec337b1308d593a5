//! `/v1/network-info`: which addresses and ports the box uses, and how many calls they carry.
//!
//! Which address the world sees is for a daemon of its own to find out; until there is one the egress
//! address is null and `source` says `none`.

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
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

#[derive(Debug, PartialEq, Serialize, ToSchema)]
struct NetworkInfo {
    /// The address the world sees; null while nobody has found out.
    egress_ip: Option<String>,
    /// How `egress_ip` was found; `none` when it was not.
    source: &'static str,
    #[schema(value_type = String, format = DateTime)]
    checked_at: Timestamp,
    local_addresses: Vec<String>,
    /// Null while `egress_ip` is.
    nat: Option<bool>,
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
    Ok(Json(describe(&app.config, local_addresses(), Timestamp::now())))
}

fn describe(config: &Config, local_addresses: Vec<IpAddr>, checked_at: Timestamp) -> NetworkInfo {
    let ports = &config.livekit.ports;
    NetworkInfo {
        egress_ip: None,
        source: "none",
        checked_at,
        local_addresses: local_addresses.iter().map(IpAddr::to_string).collect(),
        nat: None,
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
