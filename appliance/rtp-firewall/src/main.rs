//! The box's firewall: loads its table before it says that it is ready, and leaves it there when it stops.
//!
//! Table of contents: see the library.

use anyhow::Context;
use rtp_firewall::{config::Config, http, keeper::Keeper};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    daemon::log::init("rtp-firewall");
    let config: Config = daemon::config::load(&daemon::config::path_from_args()?)?;
    config.check()?;
    daemon::run_until_signal(|stop| serve(config, stop)).await
}

/// Keeps the table until `stop`. The table stays in the kernel then: a box without this daemon is still closed.
async fn serve(config: Config, stop: CancellationToken) -> anyhow::Result<()> {
    let keeper = Arc::new(Keeper::start(&config).await.context("the firewall could not be loaded")?);
    let listener = daemon::unix_http::bind(&config.socket).context("socket")?;
    daemon::ready();
    tracing::info!(socket = %config.socket.display(), "rtp-firewall guards the box");
    let keeping = tokio::spawn(keeper.clone().run(stop.clone()));
    axum::serve(listener, http::router(keeper)).with_graceful_shutdown(stop.cancelled_owned()).await?;
    keeping.await?;
    Ok(())
}
