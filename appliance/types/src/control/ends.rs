//! How a leg ended, and how it sounded.

use serde::{Deserialize, Serialize};

/// How a leg ended, seen from the gateway.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LegEnd {
    pub cause: LegEndCause,
    /// The SIP status that ended it, if one did.
    pub sip_code: Option<u16>,
    pub detail: String,
    pub stats: LegStats,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LegEndCause {
    /// CANCEL before the answer, or our own time-out on an outbound leg.
    Cancelled,
    /// BYE from the phone.
    PeerHangup,
    /// We hung up: a command, the room closed, the participant was removed.
    LocalHangup,
    /// Rejected with `sip_code` before an answer (by us inbound, by the peer outbound).
    Rejected,
    /// Nobody answered in time.
    RingTimeout,
    MediaTimeout,
    /// REFER succeeded: of ours, or of the phone.
    Transferred,
    MaxDuration,
    /// The room could not be joined or was lost.
    RoomLost,
    GatewayStopping,
}

/// Media figures of a leg, of RTP packets received from the phone where nothing else is said.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LegStats {
    pub packets_in: u64,
    pub packets_out: u64,
    pub lost: u64,
    /// RFC 3550 interarrival jitter, milliseconds; says nothing before the second packet.
    pub jitter_ms: f64,
    /// Mean opinion score, 1 to 4.41; unknown before the first packet.
    #[serde(default)]
    pub mos: Option<f64>,
    /// To the phone and back, mean over the call; unknown where the phone sends no RTCP.
    #[serde(default)]
    pub rtt_ms: Option<f64>,
    /// How the phone hears us; unknown where it does not say so by RTCP.
    #[serde(default)]
    pub far_end: Option<FarEnd>,
}

/// The phone's figures of our stream, by its last report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FarEnd {
    /// Packets, in all.
    pub lost: u64,
    pub jitter_ms: f64,
    /// As in [`LegStats`].
    pub mos: f64,
}
