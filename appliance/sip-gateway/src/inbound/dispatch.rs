//! What did livekit-server say about a caller, and what do we tell it?

use crate::participant::{self, Participant};
use livekit::proto::{
    SipTransport, SipUri,
    io::{EvaluateSipDispatchRulesRequest, EvaluateSipDispatchRulesResponse},
};
use media::sdp::Encryption;
use sip::InviteInfo;
use std::{collections::HashMap, time::Duration};
use types::control::InboundLeg;

/// Where a caller gets.
pub enum Found {
    Room(Box<Dispatch>),
    /// To the door: the rule wants a PIN. With the request that said none, to ask again.
    Door {
        request: Box<EvaluateSipDispatchRulesRequest>,
        encryption: Encryption,
        media_timeout: Option<Duration>,
    },
}

impl Found {
    pub fn encryption(&self) -> Encryption {
        match self {
            Self::Room(dispatch) => dispatch.encryption.clone(),
            Self::Door { encryption, .. } => encryption.clone(),
        }
    }

    /// How long the phone may send nothing.
    pub fn media_timeout(&self) -> Option<Duration> {
        match self {
            Self::Room(dispatch) => dispatch.media_timeout,
            Self::Door { media_timeout, .. } => *media_timeout,
        }
    }
}

/// What LiveKit said about a caller that is let in.
pub struct Dispatch {
    pub participant: Participant,
    pub room: String,
    pub rule_id: Option<String>,
    pub headers: Vec<(String, String)>,
    pub attributes_to_headers: HashMap<String, String>,
    pub ringing_timeout: Option<Duration>,
    /// The refusal when it passes, if not ours. Newer servers say it.
    pub unanswered: Option<u16>,
    pub max_duration: Option<Duration>,
    /// Any address of livekit-server but the configured one.
    pub ws_url: Option<String>,
    pub encryption: Encryption,
    /// Any but the configured one.
    pub media_timeout: Option<Duration>,
    /// Nobody in the room may learn the caller's number.
    pub hidden: bool,
}

/// What a rule's answer means for this call.
pub fn dispatch_of(answer: EvaluateSipDispatchRulesResponse, leg: &InboundLeg, invite: &InviteInfo) -> Dispatch {
    let some = |text: String| Some(text).filter(|text| !text.is_empty());
    Dispatch {
        participant: Participant::of_inbound(&answer, leg, invite),
        hidden: participant::hides_number(&answer),
        room: answer.room_name,
        rule_id: some(answer.sip_dispatch_rule_id),
        headers: answer.headers.into_iter().collect(),
        attributes_to_headers: answer.attributes_to_headers,
        ringing_timeout: answer.ringing_timeout.and_then(participant::positive),
        unanswered: u16::try_from(answer.ringing_timeout_status).ok().filter(|code| (400..700).contains(code)),
        max_duration: answer.max_call_duration.and_then(participant::positive),
        ws_url: some(answer.ws_url),
        encryption: participant::encryption(answer.media.as_ref()),
        media_timeout: participant::media_timeout(answer.media.as_ref()),
    }
}

pub(super) fn leg_of(info: &InviteInfo, lk_call_id: String) -> InboundLeg {
    InboundLeg {
        lk_call_id,
        sip_call_id: info.call_id.clone(),
        lk_trunk_id: None,
        from: info.from_user.clone(),
        to: if info.to_user.is_empty() { info.request_user.clone() } else { info.to_user.clone() },
        source: info.source.to_string(),
        transport: info.transport.name().to_lowercase(),
        extension_id: None,
    }
}

/// A SIP URI in livekit-server's form.
pub(super) fn uri_of(text: &str) -> Option<SipUri> {
    let uri = sip::uri::SipUri::parse(text)?;
    Some(SipUri {
        user: uri.user,
        ip: uri.host.parse::<std::net::IpAddr>().map(|ip| ip.to_string()).unwrap_or_default(),
        host: uri.host,
        port: uri.port.unwrap_or_default().into(),
        transport: SipTransport::Auto as i32,
    })
}
