//! What happened, in the words of the daemons that saw it.

use super::{InboundLeg, LegEnd, RegistrationView};
use crate::{CallId, CorrelationId, ExtensionId, TenantId, VoicemailId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// Events in order of `seq`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EventBatch {
    /// `sip-gateway` or `voice-worker`.
    pub source: String,
    /// One spool; `seq` counts from 1 within it.
    pub instance: String,
    pub events: Vec<Envelope>,
}

/// One event with its place in the spool.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Envelope {
    pub seq: u64,
    pub at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub correlation_id: Option<CorrelationId>,
    pub event: Event,
}

/// Everything up to and including `through` is stored and need not come again.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct EventsAccepted {
    pub through: u64,
}

/// What happened.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event {
    /// A new spool; calls of an older instance of this source that are not in its `legs` are gone.
    Started {
        legs: Vec<String>,
    },
    /// An INVITE that never became a call in a room.
    InboundRefused {
        leg: InboundLeg,
        outcome: InboundOutcome,
        sip_code: Option<u16>,
        detail: String,
    },
    /// The caller is in the room and hears ringing.
    InboundRinging {
        leg: InboundLeg,
        room: String,
        identity: String,
        dispatch_rule_id: Option<String>,
    },
    /// We dial somebody for a room.
    OutboundDialing {
        lk_call_id: String,
        sip_call_id: String,
        lk_trunk_id: Option<String>,
        room: String,
        identity: String,
        to: String,
    },
    /// The far end rings.
    OutboundRinging {
        lk_call_id: String,
    },
    /// 200 OK was sent (inbound) or got (outbound).
    LegAnswered {
        lk_call_id: String,
        codec: String,
    },
    /// Another phone has taken the place of the leg's own (RFC 3891).
    LegTakenOver {
        lk_call_id: String,
        sip_call_id: String,
        /// Its user part of From.
        from: String,
    },
    LegHeld {
        lk_call_id: String,
        by_peer: bool,
    },
    LegUnheld {
        lk_call_id: String,
        by_peer: bool,
    },
    /// The last event of a leg.
    LegEnded {
        lk_call_id: String,
        end: LegEnd,
    },
    RegistrationChanged {
        registration: RegistrationView,
    },
    /// Too many wrong passwords came from there within ten minutes.
    AddressOffended {
        address: IpAddr,
        failures: usize,
    },
    /// A voice job has joined its room.
    JobStarted {
        call_id: CallId,
        task: String,
    },
    /// A message is recorded and stored (or spooled for upload; `stored` tells).
    VoicemailRecorded {
        voicemail: RecordedVoicemail,
    },
    /// An announcement was spoken to its end.
    MessagePlayed {
        call_id: CallId,
    },
    JobFailed {
        call_id: CallId,
        task: String,
        detail: String,
    },
}

/// Why an INVITE got no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InboundOutcome {
    /// No LiveKit trunk takes this number from this address.
    NoTrunk,
    /// Wrong or missing digest credentials.
    Unauthorized,
    /// `control-api` rejected it at admission.
    NotAdmitted,
    /// LiveKit's dispatch rules rejected it.
    Rejected,
    /// LiveKit said to stay silent.
    Dropped,
    /// No common codec, or a bad session description.
    BadOffer,
    /// LiveKit or Redis could not be asked.
    Unavailable,
    /// No free media port, or too many calls.
    LimitReached,
    /// The caller gave up before the room was joined.
    Cancelled,
}

/// A message that a caller left.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RecordedVoicemail {
    pub voicemail_id: VoicemailId,
    pub call_id: CallId,
    pub tenant_id: TenantId,
    pub extension_id: Option<ExtensionId>,
    pub caller: String,
    pub received_at: Timestamp,
    pub duration_ms: u64,
    pub object_key: String,
    pub bytes: u64,
    /// False while the recording waits in the spool for S3; the event is repeated with `true` later.
    pub stored: bool,
    /// `hangup`, `silence`, `digit`, `limit` or `recovered` (after a crash of voice-worker).
    pub ended_by: String,
}
