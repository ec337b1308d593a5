//! What livekit-server asks a SIP gateway: file `rpc/sip.proto`, package `rpc`, service `SIPInternal`.

use super::{
    Destination, Duration, SipMediaConfig, SipNamedDest, SipRequestDest, SipStatus, SipTransferReason,
    SipTransferStatus,
};
use std::{collections::HashMap, fmt};

/// `rpc.InternalCreateSIPParticipantRequest`: dial somebody into a room. Trunk and API request are
/// already merged; call [`upgrade`](Self::upgrade) before reading `media`.
#[derive(Clone, PartialEq, prost::Message)]
#[prost(skip_debug)]
pub struct InternalCreateSipParticipantRequest {
    /// Where the INVITE goes: an address or a host name, perhaps with a port.
    #[prost(string, tag = "2")]
    pub address: String,
    /// The number we call from.
    #[prost(string, tag = "3")]
    pub number: String,
    /// The number we call.
    #[prost(string, tag = "4")]
    pub call_to: String,
    #[prost(string, tag = "5")]
    pub username: String,
    #[prost(string, tag = "6")]
    pub password: String,
    #[prost(string, tag = "7")]
    pub room_name: String,
    #[prost(string, tag = "8")]
    pub participant_identity: String,
    /// Empty: the gateway signs one itself.
    #[prost(string, tag = "9")]
    pub token: String,
    /// Empty: the configured one.
    #[prost(string, tag = "10")]
    pub ws_url: String,
    /// Digits to send after the answer; `w` waits half a second.
    #[prost(string, tag = "11")]
    pub dtmf: String,
    /// A ringing tone for those in the room.
    #[prost(bool, tag = "12")]
    pub play_dialtone: bool,
    /// `SCL_…`, made by livekit-server.
    #[prost(string, tag = "13")]
    pub sip_call_id: String,
    #[prost(string, tag = "14")]
    pub participant_name: String,
    #[prost(string, tag = "15")]
    pub participant_metadata: String,
    #[prost(enumeration = "super::SipTransport", tag = "16")]
    pub transport: i32,
    #[prost(map = "string, string", tag = "17")]
    pub participant_attributes: HashMap<String, String>,
    #[prost(string, tag = "18")]
    pub project_id: String,
    #[prost(string, tag = "19")]
    pub sip_trunk_id: String,
    /// Host of the From header.
    #[prost(string, tag = "20")]
    pub hostname: String,
    #[prost(map = "string, string", tag = "21")]
    pub headers: HashMap<String, String>,
    #[prost(map = "string, string", tag = "22")]
    pub headers_to_attributes: HashMap<String, String>,
    #[prost(message, optional, tag = "23")]
    pub ringing_timeout: Option<Duration>,
    #[prost(message, optional, tag = "24")]
    pub max_call_duration: Option<Duration>,
    #[prost(enumeration = "super::SipFeature", repeated, tag = "25")]
    pub enabled_features: Vec<i32>,
    #[prost(map = "string, string", tag = "26")]
    pub attributes_to_headers: HashMap<String, String>,
    #[prost(enumeration = "super::SipHeaderOptions", tag = "27")]
    pub include_headers: i32,
    /// Deprecated, see `media`.
    #[prost(enumeration = "super::SipMediaEncryption", tag = "28")]
    pub media_encryption: i32,
    #[prost(bool, tag = "29")]
    pub wait_until_answered: bool,
    #[prost(string, tag = "30")]
    pub destination_country: String,
    /// None: the number; empty: no display name at all.
    #[prost(string, optional, tag = "31")]
    pub display_name: Option<String>,
    #[prost(message, optional, tag = "32")]
    pub destination: Option<Destination>,
    #[prost(map = "string, string", tag = "33")]
    pub feature_flags: HashMap<String, String>,
    #[prost(message, optional, tag = "34")]
    pub media: Option<SipMediaConfig>,
    #[prost(message, optional, tag = "35")]
    pub sip_request_uri: Option<SipRequestDest>,
    #[prost(message, optional, tag = "36")]
    pub sip_from_header: Option<SipNamedDest>,
    #[prost(message, optional, tag = "37")]
    pub sip_to_header: Option<SipNamedDest>,
    /// The user part of To. Newer servers only.
    #[prost(string, tag = "39")]
    pub to_user_override: String,
}

impl InternalCreateSipParticipantRequest {
    /// Moves `media_encryption` into `media`.
    pub fn upgrade(&mut self) {
        self.media = Some(super::upgraded_media(self.media.take(), self.media_encryption));
    }
}

impl fmt::Debug for InternalCreateSipParticipantRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InternalCreateSipParticipantRequest")
            .field("sip_call_id", &self.sip_call_id)
            .field("sip_trunk_id", &self.sip_trunk_id)
            .field("address", &self.address)
            .field("room_name", &self.room_name)
            .field("wait_until_answered", &self.wait_until_answered)
            .finish_non_exhaustive()
    }
}

/// `rpc.InternalCreateSIPParticipantResponse`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct InternalCreateSipParticipantResponse {
    #[prost(string, tag = "1")]
    pub participant_id: String,
    #[prost(string, tag = "2")]
    pub participant_identity: String,
    #[prost(string, tag = "3")]
    pub sip_call_id: String,
}

/// `rpc.InternalTransferSIPParticipantRequest`: send REFER.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct InternalTransferSipParticipantRequest {
    #[prost(string, tag = "1")]
    pub sip_call_id: String,
    #[prost(string, tag = "2")]
    pub transfer_to: String,
    #[prost(bool, tag = "3")]
    pub play_dialtone: bool,
    #[prost(map = "string, string", tag = "4")]
    pub headers: HashMap<String, String>,
    #[prost(message, optional, tag = "5")]
    pub ringing_timeout: Option<Duration>,
    #[prost(map = "string, string", tag = "6")]
    pub feature_flags: HashMap<String, String>,
}

/// `rpc.InternalTransferSIPParticipantResponse`; older servers expect `Empty` and read it as that.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct InternalTransferSipParticipantResponse {
    #[prost(string, tag = "1")]
    pub transfer_id: String,
    #[prost(enumeration = "SipTransferStatus", tag = "2")]
    pub status: i32,
    #[prost(enumeration = "SipTransferReason", tag = "3")]
    pub reason: i32,
    #[prost(message, optional, tag = "4")]
    pub sip_status: Option<SipStatus>,
}
