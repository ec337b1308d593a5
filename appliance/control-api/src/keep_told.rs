//! How does a neighbour learn what it has to know of the database, and keep knowing it?
//!
//! It is told the whole of it, on every change and now and then; a lost message or a restart of the
//! neighbour heals by itself. [`KeepTold::rest`] is what comes between two times.

use crate::app::App;
use std::time::Duration;
use tokio::sync::Notify;

pub struct KeepTold {
    neighbour: &'static str,
    period: Duration,
    /// After it could not be told.
    retry: Duration,
    failing: bool,
}

impl KeepTold {
    pub fn new(neighbour: &'static str, period: Duration, retry: Duration) -> Self {
        Self { neighbour, period, retry, failing: false }
    }

    /// Logs a failure when it begins and waits until it is time again; false when the daemon stops.
    pub async fn rest(&mut self, app: &App, changed: &Notify, told: Result<(), String>) -> bool {
        if let Err(error) = &told
            && !self.failing
        {
            tracing::error!(neighbour = self.neighbour, error, "neighbour_not_told");
        }
        self.failing = told.is_err();
        tokio::select! {
            () = app.stop.cancelled() => false,
            () = changed.notified() => true,
            () = tokio::time::sleep(if self.failing { self.retry } else { self.period }) => true,
        }
    }
}
