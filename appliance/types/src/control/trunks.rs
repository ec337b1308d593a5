//! Carriers: where we register, and whether they are there.

use crate::{Redacted, TrunkId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// All registrations that should exist; what is not in it is unregistered.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RegistrationSet {
    pub registrations: Vec<RegistrationSpec>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RegistrationSpec {
    pub trunk_id: TrunkId,
    /// `host` or `host:port`.
    pub server: String,
    /// `udp`, `tcp` or `tls`.
    pub transport: String,
    pub username: String,
    pub password: Redacted<String>,
    /// Asked-for lifetime in seconds.
    pub expires_s: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RegistrationView {
    pub trunk_id: TrunkId,
    pub state: RegistrationState,
    pub expires_at: Option<Timestamp>,
    pub last_response: Option<SipAnswer>,
    /// Failed tries since the last success.
    pub failures: u32,
    pub next_try_at: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RegistrationState {
    /// The first REGISTER is not answered yet.
    Registering,
    Registered,
    /// The last try failed; another follows.
    Failed,
    /// The SIP engine registers nowhere.
    NotAvailable,
}

/// A peer's own words. `code` is 408 when nothing came back, 503 when the name did not resolve.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SipAnswer {
    pub code: u16,
    pub reason: String,
}

/// Ask a peer for its abilities (RFC 3261 section 11), only to see whether it answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OptionsRequest {
    /// `host` or `host:port`.
    pub server: String,
    /// `udp`, `tcp` or `tls`.
    pub transport: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OptionsAnswer {
    /// The peer said something, whatever it was. Otherwise `reason` says why it could not.
    pub answered: bool,
    pub code: u16,
    pub reason: String,
}

/// Where do requests for this server go (RFC 3263)?
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LookUp {
    /// `host` or `host:port`.
    pub server: String,
    /// `udp`, `tcp` or `tls`.
    pub transport: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LookedUp {
    /// Empty when the name leads nowhere.
    pub addresses: Vec<IpAddr>,
}
