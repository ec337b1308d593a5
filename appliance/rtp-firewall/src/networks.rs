//! Which addresses does a list of networks hold?

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::net::IpAddr;

/// The same addresses in the fewest networks, without overlap and without host bits: what an interval set takes.
pub fn merged(networks: &[IpNet]) -> Vec<IpNet> {
    IpNet::aggregate(&networks.iter().map(plain).collect())
}

/// IPv4 and IPv6 apart, each merged.
pub fn by_family(networks: &[IpNet]) -> (Vec<Ipv4Net>, Vec<Ipv6Net>) {
    let (mut v4, mut v6) = (Vec::new(), Vec::new());
    for network in merged(networks) {
        match network {
            IpNet::V4(network) => v4.push(network),
            IpNet::V6(network) => v6.push(network),
        }
    }
    (v4, v6)
}

/// Is the address in one of them?
pub fn hold(networks: &[IpNet], address: IpAddr) -> bool {
    networks.iter().map(plain).any(|network| network.contains(&address.to_canonical()))
}

/// Is there an address that `before` held and `after` does not?
pub fn narrower(before: &[IpNet], after: &[IpNet]) -> bool {
    let after = merged(after);
    merged(before).iter().any(|old| !after.iter().any(|new| new.contains(old)))
}

/// Without host bits, and IPv4 written as IPv6 (`::ffff:192.0.2.0/120`) as IPv4.
fn plain(network: &IpNet) -> IpNet {
    match network {
        IpNet::V6(mapped) if mapped.prefix_len() >= 96 => mapped
            .addr()
            .to_ipv4_mapped()
            .and_then(|address| Ipv4Net::new(address, mapped.prefix_len() - 96).ok())
            .map_or(*network, IpNet::V4)
            .trunc(),
        network => network.trunc(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nets(list: &[&str]) -> Vec<IpNet> {
        list.iter().map(|net| net.parse().unwrap()).collect()
    }

    #[test]
    fn neighbours_and_overlaps_become_one() {
        let list = nets(&["10.0.0.0/25", "10.0.0.200/25", "10.0.0.7/32", "::ffff:192.0.2.1/128"]);
        assert_eq!(merged(&list), nets(&["10.0.0.0/24", "192.0.2.1/32"]));
    }

    #[test]
    fn two_halves_are_not_narrower_than_the_whole() {
        let whole = nets(&["192.168.0.0/16"]);
        assert!(!narrower(&whole, &nets(&["192.168.0.0/17", "192.168.128.0/17"])));
        assert!(!narrower(&whole, &nets(&["0.0.0.0/0"])));
        assert!(narrower(&whole, &nets(&["192.168.0.0/17"])));
        assert!(narrower(&whole, &nets(&["fe80::/10"])));
    }

    #[test]
    fn an_ipv4_address_written_as_ipv6_is_found() {
        assert!(hold(&nets(&["192.0.2.0/24"]), "::ffff:192.0.2.9".parse().unwrap()));
    }
}
