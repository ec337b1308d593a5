//! What does the firewall need to know before it loads a table?

use ipnet::IpNet;
use serde::Deserialize;
use std::path::PathBuf;

/// `rtp-firewall.toml`; unknown keys are refused. An empty file gives the box's own places and ports.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where the socket of [`types::firewall`] listens.
    pub socket: PathBuf,
    /// What survives a restart.
    pub state: PathBuf,
    /// The tool; looked for in PATH when it is a bare name.
    pub nft: PathBuf,
    pub ports: Ports,
    pub management: Management,
}

/// The documented ports. Everything else is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ports {
    pub sip: u16,
    pub sip_tls: u16,
    pub rtp: Range,
    pub https: u16,
    pub livekit_udp: u16,
    pub livekit_tcp: u16,
    pub ssh: u16,
}

/// First and last port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Range {
    pub start: u16,
    pub end: u16,
}

/// Who may reach the console until somebody says otherwise on the socket.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Management {
    pub networks: Vec<IpNet>,
}

/// Private and link-local networks: the box is reached from its own LAN.
const PRIVATE: [&str; 6] = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "fc00::/7", "fe80::/10"];

/// A configuration that would load the wrong table.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ConfigError {
    #[error("ports.rtp: start {start} is after end {end}; give the lower port first")]
    RangeBackwards { start: u16, end: u16 },
    #[error("ports.{0}: 0 is not a port")]
    PortZero(&'static str),
    #[error("management.networks: empty, so nobody could reach the box; leave it out for the private networks")]
    NobodyManages,
}

impl Config {
    pub fn check(&self) -> Result<(), ConfigError> {
        let Ports { sip, sip_tls, rtp, https, livekit_udp, livekit_tcp, ssh } = self.ports;
        if rtp.start > rtp.end {
            return Err(ConfigError::RangeBackwards { start: rtp.start, end: rtp.end });
        }
        let named = [
            ("sip", sip),
            ("sip_tls", sip_tls),
            ("rtp.start", rtp.start),
            ("https", https),
            ("livekit_udp", livekit_udp),
            ("livekit_tcp", livekit_tcp),
            ("ssh", ssh),
        ];
        if let Some((name, _)) = named.into_iter().find(|(_, port)| *port == 0) {
            return Err(ConfigError::PortZero(name));
        }
        if self.management.networks.is_empty() { Err(ConfigError::NobodyManages) } else { Ok(()) }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            socket: "/run/rtp-firewall/firewall.sock".into(),
            state: "/var/lib/rtp-firewall/state.json".into(),
            nft: "nft".into(),
            ports: Ports::default(),
            management: Management::default(),
        }
    }
}

impl Default for Ports {
    fn default() -> Self {
        Self {
            sip: 5060,
            sip_tls: 5061,
            rtp: Range { start: 10000, end: 10200 },
            https: 443,
            livekit_udp: 7882,
            livekit_tcp: 7881,
            ssh: 22,
        }
    }
}

impl Default for Management {
    fn default() -> Self {
        Self { networks: PRIVATE.iter().filter_map(|net| net.parse().ok()).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_private_networks_manage_unless_told_otherwise() {
        assert_eq!(Management::default().networks.len(), PRIVATE.len());
        assert_eq!(Config::default().check(), Ok(()));
    }

    #[test]
    fn a_range_that_runs_backwards_is_named() {
        let ports = Ports { rtp: Range { start: 10200, end: 10000 }, ..Ports::default() };
        let config = Config { ports, ..Config::default() };
        assert_eq!(
            config.check().unwrap_err().to_string(),
            "ports.rtp: start 10200 is after end 10000; give the lower port first"
        );
    }

    #[test]
    fn port_zero_and_an_empty_list_are_refused() {
        let ports = Ports { https: 0, ..Ports::default() };
        assert_eq!(Config { ports, ..Config::default() }.check(), Err(ConfigError::PortZero("https")));
        let management = Management { networks: vec![] };
        assert_eq!(Config { management, ..Config::default() }.check(), Err(ConfigError::NobodyManages));
    }
}
