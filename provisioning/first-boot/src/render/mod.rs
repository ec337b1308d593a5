//! What does each daemon read at its start?
//!
//! One file per daemon, computed from the box's secrets, settings and addresses; nothing is read or
//! written here. The names and values must fit each daemon's own configuration struct, which
//! `tests/configuration.rs` checks.

mod calls;
mod guards;
mod servers;

use crate::{claim::code::CodeHash, here::Here, secrets::Secrets, settings::Settings};
use std::net::IpAddr;

/// Everything the files depend on.
pub struct Facts<'a> {
    pub secrets: &'a Secrets,
    pub settings: &'a Settings,
    pub here: &'a Here,
    /// None once the box is claimed.
    pub code: Option<&'a CodeHash>,
}

/// A file of `/run/scaibox/config`.
pub struct Rendered {
    pub file: &'static str,
    /// Who reads it.
    pub daemon: &'static str,
    pub text: String,
}

/// Every file, for every daemon.
pub fn all(facts: &Facts<'_>) -> anyhow::Result<Vec<Rendered>> {
    let tables = [
        ("sip-gateway.toml", "sip-gateway", calls::sip_gateway(facts)),
        ("control-api.toml", "control-api", calls::control_api(facts)),
        ("voice-worker.toml", "voice-worker", calls::voice_worker(facts)),
        ("network-info.toml", "network-info", guards::network_info(facts)),
        ("rtp-firewall.toml", "rtp-firewall", guards::rtp_firewall(facts)),
        ("fleet-agent.toml", "fleet-agent", guards::fleet_agent(facts)),
        ("first-boot.toml", "first-boot", guards::first_boot(facts)),
    ];
    let mut files = servers::all(facts)?;
    for (file, daemon, table) in tables {
        files.push(Rendered { file, daemon, text: toml::to_string(&table)? });
    }
    Ok(files)
}

impl Facts<'_> {
    /// Where browsers reach the box: its first address, or its name when it has none.
    pub fn origin(&self) -> String {
        origin(&self.here.addresses)
    }
}

/// `https://192.168.1.20`
pub fn origin(addresses: &[IpAddr]) -> String {
    format!("https://{}", host(addresses))
}

fn host(addresses: &[IpAddr]) -> String {
    match addresses.first() {
        Some(IpAddr::V4(ip)) => ip.to_string(),
        Some(IpAddr::V6(ip)) => format!("[{ip}]"),
        None => "scaibox.local".to_owned(),
    }
}

/// `/run/<daemon>/<name>.sock`
fn socket(daemon: &str, name: &str) -> String {
    format!("/run/{daemon}/{name}.sock")
}

fn local(port: u16) -> String {
    format!("127.0.0.1:{port}")
}
