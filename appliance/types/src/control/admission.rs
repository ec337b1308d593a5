//! What a phone wants that the control plane decides about.

use crate::{CorrelationId, ExtensionId};
use serde::{Deserialize, Serialize};

/// What the gateway knows of an INVITE when it asks whether to let it in.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AdmissionRequest {
    pub correlation_id: CorrelationId,
    pub leg: InboundLeg,
}

/// An inbound INVITE.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct InboundLeg {
    /// LiveKit's call id, `SCL_…`; also the key of all leg commands.
    pub lk_call_id: String,
    /// The SIP Call-ID header.
    pub sip_call_id: String,
    /// LiveKit's id of the trunk that let it in (`ST_…`); none when no trunk matched.
    pub lk_trunk_id: Option<String>,
    /// User part of From.
    pub from: String,
    /// User part of the Request-URI, as dialled.
    pub to: String,
    /// Where it came from, `ip:port`.
    pub source: String,
    /// `udp`, `tcp`, `tls` or `wss`.
    pub transport: String,
    /// Whose phone it is: it has proved its password. Such a call comes by no trunk.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub extension_id: Option<ExtensionId>,
}

/// The control plane's word on an INVITE. Of a trunk's caller, anything but `reject`, or no answer in 300 ms, lets
/// it in. A phone of ours needs `join`: LiveKit has no rule for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "decision", rename_all = "snake_case")]
pub enum Admission {
    Continue,
    Reject {
        code: u16,
        reason: String,
    },
    /// Into which room, and as whom.
    Join {
        room: String,
        identity: String,
        name: String,
    },
}

/// A phone sent REFER within a call: may somebody take its place?
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ReferralRequest {
    /// The phone's leg.
    pub lk_call_id: String,
    /// Whose desk phone it is, proven by its registration or its password; a carrier has none.
    pub extension_id: Option<ExtensionId>,
    /// Whom to call, as dialled.
    pub to: String,
    /// Another leg of ours whose other end is meant (`Replaces`, RFC 3891).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub replaces: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "decision", rename_all = "snake_case")]
pub enum ReferralAnswer {
    /// [`super::Report`]s follow.
    Accepted,
    /// With this SIP code.
    Refused { code: u16 },
}
