//! Who may look at the gateway's health and figures?
//!
//! Whoever reaches the two addresses of `observe` in the configuration. Any path is answered, as upstream does.
//!
//! What they say: [`crate::health`] and [`crate::metrics`].

use crate::{config::Observe, gateway::Gateway};
use anyhow::Context;
use axum::{
    Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use std::{net::SocketAddr, sync::Arc};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Bound before anything else starts, so that a taken port stops the start.
pub struct Windows {
    health: Option<TcpListener>,
    metrics: Option<TcpListener>,
}

impl Windows {
    pub async fn open(config: &Observe) -> anyhow::Result<Self> {
        Ok(Self {
            health: bind(config.health_listen).await.context("observe.health_listen")?,
            metrics: bind(config.prometheus_listen).await.context("observe.prometheus_listen")?,
        })
    }

    /// Serves until `stop`.
    pub fn serve(self, gateway: &Arc<Gateway>, stop: &CancellationToken) {
        for (window, router) in [
            (self.health, Router::new().fallback(health).with_state(gateway.clone())),
            (self.metrics, Router::new().fallback(metrics).with_state(gateway.clone())),
        ] {
            if let Some(listener) = window {
                tokio::spawn(answer(listener, router, stop.clone()));
            }
        }
        let cpu = gateway.cpu.clone();
        let stop = stop.clone();
        tokio::spawn(async move { stop.run_until_cancelled(cpu.watch()).await });
    }

    /// Where they are, for the log.
    pub fn addresses(&self) -> [Option<SocketAddr>; 2] {
        [&self.health, &self.metrics].map(|window| window.as_ref()?.local_addr().ok())
    }
}

async fn bind(address: Option<SocketAddr>) -> anyhow::Result<Option<TcpListener>> {
    let Some(address) = address else { return Ok(None) };
    Ok(Some(TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?))
}

async fn answer(listener: TcpListener, router: Router, stop: CancellationToken) {
    if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await {
        tracing::error!(%error, "health or figures are no longer served");
    }
}

async fn health(State(gateway): State<Arc<Gateway>>) -> Response {
    let health = gateway.fitness();
    (health.status(), [(CONTENT_TYPE, "text/plain")], health.word()).into_response()
}

async fn metrics(State(gateway): State<Arc<Gateway>>) -> Response {
    match gateway.metrics.text(gateway.is_available(), gateway.cpu.now()) {
        Ok(text) => ([(CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
