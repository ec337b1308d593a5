//! Why was a change not made?

use jiff::Timestamp;
use std::net::IpAddr;

/// A wish that the firewall does not follow; nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("{field}: {count} networks, at most {limit} fit")]
    TooManyNetworks { field: &'static str, count: usize, limit: usize },
    #[error("networks: empty, so nobody could reach the box any more")]
    NobodyManages,
    #[error("no change of the management networks waits for a confirmation")]
    NothingToConfirm,
    #[error("address: {0} belongs to a trunk, and carriers are never banned")]
    BansTrunk(IpAddr),
    #[error("address: {0} is in the management networks, which are never banned")]
    BansManagement(IpAddr),
    #[error("address: {0} is not the address of a single other host")]
    NotAHost(IpAddr),
    #[error("seconds: {0} is not in 1 to {limit}", limit = crate::desired::LONGEST_BAN_S)]
    BanLength(u32),
    #[error("{0} addresses are banned already")]
    TooManyBans(usize),
    #[error("{0} is not banned")]
    NotBanned(IpAddr),
    #[error("until: {0} is over already")]
    SshOver(Timestamp),
    #[error("until: {0} is more than 8 hours away")]
    SshTooLong(Timestamp),
}

impl Refused {
    /// Stable, for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooManyNetworks { .. } => "too_many_networks",
            Self::NobodyManages => "nobody_manages",
            Self::NothingToConfirm => "nothing_to_confirm",
            Self::BansTrunk(_) => "bans_trunk",
            Self::BansManagement(_) => "bans_management",
            Self::NotAHost(_) => "not_a_host",
            Self::BanLength(_) => "ban_length",
            Self::TooManyBans(_) => "too_many_bans",
            Self::NotBanned(_) => "not_banned",
            Self::SshOver(_) | Self::SshTooLong(_) => "ssh_until",
        }
    }

    /// What to do next.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::TooManyNetworks { .. } => "join neighbouring networks into larger ones",
            Self::NobodyManages => "name at least the network that you are in",
            Self::NothingToConfirm => "it was confirmed or reverted already: look at GET /v1/state",
            Self::BansTrunk(_) => "remove the address from the trunk first",
            Self::BansManagement(_) => "take the address out of the management networks first",
            Self::NotAHost(_) => "give one unicast address that is not loopback",
            Self::BanLength(_) => "a ban ends by itself; make it anew when it is still needed",
            Self::TooManyBans(_) => "lift some, or block the whole network in front of the box",
            Self::NotBanned(_) => "the ban may have ended by itself: look at GET /v1/state",
            Self::SshOver(_) => "give a time that is still to come, or null to close SSH",
            Self::SshTooLong(_) => "open it for a shorter time; it can be opened again",
        }
    }
}
