//! The daemons around the calls: network, firewall, updates and the claim.

use super::{Facts, local, socket};
use crate::ports;
use serde::Serialize;
use serde_json::{Value, json};

pub fn network_info(facts: &Facts<'_>) -> Value {
    let network = &facts.settings.network;
    let mut config = json!({
        "socket": socket("network-info", "network-info"),
        "gateway_socket": socket("sip-gateway", "gateway"),
        "state_dir": "/var/lib/network-info",
        "stun_servers": network.stun_servers,
    });
    set(&mut config, "http_echo", network.http_echo.as_ref());
    set(&mut config, "fixed_ip", network.fixed_ip.as_ref());
    config
}

pub fn rtp_firewall(facts: &Facts<'_>) -> Value {
    json!({
        "socket": socket("rtp-firewall", "firewall"),
        "state": "/var/lib/rtp-firewall/state.json",
        "ports": {
            "sip": ports::SIP,
            "sip_tls": ports::SIP_TLS,
            "rtp": { "start": ports::RTP.0, "end": ports::RTP.1 },
            "https": ports::HTTPS,
            "livekit_udp": ports::LIVEKIT_UDP,
            "livekit_tcp": ports::LIVEKIT_TCP,
        },
        "management": { "networks": facts.settings.firewall.management },
    })
}

pub fn fleet_agent(facts: &Facts<'_>) -> Value {
    let update = &facts.settings.update;
    json!({
        "socket": socket("fleet-agent", "fleet"),
        "control_socket": socket("control-api", "control"),
        "state_dir": "/var/lib/fleet-agent",
        "artefacts": local(ports::local::ARTEFACTS),
        "channel": { "mirrors": update.channel.iter().collect::<Vec<_>>() },
        "window": window(&update.window),
    })
}

pub fn first_boot(facts: &Facts<'_>) -> Value {
    let mut config = json!({
        "socket": socket("first-boot", "setup"),
        "control_socket": socket("control-api", "control"),
        "state_dir": "/var/lib/first-boot",
        "name": facts.settings.name.0,
        "version": facts.here.version,
        "claim_url": format!("{}/setup", facts.origin()),
    });
    set(&mut config, "code", facts.code);
    config
}

/// `HH:MM-HH:MM` as the agent has it; [`crate::settings`] has checked the form.
fn window(text: &str) -> Value {
    match text.split_once('-') {
        Some((start, end)) => json!({ "start": start, "end": end }),
        None => json!({}),
    }
}

/// TOML has no null: what is not set is left out.
fn set(table: &mut Value, key: &str, value: Option<impl Serialize>) {
    if let Some(value) = value {
        table[key] = json!(value);
    }
}
