//! The time of a call.

use jiff::Timestamp;
use std::time::{Duration, Instant};

/// Time since the call began; steady while we run, by the wall clock across a restart.
pub(super) struct Clock {
    base: Instant,
    offset: Duration,
}

impl Clock {
    pub fn since(started: Timestamp) -> Self {
        let offset = Timestamp::now().duration_since(started).unsigned_abs();
        let offset = if Timestamp::now() < started { Duration::ZERO } else { offset };
        Self { base: Instant::now(), offset }
    }

    pub fn now(&self) -> Duration {
        self.offset + self.base.elapsed()
    }

    pub fn instant(&self, at: Duration) -> Instant {
        self.base + at.saturating_sub(self.offset)
    }
}
