//! What the gateway carries at the moment, and what it is told to do with a leg.

use crate::CorrelationId;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GatewayHealth {
    pub instance: String,
    pub version: String,
    pub legs: usize,
    pub rtp_ports_free: usize,
    /// Redis answers and livekit-server has served at least one call of ours.
    pub bus_connected: bool,
    /// Why the engine takes no calls, if it is another program than the gateway itself.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub trouble: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LegView {
    pub lk_call_id: String,
    pub sip_call_id: String,
    pub correlation_id: CorrelationId,
    pub direction: Direction,
    pub room: String,
    pub identity: String,
    pub state: LegState,
    pub codec: Option<String>,
    /// Identities of everybody else in the room; none while it is not joined, or lost.
    #[serde(default)]
    pub others: Option<Vec<String>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    Inbound,
    Outbound,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LegState {
    Dialing,
    Ringing,
    Active,
    Held,
    Ended,
}

/// `POST /v1/legs/{lk_call_id}/reject`
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Reject {
    /// 300 to 699.
    pub code: u16,
    pub reason: Option<String>,
}

/// `POST /v1/legs/{lk_call_id}/report`: how it goes with whoever takes the phone's place. After a 2xx the phone leaves.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    pub code: u16,
}

/// `POST /v1/legs/{lk_call_id}/ring-back`: the phone hears ringing instead of its room, or the room again.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct RingBack {
    pub on: bool,
}

/// `POST /v1/legs/{lk_call_id}/move`: leave the room, go on in another as somebody else there.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Move {
    pub room: String,
    pub identity: String,
}

/// `POST /v1/legs/{lk_call_id}/dtmf`
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Dtmf {
    /// `0-9 * # A-D`
    pub digits: String,
}

/// [`Refusal::code`], with 501, of what the chosen SIP engine cannot do.
pub const NOT_AVAILABLE: &str = "not_available";

/// Why the gateway did not do it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Refusal {
    pub code: String,
    pub detail: String,
}
