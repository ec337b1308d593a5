//! How do we write our side of the agreement?

use super::{Crypto, Direction, EventFormat, MediaDescription, Setup};
use crate::codec::{PhoneCodec, RATE};
use crate::dtls::Fingerprint;
use crate::ice::Credentials;
use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};

/// Of a host's own address, the only one of its component (RFC 8445 section 5.1.2.1).
const HOST_PRIORITY: u32 = (126 << 24) | (65535 << 8) | 255;

/// The audio line of a body of ours.
pub(super) struct Audio<'a> {
    pub address: SocketAddr,
    /// `RTP/AVP` unless the other side says otherwise.
    pub protocol: &'a str,
    pub codecs: &'a [(u8, PhoneCodec)],
    pub dtmf: &'a [EventFormat],
    pub noise: Option<u8>,
    pub crypto: Vec<Crypto>,
    pub handshake: Option<(Fingerprint, Setup)>,
    /// With the one way there is to us.
    pub ice: Option<Credentials>,
    /// As the offer names it.
    pub mid: Option<&'a str>,
    pub rtcp_mux: bool,
    pub direction: Direction,
}

/// One `m=` section.
pub(super) enum Section<'a> {
    Audio(Audio<'a>),
    /// Refused with port 0.
    Refused(&'a MediaDescription),
}

/// Everything after the `o=` line. `bundled`: that section alone has the port which was offered to several.
pub(super) fn after_origin(address: IpAddr, bundled: Option<&str>, sections: &[Section<'_>]) -> String {
    let mut body = format!("s=-\r\nc=IN {}\r\nt=0 0\r\n", typed(address));
    if let Some(mid) = bundled {
        let _ = write!(body, "a=group:BUNDLE {mid}\r\n");
    }
    if sections.iter().any(|section| matches!(section, Section::Audio(Audio { ice: Some(_), .. }))) {
        body.push_str("a=ice-lite\r\n");
    }
    for section in sections {
        match section {
            Section::Audio(audio) => write_audio(&mut body, audio),
            Section::Refused(media) => write_refusal(&mut body, media),
        }
    }
    body
}

/// The whole body.
pub(super) fn with_origin(session_id: u64, version: u64, address: IpAddr, rest: &str) -> Vec<u8> {
    format!("v=0\r\no=- {session_id} {version} IN {}\r\n{rest}", typed(address)).into_bytes()
}

fn typed(address: IpAddr) -> String {
    match address {
        IpAddr::V4(ip) => format!("IP4 {ip}"),
        IpAddr::V6(ip) => format!("IP6 {ip}"),
    }
}

// Writing to a String cannot fail, so the results are dropped.
fn write_audio(body: &mut String, audio: &Audio<'_>) {
    let _ = write!(body, "m=audio {} {}", audio.address.port(), audio.protocol);
    let codecs = audio.codecs.iter().map(|(payload_type, _)| *payload_type);
    for payload_type in codecs.chain(audio.noise).chain(audio.dtmf.iter().map(|events| events.payload_type)) {
        let _ = write!(body, " {payload_type}");
    }
    body.push_str("\r\n");
    audio.codecs.iter().for_each(|(payload_type, codec)| write_codec(body, *payload_type, *codec));
    if let Some(noise) = audio.noise {
        let _ = write!(body, "a=rtpmap:{noise} CN/8000\r\n");
    }
    for EventFormat { payload_type, clock_factor } in audio.dtmf {
        let clock = RATE * clock_factor;
        let _ = write!(body, "a=rtpmap:{payload_type} telephone-event/{clock}\r\na=fmtp:{payload_type} 0-15\r\n");
    }
    for crypto in &audio.crypto {
        let _ = write!(body, "a=crypto:{}\r\n", crypto.value());
    }
    if let Some((fingerprint, setup)) = audio.handshake {
        let _ = write!(body, "a=fingerprint:{}\r\na=setup:{}\r\n", fingerprint.value(), setup.name());
    }
    if let Some(mid) = audio.mid {
        let _ = write!(body, "a=mid:{mid}\r\n");
    }
    if let Some(Credentials { ufrag, pwd }) = &audio.ice {
        let (ip, port) = (audio.address.ip(), audio.address.port());
        let _ = write!(body, "a=ice-ufrag:{ufrag}\r\na=ice-pwd:{pwd}\r\n");
        let _ = write!(body, "a=candidate:1 1 udp {HOST_PRIORITY} {ip} {port} typ host\r\na=end-of-candidates\r\n");
    }
    if audio.rtcp_mux {
        body.push_str("a=rtcp-mux\r\n");
    }
    let _ = write!(body, "a=ptime:20\r\na={}\r\n", audio.direction.name());
}

/// Opus always claims two channels and says the rest in its parameters (RFC 7587 section 7): ours are mono, and lost
/// frames are repeated.
fn write_codec(body: &mut String, payload_type: u8, codec: PhoneCodec) {
    let encoding = codec.encoding();
    let _ = match codec {
        PhoneCodec::Opus => {
            write!(body, "a=rtpmap:{payload_type} {encoding}/2\r\na=fmtp:{payload_type} useinbandfec=1\r\n")
        }
        PhoneCodec::G711(_) | PhoneCodec::G722 => write!(body, "a=rtpmap:{payload_type} {encoding}\r\n"),
    };
}

fn write_refusal(body: &mut String, media: &MediaDescription) {
    let _ = write!(body, "m={} 0 {}", media.kind, media.protocol);
    for format in &media.formats {
        let _ = write!(body, " {}", format.token);
    }
    body.push_str("\r\n");
    if let Some(mid) = &media.mid {
        let _ = write!(body, "a=mid:{mid}\r\n");
    }
}
