//! A shell for a while: what `control-api` asks of `scaibox operator` for somebody who may.
//!
//! - `PUT /v1/ssh` ([`SshRequest`]) -> [`SshWindow`](crate::firewall::SshWindow); `DELETE /v1/ssh` -> 204
//!
//! A refusal has `code` and `detail`; SSH is closed then.

use serde::{Deserialize, Serialize};
use std::{fmt, ops::RangeInclusive, str::FromStr};

/// How long SSH may be open at a time.
pub const HOURS: RangeInclusive<i64> = 1..=8;

/// Open it, for the management networks and one key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SshRequest {
    /// In [`HOURS`].
    pub hours: u32,
    /// In the place of all others.
    pub key: PublicKey,
}

/// A public key as one line of authorized_keys(5), `ssh-ed25519 AAAA… name`, without options: they could be anything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublicKey(String);

/// The text is no public key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no public key; it looks like `ssh-ed25519 AAAA… name`")]
pub struct NoPublicKey(String);

const KINDS: [&str; 4] = ["ssh-ed25519", "ecdsa-sha2-nistp256", "sk-ssh-ed25519@openssh.com", "ssh-rsa"];

impl FromStr for PublicKey {
    type Err = NoPublicKey;

    fn from_str(text: &str) -> Result<Self, NoPublicKey> {
        let key = text.trim();
        let mut words = key.split(' ');
        let known = words.next().is_some_and(|kind| KINDS.contains(&kind));
        let base64 = words.next().is_some_and(|body| body.starts_with("AAAA"));
        if known && base64 && !key.chars().any(char::is_control) {
            Ok(Self(key.to_owned()))
        } else {
            Err(NoPublicKey(text.chars().take(80).collect()))
        }
    }
}

impl TryFrom<String> for PublicKey {
    type Error = NoPublicKey;

    fn try_from(text: String) -> Result<Self, NoPublicKey> {
        text.parse()
    }
}

impl From<PublicKey> for String {
    fn from(key: PublicKey) -> Self {
        key.0
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ operator";

    #[test]
    fn a_key_is_taken_without_the_space_around_it() {
        assert_eq!(format!(" {KEY}\n").parse::<PublicKey>().unwrap().to_string(), KEY);
        assert!("ssh-rsa AAAAB3".parse::<PublicKey>().is_ok());
    }

    #[test]
    fn what_is_no_public_key_is_refused() {
        let two = format!("{KEY}\n{KEY}");
        for text in ["", "ssh-ed25519", "command=\"sh\" ssh-ed25519 AAAA", "-----BEGIN OPENSSH PRIVATE KEY-----", &two]
        {
            assert!(text.parse::<PublicKey>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_request_with_a_wrong_key_does_not_become_one() {
        let read = |key: &str| serde_json::from_value::<SshRequest>(serde_json::json!({ "hours": 1, "key": key }));
        assert_eq!(read(KEY).unwrap().key.to_string(), KEY);
        assert!(read("sh").unwrap_err().to_string().contains("is no public key"));
    }
}
