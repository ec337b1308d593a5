//! Which ports does this box use?
//!
//! One block per box, so that two boxes never mix: a lock file holds the block for as long as the process
//! lives, and every port of it is tried before anything starts.

use anyhow::{Context, bail};
use std::{
    fs::File,
    net::{Ipv4Addr, TcpListener, UdpSocket},
    os::unix::fs::MetadataExt,
};

/// Everything of a box on one machine listens here.
pub const HOST: &str = "127.0.0.1";

const FIRST: u16 = 18000;
const STEP: u16 = 400;
const LAST: u16 = 31600;
const RTP: std::ops::RangeInclusive<u16> = 100..=300;

/// A block of ports, ours until this is dropped.
#[derive(Debug)]
pub struct Ports {
    base: u16,
    _lease: File,
}

impl Ports {
    pub fn api(&self) -> u16 {
        self.base
    }
    /// UDP and TCP.
    pub fn sip(&self) -> u16 {
        self.base + 1
    }
    pub fn redis(&self) -> u16 {
        self.base + 2
    }
    pub fn livekit(&self) -> u16 {
        self.base + 3
    }
    pub fn livekit_udp(&self) -> u16 {
        self.base + 4
    }
    pub fn s3(&self) -> u16 {
        self.base + 5
    }
    pub fn sip_tls(&self) -> u16 {
        self.base + 6
    }
    /// First and last RTP port.
    pub fn rtp(&self) -> (u16, u16) {
        (self.base + RTP.start(), self.base + RTP.end())
    }

    pub fn api_origin(&self) -> String {
        format!("http://{HOST}:{}", self.api())
    }
    pub fn redis_url(&self) -> String {
        format!("redis://{HOST}:{}/0", self.redis())
    }
    pub fn livekit_url(&self) -> String {
        format!("ws://{HOST}:{}", self.livekit())
    }
    pub fn s3_url(&self) -> String {
        format!("http://{HOST}:{}", self.s3())
    }
}

/// The block from `base` on, or the first free one.
pub fn lease(base: Option<u16>) -> anyhow::Result<Ports> {
    if let Some(base) = base {
        if base < 1024 || base > u16::MAX - RTP.end() {
            bail!("--port-base {base} is out of range: 1024 to {}", u16::MAX - RTP.end());
        }
        return take(base);
    }
    (FIRST..=LAST)
        .step_by(STEP.into())
        .find_map(|base| take(base).ok())
        .context("no free block of ports from 18000 to 32000: name one with --port-base")
}

fn take(base: u16) -> anyhow::Result<Ports> {
    let lease = lock(base)?;
    let ports = Ports { base, _lease: lease };
    for port in [ports.api(), ports.sip(), ports.redis(), ports.livekit(), ports.s3(), ports.sip_tls()] {
        TcpListener::bind((Ipv4Addr::LOCALHOST, port)).with_context(|| format!("TCP port {port} is taken"))?;
    }
    for port in [ports.sip(), ports.livekit_udp()].into_iter().chain(RTP.map(|offset| base + offset)) {
        UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).with_context(|| format!("UDP port {port} is taken"))?;
    }
    Ok(ports)
}

/// A lock of the operating system: it goes with the process, however that ends.
fn lock(base: u16) -> anyhow::Result<File> {
    let user = std::fs::metadata("/proc/self").context("no /proc")?.uid();
    let folder = std::env::temp_dir().join(format!("scaibox-ports-{user}"));
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let path = folder.join(base.to_string());
    let file = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    file.try_lock().with_context(|| format!("another box uses the ports from {base} on"))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_boxes_get_two_blocks() {
        let (a, b) = (lease(None).unwrap(), lease(None).unwrap());
        assert_ne!(a.base, b.base);
        assert!(a.base.abs_diff(b.base) >= STEP);
    }

    #[test]
    fn a_block_with_a_taken_port_is_refused_by_name() {
        let free = lease(None).unwrap();
        let (base, port) = (free.base, free.redis());
        drop(free);
        let _other = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        let error = take(base).unwrap_err();
        assert_eq!(error.to_string(), format!("TCP port {port} is taken"));
    }

    #[test]
    fn a_base_that_leaves_no_room_for_rtp_is_refused() {
        assert!(lease(Some(65500)).unwrap_err().to_string().contains("out of range"));
    }
}
