//! How does a daemon start, tell systemd that it works, and end?

use std::{future::Future, time::Duration};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Runs `body` with a token that SIGTERM and SIGINT cancel; `body` drains and returns.
///
/// A second signal ends the process at once with status 130.
pub async fn run_until_signal<F, R>(body: F) -> anyhow::Result<()>
where
    F: FnOnce(CancellationToken) -> R,
    R: Future<Output = anyhow::Result<()>>,
{
    let stop = CancellationToken::new();
    let mut term = signal(SignalKind::terminate())?;
    let mut int = signal(SignalKind::interrupt())?;
    let on_signal = stop.clone();
    tokio::spawn(async move {
        wait_for_either(&mut term, &mut int).await;
        stopping();
        on_signal.cancel();
        wait_for_either(&mut term, &mut int).await;
        std::process::exit(130);
    });
    body(stop).await
}

async fn wait_for_either(term: &mut tokio::signal::unix::Signal, int: &mut tokio::signal::unix::Signal) {
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
}

/// Tells systemd that the daemon serves (`Type=notify`), and keeps its watchdog fed.
///
/// Must be called inside a tokio runtime. Without systemd nothing happens.
pub fn ready() {
    notify("READY", "1");
    if let Some(period) = watchdog_period() {
        tokio::spawn(async move {
            let mut tick = tokio::time::interval(period / 2);
            loop {
                tick.tick().await;
                notify("WATCHDOG", "1");
            }
        });
    }
}

/// Tells systemd that the daemon is draining.
pub fn stopping() {
    notify("STOPPING", "1");
}

fn notify(key: &str, value: &str) {
    if let Err(error) = systemd::daemon::notify([(key, value)].iter()) {
        tracing::warn!(%error, "could not notify systemd");
    }
}

/// `WATCHDOG_USEC` as systemd.service(5) describes it; `WATCHDOG_PID` must be ours when set.
fn watchdog_period() -> Option<Duration> {
    let for_us = std::env::var("WATCHDOG_PID").map_or(true, |pid| pid == std::process::id().to_string());
    let micros: u64 = std::env::var("WATCHDOG_USEC").ok()?.parse().ok()?;
    (for_us && micros > 0).then(|| Duration::from_micros(micros))
}
