//! What happens when the box gets another address, or its operator changes a setting?
//!
//! Everything is prepared again, and the daemons whose configuration is another one now are started
//! again. Those that carry calls wait until nobody speaks. The same look renews the certificate in
//! time and forgets the claim code of a claimed box.

use crate::{claim::desk::State, files, here, here::Here, layout::Layout, prepare::prepare};
use anyhow::Context;
use daemon::unix_http::Client;
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use serde::Deserialize;
use std::{collections::BTreeSet, net::IpAddr, time::Duration};
use tokio::process::Command;
use tokio_util::sync::CancellationToken;

const LOOK_EVERY: Duration = Duration::from_secs(5);
const CONTROL_API: &str = "/run/control-api/control.sock";
/// A restart of these cuts calls.
const CARRY_CALLS: [&str; 4] = ["livekit-server", "redis", "sip-gateway", "voice-worker"];

/// What the prepared files depend on and what may change while the box runs.
#[derive(PartialEq)]
struct Seen {
    addresses: Vec<IpAddr>,
    hostname: String,
    settings: Option<String>,
    claim: State,
    day: Date,
}

impl Seen {
    fn look(layout: &Layout) -> anyhow::Result<Self> {
        Ok(Self {
            addresses: here::addresses()?,
            hostname: here::hostname()?,
            settings: files::read(&layout.settings())?,
            claim: State::load(&layout.claim_state()),
            day: Timestamp::now().to_zoned(TimeZone::UTC).date(),
        })
    }
}

pub async fn run(layout: Layout, stop: CancellationToken) -> anyhow::Result<()> {
    let control_api = Client::new(CONTROL_API);
    let (mut seen, mut due) = (None, BTreeSet::new());
    let mut tick = tokio::time::interval(LOOK_EVERY);
    daemon::ready();
    while stop.run_until_cancelled(tick.tick()).await.is_some() {
        let now = Seen::look(&layout)?;
        if seen.as_ref() != Some(&now) {
            due.extend(prepare(&layout, &Here::look(&layout)?)?);
            seen = Some(now);
        }
        if !due.is_empty() {
            due = start_again(due, &control_api).await?;
        }
    }
    Ok(())
}

/// Returns those that wait because somebody speaks.
async fn start_again(due: BTreeSet<&'static str>, control_api: &Client) -> anyhow::Result<BTreeSet<&'static str>> {
    let busy = calls(control_api).await > 0;
    let (wait, now): (BTreeSet<_>, BTreeSet<_>) =
        due.into_iter().partition(|daemon| busy && CARRY_CALLS.contains(daemon));
    tracing::info!(?now, ?wait, "daemons_start_again");
    let units = now.iter().map(|daemon| format!("{daemon}.service"));
    let status = Command::new("systemctl").args(["try-restart", "--no-block"]).args(units).status().await;
    anyhow::ensure!(status.context("cannot run systemctl")?.success(), "systemctl try-restart failed for {now:?}");
    Ok(wait)
}

#[derive(Deserialize)]
struct Activity {
    active_calls: u32,
}

/// A box whose API does not answer has no calls worth waiting for.
async fn calls(control_api: &Client) -> u32 {
    control_api.get("/internal/v1/activity").await.map_or(0, |Activity { active_calls }| active_calls)
}
