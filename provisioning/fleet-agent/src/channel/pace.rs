//! Is this download too slow to wait for?
//!
//! A mirror that trickles bytes could hold an update back for ever without ever failing. So every window of time must
//! bring a minimum of bytes. Pure: `now` is an argument.

use std::time::{Duration, Instant};

/// The least that a mirror has to deliver.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Minimum {
    pub bytes_per_second: u64,
    pub window: Duration,
}

impl Default for Minimum {
    /// 1 kB/s over 20 s: slower than any line a phone call works on.
    fn default() -> Self {
        Self { bytes_per_second: 1000, window: Duration::from_secs(20) }
    }
}

/// Counts what arrived in the current window.
#[derive(Debug)]
pub struct Pace {
    minimum: Minimum,
    since: Instant,
    bytes: u64,
}

/// A window passed with too little in it.
#[derive(Debug, PartialEq, thiserror::Error)]
#[error("it brought only {bytes} bytes in {window:?}")]
pub struct TooSlow {
    pub bytes: u64,
    pub window: Duration,
}

impl Pace {
    pub fn new(minimum: Minimum, now: Instant) -> Self {
        Self { minimum, since: now, bytes: 0 }
    }

    /// When to look again, at the latest.
    pub fn deadline(&self) -> Instant {
        self.since + self.minimum.window
    }

    /// `bytes` arrived (0: nothing did, the deadline passed).
    pub fn record(&mut self, bytes: usize, now: Instant) -> Result<(), TooSlow> {
        self.bytes += bytes as u64;
        if now < self.deadline() {
            return Ok(());
        }
        let window = now.duration_since(self.since);
        if (self.bytes as f64) < self.minimum.bytes_per_second as f64 * window.as_secs_f64() {
            return Err(TooSlow { bytes: self.bytes, window });
        }
        (self.since, self.bytes) = (now, 0);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINIMUM: Minimum = Minimum { bytes_per_second: 1000, window: Duration::from_secs(20) };

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn a_mirror_that_trickles_a_byte_a_second_is_given_up_after_one_window() {
        let t0 = Instant::now();
        let mut pace = Pace::new(MINIMUM, t0);
        for second in 1..20 {
            assert_eq!(pace.record(1, t0 + seconds(second)), Ok(()));
        }
        assert_eq!(pace.record(1, t0 + seconds(20)), Err(TooSlow { bytes: 20, window: seconds(20) }));
    }

    #[test]
    fn a_slow_but_steady_line_may_take_hours() {
        let t0 = Instant::now();
        let mut pace = Pace::new(MINIMUM, t0);
        for second in 1..20_000 {
            assert_eq!(pace.record(1001, t0 + seconds(second)), Ok(()));
        }
    }

    #[test]
    fn a_fast_start_does_not_buy_a_silent_hour() {
        let t0 = Instant::now();
        let mut pace = Pace::new(MINIMUM, t0);
        assert_eq!(pace.record(100_000_000, t0 + seconds(20)), Ok(()));
        assert_eq!(pace.deadline(), t0 + seconds(40));
        assert_eq!(pace.record(0, t0 + seconds(40)), Err(TooSlow { bytes: 0, window: seconds(20) }));
    }
}
