//! How is the box right now?
//!
//! Read afresh each time: files that root may read, the kernel's list of running units, and one
//! question to `control-api`, whose database knows whether the box is claimed.

use crate::{
    certificate::Certificate,
    claim::{desk::LIFETIME, offer},
    files, here,
    layout::Layout,
    render::origin,
};
use daemon::unix_http::Client;
use serde::Deserialize;
use std::{fs, net::IpAddr, path::Path, time::Duration};
use types::units::DAEMONS;

const UNITS: &str = "/sys/fs/cgroup/system.slice";

/// Everything the screen shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    pub version: String,
    pub hostname: String,
    pub addresses: Vec<IpAddr>,
    pub state: State,
    /// Name, and whether it runs.
    pub daemons: Vec<(&'static str, bool)>,
    pub fingerprint: Option<String>,
    pub health: Option<String>,
    pub settings_problem: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// `control-api` does not answer yet.
    Starting,
    Unclaimed {
        code: String,
    },
    /// Unclaimed for longer than a day.
    CodeExpired,
    Claimed,
}

#[derive(Deserialize)]
struct Claim {
    claimed: bool,
}

/// `health/last.json`, as much of it as fits a line.
#[derive(Deserialize)]
struct Health {
    version: String,
    at: jiff::Timestamp,
    healthy: bool,
}

/// `uptime`: time since the machine started.
pub async fn look(layout: &Layout, control_api: &Client, uptime: Duration) -> anyhow::Result<View> {
    Ok(View {
        version: here::version(layout),
        hostname: here::hostname()?,
        addresses: here::addresses()?,
        state: state(layout, control_api, uptime).await,
        daemons: DAEMONS.map(|daemon| (daemon, runs(daemon))).to_vec(),
        fingerprint: Certificate::load(layout).map(|certificate| certificate.fingerprint),
        health: health(layout),
        settings_problem: files::read(&layout.settings_problem()).ok().flatten(),
    })
}

impl View {
    /// One per address.
    pub fn urls(&self) -> impl Iterator<Item = String> {
        self.addresses.iter().map(|address| format!("{}/", origin(&[*address])))
    }
}

async fn state(layout: &Layout, control_api: &Client, uptime: Duration) -> State {
    let Ok(Claim { claimed }) = control_api.get("/internal/v1/claim").await else { return State::Starting };
    if claimed {
        return State::Claimed;
    }
    match offer::load(layout).filter(|_| uptime < LIFETIME) {
        Some(offer) => State::Unclaimed { code: offer.code.to_string() },
        None => State::CodeExpired,
    }
}

/// A unit that runs has a control group with a process in it.
fn runs(daemon: &str) -> bool {
    let events = Path::new(UNITS).join(format!("{daemon}.service/cgroup.events"));
    fs::read_to_string(events).is_ok_and(|events| events.lines().any(|line| line == "populated 1"))
}

fn health(layout: &Layout) -> Option<String> {
    let text = files::read(&layout.health().join("last.json")).ok()??;
    let Health { version, at, healthy } = serde_json::from_str(&text).ok()?;
    let verdict = if healthy { "passed" } else { "FAILED" };
    Some(format!("{verdict}, version {version}, {}", at.strftime("%Y-%m-%d %H:%M UTC")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_health_check_is_one_line() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path());
        assert_eq!(health(&layout), None);
        fs::create_dir_all(layout.health()).unwrap();
        let last = r#"{"version":"7","at":"2026-03-01T12:00:00Z","healthy":false,"blessing":"good","checks":[]}"#;
        fs::write(layout.health().join("last.json"), last).unwrap();
        assert_eq!(health(&layout).as_deref(), Some("FAILED, version 7, 2026-03-01 12:00 UTC"));
    }
}
