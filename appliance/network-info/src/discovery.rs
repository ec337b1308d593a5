//! What is our address on the internet, by the best source that answers, and what is wrong?
//!
//! The operator's word beats all; else STUN; else a web page, which is asked only when STUN has not
//! answered for a while. Every dead end has a sentence that says what to do.

use crate::{
    Config,
    ask::{self, Asked},
    echo::{self, Echoed},
    local::Local,
    nat,
    round::Mapping,
};
use std::{net::IpAddr, time::Duration};
use types::network::{Nat, Source};

/// STUN answers in this time, or the pages are asked as well.
const HEAD_START: Duration = Duration::from_secs(3);

/// What was found out, and by whom.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    pub egress_ip: Option<IpAddr>,
    pub egress_ip6: Option<IpAddr>,
    pub source: Source,
    pub nat: Nat,
    pub problem: Option<String>,
}

/// Looks once.
pub async fn discover(config: &Config, local: &Local) -> Found {
    if let Some(ip) = config.fixed_ip {
        return fixed(ip, local);
    }
    if local.addresses.is_empty() {
        return nothing("No network interface has an address: plug in the network cable, or check the DHCP server.");
    }
    match ask_all(config).await {
        Heard::Stun(mappings) => by_stun(&mappings, local),
        Heard::Pages(echoed) => by_page(echoed, local),
        Heard::Nobody(asked) => nothing(&dead_end(&asked, config)),
    }
}

enum Heard {
    Stun(Vec<Mapping>),
    Pages(Echoed),
    Nobody(Asked),
}

/// STUN first; the pages join in once it fails or takes long, and the first answer counts.
async fn ask_all(config: &Config) -> Heard {
    let stun = ask::ask(&config.stun_servers);
    tokio::pin!(stun);
    let early = tokio::time::timeout(HEAD_START, &mut stun).await;
    if let Ok(Asked::Answers(mappings)) = early {
        return Heard::Stun(mappings);
    }
    let pages = echo::ask(&config.http_echo);
    let Ok(asked) = early else { return race(stun, pages).await };
    pages.await.map_or(Heard::Nobody(asked), Heard::Pages)
}

async fn race(stun: impl Future<Output = Asked>, pages: impl Future<Output = Option<Echoed>>) -> Heard {
    tokio::pin!(stun, pages);
    tokio::select! {
        Some(echoed) = &mut pages => Heard::Pages(echoed),
        asked = &mut stun => match asked {
            Asked::Answers(mappings) => Heard::Stun(mappings),
            silent => pages.await.map_or(Heard::Nobody(silent), Heard::Pages),
        },
    }
}

fn by_stun(mappings: &[Mapping], local: &Local) -> Found {
    let nat = nat::kind(mappings, &local.addresses);
    let problem = (nat == Nat::AddressDependent).then(|| {
        "The router gives the box another public port for every destination (symmetric NAT): forward the SIP and RTP \
         ports to the box, or choose a full-cone or static-port setting for it."
            .to_owned()
    });
    Found {
        egress_ip: nat::seen_address(mappings, true),
        egress_ip6: nat::seen_address(mappings, false),
        source: Source::Stun,
        nat,
        problem,
    }
}

/// A page sees no port of ours, so it can tell only that there is no NAT.
fn by_page(echoed: Echoed, local: &Local) -> Found {
    let seen = echoed.v4.or(echoed.v6);
    Found {
        egress_ip: echoed.v4,
        egress_ip6: echoed.v6,
        source: Source::Http,
        nat: seen.map_or(Nat::Unknown, |ip| none_if_ours(ip, local)),
        problem: None,
    }
}

fn fixed(ip: IpAddr, local: &Local) -> Found {
    Found {
        egress_ip: Some(ip).filter(IpAddr::is_ipv4),
        egress_ip6: Some(ip).filter(IpAddr::is_ipv6),
        source: Source::Fixed,
        nat: none_if_ours(ip, local),
        problem: None,
    }
}

fn none_if_ours(ip: IpAddr, local: &Local) -> Nat {
    if local.addresses.contains(&ip) { Nat::None } else { Nat::Unknown }
}

fn nothing(problem: &str) -> Found {
    Found {
        egress_ip: None,
        egress_ip6: None,
        source: Source::None,
        nat: Nat::Unknown,
        problem: Some(problem.to_owned()),
    }
}

fn dead_end(asked: &Asked, config: &Config) -> String {
    if config.stun_servers.is_empty() && config.http_echo.is_empty() {
        return "Nobody is configured to tell the box its public address: set stun_servers, http_echo or fixed_ip."
            .into();
    }
    match asked {
        Asked::NoNames if !config.stun_servers.is_empty() => {
            "The names of the STUN servers do not resolve: check the DNS server that the box uses.".into()
        }
        Asked::NoRoute => "There is no route to the internet: check the default gateway of the box's network.".into(),
        _ => {
            "The internet does not answer: check the connection, and that the router lets the box send UDP to the STUN \
              servers; or set fixed_ip to the router's public address."
                .into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(more: &str) -> Config {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text = format!("socket = \"s\"\ngateway_socket = \"g\"\nstate_dir = \"d\"\n{more}");
        std::fs::write(file.path(), text).unwrap();
        daemon::config::load(file.path()).unwrap()
    }

    fn local(addresses: &[&str]) -> Local {
        Local { addresses: addresses.iter().map(|ip| ip.parse().unwrap()).collect(), networks: Vec::new() }
    }

    #[tokio::test]
    async fn the_operators_word_is_taken_without_asking_anybody() {
        let config = config("fixed_ip = \"203.0.113.7\"");
        let found = discover(&config, &local(&["192.168.1.5"])).await;
        assert_eq!((found.egress_ip, found.source, found.nat), (config.fixed_ip, Source::Fixed, Nat::Unknown));
        assert_eq!(discover(&config, &local(&["203.0.113.7"])).await.nat, Nat::None);
    }

    #[tokio::test]
    async fn every_dead_end_says_what_to_do() {
        let unplugged = discover(&config(""), &local(&[])).await;
        assert!(unplugged.problem.unwrap().contains("network cable"));
        let nobody = discover(&config("stun_servers = []\nhttp_echo = []"), &local(&["192.168.1.5"])).await;
        assert_eq!(nobody.source, Source::None);
        assert!(nobody.problem.unwrap().contains("set stun_servers"));
        let nameless = config("stun_servers = [\"stun.invalid:3478\"]\nhttp_echo = []");
        let found = discover(&nameless, &local(&["192.168.1.5"])).await;
        assert!(found.problem.unwrap().contains("DNS server"));
    }
}
