//! What does livekit-server tell of the rooms of our calls?
//!
//! Who joined and left them. It is also the second source of inbound calls, for a gateway without a
//! control socket; the gateway's own event says the same, whichever comes first.

use super::{
    actor::Handle,
    inbound::{self, Arrival},
    lost_room,
    restart::{SPOOL_PATIENCE, open_phones},
};
use crate::{
    app::App,
    error::{ApiError, ApiResult},
};
use axum::{
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, header},
};
use livekit::api::Webhooks;
use livekit_protocol::{DisconnectReason, ParticipantInfo, participant_info::Kind};
use std::time::Duration;
use types::{
    CorrelationId, EndReason,
    control::{InboundLeg, LegState, LegView},
};

/// A softphone that lost its connection tries once to come back.
const RETURN_PATIENCE: Duration = Duration::from_secs(8);

/// `POST /internal/livekit/webhook`, signed with LiveKit's API key.
pub async fn receive(State(app): State<App>, headers: HeaderMap, body: Bytes) -> ApiResult<StatusCode> {
    let livekit = super::control::livekit(&app)?;
    let text = std::str::from_utf8(&body).unwrap_or_default();
    let signature = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let event = Webhooks::new(livekit.api.tokens())
        .verify(text, signature)
        .map_err(|err| ApiError::unauthorized("webhook_not_signed", err.to_string()))?;
    super::restart::resume_once(&app).await?;
    let room = event.room.map(|room| room.name).unwrap_or_default();
    match (event.event.as_str(), event.participant) {
        ("participant_joined", Some(participant)) => joined(&app, room, participant).await?,
        ("participant_left" | "participant_connection_aborted", Some(participant)) => {
            left(&app, &room, participant).await
        }
        ("room_finished", _) => room_finished(&app, &room).await,
        _ => {}
    }
    Ok(StatusCode::OK)
}

async fn joined(app: &App, room: String, participant: ParticipantInfo) -> ApiResult<()> {
    if participant.kind == Kind::Sip as i32 {
        return sip_joined(app, room, participant).await;
    }
    let Some(handle) = app.calls.find_by_room(&room) else { return Ok(()) };
    let agent = participant.kind == Kind::Agent as i32;
    handle.tell(move |live| live.joined(&participant.identity, agent)).await;
    Ok(())
}

/// A phone: if it came in by a trunk of ours and nobody told us yet, a call begins.
async fn sip_joined(app: &App, room: String, participant: ParticipantInfo) -> ApiResult<()> {
    let attribute = |name: &str| participant.attributes.get(name).cloned();
    let (Some(lk_call_id), Some(trunk)) = (attribute("sip.callID"), attribute("sip.trunkID")) else { return Ok(()) };
    if app.calls.find_by_leg(&lk_call_id).is_some() || attribute("scaibox.call_id").is_some() {
        return Ok(());
    }
    let leg = InboundLeg {
        sip_call_id: attribute("sip.callIDFull").unwrap_or_default(),
        lk_trunk_id: Some(trunk),
        from: attribute("sip.phoneNumber").unwrap_or_default(),
        to: attribute("sip.trunkPhoneNumber").unwrap_or_default(),
        source: attribute("sip.hostname").unwrap_or_default(),
        transport: String::new(),
        extension_id: None,
        lk_call_id,
    };
    let correlation_id = correlation_of(app, &leg.lk_call_id).await;
    let arrival = Arrival { correlation_id, leg, room: Some(room), identity: Some(participant.identity) };
    Ok(inbound::begin(app, arrival).await?)
}

/// The gateway made it when the INVITE came.
async fn correlation_of(app: &App, lk_call_id: &str) -> CorrelationId {
    let legs: Result<Vec<LegView>, _> = app.gateway.get("/v1/legs").await;
    let found = legs.ok().and_then(|legs| legs.into_iter().find(|leg| leg.lk_call_id == lk_call_id));
    found.map_or_else(CorrelationId::new, |leg| leg.correlation_id)
}

async fn left(app: &App, room: &str, participant: ParticipantInfo) {
    let Some(handle) = app.calls.find_by_room(room) else { return };
    let identity = participant.identity;
    match DisconnectReason::try_from(participant.disconnect_reason) {
        Ok(DisconnectReason::DuplicateIdentity | DisconnectReason::Migration) => {}
        Ok(
            DisconnectReason::SignalClose
            | DisconnectReason::ConnectionTimeout
            | DisconnectReason::StateMismatch
            | DisconnectReason::MediaFailure
            | DisconnectReason::UnknownReason,
        ) if participant.kind == Kind::Standard as i32 => {
            let (app, room) = (app.clone(), room.to_owned());
            tokio::spawn(async move {
                tokio::time::sleep(RETURN_PATIENCE).await;
                if !is_back(&app, &room, &identity).await {
                    handle.tell(move |live| live.left(&identity)).await;
                }
            });
        }
        _ if phone_has_left(app, &handle).await => {
            tokio::spawn(async move {
                tokio::time::sleep(SPOOL_PATIENCE).await;
                handle.tell(move |live| live.left(&identity)).await;
            });
        }
        _ => drop(handle.tell(move |live| live.left(&identity)).await),
    }
}

/// The gateway is done with a phone of this call, and says so once it has the audio's figures: that was first.
async fn phone_has_left(app: &App, handle: &Handle) -> bool {
    let open = handle.tell(|live| open_phones(live)).await.unwrap_or_default();
    let Ok(present) = app.gateway.get::<Vec<LegView>>("/v1/legs").await else { return false };
    let speaks = |id: &String| present.iter().any(|leg| leg.lk_call_id == *id && leg.state != LegState::Ended);
    !open.iter().all(speaks)
}

async fn is_back(app: &App, room: &str, identity: &str) -> bool {
    let Some(livekit) = &app.livekit else { return false };
    matches!(livekit.api.find_participant(room, identity).await, Ok(Some(_)))
}

/// Somebody else closed the room, or everybody left it; a phone that the gateway keeps may be on its way back.
async fn room_finished(app: &App, room: &str) {
    let Some(handle) = app.calls.find_by_room(room) else { return };
    if keeps_a_phone(app, &handle).await {
        tokio::spawn(lost_room::look(app.clone(), handle));
    } else {
        handle
            .tell(|live| {
                let browser = live.party(0).is_some_and(|leg| leg.lk_call_id.is_none());
                if browser && !live.ended() {
                    live.leg_gone(0, EndReason::Completed);
                }
            })
            .await;
    }
}

async fn keeps_a_phone(app: &App, handle: &Handle) -> bool {
    let open = handle.tell(|live| open_phones(live)).await.unwrap_or_default();
    let present: Vec<LegView> = app.gateway.get("/v1/legs").await.unwrap_or_default();
    present.iter().any(|leg| leg.state != LegState::Ended && open.contains(&leg.lk_call_id))
}
