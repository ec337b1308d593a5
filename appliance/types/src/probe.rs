//! What does a carrier do when it is tried out?
//!
//! `POST /v1/probe` of `sip-gateway`'s socket ([`ProbeRequest`] -> [`ProbeReport`]): the steps in their order, what each
//! sent and saw, and what is wrong with the carrier, by name. A step whose ground is missing is skipped and says why.

use crate::Redacted;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A carrier, as a trunk describes it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ProbeRequest {
    /// `host` or `host:port`.
    pub server: String,
    /// `udp`, `tcp` or `tls`.
    pub transport: String,
    pub username: Option<String>,
    pub password: Option<Redacted<String>>,
    /// Does the trunk want to be registered?
    pub register: bool,
    /// `disable`, `allow` or `require`.
    pub media_encryption: String,
    /// Whom to call; nobody without it.
    pub number: Option<String>,
    /// As whom.
    pub caller: Option<String>,
}

/// All steps of a probe, in order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ProbeReport {
    /// The worst of the steps that were not skipped.
    pub outcome: ProbeOutcome,
    /// Everything that is wrong, once each.
    pub defects: Vec<Defect>,
    pub steps: Vec<ProbeStep>,
    /// The call, if there was one.
    pub call: Option<ProbeCall>,
    pub took_ms: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ProbeStep {
    pub name: ProbeStepName,
    pub outcome: ProbeOutcome,
    /// What was asked of the carrier; never a secret.
    pub sent: String,
    /// What came back, or why the step was skipped.
    pub saw: String,
    pub defects: Vec<Defect>,
    /// What to do about it.
    pub hint: Option<String>,
    pub took_ms: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProbeStepName {
    /// NAPTR, SRV, A and AAAA records.
    Dns,
    /// A connection.
    Transport,
    /// The certificate.
    Tls,
    Options,
    Register,
    /// INVITE, ringing, answer.
    Call,
    /// Both ways, by a coded tone.
    Audio,
    Hold,
    Dtmf,
    Refer,
}

/// From best to worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProbeOutcome {
    Skipped,
    Passed,
    /// Calls work, with less than there could be; or something could not be proved.
    Warning,
    Failed,
}

/// What can be wrong with a carrier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Defect {
    NameUnresolved,
    /// Its NAPTR records name other transports.
    TransportNotInNaptr,
    Unreachable,
    CertificateExpired,
    CertificateNotYetValid,
    CertificateForAnotherName,
    CertificateUntrusted,
    CertificateRefused,
    TlsFailed,
    OptionsUnanswered,
    /// Silent over UDP, there over TCP.
    TcpOnly,
    RegisterUnanswered,
    RegisterRefused,
    CredentialsRefused,
    /// 401 or 407 to every try, each time with a new nonce.
    ChallengeLoop,
    CallUnanswered,
    CallRefused,
    AnswerUnusable,
    /// 183 and never 180.
    NoRinging,
    /// Two answers to one INVITE.
    AnswerForked,
    /// It repeats its 200: our first ACK got lost.
    AckLost,
    ContactUnreachable,
    PrivateAddressInSdp,
    AudioFromElsewhere,
    NoAudio,
    /// Other frames than 20 ms.
    OddPtime,
    HoldRefused,
    /// The answer to `sendonly` says that it goes on sending.
    HoldIgnored,
    NoAudioAfterHold,
    NoTelephoneEvent,
    NoRefer,
    /// It hung up while it was tried out.
    CallDropped,
}

/// The record of a probe's call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ProbeCall {
    pub sip_call_id: String,
    /// As whom we called.
    pub caller: String,
    pub number: String,
    #[schema(value_type = String, format = DateTime)]
    pub started_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub answered_at: Option<Timestamp>,
    #[schema(value_type = String, format = DateTime)]
    pub ended_at: Timestamp,
    /// What ended it unanswered.
    pub sip_code: Option<u16>,
}
