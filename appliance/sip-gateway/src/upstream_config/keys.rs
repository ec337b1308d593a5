//! Which keys of livekit-sip's configuration have no effect here?

use super::UpstreamError;
use serde_json::Value;
use std::collections::BTreeMap;

/// What is in the file beside the keys that we use.
pub type Rest = BTreeMap<String, Value>;

pub const TOP: [&str; 29] = [
    "add_record_route",
    "audio_dtmf",
    "cluster_id",
    "disable_rejected_invite_cache",
    "enable_jitter_buffer",
    "enable_jitter_buffer_prob",
    "enable_opus",
    "experimental",
    "ice_tcp",
    "ignore_local_addr_in_sdp",
    "jaeger_url",
    "local_net",
    "log_level",
    "logging",
    "max_active_calls",
    "media_use_external_ip",
    "nodeid",
    "opus",
    "outbound_route_headers",
    "pprof_port",
    "rtp_draining_duration",
    "rtp_draining_idle_timeout",
    "sip_hostname",
    "sip_ringing_interval",
    "sip_trunk_ids",
    "symmetric_rtp",
    "tcp",
    "udp_max_payload",
    "use_external_ip",
];

pub const REDIS: [&str; 11] = [
    "cluster_addresses",
    "dial_timeout",
    "max_redirects",
    "pool_size",
    "pool_timeout",
    "read_timeout",
    "sentinel_addresses",
    "sentinel_master_name",
    "sentinel_password",
    "sentinel_username",
    "write_timeout",
];

pub const TLS: [&str; 5] = ["alpn", "cipher_suites", "key_log", "max_version", "min_version"];

/// The names of those that ask for something; one that upstream does not know either is refused.
pub fn sort(above: &str, rest: &Rest, known: &[&str]) -> Result<Vec<String>, UpstreamError> {
    let named = |key: &String| format!("{above}{key}");
    if let Some(unknown) = rest.keys().find(|key| !known.contains(&key.as_str())) {
        return Err(UpstreamError::UnknownKey(named(unknown)));
    }
    Ok(rest.iter().filter(|(key, value)| !is_as_here(key, value)).map(|(key, _)| named(key)).collect())
}

/// Off, empty, or what we do anyway.
fn is_as_here(key: &str, value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty() || (key == "sip_ringing_interval" && text == "1s"),
        Value::Array(items) => items.is_empty() && key != "alpn",
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(true) => false,
    }
}
