//! A caller that LiveKit and the control plane let in.

use super::{
    Leg,
    lobby::{Lobby, limits_of},
    media_changes::refusal_code,
    phone::Phone,
    rejoin::rejoin,
    room::{self, RoomLink, Seat},
};
use crate::{
    gateway::{Gateway, Port, PortError},
    inbound::{
        dispatch::{Dispatch, Found, Terms},
        retry_after,
    },
    leg_state::LegState,
    media_thread::{NewLeg, PhoneSockets},
    transfer,
};
use livekit::{JoinOptions, api::TokenError};
use media::{
    codec::PhoneCodec,
    sdp::{MediaSession, SdpError},
};
use sip::InboundCall;
use std::{
    collections::HashMap,
    net::{SocketAddr, UdpSocket},
    sync::Arc,
    time::Instant,
};
use tokio::sync::mpsc;
use types::{
    CorrelationId,
    control::{Direction, Event, InboundLeg, InboundOutcome, LegState as Shown, LegStats, LegView},
};

/// Why a call that was let in cannot be set up.
#[derive(Debug, thiserror::Error)]
enum SetUpError {
    #[error("the caller's offer is not usable")]
    Offer(#[from] SdpError),
    #[error("no media port")]
    Port(#[from] PortError),
    #[error("no socket towards the room")]
    RoomSocket(#[from] std::io::Error),
    #[error("the room cannot be joined")]
    Join(#[from] TokenError),
}

impl SetUpError {
    fn answer(&self) -> (InboundOutcome, u16) {
        match self {
            Self::Offer(error) => (InboundOutcome::BadOffer, refusal_code(error)),
            Self::Port(_) => (InboundOutcome::LimitReached, 503),
            Self::RoomSocket(_) | Self::Join(_) => (InboundOutcome::Unavailable, 503),
        }
    }
}

/// Runs the call to its end.
pub async fn run(
    gateway: Arc<Gateway>,
    call: InboundCall,
    leg: InboundLeg,
    correlation_id: CorrelationId,
    found: Found,
) {
    match set_up(&gateway, &call, found.terms()).await {
        Ok(prepared) => match start(&gateway, call, leg.clone(), &correlation_id, found, prepared).await {
            Ok(running) => running.run().await,
            Err((call, error)) => refuse(&gateway, *call, leg, &correlation_id, error).await,
        },
        Err(error) => refuse(&gateway, call, leg, &correlation_id, error).await,
    }
}

/// What is ready before the room is joined.
struct Prepared {
    phone: PhoneSockets,
    port: Port,
    room_socket: UdpSocket,
    sdp: MediaSession,
    /// None when the INVITE had no description.
    answer: Option<Vec<u8>>,
    codec: PhoneCodec,
}

async fn set_up(gateway: &Gateway, call: &InboundCall, terms: &Terms) -> Result<Prepared, SetUpError> {
    let (phone, port) = gateway.phone_sockets()?;
    let address = SocketAddr::new(gateway.addresses.media_towards(call.info.source.ip()), port.number);
    let (codecs, encryption) = (terms.codecs.clone(), terms.encryption.clone());
    let mut sdp =
        MediaSession::new(super::local_media(gateway, address, codecs, encryption), rand::random::<u32>().into());
    let (answer, codec) = match &call.info.sdp {
        Some(offer) => {
            gateway.metrics.offer_of_caller(offer);
            let (agreed, answer) = sdp.answer(offer)?;
            gateway.metrics.answer(&answer);
            (Some(answer), agreed.codec)
        }
        None => (None, terms.codecs.first().copied().unwrap_or(PhoneCodec::PCMU)),
    };
    Ok(Prepared { phone, port, room_socket: room::room_socket(gateway).await?, sdp, answer, codec })
}

/// What differs between a caller who goes into a room and one who has to type a PIN first.
#[derive(Default)]
struct Way {
    state: Option<LegState>,
    options: Option<JoinOptions>,
    lobby: Option<Lobby>,
    seat: Seat,
    headers: Vec<(String, String)>,
    attributes_to_headers: HashMap<String, String>,
    ringing_event: Option<Event>,
    hidden: bool,
}

fn way(
    gateway: &Gateway,
    call: &InboundCall,
    leg: &InboundLeg,
    found: Found,
    codec: PhoneCodec,
) -> Result<Way, TokenError> {
    match found {
        Found::Room(dispatch) => to_room(gateway, leg, *dispatch, codec),
        Found::Door { request, .. } => {
            Ok(Way { lobby: Some(Lobby::new(leg.clone(), &call.info, *request)), ..Way::default() })
        }
    }
}

fn to_room(gateway: &Gateway, leg: &InboundLeg, dispatch: Dispatch, codec: PhoneCodec) -> Result<Way, TokenError> {
    let codecs = vec![super::room_codec(codec)];
    let limits = limits_of(&dispatch);
    let Dispatch { participant, room, rule_id, headers, attributes_to_headers, ws_url, hidden, .. } = dispatch;
    let seat = Seat { participant, room, ws_url };
    let options = room::join_options(gateway, &seat, codecs)?;
    let ringing_event = Event::InboundRinging {
        leg: leg.clone(),
        room: seat.room.clone(),
        identity: seat.participant.identity.clone(),
        dispatch_rule_id: rule_id,
    };
    Ok(Way {
        state: Some(LegState::inbound(limits, Instant::now())),
        options: Some(options),
        lobby: None,
        seat,
        headers,
        attributes_to_headers,
        ringing_event: Some(ringing_event),
        hidden,
    })
}

async fn start(
    gateway: &Arc<Gateway>,
    call: InboundCall,
    leg: InboundLeg,
    correlation_id: &CorrelationId,
    found: Found,
    prepared: Prepared,
) -> Result<Leg, (Box<InboundCall>, SetUpError)> {
    let source = call.info.source.ip();
    let Prepared { phone, port, room_socket, sdp, answer, codec } = prepared;
    let media_timeout = found.terms().media_timeout;
    let way = match way(gateway, &call, &leg, found, codec) {
        Ok(way) => way,
        Err(error) => return Err((Box::new(call), error.into())),
    };
    let extension_id = leg.extension_id;
    let transfers = transfer::serve(gateway, &leg.lk_call_id).await;
    let commands = gateway.legs.enter(LegView {
        lk_call_id: leg.lk_call_id.clone(),
        sip_call_id: leg.sip_call_id.clone(),
        correlation_id: correlation_id.clone(),
        direction: Direction::Inbound,
        room: way.seat.room.clone(),
        identity: way.seat.participant.identity.clone(),
        state: Shown::Ringing,
        codec: None,
        others: None,
    });
    gateway.traces.is_call(&leg.lk_call_id, &leg.sip_call_id);
    tracing::info!(
        %correlation_id, call.id = %leg.lk_call_id, room = %way.seat.room, sip.call_id = %leg.sip_call_id,
        pin = way.lobby.is_some(), "inbound call rings"
    );
    let (events, media_events) = mpsc::unbounded_channel();
    let media = gateway.media.add(NewLeg::new(gateway, source, phone, room_socket, way.options, media_timeout, events));
    let mut running = Leg {
        gateway: gateway.clone(),
        correlation_id: correlation_id.clone(),
        lk_call_id: leg.lk_call_id,
        state: way.state.unwrap_or_else(|| LegState::locked(Instant::now())),
        remote_headers: call.info.headers.clone(),
        phone: Phone::Caller(Box::new(call)),
        sdp,
        early_answer: None,
        answer,
        answer_headers: way.headers,
        attributes_to_headers: way.attributes_to_headers,
        hang_up_at: None,
        bye_headers: Vec::new(),
        include_headers: Default::default(),
        lobby: way.lobby,
        refusal: None,
        codec: codec.name().to_owned(),
        room: RoomLink::default(),
        rejoin: rejoin(gateway),
        audience: Default::default(),
        media,
        media_events,
        commands,
        on_joined: None,
        on_answered: None,
        ringing_event: way.ringing_event,
        attributes: way.seat.participant.attributes.clone(),
        seat: way.seat,
        digits_after_answer: String::new(),
        automation: false,
        dialtone: false,
        headers_to_attributes: HashMap::new(),
        extension_id,
        referral: None,
        transfer: None,
        stats: LegStats::default(),
        _transfers: transfers,
        port,
    };
    running.hide_numbers(way.hidden);
    Ok(running)
}

async fn refuse(
    gateway: &Gateway,
    call: InboundCall,
    leg: InboundLeg,
    correlation_id: &CorrelationId,
    error: SetUpError,
) {
    let (outcome, code) = error.answer();
    let detail = format!("{:#}", anyhow::Error::from(error));
    tracing::info!(%correlation_id, call.id = %leg.lk_call_id, sip.code = code, detail, "inbound call refused");
    call.reject(code, None, &retry_after(code)).await;
    gateway.spool.append(Some(correlation_id), Event::InboundRefused { leg, outcome, sip_code: Some(code), detail });
}
