//! Does each carrier answer? An OPTIONS once a minute, and soon after a change.
//!
//! It also keeps the way open: a NAT between us and the carrier sees traffic. `sync_status` is not touched.

use crate::{app::App, ready::with_causes};
use axum::http::StatusCode;
use daemon::unix_http::UnixHttpError;
use jiff::Timestamp;
use std::time::{Duration, Instant};
use store::{
    StoreError,
    trunks::{Trunk, TrunkHealth},
};
use tokio::task::JoinSet;
use types::control::{OptionsAnswer, OptionsRequest};

const PERIOD: Duration = Duration::from_secs(60);
/// Whoever wakes us once a minute comes a moment too early for a whole one.
const FRESH: Duration = Duration::from_secs(45);
/// The gateway waits for the carrier a little less.
const PATIENCE: Duration = Duration::from_secs(15);
/// So many carriers are asked at once.
const AT_ONCE: usize = 32;

/// Runs until the daemon stops.
pub async fn run(app: App) {
    loop {
        match app.stop.run_until_cancelled(pass(&app)).await {
            None => return,
            Some(Ok(())) => {}
            Some(Err(error)) => tracing::error!(%error, "trunk_health_pass_failed"),
        }
        tokio::select! {
            () = app.stop.cancelled() => return,
            () = app.health_due.notified() => {}
            () = tokio::time::sleep(PERIOD) => {}
        }
    }
}

async fn pass(app: &App) -> Result<(), StoreError> {
    let now = Timestamp::now();
    let trunks = app.db.read(store::trunks::of_customers).await?;
    let mut asked = JoinSet::new();
    for trunk in trunks.into_iter().filter(|trunk| due(trunk, now)) {
        if asked.len() >= AT_ONCE {
            asked.join_next().await;
        }
        asked.spawn(check(app.clone(), trunk));
    }
    asked.join_all().await;
    Ok(())
}

/// Never asked, asked long ago, or changed since.
fn due(trunk: &Trunk, now: Timestamp) -> bool {
    let old = |health: &TrunkHealth| now.duration_since(health.checked_at).unsigned_abs() >= FRESH;
    trunk.spec.enabled && trunk.health.as_ref().is_none_or(|health| old(health) || health.checked_at < trunk.updated_at)
}

async fn check(app: App, trunk: Trunk) {
    let request = OptionsRequest {
        server: trunk.spec.sip_server_address.clone(),
        transport: trunk.spec.sip_transport.as_str().to_owned(),
    };
    let began = Instant::now();
    let answer = app.gateway.with_limit(PATIENCE).post("/v1/options", &request).await;
    let (reachable, detail) = match answer {
        Ok(OptionsAnswer { answered: true, code, reason }) => {
            (true, format!("{code} {reason} after {} ms", began.elapsed().as_millis()))
        }
        Ok(OptionsAnswer { reason, .. }) => (false, reason),
        Err(UnixHttpError::Refused { status: StatusCode::NOT_IMPLEMENTED, .. }) => return forget(&app, &trunk).await,
        Err(error) => return tracing::warn!(error = with_causes("sip-gateway", &error), "trunk_health_not_asked"),
    };
    if trunk.health.as_ref().is_none_or(|before| before.reachable != reachable) {
        tracing::info!(trunk.id = %trunk.id, reachable, detail, "scaidial_trunk_health_changed");
    }
    let health = TrunkHealth { reachable, checked_at: Timestamp::now(), detail };
    let stored = app.db.write(move |tx| store::trunks::set_health(tx, trunk.id, &health)).await;
    if let Err(error) = stored {
        tracing::error!(%error, "trunk_health_not_stored");
    }
}

/// The engine cannot ask.
async fn forget(app: &App, trunk: &Trunk) {
    let id = trunk.id;
    if trunk.health.is_some()
        && let Err(error) = app.db.write(move |tx| store::trunks::forget_health(tx, id)).await
    {
        tracing::error!(%error, "trunk_health_not_stored");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_trunk_is_asked_once_a_minute_and_after_a_change() {
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        let mut trunk: Trunk = crate::trunks::outcome::tests::trunk();
        trunk.updated_at = at(1000);
        assert!(due(&trunk, at(1000)), "never asked");
        let health = |seconds| {
            let health = json!({ "reachable": true, "checked_at": at(seconds), "detail": "" });
            Some(serde_json::from_value(health).unwrap())
        };
        trunk.health = health(1001);
        assert!(!due(&trunk, at(1045)));
        assert!(due(&trunk, at(1060)), "whoever comes once a minute finds it due each time");
        trunk.health = health(999);
        assert!(due(&trunk, at(1000)), "changed since");
        trunk.spec.enabled = false;
        assert!(!due(&trunk, at(9999)));
    }
}
