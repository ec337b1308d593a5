//! What the daemons say to each other over Unix sockets (HTTP/1.1, JSON, version 1).
//!
//! `control-api` listens on `run/control.sock`:
//! - `POST /internal/v1/admission` ([`AdmissionRequest`] -> [`Admission`]), asked by `sip-gateway`
//! - `POST /internal/v1/events` ([`EventBatch`] -> [`EventsAccepted`]), from `sip-gateway` and `voice-worker`
//! - `POST /internal/v1/referral` ([`ReferralRequest`] -> [`ReferralAnswer`]), asked by `sip-gateway`
//!
//! `sip-gateway` listens on `run/gateway.sock`:
//! - `GET  /v1/health` -> [`GatewayHealth`], `GET /v1/legs` -> `[`[`LegView`]`]`
//! - `PUT  /v1/registrations` ([`RegistrationSet`]: all of them, the desired state) and `GET` -> `[`[`RegistrationView`]`]`
//! - `POST /v1/registrations/{trunk_id}/refresh`: register now
//! - `PUT  /v1/phones` ([`PhoneSet`]: all that may register, -> how many) and `GET /v1/phones/{extension_id}` -> `[`[`PhoneContact`]`]`
//! - `POST /v1/options` ([`OptionsRequest`] -> [`OptionsAnswer`]): is anybody there?
//! - `POST /v1/look-up` ([`LookUp`] -> [`LookedUp`]): where do requests for a server go?
//! - `POST /v1/probe` ([`crate::probe::ProbeRequest`] -> [`crate::probe::ProbeReport`]): what is this carrier able to do?
//! - `POST /v1/legs/{lk_call_id}/answer`, `/reject` ([`Reject`]), `/hangup`, `/hold`, `/unhold`, `/dtmf` ([`Dtmf`]),
//!   `/report` ([`Report`]), `/ring-back` ([`RingBack`]), `/move` ([`Move`]) -> 204,
//!   or [`Refusal`] with 404 (`leg_not_found`) or 409 (`leg_already_ended`, `leg_already_answered`, `leg_not_answered`)
//! - `GET  /v1/legs/{lk_call_id}/trace` -> [`crate::trace::LegTrace`]: what was said, also of legs that have ended
//! - whatever another SIP engine than the gateway's own cannot do: [`Refusal`] with 501 ([`NOT_AVAILABLE`])
//!
//! Events carry a sequence number per `instance` (one start of a daemon's spool directory is one
//! instance); the sender repeats a batch until [`EventsAccepted::through`] covers it, so a receiver
//! must take the same event twice without harm.

