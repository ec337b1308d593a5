//! What does the box know about the network it stands in?
//!
//! `network-info` finds it out and answers with a [`NetworkState`]; `sip-gateway` is told the part
//! it needs, [`Addresses`]: which address to write into SIP for which peer.

use ipnet::IpNet;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr};

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

/// Is this an address that no packet from the internet comes from: loopback, link-local, private or of a carrier's NAT?
pub fn is_private(ip: IpAddr) -> bool {
    const SHARED: IpNet = IpNet::new_assert(IpAddr::V4(Ipv4Addr::new(100, 64, 0, 0)), 10);
    match ip {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_private() || v4.is_link_local() || SHARED.contains(&ip),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

/// Can `ip`, which a peer names as its own, not be reached from where the peer is seen as `seen`? A private address of
/// a peer on the internet, any private network of a peer on this machine.
pub fn is_hidden_behind(ip: IpAddr, seen: IpAddr) -> bool {
    let farther = !is_private(seen) || (seen.is_loopback() && !ip.is_loopback());
    is_private(ip) && ip != seen && farther
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

    #[test]
    fn a_private_address_is_hidden_behind_one_of_the_internet_and_not_behind_another_private_one() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        for (named, seen, hidden) in [
            ("10.0.0.1", "203.0.113.7", true),
            ("100.64.0.1", "203.0.113.7", true),
            ("10.0.0.1", "127.0.0.1", true),
            ("10.0.0.1", "10.0.0.2", false),
            ("203.0.113.8", "203.0.113.7", false),
            ("127.0.0.1", "127.0.0.1", false),
        ] {
            assert_eq!(is_hidden_behind(ip(named), ip(seen)), hidden, "{named} behind {seen}");
        }
    }
}
