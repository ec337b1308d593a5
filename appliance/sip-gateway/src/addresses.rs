//! Which of our addresses is a peer told, in SIP and in SDP?
//!
//! What the configuration says. Else the address that the operating system would send from, or, for
//! a peer out on the internet, the address that `network-info` found us to have there.

use crate::config::Config;
use parking_lot::Mutex;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use types::network::{Addresses, is_private};

/// What is configured, and what `network-info` has told.
pub struct AddressBook {
    sip: Answer,
    rtp: Answer,
    told: Mutex<Addresses>,
}

/// How one kind of socket presents itself.
#[derive(Clone, Copy)]
struct Answer {
    /// To everybody.
    advertised: Option<IpAddr>,
    bound: IpAddr,
}

impl AddressBook {
    pub fn new(config: &Config) -> Self {
        let sip = Answer { advertised: config.sip.advertise_ip, bound: config.sip.listen.ip() };
        let rtp = match config.rtp.ip.is_unspecified() {
            true => Answer { advertised: config.rtp.advertise_ip.or(sip.advertised), bound: sip.bound },
            false => Answer { advertised: config.rtp.advertise_ip, bound: config.rtp.ip },
        };
        Self { sip, rtp, told: Mutex::default() }
    }

    pub fn told(&self) -> Addresses {
        self.told.lock().clone()
    }

    /// True when carriers must hear of it.
    pub fn learn(&self, addresses: Addresses) -> bool {
        let mut told = self.told.lock();
        let news = *told != addresses && addresses.online;
        *told = addresses;
        news
    }

    /// For Contact and Via.
    pub fn sip_towards(&self, peer: IpAddr) -> IpAddr {
        self.sip.towards(peer, &self.told.lock())
    }

    /// For SDP.
    pub fn media_towards(&self, peer: IpAddr) -> IpAddr {
        self.rtp.towards(peer, &self.told.lock())
    }
}

impl Answer {
    fn towards(self, peer: IpAddr, told: &Addresses) -> IpAddr {
        let own = || if self.bound.is_unspecified() { source_towards(peer) } else { self.bound };
        self.advertised.or_else(|| egress_towards(peer, told)).unwrap_or_else(own)
    }
}

/// The address that a peer on the internet sees, if this is one and it is known.
fn egress_towards(peer: IpAddr, told: &Addresses) -> Option<IpAddr> {
    let near = is_private(peer) || told.networks.iter().any(|network| network.contains(&peer));
    told.egress.filter(|egress| !near && egress.is_ipv4() == peer.is_ipv4())
}

/// Where the operating system would send from; nothing is sent.
pub fn source_towards(peer: IpAddr) -> IpAddr {
    let any: IpAddr = match peer {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let source = || {
        let probe = UdpSocket::bind((any, 0))?;
        probe.connect((peer, 5060))?;
        Ok::<_, std::io::Error>(probe.local_addr()?.ip())
    };
    source().unwrap_or(any) // no route: the message cannot leave either
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn told() -> Addresses {
        Addresses { egress: Some(ip("203.0.113.7")), networks: vec!["198.51.100.0/24".parse().unwrap()], online: true }
    }

    fn bound_to(bound: &str) -> Answer {
        Answer { advertised: None, bound: ip(bound) }
    }

    #[test]
    fn only_a_peer_on_the_internet_is_told_the_egress_address() {
        let ours = bound_to("192.168.1.5");
        for (peer, expected) in [
            ("192.0.2.1", "203.0.113.7"),
            ("127.0.0.1", "192.168.1.5"),
            ("10.1.2.3", "192.168.1.5"),
            ("169.254.1.1", "192.168.1.5"),
            ("100.100.1.1", "192.168.1.5"),
            ("198.51.100.20", "192.168.1.5"), // a public network that we stand in
            ("2001:db8::1", "192.168.1.5"),   // the egress address is of the other family
        ] {
            assert_eq!(ours.towards(ip(peer), &told()), ip(expected), "{peer}");
        }
        assert_eq!(ours.towards(ip("192.0.2.1"), &Addresses::default()), ip("192.168.1.5"));
    }

    #[test]
    fn what_is_configured_beats_what_is_found() {
        let ours = Answer { advertised: Some(ip("192.0.2.99")), bound: ip("0.0.0.0") };
        assert_eq!(ours.towards(ip("192.0.2.1"), &told()), ip("192.0.2.99"));
        assert_eq!(ours.towards(ip("127.0.0.1"), &told()), ip("192.0.2.99"));
    }

    #[test]
    fn wildcard_rtp_presents_itself_as_sip_does() {
        let text = "spool_dir = \"s\"\nredis.url = \"r\"\nlivekit = { ws_url = \"w\", api_key = \"k\", api_secret = \"s\" }\n\
                    control = { api_socket = \"a\", listen_socket = \"l\" }\nrtp = { start = 1, end = 2, ip = \"0.0.0.0\" }\n\
                    sip = { listen = \"0.0.0.0:5060\", advertise_ip = \"192.0.2.99\" }\n";
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let book = AddressBook::new(&daemon::config::load(file.path()).unwrap());
        assert_eq!(book.media_towards(ip("198.51.100.1")), ip("192.0.2.99"));
        assert_eq!(book.sip_towards(ip("198.51.100.1")), ip("192.0.2.99"));
    }

    #[test]
    fn a_wildcard_socket_answers_with_the_address_towards_the_peer() {
        assert_eq!(bound_to("0.0.0.0").towards(ip("127.0.0.1"), &told()), ip("127.0.0.1"));
    }

    #[test]
    fn carriers_hear_of_changes_but_not_that_the_internet_is_gone() {
        let book = AddressBook { sip: bound_to("0.0.0.0"), rtp: bound_to("0.0.0.0"), told: Mutex::default() };
        assert!(book.learn(told()));
        assert!(!book.learn(told()), "no news");
        assert!(!book.learn(Addresses { online: false, ..told() }));
        assert!(book.learn(told()), "the internet is back");
        assert_eq!(book.told(), told());
    }
}
