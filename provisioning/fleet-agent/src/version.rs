//! Which of two versions is newer?
//!
//! A version is one to four numbers with dots: `7`, `2026.11`, `1.10.2`. They compare number by number, and a shorter
//! one comes before its longer continuation, which is also how systemd-sysupdate and systemd-boot order them.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

const MOST_NUMBERS: usize = 4;
const MOST_DIGITS: usize = 15;

/// A version of the box's image.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Version(Vec<u64>);

/// Why a text is no version.
#[derive(Debug, PartialEq, thiserror::Error)]
#[error("`{0}` is no version: write one to four numbers with dots, as 7 or 1.10.2")]
pub struct NoVersion(String);

impl FromStr for Version {
    type Err = NoVersion;

    fn from_str(text: &str) -> Result<Self, NoVersion> {
        let numbers: Option<Vec<u64>> = text.split('.').map(number).collect();
        match numbers {
            Some(numbers) if numbers.len() <= MOST_NUMBERS => Ok(Self(numbers)),
            _ => Err(NoVersion(text.chars().take(40).collect())),
        }
    }
}

/// Only one spelling per number: no sign, no leading zero.
fn number(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && text.len() <= MOST_DIGITS;
    let shortest = text == "0" || !text.starts_with('0');
    (plain && shortest).then(|| text.parse().ok()).flatten()
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers: Vec<String> = self.0.iter().map(u64::to_string).collect();
        f.write_str(&numbers.join("."))
    }
}

impl TryFrom<String> for Version {
    type Error = NoVersion;

    fn try_from(text: String) -> Result<Self, NoVersion> {
        text.parse()
    }
}

impl From<Version> for String {
    fn from(version: Version) -> Self {
        version.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Version {
        text.parse().unwrap()
    }

    #[test]
    fn versions_compare_by_number_and_not_by_text() {
        assert!(version("10") > version("9"));
        assert!(version("1.10") > version("1.9.9"));
        assert!(version("1.0") > version("1"));
        assert_eq!(version("2026.11").to_string(), "2026.11");
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_no_version() {
        for text in ["", "1.", ".1", "01", "1.00", "+1", "-1", "1.2.3.4.5", "7-rc1", "1 ", "../1", "9999999999999999"] {
            assert!(text.parse::<Version>().is_err(), "{text}");
        }
    }
}
