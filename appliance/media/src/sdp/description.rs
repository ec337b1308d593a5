//! What is written in a session description?

use super::{Crypto, Direction};
use crate::codec::RATE;
use crate::dtls::Fingerprint;
use crate::ice::Credentials;
use std::net::{IpAddr, SocketAddr};

/// The parts of a session description that a call needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionDescription {
    pub origin: Origin,
    /// Session-level `c=`.
    pub connection: Option<Address>,
    /// Session-level direction.
    pub direction: Option<Direction>,
    /// The names (`mid`) of those that share a port (RFC 9143).
    pub bundle: Vec<String>,
    pub media: Vec<MediaDescription>,
}

/// Who wrote it, and how often it changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    pub username: String,
    pub session_id: u64,
    pub version: u64,
}

/// An address in `c=`; names are kept, but nobody can send to them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    Ip(IpAddr),
    Name(String),
}

/// One `m=` line and what belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaDescription {
    /// `audio`, `video`, …
    pub kind: String,
    /// 0 refuses the stream.
    pub port: u16,
    /// `RTP/AVP`, …
    pub protocol: String,
    /// As in the `m=` line, in order of preference.
    pub formats: Vec<Format>,
    pub connection: Option<Address>,
    pub direction: Option<Direction>,
    pub ptime: Option<u32>,
    pub maxptime: Option<u32>,
    /// The keys it may be encrypted with, those that we could use.
    pub crypto: Vec<Crypto>,
    /// The certificate of its DTLS handshake (RFC 8122), and who begins; also when only the session says so.
    pub fingerprint: Option<Fingerprint>,
    pub setup: Option<Setup>,
    /// What its checks of ICE prove themselves by; also when only the session says so.
    pub ice: Option<Credentials>,
    /// Its name among the others (RFC 5888).
    pub mid: Option<String>,
    /// `a=rtcp`: the port of its RTCP, and the address if it is another one (RFC 3605).
    pub rtcp: Option<(u16, Option<Address>)>,
    /// RTCP may share the port of RTP (RFC 5761).
    pub rtcp_mux: bool,
    /// `b=RS:0` and `b=RR:0`: it wants no RTCP of senders, of receivers (RFC 3556).
    pub no_rtcp: [bool; 2],
}

/// Who says hello (RFC 4145).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setup {
    Active,
    Passive,
    /// The other side chooses.
    ActPass,
}

impl Setup {
    pub fn named(name: &str) -> Option<Setup> {
        Some(match name.trim() {
            "active" => Setup::Active,
            "passive" => Setup::Passive,
            "actpass" => Setup::ActPass,
            _ => return None,
        })
    }

    pub fn name(self) -> &'static str {
        match self {
            Setup::Active => "active",
            Setup::Passive => "passive",
            Setup::ActPass => "actpass",
        }
    }
}

/// A format of an `m=` line with its `a=rtpmap`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Format {
    /// A payload type for RTP; anything else for other media.
    pub token: String,
    /// Encoding name and clock rate.
    pub map: Option<(String, u32)>,
}

impl Format {
    pub fn payload_type(&self) -> Option<u8> {
        self.token.parse().ok().filter(|payload_type| *payload_type < 128)
    }

    /// Is it `name`, and does its clock have so many ticks for one of 8 kHz?
    pub fn is(&self, name: &str, clock_factor: u32) -> bool {
        let clock = RATE * clock_factor;
        self.map.as_ref().is_some_and(|(encoding, rate)| encoding.eq_ignore_ascii_case(name) && *rate == clock)
    }
}

impl MediaDescription {
    /// Audio that we could take: over RTP, not refused.
    pub fn is_audio(&self) -> bool {
        let rtp = matches!(self.protocol.as_str(), "RTP/AVP" | "RTP/AVPF") || self.is_secured();
        self.kind == "audio" && self.port != 0 && rtp
    }

    /// Never in the clear.
    pub fn is_secured(&self) -> bool {
        matches!(self.protocol.as_str(), "RTP/SAVP" | "RTP/SAVPF") || self.is_by_handshake()
    }

    /// Only with keys of a DTLS handshake.
    pub fn is_by_handshake(&self) -> bool {
        matches!(self.protocol.as_str(), "UDP/TLS/RTP/SAVP" | "UDP/TLS/RTP/SAVPF")
    }
}

impl SessionDescription {
    /// Where the audio of `media` goes, if it is an address.
    pub fn address_of(&self, media: &MediaDescription) -> Option<IpAddr> {
        match media.connection.as_ref().or(self.connection.as_ref())? {
            Address::Ip(ip) => Some(*ip),
            Address::Name(_) => None,
        }
    }

    /// Where the RTCP of `media` goes when it has a port of its own: the one above RTP's unless `a=rtcp` names another.
    /// None when it wants none, or there is no such port or address.
    pub fn rtcp_of(&self, media: &MediaDescription) -> Option<SocketAddr> {
        let (port, elsewhere) = match &media.rtcp {
            Some((port, elsewhere)) => (*port, elsewhere.as_ref()),
            None => (media.port.checked_add(1)?, None),
        };
        let ip = match elsewhere {
            Some(Address::Ip(ip)) => *ip,
            Some(Address::Name(_)) => return None,
            None => self.address_of(media)?,
        };
        let wanted = port != 0 && !ip.is_multicast() && media.no_rtcp != [true; 2];
        wanted.then_some(SocketAddr::new(ip, port))
    }

    /// The other side's direction; an address of 0.0.0.0 is the old way to say "do not send" (RFC 3264 8.4), unless ICE
    /// has yet to find the address.
    pub fn direction_of(&self, media: &MediaDescription) -> Direction {
        let said = media.direction.or(self.direction).unwrap_or_default();
        let by_ice = media.ice.is_some() && media.is_by_handshake();
        let hears = by_ice || self.address_of(media).is_some_and(|ip| !ip.is_unspecified());
        Direction::new(said.sends(), said.receives() && hears)
    }
}
