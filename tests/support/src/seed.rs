//! What does a new box need before somebody can call it?
//!
//! One number that rings through to voicemail. Everything goes through the public API, so that nothing here can do what a user could not.

use crate::api::Api;
use anyhow::{Context, bail};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

pub const DEMO_NUMBER: &str = "+31201234567";
const SYNC_LIMIT: Duration = Duration::from_secs(30);

/// Something to call.
pub struct Demo {
    pub number: &'static str,
}

/// A trunk for callers on this machine, a number on it, and a dialplan that records whoever calls.
pub async fn demo(api: &Api, key: &str) -> anyhow::Result<Demo> {
    let post = async |path: &str, body: Value| api.ask(key, Method::POST, path, Some(body)).await;
    let known = api.ask(key, Method::GET, "/v1/dids?limit=100", None).await?;
    let dids = known["items"].as_array().cloned().unwrap_or_default();
    let trunk = match dids.iter().find(|did| did["number"] == DEMO_NUMBER) {
        Some(did) => text(did, "trunk_id")?,
        None => {
            let trunk = post("/v1/trunks", demo_trunk()).await?;
            let extension =
                post("/v1/extensions", json!({ "number": "100", "name": "Demo", "type": "voicemail" })).await?;
            let dialplan = post("/v1/dialplans", demo_dialplan(&extension["id"])).await?;
            let did = json!({
                "number": DEMO_NUMBER, "label": "Demo", "enabled": true,
                "trunk_id": trunk["id"], "dialplan_id": dialplan["id"],
            });
            post("/v1/dids", did).await?;
            text(&trunk, "id")?
        }
    };
    synced(api, key, &trunk).await?;
    Ok(Demo { number: DEMO_NUMBER })
}

fn demo_trunk() -> Value {
    json!({
        "name": "Demo: callers on this machine",
        "sip_server_address": "127.0.0.1",
        "sip_transport": "udp",
        "auth_mode": "ip",
        "register": false,
        "allowed_addresses": ["127.0.0.0/8"],
    })
}

fn demo_dialplan(extension: &Value) -> Value {
    json!({
        "name": "Demo: always to voicemail",
        "rules": [{
            "priority": 100, "enabled": true,
            "match_type": "always", "match_params": {},
            "action_type": "voicemail", "action_params": { "extension_id": extension },
        }],
    })
}

async fn synced(api: &Api, key: &str, trunk: &str) -> anyhow::Result<()> {
    let until = Instant::now() + SYNC_LIMIT;
    loop {
        let now = api.ask(key, Method::GET, &format!("/v1/trunks/{trunk}"), None).await?;
        if now["sync_status"] == "synced" {
            return Ok(());
        }
        if Instant::now() > until {
            bail!("the demo trunk is not synced after {SYNC_LIMIT:?}: {}", now["sync_last_error"]);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn text(object: &Value, field: &str) -> anyhow::Result<String> {
    object[field].as_str().map(str::to_owned).with_context(|| format!("no `{field}` in {object}"))
}
