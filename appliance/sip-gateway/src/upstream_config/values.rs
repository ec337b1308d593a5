//! How does livekit-sip write numbers, durations and ranges?

use super::{UpstreamError, unusable};
use jiff::SignedDuration;
use serde::Deserialize;

/// A duration as Go writes it (`1m30s`), or nanoseconds.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Lasting {
    Nanoseconds(i64),
    Text(String),
}

/// `{start: 10000, end: 20000}` or `10000-20000`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Written")]
pub struct PortRange {
    pub start: Option<u16>,
    pub end: Option<u16>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Fields(Fields),
    Text(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    start: Option<u16>,
    end: Option<u16>,
}

impl TryFrom<Written> for PortRange {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let text = match written {
            Written::Fields(Fields { start, end }) => return Ok(Self { start, end }),
            Written::Text(text) => text,
        };
        let ports = text
            .split_once('-')
            .and_then(|(start, end)| Some((start.trim().parse::<u16>().ok()?, end.trim().parse::<u16>().ok()?)));
        let (start, end) = ports.ok_or_else(|| format!("`{text}` is no range of ports, such as 10000-20000"))?;
        Ok(Self { start: Some(start), end: Some(end) })
    }
}

/// Zero means that a number is not set.
pub fn set(number: Option<u16>) -> Option<u16> {
    number.filter(|number| *number != 0)
}

/// An empty text, too.
pub fn filled(text: &Option<String>) -> Option<String> {
    text.clone().filter(|text| !text.is_empty())
}

/// Whole seconds, rounded up.
pub fn seconds(key: &'static str, lasting: &Option<Lasting>, default: u32) -> Result<u32, UpstreamError> {
    let duration = match lasting {
        None => return Ok(default),
        Some(Lasting::Nanoseconds(nanoseconds)) => SignedDuration::from_nanos(*nanoseconds),
        Some(Lasting::Text(text)) => {
            text.parse().map_err(|_| unusable(key, format!("`{text}` is no duration; try 15s")))?
        }
    };
    let whole = duration.as_secs() + i64::from(duration.subsec_nanos() > 0);
    match u32::try_from(whole) {
        Ok(0) if duration.is_zero() => Ok(default),
        Ok(seconds) => Ok(seconds),
        Err(_) => Err(unusable(key, "must be between 0 and 136 years")),
    }
}
