//! What time is it on the wire? (RFC 3550 section 4)

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Seconds from 1900, where NTP begins, to 1970.
const SINCE_1900: u64 = 2_208_988_800;

/// NTP time, 32 bits of seconds and 32 of their fraction, by a clock that is never set back.
#[derive(Clone, Copy, Debug)]
pub struct NtpClock {
    zero: Instant,
    /// NTP time at `zero`.
    at_zero: u64,
}

impl NtpClock {
    /// A clock that showed `wall` at `zero`.
    pub fn new(zero: Instant, wall: SystemTime) -> NtpClock {
        NtpClock { zero, at_zero: ntp_of(wall) }
    }

    pub fn at(&self, now: Instant) -> u64 {
        self.at_zero.wrapping_add(fixed(now.saturating_duration_since(self.zero)))
    }
}

/// The middle 32 bits, which reports name an instant by: units of 1/65536 s.
pub(super) fn middle(ntp: u64) -> u32 {
    (ntp >> 16) as u32
}

/// In units of 1/65536 s; the longest there is when it is longer.
pub(super) fn short(duration: Duration) -> u32 {
    u32::try_from(fixed(duration) >> 16).unwrap_or(u32::MAX)
}

/// The time of so many units of 1/65536 s.
pub(super) fn duration_of(short: u32) -> Duration {
    Duration::from_secs_f64(f64::from(short) / 65_536.0)
}

fn ntp_of(wall: SystemTime) -> u64 {
    let since_1970 = wall.duration_since(UNIX_EPOCH).unwrap_or_default();
    fixed(since_1970).wrapping_add(SINCE_1900 << 32)
}

/// Seconds wrap in 2036, as they do in NTP.
fn fixed(duration: Duration) -> u64 {
    let fraction = (u64::from(duration.subsec_nanos()) << 32) / 1_000_000_000;
    duration.as_secs() << 32 | fraction
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_shows_ntp_time_and_goes_on_by_itself() {
        let (zero, wall) = (Instant::now(), UNIX_EPOCH + Duration::from_millis(1_000_500));
        let clock = NtpClock::new(zero, wall);
        assert_eq!(clock.at(zero), (SINCE_1900 + 1000) << 32 | 1 << 31);
        assert_eq!(clock.at(zero + Duration::from_millis(750)), (SINCE_1900 + 1001) << 32 | 1 << 30);
    }

    #[test]
    fn short_times_count_in_65536ths_of_a_second_and_stop_at_the_longest() {
        assert_eq!((short(Duration::from_millis(1500)), middle(0x1234_5678_9ABC_DEF0)), (98_304, 0x5678_9ABC));
        assert_eq!(short(Duration::from_secs(100_000)), u32::MAX);
        assert_eq!(duration_of(32_768), Duration::from_millis(500));
    }
}
