//! Where may a call be sent outside the box: a telephone number or a SIP URI.

use serde::{Deserialize, Deserializer, Serialize};
use std::{fmt, str::FromStr};
use types::E164;

/// Why a text is neither a number nor a SIP URI.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is neither an E.164 number (+31201234567) nor a SIP URI (sip:anna@example.org)")]
pub struct DestinationError(pub String);

/// An E.164 number or a `sip:`/`sips:` URI with a user part.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(untagged)]
pub enum Destination {
    Number(E164),
    Uri(String),
}

impl Destination {
    /// As a person wrote it: `+31…` or `sip:…`.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Number(number) => number.as_str(),
            Self::Uri(uri) => uri,
        }
    }

    /// For a Refer-To header: a `tel:` or `sip:` URI.
    pub fn to_uri(&self) -> String {
        match self {
            Self::Number(number) => format!("tel:{number}"),
            Self::Uri(uri) => uri.clone(),
        }
    }
}

impl FromStr for Destination {
    type Err = DestinationError;

    fn from_str(text: &str) -> Result<Self, DestinationError> {
        if let Ok(number) = text.parse() {
            return Ok(Self::Number(number));
        }
        is_sip_uri(text).then(|| Self::Uri(text.to_owned())).ok_or_else(|| DestinationError(text.to_owned()))
    }
}

/// Strict on purpose: this text ends up in SIP headers.
fn is_sip_uri(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("sip:").or_else(|| text.strip_prefix("sips:")) else {
        return false;
    };
    let Some((user, host)) = rest.split_once('@') else { return false };
    let (host, parameters) = host.split_once(';').unwrap_or((host, ""));
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !host.ends_with(']') => (name, Some(port)),
        _ => (host, None),
    };
    text.len() <= 256
        && !user.is_empty()
        && user.chars().all(|c| c.is_ascii_alphanumeric() || "-_.!~*'()&=+$,?/%".contains(c))
        && !name.is_empty()
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "-.:[]".contains(c))
        && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0))
        && parameters.chars().all(|c| c.is_ascii_alphanumeric() || "-_.~+%=;:".contains(c))
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Destination {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_sip_uris_are_destinations() {
        for text in [
            "+31201234567",
            "sip:anna@example.org",
            "sips:anna@pbx.example.org:5061",
            "sip:100@192.0.2.7:5060;transport=tcp",
            "sip:100@[2001:db8::1]",
            "sip:100@[2001:db8::1]:5062",
        ] {
            assert_eq!(text.parse::<Destination>().unwrap().as_str(), text);
        }
    }

    #[test]
    fn texts_that_could_smuggle_a_header_or_go_nowhere_are_refused() {
        for text in [
            "",
            "100",
            "0201234567",
            "anna@example.org",
            "sip:example.org",
            "sip:@example.org",
            "sip:anna@",
            "sip:anna@example.org:0",
            "sip:anna@example.org:99999",
            "sip:anna@example.org\r\nX-Evil: 1",
            "sip:anna@example.org>;x=<",
            "sip:anna bell@example.org",
            "http://example.org",
        ] {
            assert!(text.parse::<Destination>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_number_is_referred_to_as_a_tel_uri() {
        assert_eq!("+31201234567".parse::<Destination>().unwrap().to_uri(), "tel:+31201234567");
    }
}
