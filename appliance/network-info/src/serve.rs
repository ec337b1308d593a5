//! What does the daemon do from start to end?

use crate::{Config, cache::Cache, changes::Changes, http, push, watcher::Watcher};
use anyhow::Context;
use daemon::unix_http;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Serves until `stop`.
pub async fn serve(config: Config, stop: CancellationToken) -> anyhow::Result<()> {
    let cache = Cache::open(&config.state_dir).context("state_dir")?;
    let changes = Changes::watch().context("the kernel does not tell of network changes (netlink)")?;
    let listener = unix_http::bind(&config.socket).context("socket")?;
    let gateway = unix_http::Client::new(&config.gateway_socket);
    let (asks, asked) = mpsc::channel(16);
    let watcher = Watcher::new(config, cache, changes, asked);
    let app = http::App { known: watcher.known(), asks };
    let pushing = push::run(gateway, watcher.known());
    let serving = axum::serve(listener, http::router(app)).into_future();
    daemon::ready();
    tracing::info!("network-info serves");
    tokio::select! {
        () = stop.cancelled() => Ok(()),
        broken = serving => anyhow::bail!("the socket closed: {broken:?}"),
        () = watcher.run() => Ok(()),
        () = pushing => Ok(()),
    }
}
