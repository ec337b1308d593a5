//! A caller that LiveKit and the control plane let in.

use super::{
    Leg, MAX_DURATION, RINGING_TIMEOUT,
    media_changes::refusal_code,
    phone::Phone,
    room::{self, RoomLink},
};
use crate::{
    gateway::{Gateway, Port, PortError},
    inbound::Dispatch,
    leg_state::{LegState, Limits},
    media_thread::NewLeg,
    transfer,
};
use media::{
    codec::G711,
    sdp::{Encryption, LocalMedia, MediaSession, SdpError},
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
    Join(#[from] livekit::api::TokenError),
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
    dispatch: Dispatch,
) {
    match set_up(&gateway, &call, dispatch.encryption.clone()).await {
        Ok(prepared) => match start(&gateway, call, leg.clone(), &correlation_id, dispatch, prepared).await {
            Ok(running) => running.run().await,
            Err((call, error)) => refuse(&gateway, *call, leg, &correlation_id, error).await,
        },
        Err(error) => refuse(&gateway, call, leg, &correlation_id, error).await,
    }
}

/// What is ready before the room is joined.
struct Prepared {
    rtp: UdpSocket,
    port: Port,
    room_socket: UdpSocket,
    sdp: MediaSession,
    /// None when the INVITE had no description.
    answer: Option<Vec<u8>>,
    codec: G711,
}

async fn set_up(gateway: &Gateway, call: &InboundCall, encryption: Encryption) -> Result<Prepared, SetUpError> {
    let (rtp, port) = gateway.rtp_socket()?;
    let address = SocketAddr::new(gateway.addresses.media_towards(call.info.source.ip()), port.number);
    let local = LocalMedia { encryption, ..LocalMedia::new(address) };
    let mut sdp = MediaSession::new(local, rand::random::<u32>().into());
    let (answer, codec) = match &call.info.sdp {
        Some(offer) => {
            gateway.metrics.offer_of_caller(offer);
            let (agreed, answer) = sdp.answer(offer)?;
            gateway.metrics.answer(&answer);
            (Some(answer), agreed.codec)
        }
        None => (None, G711::Pcmu),
    };
    Ok(Prepared { rtp, port, room_socket: room::room_socket(gateway).await?, sdp, answer, codec })
}

async fn start(
    gateway: &Arc<Gateway>,
    call: InboundCall,
    leg: InboundLeg,
    correlation_id: &CorrelationId,
    dispatch: Dispatch,
    prepared: Prepared,
) -> Result<Leg, (Box<InboundCall>, SetUpError)> {
    let Prepared { rtp, port, room_socket, sdp, answer, codec } = prepared;
    let participant = dispatch.participant;
    let codecs = vec![super::room_codec(codec)];
    let options = match room::join_options(gateway, &participant, &dispatch.room, dispatch.ws_url, codecs) {
        Ok(options) => options,
        Err(error) => return Err((Box::new(call), error.into())),
    };
    let transfers = transfer::serve(gateway, &leg.lk_call_id).await;
    let commands = gateway.legs.enter(LegView {
        lk_call_id: leg.lk_call_id.clone(),
        sip_call_id: leg.sip_call_id.clone(),
        correlation_id: correlation_id.clone(),
        direction: Direction::Inbound,
        room: dispatch.room.clone(),
        identity: participant.identity.clone(),
        state: Shown::Ringing,
        codec: None,
    });
    tracing::info!(
        %correlation_id, call.id = %leg.lk_call_id, room = %dispatch.room, sip.call_id = %leg.sip_call_id, "inbound call rings"
    );
    let (events, media_events) = mpsc::unbounded_channel();
    let media = gateway.media.add(NewLeg::new(gateway, rtp, room_socket, options, events));
    let limits = Limits {
        ringing: dispatch.ringing_timeout.unwrap_or(RINGING_TIMEOUT),
        duration: dispatch.max_duration.unwrap_or(MAX_DURATION).min(MAX_DURATION),
    };
    Ok(Leg {
        gateway: gateway.clone(),
        correlation_id: correlation_id.clone(),
        lk_call_id: leg.lk_call_id.clone(),
        state: LegState::inbound(limits, Instant::now()),
        phone: Phone::Caller(Box::new(call)),
        sdp,
        answer,
        answer_headers: dispatch.headers,
        attributes_to_headers: dispatch.attributes_to_headers,
        refusal: None,
        codec: codec.name().to_owned(),
        room: RoomLink::default(),
        audience: Default::default(),
        media,
        media_events,
        commands,
        on_joined: None,
        on_answered: None,
        ringing_event: Some(Event::InboundRinging {
            leg,
            room: dispatch.room,
            identity: participant.identity,
            dispatch_rule_id: dispatch.rule_id,
        }),
        attributes: participant.attributes,
        digits_after_answer: String::new(),
        headers_to_attributes: HashMap::new(),
        transfer: None,
        refer_progress: None,
        stats: LegStats::default(),
        _transfers: transfers,
        _port: port,
    })
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
    call.reject(code, None, &[]).await;
    gateway.spool.append(Some(correlation_id), Event::InboundRefused { leg, outcome, sip_code: Some(code), detail });
}
