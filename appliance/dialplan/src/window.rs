//! Is this moment inside office hours?
//!
//! The wall clock of the window's time zone decides, also on the two odd days of the year: an hour
//! that daylight saving skips never happens, an hour that it repeats is inside twice.

use jiff::{
    Timestamp, Zoned,
    civil::{Time, time},
    tz::{TimeZone, TimeZoneDatabase},
};
use serde::{Deserialize, Serialize};

const NAMES: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// Why a window cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WindowError {
    #[error("choose at least one day")]
    NoDays,
    #[error("`{0}` is not a day: 0 is Monday, 6 is Sunday")]
    Day(i64),
    #[error("`{0}` is not a time of the form HH:MM")]
    Time(String),
    #[error("start and end are equal: the window would be empty (for a whole day use `always`)")]
    Empty,
    #[error("`{0}` is not an IANA time zone such as Europe/Amsterdam, nor UTC")]
    TimeZone(String),
}

/// Days and hours in a time zone. An end before the start means overnight, and then the day is the
/// one on which the window starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Wire", into = "Wire")]
pub struct TimeWindow {
    /// Sorted, each once; 0 is Monday.
    days: Vec<i8>,
    start: Time,
    end: Time,
    timezone: String,
}

/// The JSON shape.
#[derive(Clone, Serialize, Deserialize)]
struct Wire {
    days: Vec<i64>,
    start_time: String,
    end_time: String,
    timezone: String,
}

impl TimeWindow {
    /// Checks everything; days come out sorted and each once.
    pub fn new(days: &[i64], start: &str, end: &str, timezone: &str) -> Result<Self, WindowError> {
        let window = Self {
            days: parse_days(days)?,
            start: parse_time(start)?,
            end: parse_time(end)?,
            timezone: parse_zone(timezone)?,
        };
        (window.start != window.end).then_some(window).ok_or(WindowError::Empty)
    }

    /// Start inclusive, end exclusive.
    pub fn contains(&self, at: Timestamp) -> bool {
        self.place(at) == Place::Inside
    }

    pub(crate) fn place(&self, at: Timestamp) -> Place {
        let Some(local) = self.local(at) else { return Place::UnknownZone };
        let (today, now) = (day_of(&local), local.time());
        let hours = if self.start < self.end {
            (self.start <= now && now < self.end).then_some(today)
        } else if now >= self.start {
            Some(today)
        } else {
            (now < self.end).then_some((today + 6) % 7)
        };
        match hours {
            Some(day) if self.days.contains(&day) => Place::Inside,
            Some(_) => Place::OtherDay,
            None => Place::OtherHours,
        }
    }

    /// `Mon,Tue 09:00-17:00 Europe/Amsterdam`
    pub fn describe(&self) -> String {
        let days: Vec<_> = self.days.iter().map(|&day| NAMES[day as usize]).collect();
        format!("{} {}-{} {}", days.join(","), hhmm(self.start), hhmm(self.end), self.timezone)
    }

    /// `Sat 11:30 Europe/Amsterdam`
    pub fn describe_moment(&self, at: Timestamp) -> String {
        match self.local(at) {
            Some(local) => {
                format!("{} {} {}", NAMES[day_of(&local) as usize], hhmm(local.time()), self.timezone)
            }
            None => at.to_string(),
        }
    }

    fn local(&self, at: Timestamp) -> Option<Zoned> {
        Some(at.to_zoned(zone(&self.timezone)?))
    }
}

/// Where a moment lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Inside,
    /// The hours fit, the day they belong to does not.
    OtherDay,
    OtherHours,
    /// Only if a zone leaves the time zone database after the rule was stored.
    UnknownZone,
}

fn day_of(local: &Zoned) -> i8 {
    local.weekday().to_monday_zero_offset()
}

fn hhmm(at: Time) -> String {
    format!("{:02}:{:02}", at.hour(), at.minute())
}

/// The database that is compiled in: the same answer on every machine, and no file is read.
pub(crate) fn zone(name: &str) -> Option<TimeZone> {
    TimeZoneDatabase::bundled().get(name).ok()
}

