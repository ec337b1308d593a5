//! What does the box know about the network it stands in?
//!
//! `network-info` finds it out and answers with a [`NetworkState`]; `sip-gateway` is told the part
//! it needs, [`Addresses`]: which address to write into SIP for which peer.

use ipnet::IpNet;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// What `GET /v1/network-info` of `network-info` answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NetworkState {
    /// The address the internet sees our IPv4 packets come from.
    pub egress_ip: Option<IpAddr>,
    /// The same for IPv6.
    pub egress_ip6: Option<IpAddr>,
    /// Where the egress addresses come from.
    pub source: Source,
    pub checked_at: Timestamp,
    /// The box's own addresses, loopback and link-local ones left out.
    pub local_addresses: Vec<IpAddr>,
    /// The networks these addresses lie in: hosts there are reached without a router.
    pub networks: Vec<IpNet>,
    pub nat: Nat,
    /// What is wrong and what to do about it, in one sentence.
    pub problem: Option<String>,
}

/// Who told us the egress address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    Stun,
    Http,
    /// The operator's configuration.
    Fixed,
    /// Nobody: without internet, for example.
    None,
}

/// What stands between the box and the internet, by how it maps our ports (RFC 4787, section 4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Nat {
    /// The internet sees our own address.
    None,
    /// One mapping for all destinations.
    EndpointIndependent,
    /// Another mapping for another destination ("symmetric"): what STUN saw is not what a carrier sees.
    AddressDependent,
    /// Fewer than two servers answered.
    Unknown,
}

/// What `sip-gateway` takes at `PUT /v1/addresses` and answers at `GET /v1/addresses`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addresses {
    /// The address peers beyond the local networks must use; `None` while unknown.
    #[serde(default)]
    pub egress: Option<IpAddr>,
    /// Networks whose hosts reach the box by its own address.
    #[serde(default)]
    pub networks: Vec<IpNet>,
    /// The internet answers; while it does not, `egress` is the last known one and no carrier is asked anew.
    #[serde(default = "yes")]
    pub online: bool,
}

impl Default for Addresses {
    /// Before anybody has told us.
    fn default() -> Self {
        Self { egress: None, networks: Vec::new(), online: true }
    }
}

fn yes() -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_reads_as_the_words_of_the_api() {
        let state = NetworkState {
            egress_ip: Some("203.0.113.7".parse().unwrap()),
            egress_ip6: None,
            source: Source::Stun,
            checked_at: Timestamp::UNIX_EPOCH,
            local_addresses: vec!["192.168.1.5".parse().unwrap()],
            networks: vec!["192.168.1.0/24".parse().unwrap()],
            nat: Nat::EndpointIndependent,
            problem: None,
        };
        let json = serde_json::to_value(&state).unwrap();
        assert_eq!(json["source"], "stun");
        assert_eq!(json["nat"], "endpoint_independent");
        assert_eq!(json["networks"][0], "192.168.1.0/24");
        assert_eq!(serde_json::from_value::<NetworkState>(json).unwrap(), state);
    }
}
