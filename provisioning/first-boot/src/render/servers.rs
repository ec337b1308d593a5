//! The servers of others: LiveKit, Redis and MinIO, each in its own form.

use super::{Facts, Rendered, local};
use crate::{here::is_self_given, ports};
use serde_json::{Value, json};
use std::net::IpAddr;

pub fn all(facts: &Facts<'_>) -> anyhow::Result<Vec<Rendered>> {
    Ok(vec![
        Rendered { file: "livekit-server.yaml", daemon: "livekit-server", text: livekit(facts)? },
        Rendered { file: "redis.conf", daemon: "redis", text: redis(facts) },
        Rendered { file: "minio.env", daemon: "minio", text: minio(facts) },
    ])
}

/// JSON, which is YAML. livekit-server looks at the network only when it starts: the comment makes
/// another address another file.
fn livekit(facts: &Facts<'_>) -> anyhow::Result<String> {
    let config = json!({
        "port": ports::local::LIVEKIT,
        "bind_addresses": ["127.0.0.1"],
        "keys": { &facts.secrets.livekit_key: facts.secrets.livekit_secret },
        "redis": { "address": local(ports::local::REDIS), "password": facts.secrets.redis_password },
        "rtc": rtc(facts),
        "room": { "auto_create": true },
        "webhook": {
            "api_key": facts.secrets.livekit_key,
            "urls": [format!("http://{}/internal/livekit/webhook", local(ports::local::API))],
        },
        "logging": { "level": "warn", "json": true },
    });
    let addresses: Vec<String> = lan(facts).map(ToString::to_string).collect();
    Ok(format!("# addresses: {}\n{}\n", addresses.join(" "), serde_json::to_string_pretty(&config)?))
}

/// Loopback for our own workers and the box's addresses for browsers. A named node address would
/// take the place of all of them, so it stands here only while there is none.
fn rtc(facts: &Facts<'_>) -> Value {
    let mut rtc = json!({
        "udp_port": ports::LIVEKIT_UDP,
        "tcp_port": ports::LIVEKIT_TCP,
        "use_external_ip": false,
        "enable_loopback_candidate": true,
    });
    if lan(facts).next().is_none() {
        rtc["node_ip"] = "127.0.0.1".into();
    } else if !facts.settings.network.stun_servers.is_empty() {
        rtc["stun_servers"] = json!(facts.settings.network.stun_servers);
    }
    rtc
}

/// IPv4 only, IPv6 addresses come and go by themselves; and LiveKit passes self-given ones over.
fn lan<'a>(facts: &'a Facts<'_>) -> impl Iterator<Item = &'a IpAddr> {
    facts.here.addresses.iter().filter(|ip| ip.is_ipv4() && !is_self_given(ip))
}

/// psrpc only: nothing in it needs to outlive the box.
fn redis(facts: &Facts<'_>) -> String {
    let lines = [
        "bind 127.0.0.1".to_owned(),
        format!("port {}", ports::local::REDIS),
        "protected-mode yes".to_owned(),
        format!("requirepass {}", facts.secrets.redis_password),
        "save \"\"".to_owned(),
        "appendonly no".to_owned(),
    ];
    lines.map(|line| line + "\n").concat()
}

fn minio(facts: &Facts<'_>) -> String {
    format!(
        "MINIO_ROOT_USER={}\nMINIO_ROOT_PASSWORD={}\nMINIO_BROWSER=off\nMINIO_UPDATE=off\n",
        facts.secrets.s3_access_key, facts.secrets.s3_secret_key
    )
}