pub(crate) fn parse_zone(name: &str) -> Result<String, WindowError> {
    match zone(name) {
        Some(found) => Ok(found.iana_name().unwrap_or(name).to_owned()),
        None => Err(WindowError::TimeZone(name.to_owned())),
    }
}

pub(crate) fn parse_days(days: &[i64]) -> Result<Vec<i8>, WindowError> {
    if days.is_empty() {
        return Err(WindowError::NoDays);
    }
    let mut sorted = Vec::with_capacity(7);
    for &day in days {
        match i8::try_from(day) {
            Ok(fine @ 0..=6) => sorted.push(fine),
            _ => return Err(WindowError::Day(day)),
        }
    }
    sorted.sort_unstable();
    sorted.dedup();
    Ok(sorted)
}

pub(crate) fn parse_time(text: &str) -> Result<Time, WindowError> {
    let wrong = || WindowError::Time(text.to_owned());
    let bytes = text.as_bytes();
    if bytes.len() != 5 || bytes[2] != b':' || !text.is_ascii() {
        return Err(wrong());
    }
    let two = |part: &str| part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse::<i8>().ok()).flatten();
    match (two(&text[..2]), two(&text[3..])) {
        (Some(hour @ 0..=23), Some(minute @ 0..=59)) => Ok(time(hour, minute, 0, 0)),
        _ => Err(wrong()),
    }
}

impl TryFrom<Wire> for TimeWindow {
    type Error = WindowError;

    fn try_from(wire: Wire) -> Result<Self, WindowError> {
        Self::new(&wire.days, &wire.start_time, &wire.end_time, &wire.timezone)
    }
}

