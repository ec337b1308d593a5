//! What must be tidied up now and then, and once after a start?

use crate::app::App;
use jiff::Timestamp;
use std::time::Duration;
use store::StoreError;

const PERIOD: Duration = Duration::from_secs(3600);

/// Runs until the daemon stops.
pub async fn run(app: App) {
    report(app.db.write(store::idempotency::release_unanswered).await);
    let mut tick = tokio::time::interval(PERIOD);
    while app.stop.run_until_cancelled(tick.tick()).await.is_some() {
        report(app.db.write(|tx| store::events::prune(tx, Timestamp::now()).map(drop)).await);
    }
}

fn report(done: Result<(), StoreError>) {
    if let Err(err) = done {
        tracing::error!(error = %err, "upkeep_failed");
    }
}
