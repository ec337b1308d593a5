//! How does a whole box start on one machine, from source, on loopback?
//!
//! `box-run` is what `./box run` and the tests start: Redis, livekit-server, MinIO and our daemons, each
//! supervised, in one data folder and one block of ports. It ends them all when it is told to end.
//!
//! Reading order: [`parts`] says what runs, [`fleet`] keeps it running, [`seed`] gives it a first key and
//! something to call, [`report`] tells whoever started it where to look.

mod api;
mod args;
mod certificate;
mod child;
mod config;
mod data;
mod fleet;
mod parts;
mod ports;
mod probe;
mod report;
mod secrets;
mod seed;

use anyhow::Context;
use clap::Parser;
use std::sync::Arc;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// One thread: children are told to end with the thread that started them, and this one lives longest.
#[tokio::main(flavor = "current_thread")]
async fn main() -> std::process::ExitCode {
    match run(args::Args::parse()).await {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("box: {error:#}");
            std::process::ExitCode::FAILURE
        }
    }
}

async fn run(args: args::Args) -> anyhow::Result<()> {
    let stop = stop_on_signal()?;
    let data = Arc::new(data::DataDir::open(args.data.as_deref())?);
    let ports = ports::lease(args.port_base)?;
    let secrets = secrets::Secrets::load_or_make(&data)?;
    let parts = parts::Plan { args: &args, data: &data, ports: &ports, secrets: &secrets }.parts()?;
    let mut fleet = fleet::Fleet::start(parts, &data, &args.without)?;

    let outcome = tokio::select! {
        () = stop.cancelled() => Ok(()),
        ready = bring_up(&args, &data, &ports, &secrets, &fleet) => ready,
    };
    if outcome.is_ok() {
        stop.cancelled().await;
    }
    fleet.stop().await;
    if outcome.is_err() {
        data.keep();
    }
    outcome
}

/// From the first probe to the line that says "ready".
async fn bring_up(
    args: &args::Args,
    data: &data::DataDir,
    ports: &ports::Ports,
    secrets: &secrets::Secrets,
    fleet: &fleet::Fleet,
) -> anyhow::Result<()> {
    fleet.ready().await?;
    let api = api::Api::new(ports)?;
    let whole = args.without.is_empty();
    api.up(whole).await.with_context(|| format!("see {}", data.log("control-api").display()))?;
    let demo = match whole && args.wants_demo() {
        true => Some(seed::demo(&api, &secrets.api_key).await.context("could not make the demo number")?),
        false => None,
    };
    let facts = report::Facts { data, ports, secrets, pids: fleet.pids(), demo: demo.as_ref() };
    report::ready(args.json, &facts)
}

/// Cancelled by SIGTERM, SIGINT or SIGHUP; a second signal ends this process at once, and its children with it.
fn stop_on_signal() -> anyhow::Result<CancellationToken> {
    let mut signals = [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()]
        .map(signal)
        .into_iter()
        .collect::<Result<Vec<_>, _>>()?;
    let stop = CancellationToken::new();
    let told = stop.clone();
    tokio::spawn(async move {
        any(&mut signals).await;
        told.cancel();
        any(&mut signals).await;
        std::process::exit(130);
    });
    Ok(stop)
}

async fn any(signals: &mut [Signal]) {
    std::future::poll_fn(|cx| match signals.iter_mut().any(|signal| signal.poll_recv(cx).is_ready()) {
        true => std::task::Poll::Ready(()),
        false => std::task::Poll::Pending,
    })
    .await;
}
