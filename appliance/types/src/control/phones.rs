//! Desk phones that register at the box, and their address.

use crate::{ExtensionId, Redacted};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// All desk phones that may register; the contacts of others are forgotten.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PhoneSet {
    pub phones: Vec<PhoneAccount>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PhoneAccount {
    pub extension_id: ExtensionId,
    /// Unique on the box.
    pub username: String,
    pub password: Redacted<String>,
}

/// A phone that is registered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PhoneContact {
    /// Its own Contact.
    pub uri: String,
    /// Where it is seen from, `ip:port`.
    pub source: String,
    /// `udp`, `tcp`, `tls` or `wss`.
    pub transport: String,
    pub user_agent: Option<String>,
    pub expires_at: Timestamp,
}

/// The host of a SIP URI whose user part is an extension id: the phones that are registered for it. A
/// name that no resolver may know (RFC 6761 section 6.4).
pub const PHONES_HOST: &str = "phones.scaibox.invalid";

/// The SIP URI of all phones that are registered for an extension.
pub fn phones_uri(extension: ExtensionId) -> String {
    format!("sip:{extension}@{PHONES_HOST}")
}

/// The user part of such a URI; `None` for a URI of any other host.
pub fn phones_of(uri: &str) -> Option<&str> {
    let (user, place) = uri.split_once(':')?.1.split_once('@')?;
    let host = place.split([':', ';']).next()?;
    host.eq_ignore_ascii_case(PHONES_HOST).then_some(user)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registered_phones_are_known_by_their_host_in_any_spelling_and_by_no_other() {
        let extension = ExtensionId::new();
        assert_eq!(phones_of(&phones_uri(extension)), Some(extension.to_string().as_str()));
        for spelling in ["sip:x@PHONES.scaibox.invalid", "sips:x@phones.scaibox.invalid:5060;transport=tcp"] {
            assert_eq!(phones_of(spelling), Some("x"), "{spelling}");
        }
        for other in ["sip:x@phones.scaibox.invalid.example", "sip:phones.scaibox.invalid", "sip:x@h", "+31201234567"] {
            assert_eq!(phones_of(other), None, "{other}");
        }
    }
}