impl From<TimeWindow> for Wire {
    fn from(window: TimeWindow) -> Self {
        Self {
            days: window.days.iter().map(|&day| i64::from(day)).collect(),
            start_time: hhmm(window.start),
            end_time: hhmm(window.end),
            timezone: window.timezone,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(days: &[i64], start: &str, end: &str, zone: &str) -> TimeWindow {
        TimeWindow::new(days, start, end, zone).unwrap()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn the_start_is_inside_and_the_end_is_not() {
        let hours = window(&[0], "09:00", "17:00", "UTC");
        assert!(!hours.contains(at("2026-03-02T08:59:59.999Z")));
        assert!(hours.contains(at("2026-03-02T09:00:00Z")));
        assert!(hours.contains(at("2026-03-02T16:59:59.999Z")));
        assert!(!hours.contains(at("2026-03-02T17:00:00Z")));
    }

    #[test]
    fn the_wall_clock_of_the_zone_decides_not_utc() {
        let hours = window(&[0], "09:00", "17:00", "Europe/Amsterdam");
        assert!(hours.contains(at("2026-01-05T08:00:00Z")), "winter: UTC+1");
        assert!(!hours.contains(at("2026-07-06T06:59:00Z")));
        assert!(hours.contains(at("2026-07-06T07:00:00Z")), "summer: UTC+2");
        assert!(!hours.contains(at("2026-07-06T15:00:00Z")));
    }

    #[test]
    fn an_overnight_window_belongs_to_the_day_it_starts_on() {
        let friday_night = window(&[4], "22:00", "06:00", "UTC");
        assert!(!friday_night.contains(at("2026-03-06T05:00:00Z")), "Friday morning");
        assert!(!friday_night.contains(at("2026-03-06T21:59:00Z")));
        assert!(friday_night.contains(at("2026-03-06T22:00:00Z")));
        assert!(friday_night.contains(at("2026-03-07T05:59:00Z")), "Saturday morning");
        assert!(!friday_night.contains(at("2026-03-07T06:00:00Z")));
        assert!(!friday_night.contains(at("2026-03-07T22:00:00Z")), "Saturday night");
    }

    #[test]
    fn sunday_night_reaches_into_monday() {
        let sunday_night = window(&[6], "22:00", "06:00", "UTC");
        assert!(sunday_night.contains(at("2026-03-09T01:00:00Z")), "Monday 01:00");
        assert!(!sunday_night.contains(at("2026-03-08T01:00:00Z")), "Sunday 01:00");
    }

    #[test]
    fn an_end_at_midnight_means_until_the_day_is_over() {
        let evening = window(&[0], "18:00", "00:00", "UTC");
        assert!(evening.contains(at("2026-03-02T23:59:59Z")));
        assert!(!evening.contains(at("2026-03-03T00:00:00Z")));
    }

    #[test]
    fn an_hour_that_daylight_saving_skips_never_happens() {
        // Amsterdam, 29 March 2026: 01:59:59 +01 is followed by 03:00:00 +02.
        let skipped = window(&[6], "02:00", "03:00", "Europe/Amsterdam");
        for minute in 0..240 {
            let moment = at("2026-03-28T23:30:00Z") + jiff::SignedDuration::from_mins(minute);
            assert!(!skipped.contains(moment), "{moment}");
        }
        let morning = window(&[6], "01:30", "03:30", "Europe/Amsterdam");
        assert!(morning.contains(at("2026-03-29T00:59:59Z")), "01:59:59 +01");
        assert!(morning.contains(at("2026-03-29T01:00:00Z")), "03:00 +02");
        assert!(!morning.contains(at("2026-03-29T01:30:00Z")), "03:30 +02");
    }

    #[test]
    fn an_hour_that_daylight_saving_repeats_is_inside_twice() {
        // Amsterdam, 25 October 2026: 02:59:59 +02 is followed by 02:00:00 +01.
        let repeated = window(&[6], "02:00", "03:00", "Europe/Amsterdam");
        assert!(!repeated.contains(at("2026-10-24T23:59:59Z")), "01:59:59 +02");
        assert!(repeated.contains(at("2026-10-25T00:30:00Z")), "02:30 +02");
        assert!(repeated.contains(at("2026-10-25T01:30:00Z")), "02:30 +01");
        assert!(!repeated.contains(at("2026-10-25T02:00:00Z")), "03:00 +01");
    }

    #[test]
    fn an_overnight_window_holds_through_both_changes() {
        let saturday_night = window(&[5], "22:00", "06:00", "Europe/Amsterdam");
        assert!(saturday_night.contains(at("2026-03-29T03:59:00Z")), "05:59 +02");
        assert!(!saturday_night.contains(at("2026-03-29T04:00:00Z")), "06:00 +02");
        assert!(saturday_night.contains(at("2026-10-25T04:59:00Z")), "05:59 +01");
        assert!(!saturday_night.contains(at("2026-10-25T05:00:00Z")), "06:00 +01");
    }

    #[test]
    fn days_are_sorted_and_kept_once() {
        let window = window(&[4, 0, 4, 2, 0], "09:00", "17:00", "UTC");
        let json = serde_json::to_value(&window).unwrap();
        assert_eq!(json["days"], serde_json::json!([0, 2, 4]));
        assert_eq!(window.describe(), "Mon,Wed,Fri 09:00-17:00 UTC");
    }

    #[test]
    fn windows_that_cannot_be_are_refused() {
        let new = |days: &[i64], start, end, zone| TimeWindow::new(days, start, end, zone).unwrap_err();
        assert_eq!(new(&[], "09:00", "17:00", "UTC"), WindowError::NoDays);
        assert_eq!(new(&[7], "09:00", "17:00", "UTC"), WindowError::Day(7));
        assert_eq!(new(&[-1], "09:00", "17:00", "UTC"), WindowError::Day(-1));
        assert_eq!(new(&[0], "09:00", "09:00", "UTC"), WindowError::Empty);
        for time in ["9:00", "24:00", "09:60", "09.00", "+9:00", "", "é9:0", "09:00:00"] {
            assert_eq!(new(&[0], time, "17:00", "UTC"), WindowError::Time(time.to_owned()));
        }
        for zone in ["Mars/Olympus", "", "CET-1CEST", "+02:00"] {
            assert_eq!(new(&[0], "09:00", "17:00", zone), WindowError::TimeZone(zone.to_owned()));
        }
    }
}
