//! What do the STUN servers' answers say about our address and the NAT before it?
//!
//! Pure. The kinds are RFC 4787's mapping behaviours (section 4.1), as far as two servers can tell.

use crate::round::Mapping;
use std::{
    collections::{BTreeSet, HashMap},
    net::IpAddr,
};
use types::network::Nat;

/// The address most servers of a family saw; the first one of equals.
pub fn seen_address(mappings: &[Mapping], v4: bool) -> Option<IpAddr> {
    let mut votes: HashMap<IpAddr, (usize, usize)> = HashMap::new();
    for (order, mapping) in mappings.iter().enumerate().filter(|(_, mapping)| mapping.mapped.is_ipv4() == v4) {
        votes.entry(mapping.mapped.ip()).or_insert((0, usize::MAX - order)).0 += 1;
    }
    votes.into_iter().max_by_key(|(_, vote)| *vote).map(|(ip, _)| ip)
}

/// The NAT before our IPv4 addresses, or before the IPv6 ones where there is no IPv4.
pub fn kind(mappings: &[Mapping], local: &[IpAddr]) -> Nat {
    let v4 = mappings.iter().any(|mapping| mapping.mapped.is_ipv4());
    let family: Vec<_> = mappings.iter().filter(|mapping| mapping.mapped.is_ipv4() == v4).collect();
    let Some(first) = family.first() else { return Nat::Unknown };
    if family.iter().all(|mapping| local.contains(&mapping.mapped.ip())) {
        return Nat::None;
    }
    if family.iter().any(|mapping| mapping.mapped != first.mapped) {
        return Nat::AddressDependent;
    }
    let servers: BTreeSet<_> = family.iter().map(|mapping| mapping.server.ip()).collect();
    if servers.len() > 1 { Nat::EndpointIndependent } else { Nat::Unknown }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(by: &str, mapped: &str) -> Mapping {
        Mapping { server: by.parse().unwrap(), mapped: mapped.parse().unwrap() }
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    const A: &str = "192.0.2.1:3478";
    const B: &str = "192.0.2.2:3478";
    const SIX: &str = "[2001:db8::1]:3478";

    #[test]
    fn two_servers_tell_the_kinds_apart() {
        let local = [ip("192.168.1.5")];
        for (at_a, at_b, kind_of_nat) in [
            ("192.168.1.5:4000", "192.168.1.5:4000", Nat::None),
            ("203.0.113.7:4000", "203.0.113.7:4000", Nat::EndpointIndependent),
            ("203.0.113.7:4000", "203.0.113.7:4001", Nat::AddressDependent),
            ("203.0.113.7:4000", "203.0.113.8:4000", Nat::AddressDependent),
        ] {
            assert_eq!(kind(&[seen(A, at_a), seen(B, at_b)], &local), kind_of_nat, "{at_a} {at_b}");
        }
    }

    #[test]
    fn one_server_tells_only_that_there_is_no_nat() {
        let local = [ip("192.168.1.5")];
        assert_eq!(kind(&[seen(A, "203.0.113.7:4000")], &local), Nat::Unknown);
        assert_eq!(kind(&[seen(A, "192.168.1.5:4000")], &local), Nat::None);
        let twice = [seen(A, "203.0.113.7:4000"), seen("192.0.2.1:3479", "203.0.113.7:4000")];
        assert_eq!(kind(&twice, &local), Nat::Unknown, "two ports of one server are one server");
        assert_eq!(kind(&[], &local), Nat::Unknown);
    }

    #[test]
    fn each_family_has_its_address_and_ipv4_decides_the_kind() {
        let mappings = [seen(SIX, "[2001:db8:5::5]:4000"), seen(A, "203.0.113.7:1"), seen(B, "203.0.113.7:1")];
        assert_eq!(seen_address(&mappings, true), Some(ip("203.0.113.7")));
        assert_eq!(seen_address(&mappings, false), Some(ip("2001:db8:5::5")));
        assert_eq!(kind(&mappings, &[ip("2001:db8:5::5")]), Nat::EndpointIndependent);
        assert_eq!(kind(&mappings[..1], &[ip("2001:db8:5::5")]), Nat::None);
    }

    #[test]
    fn most_servers_are_believed_and_the_first_of_equals() {
        let lie = seen("192.0.2.9:3478", "198.51.100.66:1");
        let (a, b) = (seen(A, "203.0.113.7:1"), seen(B, "203.0.113.7:1"));
        assert_eq!(seen_address(&[lie, a, b], true), Some(ip("203.0.113.7")));
        assert_eq!(seen_address(&[a, lie], true), Some(ip("203.0.113.7")));
    }
}
