//! What does the person or program that started the box get to know?

use crate::{
    config::BUCKET,
    data::DataDir,
    ports::{HOST, Ports},
    secrets::Secrets,
    seed::Demo,
};
use anyhow::Context;
use serde_json::{Value, json};
use std::{collections::BTreeMap, io::Write};

pub struct Facts<'a> {
    pub data: &'a DataDir,
    pub ports: &'a Ports,
    pub secrets: &'a Secrets,
    pub pids: BTreeMap<&'static str, u32>,
    pub demo: Option<&'a Demo>,
}

/// Says "ready" on stdout: one line of JSON, or a page for a person.
pub fn ready(as_json: bool, facts: &Facts<'_>) -> anyhow::Result<()> {
    let text = if as_json { line(facts).to_string() } else { page(facts) };
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush()).context("cannot write to stdout")
}

fn line(facts: &Facts<'_>) -> Value {
    let Facts { data, ports, secrets, pids, .. } = facts;
    let (start, end) = ports.rtp();
    json!({
        "api": ports.api_origin(),
        "admin": { "email": secrets.admin_email, "password": secrets.admin_password },
        "api_key": secrets.api_key,
        "sip": { "host": HOST, "port": ports.sip(), "tls_port": ports.sip_tls(), "trust": data.join("config/sip-trust.crt") },
        "rtp": { "start": start, "end": end },
        "livekit": {
            "url": ports.livekit_url(),
            "api_key": secrets.livekit_key,
            "api_secret": secrets.livekit_secret,
        },
        "redis": ports.redis_url(),
        "s3": {
            "endpoint": ports.s3_url(),
            "access_key": secrets.s3_access_key,
            "secret_key": secrets.s3_secret_key,
            "bucket": BUCKET,
        },
        "data_dir": data.root(),
        "pids": pids,
    })
}

fn page(facts: &Facts<'_>) -> String {
    let Facts { data, ports, secrets, demo, .. } = facts;
    let api = ports.api_origin();
    let key = &secrets.api_key;
    let (start, end) = ports.rtp();
    let keep = if data.is_temporary() { "removed at the end; --data DIR keeps it" } else { "kept" };
    let call = demo.map(|demo| call(demo, ports, &api, key)).unwrap_or_default();
    format!(
        "The box is ready.

  API          {api}/v1   ({api}/openapi.json)
  sign in      {} / {}
  API key      {key}
  SIP          {HOST}:{} (UDP and TCP), RTP {start} to {end}
  LiveKit      {}
  data, logs   {} ({keep})
{call}
Ctrl-C ends everything.",
        secrets.admin_email,
        secrets.admin_password,
        ports.sip(),
        ports.livekit_url(),
        data.root().display(),
    )
}

fn call(demo: &Demo, ports: &Ports, api: &str, key: &str) -> String {
    let (number, sip) = (demo.number, ports.sip());
    format!(
        "
Call it from another terminal: hear the greeting, leave a message (any phone that dials sip:{number}@{HOST}:{sip} will do):

  ./box call {number} --port {sip} --say 'Hello, please call me back'

Then play the newest message:

  curl -sH 'Authorization: Bearer {key}' {api}/v1/voicemails/$(curl -sH 'Authorization: Bearer {key}' '{api}/v1/voicemails?limit=1' | grep -o 'vm_[0-9a-z]*' | head -n 1)/audio?format=wav -o message.wav && aplay message.wav
"
    )
}
