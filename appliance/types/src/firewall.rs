//! What `rtp-firewall` says on its socket (HTTP/1.1, JSON, version 1).
//!
//! - `GET  /v1/state` -> [`FirewallState`]
//! - `PUT  /v1/peers` ([`Peers`]: all of them, the desired state) -> [`Applied`]
//! - `PUT  /v1/management` ([`ManagementNetworks`]) -> 200 or 202 [`ManagementChange`];
//!   `POST /v1/management/confirm` -> 204
//! - `POST /v1/bans` ([`NewBan`]) -> 201 [`Ban`]; `DELETE /v1/bans/{address}` -> 204
//! - `PUT  /v1/ssh` ([`SshWindow`]) -> [`SshWindow`]
//!
//! A refusal is a problem document (RFC 9457) with `code`, `detail` and `hint`; nothing was changed then.

use ipnet::IpNet;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, net::IpAddr};

/// Who may send SIP.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Peers {
    /// Carriers: what the trunks allow and what their server names resolve to. Never banned.
    pub trunks: Vec<IpNet>,
    /// Desk phones.
    pub phones: Vec<IpNet>,
}

/// Everything the firewall wants and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FirewallState {
    /// The kernel holds the table, and it is the one that we want (looked up for this answer).
    pub loaded: bool,
    /// Counts changes of the desired state; survives a restart.
    pub generation: u64,
    pub peers: Peers,
    pub management: Management,
    pub bans: Vec<Ban>,
    /// SSH is open from the management networks until then; none = closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssh_until: Option<Timestamp>,
    /// Packets dropped since the box started, by reason.
    #[serde(default)]
    pub drops: BTreeMap<String, u64>,
    /// What is wrong, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// Who may reach the console and the API on 443 (and SSH, while it is open).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Management {
    /// The confirmed networks: in force unless a change is on trial.
    pub networks: Vec<IpNet>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<PendingManagement>,
}

/// Narrower networks on trial: in force now, gone at `revert_at` unless somebody confirms.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingManagement {
    pub networks: Vec<IpNet>,
    pub revert_at: Timestamp,
}

/// `PUT /v1/management`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManagementNetworks {
    pub networks: Vec<IpNet>,
}

/// What became of a new list of management networks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManagementChange {
    /// Set with 202: the change could lock somebody out and is reverted then unless confirmed.
    #[serde(default)]
    pub confirm_by: Option<Timestamp>,
}

/// The change is in the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    pub generation: u64,
}

/// `POST /v1/bans`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewBan {
    pub address: IpAddr,
    pub seconds: u32,
    pub reason: String,
}

/// An address that gets nothing from the box.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ban {
    pub address: IpAddr,
    pub until: Timestamp,
    pub reason: String,
}

/// `PUT /v1/ssh`: open until then (at most 8 hours from now), or closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SshWindow {
    pub until: Option<Timestamp>,
}
