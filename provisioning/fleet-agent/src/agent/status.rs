//! What does the box tell about its updates? The answer of `GET /v1/update`.

use crate::version::Version;
use jiff::Timestamp;
use serde::Serialize;

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Status {
    /// Unknown until root has looked once.
    pub current: Option<Version>,
    /// What a roll-back would start.
    pub previous: Option<Version>,
    /// Has the running version proved itself?
    pub blessed: bool,
    pub available: Option<Available>,
    pub state: State,
    /// Percent of the download.
    pub progress: Option<u8>,
    pub waiting_for: Option<String>,
    pub failed: Vec<Failed>,
    pub last_check: Option<Timestamp>,
    /// What went wrong last, in words for the operator.
    pub problem: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Available {
    pub version: Version,
    pub notes: String,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Failed {
    pub version: Version,
    pub at: Timestamp,
    pub reason: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    #[default]
    Idle,
    Downloading,
    Installing,
    Waiting,
    Rebooting,
    Failed,
}
