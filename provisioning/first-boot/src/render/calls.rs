//! The daemons that calls go through: gateway, API and worker.

use super::{Facts, host, local, socket};
use crate::{ports, settings::Engine};
use serde_json::{Value, json};

const BUCKET: &str = "recordings";

pub fn sip_gateway(facts: &Facts<'_>) -> Value {
    let mut gateway = own_gateway(facts);
    if facts.settings.sip.engine == Engine::LivekitSip {
        gateway["sip"]["engine"] = json!(Engine::LivekitSip);
        gateway["sip"]["livekit_sip_bin"] = json!(facts.settings.sip.livekit_sip_bin);
    }
    gateway
}

fn own_gateway(facts: &Facts<'_>) -> Value {
    json!({
        "spool_dir": "/var/lib/sip-gateway/spool",
        "redis": { "url": redis_url(facts) },
        "livekit": {
            "ws_url": livekit_url(),
            "api_key": facts.secrets.livekit_key,
            "api_secret": facts.secrets.livekit_secret,
        },
        "sip": {
            "listen": format!("0.0.0.0:{}", ports::SIP),
            "hide_inbound_port": facts.settings.sip.hide_inbound_port,
            "phones": facts.settings.sip.phone_networks,
            "tls": {
                "listen": format!("0.0.0.0:{}", ports::SIP_TLS),
                "certificate": credential("sip-gateway", "tls.crt"),
                "key": credential("sip-gateway", "tls.key"),
            },
        },
        "rtp": { "start": ports::RTP.0, "end": ports::RTP.1, "ip": "0.0.0.0" },
        "control": {
            "api_socket": socket("control-api", "control"),
            "listen_socket": socket("sip-gateway", "gateway"),
        },
    })
}

pub fn control_api(facts: &Facts<'_>) -> Value {
    let mut livekit = livekit(facts);
    livekit["public_url"] = format!("wss://{}", host(&facts.here.addresses)).into();
    livekit["ports"] = json!({ "udp": ports::LIVEKIT_UDP, "tcp": ports::LIVEKIT_TCP });
    json!({
        "http_listen": local(ports::local::API),
        "public_url": facts.origin(),
        "control_socket": socket("control-api", "control"),
        "gateway_socket": socket("sip-gateway", "gateway"),
        "network_info_socket": socket("network-info", "network-info"),
        "firewall_socket": socket("rtp-firewall", "firewall"),
        "setup_socket": socket("first-boot", "setup"),
        "fleet_socket": socket("fleet-agent", "fleet"),
        "operator_socket": socket("scaibox-operator", "operator"),
        "database": "/var/lib/control-api/scaibox.sqlite",
        "https": {
            "listen": format!("[::]:{}", ports::HTTPS),
            "certificate": credential("control-api", "tls.crt"),
            "key": credential("control-api", "tls.key"),
        },
        "livekit": livekit,
        "s3": s3(facts),
        "sip": { "host": host(&facts.here.addresses), "port": ports::SIP, "tls_port": ports::SIP_TLS },
        "phone_networks": facts.settings.sip.phone_networks,
        "rtp": { "start": ports::RTP.0, "end": ports::RTP.1 },
    })
}

pub fn voice_worker(facts: &Facts<'_>) -> Value {
    json!({
        "control_socket": socket("control-api", "control"),
        "spool_dir": "/var/lib/voice-worker/spool",
        "livekit": livekit(facts),
        "s3": s3(facts),
        "speech": { "espeak": "/usr/bin/espeak-ng" },
    })
}

/// Where systemd puts the certificate for a daemon.
fn credential(daemon: &str, name: &str) -> String {
    format!("/run/credentials/{daemon}.service/{name}")
}

fn livekit(facts: &Facts<'_>) -> Value {
    json!({
        "url": livekit_url(),
        "api_key": facts.secrets.livekit_key,
        "api_secret": facts.secrets.livekit_secret,
    })
}

fn livekit_url() -> String {
    format!("ws://{}", local(ports::local::LIVEKIT))
}

fn redis_url(facts: &Facts<'_>) -> String {
    format!("redis://:{}@{}/0", facts.secrets.redis_password, local(ports::local::REDIS))
}

fn s3(facts: &Facts<'_>) -> Value {
    json!({
        "endpoint": format!("http://{}", local(ports::local::S3)),
        "region": "us-east-1",
        "bucket": BUCKET,
        "access_key": facts.secrets.s3_access_key,
        "secret_key": facts.secrets.s3_secret_key,
    })
}
