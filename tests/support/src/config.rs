//! What does each part's configuration say?
//!
//! Everything listens on loopback; the ports come from [`crate::ports`], the keys from [`crate::secrets`].

use crate::{certificate::Certificate, parts::Plan, ports::HOST};
use serde_json::{Value, json};

pub const BUCKET: &str = "recordings";

/// psrpc only: nothing in it needs to outlive the box.
pub fn redis(plan: &Plan<'_>) -> String {
    format!(
        "bind {HOST}\nport {}\nprotected-mode yes\ndaemonize no\nsave \"\"\nappendonly no\ndir \"{}\"\n",
        plan.ports.redis(),
        plan.data.join("run").display()
    )
}

/// JSON, which is YAML.
pub fn livekit(plan: &Plan<'_>) -> Value {
    json!({
        "port": plan.ports.livekit(),
        "bind_addresses": [HOST],
        "keys": { &plan.secrets.livekit_key: plan.secrets.livekit_secret },
        "redis": { "address": format!("{HOST}:{}", plan.ports.redis()) },
        "rtc": {
            "udp_port": plan.ports.livekit_udp(),
            "tcp_port": 0,
            "node_ip": HOST,
            "use_external_ip": false,
            "enable_loopback_candidate": true,
            "interfaces": { "includes": ["lo"] },
            "ips": { "includes": ["127.0.0.0/8"] },
        },
        "room": { "auto_create": true },
        "webhook": {
            "api_key": plan.secrets.livekit_key,
            "urls": [format!("{}/internal/livekit/webhook", plan.ports.api_origin())],
        },
        "logging": { "level": "info", "json": true },
    })
}

pub fn sip_gateway(plan: &Plan<'_>, tls: &Certificate) -> Value {
    let (start, end) = plan.ports.rtp();
    json!({
        "spool_dir": plan.data.join("spool/sip-gateway"),
        "room_codec": plan.args.room_codec,
        "redis": { "url": plan.ports.redis_url() },
        "livekit": {
            "ws_url": plan.ports.livekit_url(),
            "api_key": plan.secrets.livekit_key,
            "api_secret": plan.secrets.livekit_secret,
            "rejoin_s": plan.args.rejoin,
        },
        "sip": {
            "listen": format!("{HOST}:{}", plan.ports.sip()),
            "phones": ["127.0.0.0/8"],
            "engine": plan.args.engine,
            "livekit_sip_bin": std::env::var("LIVEKIT_SIP_BIN").unwrap_or_default(),
            "tls": {
                "listen": format!("{HOST}:{}", plan.ports.sip_tls()),
                "certificate": tls.certificate,
                "key": tls.key,
                "trust": tls.trust,
            },
        },
        "rtp": { "start": start, "end": end, "ip": HOST },
        "control": { "api_socket": plan.data.socket("control"), "listen_socket": plan.data.socket("gateway") },
    })
}

pub fn control_api(plan: &Plan<'_>) -> Value {
    let (start, end) = plan.ports.rtp();
    let mut livekit = livekit_client(plan);
    livekit["ports"] = json!({ "udp": plan.ports.livekit_udp() });
    json!({
        "http_listen": format!("{HOST}:{}", plan.ports.api()),
        "public_url": plan.ports.api_origin(),
        "control_socket": plan.data.socket("control"),
        "gateway_socket": plan.data.socket("gateway"),
        "database": plan.data.join("db/scaibox.sqlite"),
        "livekit": livekit,
        "s3": s3(plan),
        "admin": {
            "email": plan.secrets.admin_email,
            "password": plan.secrets.admin_password,
            "api_key": plan.secrets.api_key,
        },
        "sip": { "host": HOST, "port": plan.ports.sip(), "tls_port": plan.ports.sip_tls() },
        "rtp": { "start": start, "end": end },
    })
}

pub fn voice_worker(plan: &Plan<'_>) -> Value {
    json!({
        "control_socket": plan.data.socket("control"),
        "spool_dir": plan.data.join("spool/voice-worker"),
        "room_codec": plan.args.room_codec,
        "livekit": livekit_client(plan),
        "s3": s3(plan),
        "speech": { "espeak": "espeak-ng" },
    })
}

fn livekit_client(plan: &Plan<'_>) -> Value {
    json!({
        "url": plan.ports.livekit_url(),
        "api_key": plan.secrets.livekit_key,
        "api_secret": plan.secrets.livekit_secret,
    })
}

fn s3(plan: &Plan<'_>) -> Value {
    json!({
        "endpoint": plan.ports.s3_url(),
        "region": "us-east-1",
        "bucket": BUCKET,
        "access_key": plan.secrets.s3_access_key,
        "secret_key": plan.secrets.s3_secret_key,
    })
}
