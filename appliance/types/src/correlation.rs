//! The id that stands on every log line of a call, in every daemon.

use serde::{Deserialize, Serialize};
use std::fmt;
use ulid::Ulid;

/// Made where a call or request first touches the box, then passed along.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CorrelationId(String);

impl CorrelationId {
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        Self(Ulid::new().to_string().to_ascii_lowercase())
    }

    /// Takes a peer's id over; anything but 1 to 64 of `[A-Za-z0-9._-]` is replaced by a fresh one.
    pub fn adopt(text: &str) -> Self {
        let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        match text {
            t if (1..=64).contains(&t.len()) && t.chars().all(fine) => Self(t.to_owned()),
            _ => Self::new(),
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CorrelationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
