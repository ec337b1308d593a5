//! What a SIP gateway asks livekit-server: file `rpc/io.proto`, package `rpc`, service `IOInfo`.
//!
//! Fields that only LiveKit's cloud fills (project id, observability) are left out.

use super::{Duration, ProviderInfo, RoomConfiguration, SipCallInfo, SipMediaConfig, SipTransferInfo, SipUri};
use std::{collections::HashMap, fmt};

/// `rpc.SIPCall`: the call in question.
#[derive(Clone, PartialEq, prost::Message)]
pub struct SipCall {
    /// Ours, `SCL_…`.
    #[prost(string, tag = "1")]
    pub lk_call_id: String,
    /// Without a port.
    #[prost(string, tag = "2")]
    pub source_ip: String,
    /// The request URI of the INVITE.
    #[prost(message, optional, tag = "3")]
    pub address: Option<SipUri>,
    #[prost(message, optional, tag = "4")]
    pub from: Option<SipUri>,
    #[prost(message, optional, tag = "5")]
    pub to: Option<SipUri>,
    #[prost(message, repeated, tag = "6")]
    pub via: Vec<SipUri>,
    /// The Call-ID header.
    #[prost(string, tag = "7")]
    pub sip_call_id: String,
    #[prost(map = "string, string", tag = "9")]
    pub features: HashMap<String, String>,
}

/// `rpc.GetSIPTrunkAuthenticationRequest`; fields 2 to 7 are the deprecated flat form of `call`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct GetSipTrunkAuthenticationRequest {
    #[prost(string, tag = "2")]
    pub from: String,
    #[prost(string, tag = "3")]
    pub to: String,
    #[prost(string, tag = "4")]
    pub src_address: String,
    #[prost(string, tag = "5")]
    pub to_host: String,
    #[prost(string, tag = "6")]
    pub sip_call_id: String,
    #[prost(string, tag = "7")]
    pub from_host: String,
    #[prost(message, optional, tag = "8")]
    pub call: Option<SipCall>,
}

impl From<SipCall> for GetSipTrunkAuthenticationRequest {
    /// Fills the deprecated fields too, for servers that read nothing else.
    fn from(call: SipCall) -> Self {
        let (from, to) = (call.from.clone().unwrap_or_default(), call.to.clone().unwrap_or_default());
        Self {
            from: from.user,
            from_host: from.host,
            to: to.user,
            to_host: to.host,
            src_address: call.source_ip.clone(),
            sip_call_id: call.lk_call_id.clone(),
            call: Some(call),
        }
    }
}

/// `rpc.GetSIPTrunkAuthenticationResponse`. All empty means: no trunk, no authentication, go on.
#[derive(Clone, PartialEq, prost::Message)]
#[prost(skip_debug)]
pub struct GetSipTrunkAuthenticationResponse {
    #[prost(string, tag = "1")]
    pub username: String,
    #[prost(string, tag = "2")]
    pub password: String,
    #[prost(bool, tag = "3")]
    pub drop: bool,
    #[prost(string, tag = "4")]
    pub sip_trunk_id: String,
    #[prost(message, optional, tag = "6")]
    pub provider_info: Option<ProviderInfo>,
    #[prost(enumeration = "SipTrunkAuthenticationError", tag = "7")]
    pub error_code: i32,
    #[prost(map = "string, string", tag = "8")]
    pub feature_flags: HashMap<String, String>,
    #[prost(string, tag = "9")]
    pub realm: String,
}

impl fmt::Debug for GetSipTrunkAuthenticationResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GetSipTrunkAuthenticationResponse")
            .field("sip_trunk_id", &self.sip_trunk_id)
            .field("realm", &self.realm)
            .field("drop", &self.drop)
            .field("error_code", &self.error_code)
            .finish_non_exhaustive()
    }
}

/// `rpc.SIPTrunkAuthenticationError`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum SipTrunkAuthenticationError {
    None = 0,
    QuotaExceeded = 1,
    NoTrunkFound = 2,
    RouteNotAllowed = 3,
    Other = 255,
}

/// `rpc.EvaluateSIPDispatchRulesRequest`; fields 1 to 4, 7, 8 and 11 are the deprecated flat form.
#[derive(Clone, PartialEq, prost::Message)]
pub struct EvaluateSipDispatchRulesRequest {
    #[prost(string, tag = "1")]
    pub sip_participant_id: String,
    #[prost(string, tag = "2")]
    pub calling_number: String,
    #[prost(string, tag = "3")]
    pub called_number: String,
    #[prost(string, tag = "4")]
    pub src_address: String,
    #[prost(string, tag = "5")]
    pub pin: String,
    /// The caller typed no PIN; only rules without one may match.
    #[prost(bool, tag = "6")]
    pub no_pin: bool,
    #[prost(string, tag = "7")]
    pub called_host: String,
    #[prost(string, tag = "8")]
    pub sip_call_id: String,
    #[prost(map = "string, string", tag = "9")]
    pub extra_attributes: HashMap<String, String>,
    /// From the authentication, if a trunk matched.
    #[prost(string, tag = "10")]
    pub sip_trunk_id: String,
    #[prost(string, tag = "11")]
    pub calling_host: String,
    #[prost(message, optional, tag = "12")]
    pub call: Option<SipCall>,
}

