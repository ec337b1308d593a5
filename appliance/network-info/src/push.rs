//! Does the gateway know our addresses?
//!
//! Told at once when they change, and compared every ten seconds: a gateway that was started anew
//! has forgotten them.

use crate::watcher::Known;
use daemon::unix_http::{Client, UnixHttpError};
use std::time::Duration;
use tokio::sync::watch;
use types::network::Addresses;

const COMPARE_EVERY: Duration = Duration::from_secs(10);
const PATH: &str = "/v1/addresses";

/// Keeps the gateway informed, for ever.
pub async fn run(gateway: Client, mut known: watch::Receiver<Known>) {
    let mut failing = false;
    loop {
        let addresses = known.borrow_and_update().addresses.clone();
        let outcome = tell(&gateway, &addresses).await;
        if let Err(error) = &outcome
            && !failing
        {
            tracing::warn!(%error, "sip-gateway does not take our addresses; trying again until it does");
        }
        failing = outcome.is_err();
        tokio::select! {
            changed = known.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(COMPARE_EVERY) => {}
        }
    }
}

async fn tell(gateway: &Client, addresses: &Addresses) -> Result<(), UnixHttpError> {
    let there: Addresses = gateway.get(PATH).await?;
    if there != *addresses {
        let _: Addresses = gateway.put(PATH, addresses).await?;
        tracing::info!(egress.ip = ?addresses.egress, online = addresses.online, "sip-gateway has our addresses");
    }
    Ok(())
}
