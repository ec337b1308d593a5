//! Ids: a prefix that names the noun and a ULID that sorts by creation time.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{fmt, str::FromStr};
use ulid::Ulid;

/// Why a text is not the id it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an id of the form {prefix}_<ULID>")]
pub struct IdError {
    pub prefix: &'static str,
    pub text: String,
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Ulid);

        impl $name {
            pub const PREFIX: &'static str = $prefix;

            /// A fresh id; later ids sort after earlier ones.
            #[allow(clippy::new_without_default)]
            pub fn new() -> Self {
                Self(Ulid::new())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "_{}"), self.0.to_string().to_ascii_lowercase())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                text.strip_prefix(concat!($prefix, "_"))
                    .and_then(|ulid| Ulid::from_string(ulid).ok())
                    .map(Self)
                    .ok_or_else(|| IdError { prefix: $prefix, text: text.to_owned() })
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

ids! {
    /// A customer of the box; everything belongs to one.
    TenantId = "ten";
    UserId = "usr";
    /// An API key (the id, never the secret).
    KeyId = "key";
    /// A carrier connection.
    TrunkId = "trk";
    DidId = "did";
    ExtensionId = "ext";
    DialplanId = "dp";
    RuleId = "rule";
    BotId = "bot";
    VoiceId = "vc";
    CallId = "call";
    LegId = "leg";
    VoicemailId = "vm";
    RecordingId = "rec";
    RoomId = "room";
    WebhookId = "whk";
    AuditId = "aud";
    /// A holiday calendar.
    CalendarId = "cal";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_survives_being_written_and_read() {
        let id = TrunkId::new();
        assert_eq!(id.to_string().parse::<TrunkId>(), Ok(id));
        assert!(id.to_string().starts_with("trk_"));
    }

    #[test]
    fn an_id_of_another_noun_is_refused() {
        let call = CallId::new().to_string();
        assert!(call.parse::<TrunkId>().is_err());
    }
}
