//! Which ports does the box use?
//!
//! The one place: gateway, LiveKit, network page and firewall are all configured from here.

pub const SIP: u16 = 5060;
pub const SIP_TLS: u16 = 5061;
pub const RTP: (u16, u16) = (10000, 10200);
pub const HTTPS: u16 = 443;
pub const LIVEKIT_UDP: u16 = 7882;
pub const LIVEKIT_TCP: u16 = 7881;

/// On loopback only.
pub mod local {
    pub const API: u16 = 8080;
    pub const LIVEKIT: u16 = 7880;
    pub const REDIS: u16 = 6379;
    pub const S3: u16 = 9000;
    pub const ARTEFACTS: u16 = 7979;
}