use crate::{CallId, CorrelationId, ExtensionId, Redacted, TenantId, TrunkId, VoicemailId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

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

/// `POST /v1/legs/{lk_call_id}/reject`
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Reject {
    /// 300 to 699.
    pub code: u16,
    pub reason: Option<String>,
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
    /// [`Report`]s follow.
    Accepted,
    /// With this SIP code.
    Refused { code: u16 },
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

/// All registrations that should exist; what is not in it is unregistered.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RegistrationSet {
    pub registrations: Vec<RegistrationSpec>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RegistrationSpec {
    pub trunk_id: TrunkId,
    /// `host` or `host:port`.
    pub server: String,
    /// `udp`, `tcp` or `tls`.
    pub transport: String,
    pub username: String,
    pub password: Redacted<String>,
    /// Asked-for lifetime in seconds.
    pub expires_s: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RegistrationView {
    pub trunk_id: TrunkId,
    pub state: RegistrationState,
    pub expires_at: Option<Timestamp>,
    pub last_response: Option<SipAnswer>,
    /// Failed tries since the last success.
    pub failures: u32,
    pub next_try_at: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RegistrationState {
    /// The first REGISTER is not answered yet.
    Registering,
    Registered,
    /// The last try failed; another follows.
    Failed,
    /// The SIP engine registers nowhere.
    NotAvailable,
}

/// A peer's own words. `code` is 408 when nothing came back, 503 when the name did not resolve.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SipAnswer {
    pub code: u16,
    pub reason: String,
}

/// All desk phones that may register; the contacts of others are forgotten.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PhoneSet {
    pub phones: Vec<PhoneAccount>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PhoneAccount {
    pub extension_id: ExtensionId,
    /// Unique on the box.
    pub username: String,
    pub password: Redacted<String>,
}

/// A phone that is registered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PhoneContact {
    /// Its own Contact.
    pub uri: String,
    /// Where it is seen from, `ip:port`.
    pub source: String,
    /// `udp`, `tcp`, `tls` or `wss`.
    pub transport: String,
    pub user_agent: Option<String>,
    pub expires_at: Timestamp,
}

/// The host of a SIP URI whose user part is an extension id: the phones that are registered for it. A
/// name that no resolver may know (RFC 6761 section 6.4).
pub const PHONES_HOST: &str = "phones.scaibox.invalid";

/// The SIP URI of all phones that are registered for an extension.
pub fn phones_uri(extension: ExtensionId) -> String {
    format!("sip:{extension}@{PHONES_HOST}")
}

/// The user part of such a URI; `None` for a URI of any other host.
pub fn phones_of(uri: &str) -> Option<&str> {
    let (user, place) = uri.split_once(':')?.1.split_once('@')?;
    let host = place.split([':', ';']).next()?;
    host.eq_ignore_ascii_case(PHONES_HOST).then_some(user)
}

/// Ask a peer for its abilities (RFC 3261 section 11), only to see whether it answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OptionsRequest {
    /// `host` or `host:port`.
    pub server: String,
    /// `udp`, `tcp` or `tls`.
    pub transport: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OptionsAnswer {
    /// The peer said something, whatever it was. Otherwise `reason` says why it could not.
    pub answered: bool,
    pub code: u16,
    pub reason: String,
}

/// Where do requests for this server go (RFC 3263)?
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LookUp {
    /// `host` or `host:port`.
    pub server: String,
    /// `udp`, `tcp` or `tls`.
    pub transport: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LookedUp {
    /// Empty when the name leads nowhere.
    pub addresses: Vec<IpAddr>,
}

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

/// Metadata of an agent dispatch to `voice-worker` (agent name [`VOICE_AGENT`]); also given to bots of any other worker.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct JobMetadata {
    pub call_id: CallId,
    pub tenant_id: TenantId,
    pub correlation_id: CorrelationId,
    /// Participant identity of the caller's leg.
    pub caller_identity: String,
    /// The caller's number, for the record.
    pub caller: String,
    pub task: JobTask,
}

/// The agent name that `voice-worker` registers.
pub const VOICE_AGENT: &str = "scaibox-voice";

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum JobTask {
    Voicemail {
        voicemail_id: VoicemailId,
        extension_id: Option<ExtensionId>,
        /// Spoken before the beep.
        greeting: String,
        voice: Option<String>,
        /// Where the Ogg Opus goes in the bucket.
        object_key: String,
        /// At most this long; 300 by default.
        max_s: u32,
        /// Ends after this much silence; 10 by default.
        silence_s: u32,
    },
    PlayMessage {
        text: String,
        voice: Option<String>,
    },
    /// For other workers than ours.
    Bot {
        bot_id: crate::BotId,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registered_phones_are_known_by_their_host_in_any_spelling_and_by_no_other() {
        let extension = ExtensionId::new();
        assert_eq!(phones_of(&phones_uri(extension)), Some(extension.to_string().as_str()));
        for spelling in ["sip:x@PHONES.scaibox.invalid", "sips:x@phones.scaibox.invalid:5060;transport=tcp"] {
            assert_eq!(phones_of(spelling), Some("x"), "{spelling}");
        }
        for other in ["sip:x@phones.scaibox.invalid.example", "sip:phones.scaibox.invalid", "sip:x@h", "+31201234567"] {
            assert_eq!(phones_of(other), None, "{other}");
        }
    }
}
