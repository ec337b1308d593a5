//! How busy are this machine's processors?

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// Over how long the load is averaged.
const PERIOD: Duration = Duration::from_secs(5);

/// The share of time in which the processors had work, 0 to 1.
#[derive(Default)]
pub struct CpuLoad(AtomicU64);

/// Ticks since the machine started, of all processors together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ticks {
    idle: u64,
    total: u64,
}

impl CpuLoad {
    pub fn now(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }

    /// Measures for as long as it is polled.
    pub async fn watch(&self) {
        let mut tick = tokio::time::interval(PERIOD);
        let mut before = None;
        loop {
            tick.tick().await;
            let now = Ticks::read();
            if let (Some(before), Some(now)) = (before, now) {
                self.0.store(load(before, now).to_bits(), Ordering::Relaxed);
            }
            before = now;
        }
    }
}

impl Ticks {
    fn read() -> Option<Self> {
        Self::parse(&std::fs::read_to_string("/proc/stat").ok()?)
    }

    /// The line `cpu` of proc_stat(5); waiting for a disk is idleness, guests are in `user` already.
    fn parse(stat: &str) -> Option<Self> {
        let mut words = stat.lines().next()?.split_ascii_whitespace();
        words.next().filter(|name| *name == "cpu")?;
        let ticks = words.take(8).map(str::parse).collect::<Result<Vec<u64>, _>>().ok()?;
        Some(Self { idle: ticks.get(3)? + ticks.get(4)?, total: ticks.iter().sum() })
    }
}

fn load(before: Ticks, now: Ticks) -> f64 {
    let total = now.total.saturating_sub(before.total);
    let idle = now.idle.saturating_sub(before.idle).min(total);
    if total == 0 { 0.0 } else { (total - idle) as f64 / total as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_for_a_disk_is_idleness() {
        let before = Ticks::parse("cpu  100 0 100 700 100 0 0 0 50 0\ncpu0 1 1 1 1\n").unwrap();
        assert_eq!(before, Ticks { idle: 800, total: 1000 });
        assert_eq!(load(before, Ticks { idle: 850, total: 1200 }), 0.75);
    }

    #[test]
    fn no_time_and_a_clock_that_runs_backwards_are_no_load() {
        let ticks = Ticks { idle: 800, total: 1000 };
        assert_eq!(load(ticks, ticks), 0.0);
        assert_eq!(load(ticks, Ticks { idle: 700, total: 900 }), 0.0);
        assert_eq!(Ticks::parse("intr 1 2 3"), None);
    }

    #[test]
    fn this_machine_can_be_measured() {
        assert!(Ticks::read().is_some_and(|ticks| ticks.total > 0));
    }
}
