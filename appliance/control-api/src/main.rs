//! `control-api`: config, database, first start, sockets, reconcilers; then serve until told to stop.

use control_api::{
    app::AppState, calls, config::Config, firewall, first_start, https::Https, internal, phones, ready, router, trunks,
    upkeep,
};
use std::future::IntoFuture;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    daemon::log::init("control-api");
    let config: Config = daemon::config::load(&daemon::config::path_from_args()?)?;
    daemon::run_until_signal(|stop| serve(config, stop)).await
}

async fn serve(config: Config, stop: CancellationToken) -> anyhow::Result<()> {
    let listener = TcpListener::bind(config.http_listen).await?;
    let https = match config.https.clone() {
        Some(https) => Some(Https::bind(https).await?),
        None => None,
    };
    let app = AppState::open(config, stop.clone())?;
    first_start::claim(&app).await?;
    calls::start(&app).await?;
    let control = daemon::unix_http::bind(&app.config.control_socket)?;
    let control =
        axum::serve(control, internal::router(app.clone())).with_graceful_shutdown(stop.clone().cancelled_owned());
    let control = tokio::spawn(control.into_future());
    let sync = tokio::spawn(trunks::sync::run(app.clone()));
    let health = tokio::spawn(trunks::health::run(app.clone()));
    let watch = tokio::spawn(ready::watch(app.clone()));
    let upkeep = tokio::spawn(upkeep::run(app.clone()));
    let phones = tokio::spawn(phones::run(app.clone()));
    let firewall = tokio::spawn(firewall::run(app.clone()));
    let https = https.map(|https| tokio::spawn(https.serve(router::router(app.clone()), stop.clone())));
    daemon::ready();
    tracing::info!(http.listen = %app.config.http_listen, "control_api_serving");
    axum::serve(listener, router::router(app)).with_graceful_shutdown(stop.cancelled_owned()).await?;
    sync.await?;
    health.await?;
    watch.await?;
    upkeep.await?;
    phones.await?;
    firewall.await?;
    if let Some(https) = https {
        https.await??;
    }
    control.await??;
    Ok(())
}
