//! What did livekit-server say about a caller, and what do we tell it?

use crate::{
    config::Config,
    participant::{self, Participant},
};
use livekit::proto::{
    SipMediaConfig, SipTransport, SipUri,
    io::{EvaluateSipDispatchRulesRequest, EvaluateSipDispatchRulesResponse},
};
use media::{codec::PhoneCodec, sdp::Encryption};
use sip::InviteInfo;
use std::{collections::HashMap, time::Duration};
use types::control::InboundLeg;

/// Where a caller gets.
pub enum Found {
    Room(Box<Dispatch>),
    /// To the door: the rule wants a PIN. With the request that said none, to ask again.
    Door {
        request: Box<EvaluateSipDispatchRulesRequest>,
        terms: Terms,
    },
}

impl Found {
    pub fn terms(&self) -> &Terms {
        match self {
            Self::Room(dispatch) => &dispatch.terms,
            Self::Door { terms, .. } => terms,
        }
    }
}

/// How a phone's audio is to be.
pub struct Terms {
    pub encryption: Encryption,
    /// What may be spoken, best first.
    pub codecs: Vec<PhoneCodec>,
    /// How long the phone may send nothing, if not as long as configured.
    pub media_timeout: Option<Duration>,
}

impl Terms {
    /// As the trunk or the rule says, and as we are configured where it does not.
    pub fn of(media: Option<&SipMediaConfig>, config: &Config) -> Self {
        Self {
            encryption: participant::encryption(media),
            codecs: participant::codecs(media, &config.codecs),
            media_timeout: participant::media_timeout(media),
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
    pub terms: Terms,
    /// Nobody in the room may learn the caller's number.
    pub hidden: bool,
}

/// What a rule's answer means for this call.
pub fn dispatch_of(
    answer: EvaluateSipDispatchRulesResponse,
    leg: &InboundLeg,
    invite: &InviteInfo,
    config: &Config,
) -> Dispatch {
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
        terms: Terms::of(answer.media.as_ref(), config),
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
