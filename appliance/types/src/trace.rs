//! What was said in a call, for whoever looks for the reason?
//!
//! `GET /v1/legs/{lk_call_id}/trace` of `sip-gateway`'s socket (-> [`LegTrace`]; [`crate::control::Refusal`] with 404,
//! `trace_gone`, when nothing is kept of the leg). Secrets are masked before anything is kept.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use utoipa::ToSchema;

/// What is kept of one leg, each list in order of time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LegTrace {
    pub messages: Vec<SipMessage>,
    /// Messages between the first and the last ones for which there was no room.
    pub left_out: u32,
    pub packets: Vec<RtpHeader>,
    pub figures: Vec<RtpFigures>,
}

/// Seen from the box.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Way {
    Sent,
    Received,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = TraceTransport)]
pub enum SipTransport {
    Udp,
    Tcp,
    Tls,
    Wss,
}

/// A SIP message on the wire; repeats are messages of their own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SipMessage {
    pub at: Timestamp,
    pub way: Way,
    pub transport: SipTransport,
    pub from: SocketAddr,
    pub to: SocketAddr,
    /// Octets on the wire; more than `text` has when its end is cut off.
    pub size: u32,
    /// As it was, but every octet of a secret is an `x`, and what is no UTF-8 is replaced.
    pub text: String,
}

/// One of the first RTP packets of a stream, without its payload.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RtpHeader {
    pub at: Timestamp,
    pub way: Way,
    pub from: SocketAddr,
    pub to: SocketAddr,
    /// Octets of the whole packet, before it was encrypted or after it was decrypted.
    pub size: u16,
    /// The 12 octets of RFC 3550 section 5.1, in hex.
    pub header: String,
    /// Name and rate of its payload type, as agreed on.
    pub codec: Option<String>,
}

/// Figures of a leg's RTP since its start, every five seconds; of long calls fewer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RtpFigures {
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    pub packets_received: u64,
    pub packets_sent: u64,
    /// Of the phone's packets.
    pub lost: u64,
    /// RFC 3550 interarrival jitter of the phone's packets; says nothing before the second one.
    pub jitter_ms: f64,
    /// How the phone sounds here, 1 (bad) to 4.41.
    pub mos: Option<f64>,
    /// To the phone and back, where it sends RTCP.
    pub rtt_ms: Option<f64>,
}
