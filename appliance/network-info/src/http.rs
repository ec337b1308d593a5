//! Who may ask what we know?
//!
//! Whoever may open the socket. `GET /v1/network-info` answers at once; `POST /v1/check` looks first,
//! which takes up to 40 seconds without internet.

use crate::watcher::{Ask, Known};
use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    routing::{get, post},
};
use tokio::sync::{mpsc, oneshot, watch};
use types::network::NetworkState;

#[derive(Clone)]
pub struct App {
    pub known: watch::Receiver<Known>,
    pub asks: mpsc::Sender<Ask>,
}

pub fn router(app: App) -> Router {
    Router::new().route("/v1/network-info", get(network_info)).route("/v1/check", post(check)).with_state(app)
}

async fn network_info(State(app): State<App>) -> Json<NetworkState> {
    Json(app.known.borrow().state.clone())
}

async fn check(State(app): State<App>) -> Result<Json<NetworkState>, StatusCode> {
    let (ask, answered) = oneshot::channel();
    app.asks.send(ask).await.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
    answered.await.map(Json).map_err(|_| StatusCode::SERVICE_UNAVAILABLE)
}