impl EvaluateSipDispatchRulesRequest {
    /// A first request, without PIN; fills the deprecated fields too.
    pub fn new(call: SipCall, sip_trunk_id: impl Into<String>) -> Self {
        let (from, to) = (call.from.clone().unwrap_or_default(), call.to.clone().unwrap_or_default());
        Self {
            calling_number: from.user,
            calling_host: from.host,
            called_number: to.user,
            called_host: to.host,
            src_address: call.source_ip.clone(),
            sip_call_id: call.lk_call_id.clone(),
            sip_trunk_id: sip_trunk_id.into(),
            call: Some(call),
            ..Self::default()
        }
    }
}

/// `rpc.EvaluateSIPDispatchRulesResponse`; call [`upgrade`](Self::upgrade) before reading `media`.
#[derive(Clone, PartialEq, prost::Message)]
#[prost(skip_debug)]
pub struct EvaluateSipDispatchRulesResponse {
    #[prost(string, tag = "1")]
    pub room_name: String,
    #[prost(string, tag = "2")]
    pub participant_identity: String,
    /// Deprecated, see `result`.
    #[prost(bool, tag = "3")]
    pub request_pin: bool,
    /// Empty: the gateway signs one itself.
    #[prost(string, tag = "4")]
    pub token: String,
    /// Empty: the configured one.
    #[prost(string, tag = "5")]
    pub ws_url: String,
    #[prost(enumeration = "SipDispatchResult", tag = "6")]
    pub result: i32,
    #[prost(string, tag = "7")]
    pub participant_name: String,
    #[prost(string, tag = "8")]
    pub participant_metadata: String,
    #[prost(string, tag = "9")]
    pub sip_trunk_id: String,
    #[prost(string, tag = "10")]
    pub sip_dispatch_rule_id: String,
    #[prost(map = "string, string", tag = "11")]
    pub participant_attributes: HashMap<String, String>,
    #[prost(map = "string, string", tag = "13")]
    pub headers: HashMap<String, String>,
    #[prost(map = "string, string", tag = "14")]
    pub headers_to_attributes: HashMap<String, String>,
    #[prost(enumeration = "super::SipFeature", repeated, tag = "15")]
    pub enabled_features: Vec<i32>,
    #[prost(message, optional, tag = "16")]
    pub ringing_timeout: Option<Duration>,
    #[prost(message, optional, tag = "17")]
    pub max_call_duration: Option<Duration>,
    #[prost(map = "string, string", tag = "18")]
    pub attributes_to_headers: HashMap<String, String>,
    #[prost(enumeration = "super::SipHeaderOptions", tag = "19")]
    pub include_headers: i32,
    #[prost(string, tag = "20")]
    pub room_preset: String,
    #[prost(message, optional, tag = "21")]
    pub room_config: Option<RoomConfiguration>,
    /// Deprecated, see `media`.
    #[prost(enumeration = "super::SipMediaEncryption", tag = "22")]
    pub media_encryption: i32,
    #[prost(map = "string, string", tag = "23")]
    pub feature_flags: HashMap<String, String>,
    #[prost(message, optional, tag = "24")]
    pub media: Option<SipMediaConfig>,
    /// The SIP status when `ringing_timeout` passes; 0 is the gateway's own. Newer servers only.
    #[prost(enumeration = "super::SipStatusCode", tag = "25")]
    pub ringing_timeout_status: i32,
}

impl EvaluateSipDispatchRulesResponse {
    /// The result, old servers' form included.
    pub fn outcome(&self) -> SipDispatchResult {
        match self.result() {
            SipDispatchResult::LegacyAcceptOrPin if self.request_pin => SipDispatchResult::RequestPin,
            SipDispatchResult::LegacyAcceptOrPin => SipDispatchResult::Accept,
            result => result,
        }
    }

    /// Moves `media_encryption` into `media`.
    pub fn upgrade(&mut self) {
        self.media = Some(super::upgraded_media(self.media.take(), self.media_encryption));
    }
}

impl fmt::Debug for EvaluateSipDispatchRulesResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EvaluateSipDispatchRulesResponse")
            .field("result", &self.result())
            .field("room_name", &self.room_name)
            .field("sip_trunk_id", &self.sip_trunk_id)
            .field("sip_dispatch_rule_id", &self.sip_dispatch_rule_id)
            .finish_non_exhaustive()
    }
}

/// `rpc.SIPDispatchResult`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum SipDispatchResult {
    /// Old servers: look at `request_pin`.
    LegacyAcceptOrPin = 0,
    Accept = 1,
    RequestPin = 2,
    Reject = 3,
    /// Stay silent; the open-source server says this when no rule matches.
    Drop = 4,
}

/// `rpc.UpdateSIPCallStateRequest`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct UpdateSipCallStateRequest {
    #[prost(message, optional, tag = "1")]
    pub call_info: Option<SipCallInfo>,
    #[prost(message, optional, tag = "2")]
    pub transfer_info: Option<SipTransferInfo>,
}
