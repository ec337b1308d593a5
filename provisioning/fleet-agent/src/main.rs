//! `fleet-agent --config FILE`: keeps the box up to date. `fleet-agent root-step WHAT`: the root part, see `root`.

use anyhow::Context;
use daemon::unix_http;
use fleet_agent::{
    agent::{Agent, Journal},
    api,
    artefacts::Shelf,
    config::Config,
    root::{self, Places, What},
    units::Systemd,
};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    daemon::log::init("fleet-agent");
    let mut args = std::env::args().skip(1);
    if args.next().as_deref() == Some("root-step") {
        let what =
            args.next().context("say which step: fleet-agent root-step VERSION|force-VERSION|look|reboot|rollback")?;
        return root_step(&what).await;
    }
    let config: Config = daemon::config::load(&daemon::config::path_from_args()?)?;
    config.check()?;
    daemon::run_until_signal(|stop| serve(config, stop)).await
}

async fn root_step(what: &str) -> anyhow::Result<()> {
    let what: What = what.parse()?;
    root::run(&Places::of_this_box(), &what).await.with_context(|| format!("root-step {what}"))
}

async fn serve(config: Config, stop: CancellationToken) -> anyhow::Result<()> {
    let shelf = Shelf::default();
    let steps = Arc::new(Systemd { results: config.results.clone() });
    let (agent, handle) = Agent::new(&config, steps, Arc::new(Journal), shelf.clone())?;
    let artefacts = tokio::net::TcpListener::bind(config.artefacts)
        .await
        .with_context(|| format!("artefacts: {} cannot be bound", config.artefacts))?;
    let socket = unix_http::bind(&config.socket)
        .with_context(|| format!("socket: {} cannot be bound", config.socket.display()))?;
    let files = axum::serve(artefacts, shelf.router()).with_graceful_shutdown(stop.clone().cancelled_owned());
    let api = axum::serve(socket, api::router(handle)).with_graceful_shutdown(stop.clone().cancelled_owned());
    daemon::ready();
    let (files, api, ()) = tokio::join!(files.into_future(), api.into_future(), agent.run(stop));
    files?;
    Ok(api?)
}
