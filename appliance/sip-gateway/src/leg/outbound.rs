//! A phone that livekit-server asks us to dial into a room.

use super::{
    Leg, MAX_DURATION, RINGING_TIMEOUT,
    phone::Phone,
    rejoin::rejoin,
    room::{self, RoomLink, Seat},
};
use crate::{
    gateway::Gateway,
    leg_state::{LegState, Limits, UNANSWERED},
    media_thread::NewLeg,
    participant::{self, Participant},
    transfer,
};
use livekit::{
    proto::sip::InternalCreateSipParticipantRequest,
    psrpc::{ErrorCode, RpcError},
};
use media::sdp::{Encryption, MediaSession};
use sip::{OutboundCall, OutboundInvite, Transport};
use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Instant,
};
use tokio::sync::{mpsc, oneshot};
use types::{
    CorrelationId, ExtensionId,
    control::{Direction, Event, LegEndCause, LegState as Shown, LegStats, LegView, PHONES_HOST},
};

/// The participant's sid, or how the leg ended first.
pub type Outcome = Result<String, (LegEndCause, Option<u16>)>;

/// A leg that dials, and who to ask for its outcome.
pub struct Dialing {
    pub leg: Leg,
    pub joined: oneshot::Receiver<Outcome>,
    pub answered: oneshot::Receiver<Outcome>,
}

/// Sends the INVITEs, of which one may be answered, and begins to join the room.
pub async fn dial(
    gateway: &Arc<Gateway>,
    request: InternalCreateSipParticipantRequest,
    mut invites: Vec<OutboundInvite>,
    peer: IpAddr,
) -> Result<Dialing, RpcError> {
    let unavailable = |what: &str, error: &dyn std::fmt::Display| RpcError::unavailable(format!("{what}: {error}"));
    let (phone, port) = gateway.phone_sockets().map_err(|error| {
        RpcError::new(ErrorCode::ResourceExhausted, error.to_string()).with_sip_status(503, "Service Unavailable")
    })?;
    let room_socket =
        room::room_socket(gateway).await.map_err(|error| unavailable("no socket towards the room", &error))?;
    let address = SocketAddr::new(gateway.addresses.media_towards(peer), port.number);
    let secure = invites.iter().all(|invite| transport_of(invite).is_some_and(Transport::is_secret));
    let encryption = encryption(&request, secure);
    let codecs = participant::codecs(request.media.as_ref(), &gateway.config.codecs);
    let codecs = if invites.iter().all(to_browser) { participant::opus_first(codecs) } else { codecs };
    // What the room gets is said before the phone answers: our favourite, which most phones take.
    let hoped = codecs.first().copied().ok_or_else(|| {
        RpcError::new(ErrorCode::InvalidArgument, "the trunk's media lists no codec that this gateway knows")
    })?;
    let mut sdp =
        MediaSession::new(super::local_media(gateway, address, codecs, encryption), rand::random::<u32>().into());
    let offers = Offers::of(&mut sdp, secure, invites.iter().any(to_browser));
    gateway.metrics.offer(&offers.usual);
    for invite in &mut invites {
        offers.give(invite);
        invite.from_tag = Some(request.sip_call_id.clone());
    }
    let to = invites.first().map(|invite| invite.request_uri.clone()).unwrap_or_default();
    let call =
        gateway.endpoint.invite_all(invites).await.map_err(|error| unavailable("the call cannot be sent", &error))?;

    let seat = Seat {
        participant: Participant::of_outbound(&request, call.call_id()),
        room: request.room_name.clone(),
        ws_url: Some(request.ws_url.clone()).filter(|url| !url.is_empty()),
    };
    let codecs = vec![super::room_codec(hoped)];
    let options =
        room::join_options(gateway, &seat, codecs).map_err(|error| unavailable("the room cannot be joined", &error))?;
    let extension_id = phone_of(&request);
    let transfers = transfer::serve(gateway, &request.sip_call_id).await;
    let correlation_id = correlation_of(&seat.participant);
    let commands = gateway.legs.enter(view(&request, &call, &correlation_id));
    gateway.traces.is_call(&request.sip_call_id, call.call_id());
    let dialing = Event::OutboundDialing {
        lk_call_id: request.sip_call_id.clone(),
        sip_call_id: call.call_id().to_owned(),
        lk_trunk_id: Some(request.sip_trunk_id.clone()).filter(|id| !id.is_empty()),
        room: request.room_name.clone(),
        identity: request.participant_identity.clone(),
        to,
    };
    gateway.spool.append(Some(&correlation_id), dialing);
    tracing::info!(%correlation_id, call.id = %request.sip_call_id, room = %request.room_name, "outbound call");
    let (events, media_events) = mpsc::unbounded_channel();
    let media_timeout = participant::media_timeout(request.media.as_ref());
    let media = gateway.media.add(NewLeg::new(gateway, peer, phone, room_socket, Some(options), media_timeout, events));
    let (on_joined, joined) = oneshot::channel();
    let (on_answered, answered) = oneshot::channel();
    let leg = Leg {
        gateway: gateway.clone(),
        correlation_id,
        lk_call_id: request.sip_call_id.clone(),
        state: LegState::outbound(limits(&request), Instant::now()),
        phone: Phone::Callee(call),
        sdp,
        early_answer: None,
        answer: None,
        answer_headers: Vec::new(),
        include_headers: request.include_headers(),
        attributes_to_headers: request.attributes_to_headers,
        hang_up_at: None,
        bye_headers: Vec::new(),
        remote_headers: Vec::new(),
        lobby: None,
        refusal: None,
        codec: String::new(),
        room: RoomLink::default(),
        rejoin: rejoin(gateway),
        audience: Default::default(),
        media,
        media_events,
        commands,
        on_joined: Some(on_joined),
        on_answered: Some(on_answered),
        ringing_event: Some(Event::OutboundRinging { lk_call_id: request.sip_call_id.clone() }),
        attributes: seat.participant.attributes.clone(),
        seat,
        digits_after_answer: request.dtmf,
        automation: false,
        dialtone: request.play_dialtone,
        headers_to_attributes: request.headers_to_attributes,
        extension_id,
        referral: None,
        transfer: None,
        stats: LegStats::default(),
        _transfers: transfers,
        port,
    };
    Ok(Dialing { leg, joined, answered })
}

