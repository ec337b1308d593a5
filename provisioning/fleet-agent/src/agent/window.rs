//! Is now a time for updates that nobody asked for?

use jiff::{Timestamp, civil::Time, tz::TimeZone};

/// Every day from `start` to `end` (not included) by the wall clock of `zone`; over midnight when `end` is earlier;
/// always when they are equal.
#[derive(Clone, Debug)]
pub struct Window {
    pub start: Time,
    pub end: Time,
    pub zone: TimeZone,
}

impl Window {
    pub fn is_open(&self, now: Timestamp) -> bool {
        let time = self.zone.to_datetime(now).time();
        if self.start < self.end {
            return self.start <= time && time < self.end;
        }
        self.start == self.end || self.start <= time || time < self.end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(start: i8, end: i8, zone: &str, now: &str) -> bool {
        let time = |hour| jiff::civil::time(hour, 0, 0, 0);
        let window = Window { start: time(start), end: time(end), zone: TimeZone::get(zone).unwrap() };
        window.is_open(now.parse().unwrap())
    }

    #[test]
    fn a_window_includes_its_start_and_not_its_end() {
        assert!(open(2, 5, "UTC", "2030-01-01T02:00:00Z"));
        assert!(!open(2, 5, "UTC", "2030-01-01T05:00:00Z"));
        assert!(!open(2, 5, "UTC", "2030-01-01T01:59:59Z"));
    }

    #[test]
    fn a_window_over_midnight_is_open_on_both_days() {
        assert!(open(23, 4, "UTC", "2030-01-01T23:30:00Z"));
        assert!(open(23, 4, "UTC", "2030-01-01T03:59:00Z"));
        assert!(!open(23, 4, "UTC", "2030-01-01T12:00:00Z"));
    }

    #[test]
    fn the_wall_clock_decides_in_summer_too() {
        assert!(open(2, 3, "Europe/Amsterdam", "2030-01-15T01:30:00Z"));
        assert!(open(2, 3, "Europe/Amsterdam", "2030-07-15T00:30:00Z"));
        assert!(!open(2, 3, "Europe/Amsterdam", "2030-07-15T01:30:00Z"));
    }

    #[test]
    fn equal_times_are_always_open() {
        assert!(open(0, 0, "UTC", "2030-01-01T12:00:00Z"));
    }
}
