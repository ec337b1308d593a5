//! Where and when is this box running?
//!
//! Read once by each program, so that everything after it is a function of its arguments.

use crate::layout::Layout;
use anyhow::Context;
use jiff::Timestamp;
use std::{fs, net::IpAddr, path::Path, time::Duration};

#[derive(Clone, Debug)]
pub struct Here {
    pub hostname: String,
    /// As [`addresses`] finds them.
    pub addresses: Vec<IpAddr>,
    /// Of the image, or of this program when it runs elsewhere.
    pub version: String,
    /// Another one after each start of the machine.
    pub boot_id: String,
    pub now: Timestamp,
}

impl Here {
    pub fn look(layout: &Layout) -> anyhow::Result<Self> {
        Ok(Self {
            hostname: hostname()?,
            addresses: addresses()?,
            version: version(layout),
            boot_id: line("/proc/sys/kernel/random/boot_id")?,
            now: Timestamp::now(),
        })
    }
}

pub fn hostname() -> anyhow::Result<String> {
    line("/proc/sys/kernel/hostname")
}

/// Asks how long ago the machine started.
pub type Uptime = fn() -> anyhow::Result<Duration>;

/// Time since the machine started, time asleep included.
pub fn uptime() -> anyhow::Result<Duration> {
    let text = line("/proc/uptime")?;
    let seconds = text.split_whitespace().next().and_then(|first| first.parse().ok());
    seconds.map(Duration::from_secs_f64).with_context(|| format!("/proc/uptime says `{text}`"))
}

/// The image's version.
pub fn version(layout: &Layout) -> String {
    let release = fs::read_to_string(layout.os_release()).unwrap_or_default();
    let image = release.lines().find_map(|line| line.strip_prefix("IMAGE_VERSION="));
    image.map_or(env!("CARGO_PKG_VERSION"), |version| version.trim_matches('"')).to_owned()
}

/// Addresses that a person or a phone could use: IPv4 first, those that a box without a DHCP server
/// gave itself last.
pub fn addresses() -> anyhow::Result<Vec<IpAddr>> {
    let found = nix::ifaddrs::getifaddrs().context("cannot list the network addresses")?;
    let mut addresses: Vec<IpAddr> = found.filter_map(|entry| usable(&entry)).collect();
    addresses.sort_by_key(|ip| (is_self_given(ip), *ip));
    addresses.dedup();
    Ok(addresses)
}

/// 169.254.0.0/16
pub fn is_self_given(ip: &IpAddr) -> bool {
    matches!(ip, IpAddr::V4(ip) if ip.is_link_local())
}

fn usable(entry: &nix::ifaddrs::InterfaceAddress) -> Option<IpAddr> {
    let address = entry.address?;
    let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
    let v6 = address.as_sockaddr_in6().filter(|v6| !v6.ip().is_unicast_link_local()).map(|v6| IpAddr::V6(v6.ip()));
    v4.or(v6).filter(|ip| !ip.is_loopback())
}

fn line(path: &str) -> anyhow::Result<String> {
    let text = fs::read_to_string(Path::new(path)).with_context(|| format!("cannot read {path}"))?;
    Ok(text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_images_version_is_told_and_without_an_image_our_own() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path());
        assert_eq!(version(&layout), env!("CARGO_PKG_VERSION"));
        fs::create_dir_all(folder.path().join("usr/lib")).unwrap();
        fs::write(layout.os_release(), "ID=debian\nIMAGE_VERSION=\"7\"\n").unwrap();
        assert_eq!(version(&layout), "7");
    }

    #[test]
    fn this_machine_is_found() {
        let here = Here::look(&Layout::new("/")).unwrap();
        assert!(!here.hostname.is_empty() && !here.boot_id.is_empty());
        assert!(here.addresses.iter().all(|ip| !ip.is_loopback()));
        assert!(uptime().unwrap() > Duration::ZERO);
    }
}
