//! Who hears what happens to calls?
//!
//! The control plane, by way of the spool, and whoever reads the [`Metrics`]. Without a control plane (livekit-sip's
//! configuration knows none) only the latter.

use crate::metrics::Metrics;
use daemon::{spool::Spool, unix_http::Client};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio_util::sync::CancellationToken;
use types::{CorrelationId, control::Event};

/// All events of this process pass through here.
pub struct Events {
    spool: Option<Spool>,
    instance: String,
    metrics: Arc<Metrics>,
}

impl Events {
    pub fn new(spool: Option<Spool>, metrics: Arc<Metrics>, instance: String) -> Self {
        Self { spool, instance, metrics }
    }

    /// The name of this start of the gateway.
    pub fn instance(&self) -> &str {
        &self.instance
    }

    /// Says `event` now.
    pub fn append(&self, correlation_id: Option<&CorrelationId>, event: Event) {
        self.metrics.follow(&event, Instant::now());
        if let Some(spool) = &self.spool {
            spool.append(correlation_id, event);
        }
    }

    /// The control plane was heard of: what waits for it is sent now.
    pub fn hurry(&self) {
        if let Some(spool) = &self.spool {
            spool.hurry();
        }
    }

    /// Waits until the control plane knows what was said up to now, for `limit` at most.
    pub async fn told(&self, limit: Duration) {
        if let Some(spool) = &self.spool {
            spool.told(limit).await;
        }
    }

    /// Sends until `stop`, then tries once more to send what is left.
    pub async fn run(&self, control_plane: Option<Client>, stop: CancellationToken) {
        if let (Some(spool), Some(api)) = (&self.spool, control_plane) {
            spool.run(api, stop).await;
        }
    }
}
