//! What has the gateway done so far, in figures?
//!
//! Names, labels and buckets are livekit-sip's, so that its dashboards and alerts go on working. What we cannot
//! measure is left out rather than shown as zero. [`families`] lists them all; [`calls`] follows each call, mostly by
//! the events that the control plane hears; [`outcome`] finds the words for how it ended.
//!
//! Who may read them: `observe`. RTP packets are counted by `media_thread`.

mod calls;
mod descriptions;
mod families;
mod outcome;
#[cfg(test)]
mod tests;
mod transfers;

pub use transfers::reason_of;

use calls::Call;
use families::Families;
use parking_lot::Mutex;
use prometheus::{HistogramTimer, Registry, TextEncoder};
use std::collections::{HashMap, HashSet};
use types::control::Direction;

/// Hosts that get a label value of their own; a scanner that makes names up fills no memory.
const MOST_HOSTS: usize = 100;

/// All figures of one gateway.
pub struct Metrics {
    registry: Registry,
    families: Families,
    /// Calls that are not over, by LiveKit's call id.
    calls: Mutex<HashMap<String, Call>>,
    hosts: Mutex<HashSet<String>>,
}

impl Metrics {
    /// `node` tells one start of a gateway from another.
    pub fn new(node: &str) -> prometheus::Result<Self> {
        let registry = Registry::new();
        let families = Families::register(&registry, node)?;
        Ok(Self { registry, families, calls: Mutex::default(), hosts: Mutex::default() })
    }

    /// Prometheus' text format, with the two figures that are looked up for it.
    pub fn text(&self, available: bool, cpu_load: f64) -> prometheus::Result<String> {
        self.families.available.set(available.into());
        self.families.cpu_load.set(cpu_load);
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }

    /// Measures a stage of a call until the timer is dropped.
    pub fn stage(&self, direction: Direction, stage: &str) -> HistogramTimer {
        self.families.stage.with_label_values(&[dir(direction), stage]).start_timer()
    }

    /// The label `to`.
    fn host(&self, host: &str) -> String {
        let host = host.to_ascii_lowercase();
        let mut known = self.hosts.lock();
        match known.len() < MOST_HOSTS || known.contains(&host) {
            _ if host.is_empty() => outcome::UNKNOWN.to_owned(),
            true => {
                known.insert(host.clone());
                host
            }
            false => "other".to_owned(),
        }
    }
}

/// The label `dir`.
fn dir(direction: Direction) -> &'static str {
    match direction {
        Direction::Inbound => "in",
        Direction::Outbound => "out",
    }
}
