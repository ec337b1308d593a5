//! Which addresses do we have ourselves, and which networks do they lie in?

use ipnet::IpNet;
use nix::{
    ifaddrs::{InterfaceAddress, getifaddrs},
    net::if_::InterfaceFlags,
    sys::socket::SockaddrStorage,
};
use std::net::IpAddr;

/// Our own addresses, sorted; loopback and link-local ones are left out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Local {
    pub addresses: Vec<IpAddr>,
    pub networks: Vec<IpNet>,
}

/// What the interfaces that are up have now.
pub fn look() -> Local {
    let interfaces = getifaddrs().inspect_err(|error| tracing::warn!(%error, "the interfaces cannot be listed"));
    Local::of(interfaces.into_iter().flatten().filter(is_of_use).filter_map(|it| address_of(&it)))
}

impl Local {
    fn of(found: impl Iterator<Item = (IpAddr, IpNet)>) -> Self {
        let (mut addresses, mut networks): (Vec<_>, Vec<_>) =
            found.filter(|(ip, _)| !is_link_local(*ip)).map(|(ip, network)| (ip, network.trunc())).unzip();
        addresses.sort();
        addresses.dedup();
        networks.sort();
        networks.dedup();
        Self { addresses, networks }
    }
}

fn is_of_use(interface: &InterfaceAddress) -> bool {
    interface.flags.contains(InterfaceFlags::IFF_UP) && !interface.flags.contains(InterfaceFlags::IFF_LOOPBACK)
}

fn address_of(interface: &InterfaceAddress) -> Option<(IpAddr, IpNet)> {
    let (ip, mask) = (ip_of(interface.address.as_ref()?)?, ip_of(interface.netmask.as_ref()?)?);
    Some((ip, IpNet::with_netmask(ip, mask).ok()?))
}

fn ip_of(address: &SockaddrStorage) -> Option<IpAddr> {
    let v4 = address.as_sockaddr_in().map(|it| IpAddr::V4(it.ip()));
    v4.or_else(|| address.as_sockaddr_in6().map(|it| IpAddr::V6(it.ip())))
}

fn is_link_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_named_once_and_link_local_ones_not_at_all() {
        let found = ["192.168.1.6/24", "192.168.1.5/24", "169.254.3.4/16", "fe80::1/64", "2001:db8::5/64"];
        let local = Local::of(found.iter().map(|text| {
            let network: IpNet = text.parse().unwrap();
            (network.addr(), network)
        }));
        let addresses: Vec<_> = local.addresses.iter().map(IpAddr::to_string).collect();
        assert_eq!(addresses, ["192.168.1.5", "192.168.1.6", "2001:db8::5"]);
        let networks: Vec<_> = local.networks.iter().map(IpNet::to_string).collect();
        assert_eq!(networks, ["192.168.1.0/24", "2001:db8::/64"]);
    }

    #[test]
    fn loopback_is_not_an_address_of_ours() {
        assert!(look().addresses.iter().all(|ip| !ip.is_loopback()));
    }
}
