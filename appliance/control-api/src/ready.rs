//! May calls be acted on yet?
//!
//! Not before LiveKit's API and the gateway answer and `calls` has reconciled what went on while we
//! were away. [`watch`] tries every two seconds, says what is missing whenever that changes, and
//! takes the word back when a neighbour is lost. Reads never wait for it.

use crate::{
    app::App,
    error::{ApiError, ApiResult},
};
use axum::{
    extract::FromRequestParts,
    http::{StatusCode, request::Parts},
};
use std::{fmt::Write, time::Duration};
use tokio::sync::watch;
use types::control::GatewayHealth;

const PERIOD: Duration = Duration::from_secs(2);

/// Ready, or the reason why not.
#[derive(Clone, Debug, PartialEq)]
pub enum State {
    Starting,
    Waiting(String),
    Ready,
}

pub struct Readiness(watch::Sender<State>);

impl Default for Readiness {
    fn default() -> Self {
        Self(watch::channel(State::Starting).0)
    }
}

impl Readiness {
    pub fn is_ready(&self) -> bool {
        *self.0.borrow() == State::Ready
    }

    pub fn state(&self) -> State {
        self.0.borrow().clone()
    }

    pub fn subscribe(&self) -> watch::Receiver<State> {
        self.0.subscribe()
    }

    /// True when this is news.
    pub fn set(&self, state: State) -> bool {
        self.0.send_if_modified(|current| std::mem::replace(current, state.clone()) != state)
    }
}

/// Takes the place of a permission check on routes that act on a call or leg.
pub struct Ready;

impl FromRequestParts<App> for Ready {
    type Rejection = ApiError;

    async fn from_request_parts(_: &mut Parts, app: &App) -> ApiResult<Self> {
        if app.readiness.is_ready() {
            return Ok(Self);
        }
        let refusal =
            ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "scaidial_not_initialized", "scaidial not initialized");
        let hint = match app.readiness.state() {
            State::Waiting(cause) => format!("{cause}; it is tried again every two seconds"),
            _ => "this takes a few seconds after a start".into(),
        };
        Err(refusal.hint(hint).retry_after(PERIOD.as_secs()))
    }
}

/// Keeps [`Readiness`] true to what is, until the daemon stops.
pub async fn watch(app: App) {
    let mut tick = tokio::time::interval(PERIOD);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while app.stop.run_until_cancelled(tick.tick()).await.is_some() {
        look(&app).await;
    }
}

async fn look(app: &App) {
    match neighbours(app).await {
        Ok(()) if app.readiness.is_ready() => {}
        Ok(()) => match reconcile(app).await {
            Ok(()) if app.readiness.set(State::Ready) => tracing::info!("scaidial_ready"),
            Ok(()) => {}
            Err(err) => wait(app, format!("calls could not be reconciled: {err:#}")),
        },
        Err(cause) => wait(app, cause),
    }
}

/// Catches up with what went on meanwhile; trunks that failed for want of a neighbour need not wait.
async fn reconcile(app: &App) -> anyhow::Result<()> {
    crate::calls::reconcile(app).await?;
    app.db.write(store::trunks::retry_now).await?;
    app.trunks_changed.notify_one();
    Ok(())
}

fn wait(app: &App, cause: String) {
    if app.readiness.set(State::Waiting(cause.clone())) {
        tracing::error!(cause, "scaidial_start_failed");
    }
}

async fn neighbours(app: &App) -> Result<(), String> {
    let Some(livekit) = &app.livekit else {
        return Err(app.livekit_missing.clone().unwrap_or_else(|| "no LiveKit settings".into()));
    };
    livekit.api.list_rooms(&[]).await.map_err(|err| with_causes("livekit-server does not answer", &err))?;
    let health: Result<GatewayHealth, _> = app.gateway.get("/v1/health").await;
    let health = health.map_err(|err| with_causes("sip-gateway does not answer", &err))?;
    match health.trouble {
        Some(trouble) => Err(trouble),
        None if health.bus_connected => Ok(()),
        None => Err("sip-gateway has no connection to livekit-server's bus (Redis)".into()),
    }
}

/// An error with everything behind it, in one line.
pub fn with_causes(what: &str, err: &dyn std::error::Error) -> String {
    let mut line = format!("{what}: {err}");
    let mut source = err.source();
    while let Some(cause) = source {
        write!(line, ": {cause}").ok();
        source = cause.source();
    }
    line
}
