//! A browser dials out: a room, a token for the browser, and a phone that is called into the room.

use super::{
    actor,
    control::{self, Ticket},
    live::Live,
    phone,
};
use crate::{
    app::App,
    audit,
    auth::{Caller, Permission},
    error::{ApiError, ApiResult, FieldError},
};
use axum::http::StatusCode;
use call::Input;
use dialplan::Destination;
use jiff::Timestamp;
use livekit_protocol::CreateRoomRequest;
use serde_json::json;
use std::time::Duration;
use store::{
    StoreError,
    calls::{Call, CallKind, CallState},
    extensions::Extension,
    legs::{Direction, Leg, LegKind, LegState},
};
use types::{CallId, ExtensionId, TrunkId, UserId};

pub(super) const RING_TIMEOUT: Duration = Duration::from_secs(120);
/// LiveKit keeps the room this long for a browser that is slow to come.
const EMPTY_ROOM_S: u32 = 60;

/// What was asked for.
pub struct Originate {
    pub from_extension_id: ExtensionId,
    pub to: Destination,
}

/// What the browser gets.
pub struct Originated {
    pub call: Call,
    pub legs: Vec<Leg>,
    pub ticket: Ticket,
}

/// Answers as soon as the phone is being dialled; what comes of it is in the events.
pub async fn originate(app: &App, caller: &Caller, request: Originate) -> ApiResult<Originated> {
    let livekit = control::livekit(app)?;
    let (extension, trunk, number) = check(app, caller, request.from_extension_id).await?;
    let user = extension.spec.user_id.or(caller.user_id);
    let call = conceive(caller, &extension, trunk, number, user, &request.to);
    let room = call.room.clone().unwrap_or_default();
    let wanted = CreateRoomRequest { name: room.clone(), empty_timeout: EMPTY_ROOM_S, ..Default::default() };
    livekit.api.create_room(&wanted).await.map_err(|err| {
        let detail = crate::ready::with_causes("livekit-server made no room", &err);
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "livekit_unavailable", detail).retry_after(2)
    })?;
    let own = browser_leg(&call, user);
    let ticket = control::ticket(livekit, &room, &own, &extension.spec.name)?;
    let mut live = Live::new(call, vec![own], call::Call::outbound());
    live.input(Input::Dialed { to: request.to, ring_timeout: RING_TIMEOUT });
    let (call, legs) = (live.call.clone(), live.legs.clone());
    store_new(app, caller, &mut live).await?;
    actor::spawn(app, live);
    tracing::info!(
        correlation_id = %call.correlation_id, call.id = %call.id, extension.id = %extension.id, trunk.id = %trunk,
        "scaidial_outbound_originate"
    );
    Ok(Originated { call, legs, ticket })
}

/// The extension, a trunk to dial through, and a number of ours on it.
async fn check(app: &App, caller: &Caller, id: ExtensionId) -> ApiResult<(Extension, TrunkId, Option<String>)> {
    let tenant = caller.tenant_id;
    let (extension, line) = app
        .db
        .read(move |conn| {
            let extension = store::find::<Extension>(conn, tenant, &id)?;
            Ok::<_, StoreError>((extension, phone::line(conn, tenant, None)?))
        })
        .await
        .map_err(|err| match err {
            StoreError::NotFound { noun, id } => {
                let detail = format!("there is no {noun} {id}");
                ApiError::invalid(vec![FieldError::new("from_extension_id", "unknown_reference", detail)])
            }
            other => other.into(),
        })?;
    if !caller.may(Permission::ControlCalls) && extension.spec.user_id != Some(caller.own_user()?) {
        return Err(ApiError::forbidden("this is not your extension"));
    }
    match line {
        Some((trunk, number)) => Ok((extension, trunk.id, number)),
        None => Err(no_trunk()),
    }
}

fn no_trunk() -> ApiError {
    let status = StatusCode::UNPROCESSABLE_ENTITY;
    ApiError::new(status, "no_synced_outbound_trunk", "Your tenant has no synced outbound trunk.")
        .hint("look at the sync status of the trunks; create one, or correct the one in error")
}

fn conceive(
    caller: &Caller,
    extension: &Extension,
    trunk: TrunkId,
    number: Option<String>,
    user: Option<UserId>,
    to: &Destination,
) -> Call {
    let id = CallId::new();
    Call {
        id,
        tenant_id: caller.tenant_id,
        kind: CallKind::Phone,
        direction: Direction::Outbound,
        trunk_id: Some(trunk),
        did_id: None,
        caller: number.unwrap_or_else(|| extension.spec.number.clone()),
        callee: to.as_str().to_owned(),
        from_extension_id: Some(extension.id),
        extension_id: None,
        user_id: user,
        dialplan_id: None,
        matched_rule_id: None,
        state: CallState::Routing,
        started_at: Timestamp::now(),
        answered_at: None,
        ended_at: None,
        end_reason: None,
        end_code: None,
        sip_code: None,
        room: Some(id.to_string()),
        correlation_id: caller.correlation_id.clone(),
        trace: None,
        machine: None,
    }
}

/// The caller's own leg; it is `dialing` until the browser is in the room.
fn browser_leg(call: &Call, user: Option<UserId>) -> Leg {
    let mut leg = Leg::new(call.id, call.tenant_id, 0, LegKind::Webrtc, LegState::Dialing, call.started_at);
    leg.direction = Some(Direction::Inbound);
    leg.identity = Some(leg.id.to_string());
    leg.extension_id = call.from_extension_id;
    leg.user_id = user;
    leg
}

async fn store_new(app: &App, caller: &Caller, live: &mut Live) -> ApiResult<()> {
    let Some(snapshot) = live.snapshot() else { return Ok(()) };
    let (caller, call) = (caller.clone(), live.call.clone());
    app.db
        .write(move |tx| {
            snapshot.write(tx)?;
            let detail = json!({ "to": call.callee, "from_extension_id": call.from_extension_id });
            Ok(audit::record(tx, &caller, "call.originate", Some(call.id.to_string()), detail)?)
        })
        .await
}