/// Whose registered phones are rung.
fn phone_of(request: &InternalCreateSipParticipantRequest) -> Option<ExtensionId> {
    (request.address == PHONES_HOST).then(|| request.call_to.parse().ok())?
}

/// What phones are offered; they may differ in what they can take.
struct Offers {
    usual: Vec<u8>,
    /// For whoever refuses the usual one.
    second: Option<Vec<u8>>,
    /// For phones in browsers.
    browser: Option<Vec<u8>>,
}

impl Offers {
    /// Phones that all registered by TLS get their audio encrypted if they can.
    fn of(sdp: &mut MediaSession, secure: bool, browsers: bool) -> Self {
        let browser = browsers.then(|| sdp.offer_to_browser());
        let secured = secure.then(|| sdp.offer_secured());
        let open = sdp.offer();
        match secured {
            Some(usual) => Self { usual, second: Some(open), browser },
            None => Self { usual: open, second: None, browser },
        }
    }

    fn give(&self, invite: &mut OutboundInvite) {
        (invite.sdp, invite.second_sdp) = match &self.browser {
            Some(browser) if to_browser(invite) => (Some(browser.clone()), Some(self.usual.clone())),
            _ => (Some(self.usual.clone()), self.second.clone()),
        };
    }
}

fn transport_of(invite: &OutboundInvite) -> Option<Transport> {
    invite.contact.as_ref().map(|contact| contact.transport)
}

fn to_browser(invite: &OutboundInvite) -> bool {
    transport_of(invite) == Some(Transport::Wss)
}

fn encryption(request: &InternalCreateSipParticipantRequest, secure: bool) -> Encryption {
    match participant::encryption(request.media.as_ref()) {
        Encryption::Off if secure => participant::encryption_if_wanted(),
        asked => asked,
    }
}

fn limits(request: &InternalCreateSipParticipantRequest) -> Limits {
    Limits {
        ringing: request.ringing_timeout.and_then(participant::positive).unwrap_or(RINGING_TIMEOUT),
        duration: request.max_call_duration.and_then(participant::positive).unwrap_or(MAX_DURATION).min(MAX_DURATION),
        unanswered: UNANSWERED,
    }
}

/// Our control plane hands its correlation id over as an attribute; others get a fresh one.
fn correlation_of(participant: &Participant) -> CorrelationId {
    match participant.attributes.get("scaibox.correlation_id") {
        Some(id) => CorrelationId::adopt(id),
        None => CorrelationId::new(),
    }
}

fn view(request: &InternalCreateSipParticipantRequest, call: &OutboundCall, correlation_id: &CorrelationId) -> LegView {
    LegView {
        lk_call_id: request.sip_call_id.clone(),
        sip_call_id: call.call_id().to_owned(),
        correlation_id: correlation_id.clone(),
        direction: Direction::Outbound,
        room: request.room_name.clone(),
        identity: request.participant_identity.clone(),
        state: Shown::Dialing,
        codec: None,
        others: None,
    }
}
