//! What may people do to a call, and what are they told when it cannot be done?

use super::{actor::Handle, live::Live};
use crate::{
    app::{App, LiveKit},
    audit,
    auth::{Caller, Permission},
    error::{ApiError, ApiResult, FieldError},
};
use axum::http::StatusCode;
use call::{Failure, Input, Party};
use daemon::unix_http::UnixHttpError;
use dialplan::Destination;
use livekit::api::{Join, Transfer};
use serde::Serialize;
use serde_json::json;
use std::{collections::HashMap, time::Duration};
use store::{
    calls::Call,
    legs::{Leg, LegKind, LegState},
};
use types::{
    CallId, LegId,
    control::{Dtmf, Refusal},
};
use utoipa::ToSchema;

/// Enough for a microphone prompt; LiveKit itself renews the token of who is in.
const JOIN_TTL: Duration = Duration::from_secs(300);

/// What a browser needs to join a call's room.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Ticket {
    /// Of livekit-server, for browsers.
    pub url: String,
    /// Good for joining once, within minutes.
    pub token: String,
}

/// What a command asks of the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PhoneCommand {
    Hold,
    Unhold,
}

/// The living call, if it is the caller's to act on.
pub async fn find(app: &App, caller: &Caller, id: CallId) -> ApiResult<Handle> {
    let tenant = caller.tenant_id;
    let Some(handle) = app.calls.find(id).filter(|handle| handle.tenant == tenant) else {
        app.db.read(move |conn| store::find::<Call>(conn, tenant, &id)).await?;
        return Err(ended("call"));
    };
    if caller.may(Permission::ControlCalls) {
        return Ok(handle);
    }
    let user = caller.own_user()?;
    let own = handle
        .tell(move |live| live.call.user_id == Some(user) || live.legs.iter().any(|leg| leg.user_id == Some(user)));
    match own.await {
        Some(true) => Ok(handle),
        Some(false) => Err(ApiError::forbidden("this is not your call")),
        None => Err(ended("call")),
    }
}

/// A browser takes the call.
pub async fn answer(app: &App, caller: &Caller, call: CallId, leg: LegId) -> ApiResult<Ticket> {
    let livekit = livekit(app)?;
    let handle = find(app, caller, call).await?;
    let (caller_user, any) = (caller.user_id, caller.may(Permission::ControlCalls));
    let taken = handle.tell(move |live| {
        let found = ringing_leg(live, leg)?;
        if found.user_id != caller_user && !any {
            return Err(ApiError::forbidden("this leg rings somebody else"));
        }
        let (party, user) = (found.party, found.user_id);
        live.call.user_id = user.or(live.call.user_id);
        live.set_leg(party, LegState::Active);
        live.input(Input::PartyAnswered(Party(party)));
        Ok((live.call.room.clone(), live.leg(leg).cloned()))
    });
    let (room, leg) = taken.await.ok_or_else(|| ended("leg"))??;
    let (Some(room), Some(leg)) = (room, leg) else { return Err(ended("leg")) };
    ticket(livekit, &room, &leg, "")
}

/// A browser declines; the call goes on as the extension says.
pub async fn reject(app: &App, caller: &Caller, call: CallId, leg: LegId) -> ApiResult<Call> {
    let handle = find(app, caller, call).await?;
    let (caller_user, any) = (caller.user_id, caller.may(Permission::ControlCalls));
    let done = handle.tell(move |live| {
        let found = ringing_leg(live, leg)?;
        if found.user_id != caller_user && !any {
            return Err(ApiError::forbidden("this leg rings somebody else"));
        }
        let party = found.party;
        live.set_leg(party, LegState::Ended);
        live.input(Input::PartyFailed(Party(party), Failure::Rejected));
        Ok(live.call.clone())
    });
    done.await.ok_or_else(|| ended("leg"))?
}

fn ringing_leg(live: &Live, id: LegId) -> ApiResult<&Leg> {
    let leg = live.leg(id).ok_or_else(|| ApiError::not_found("leg", &id))?;
    match leg.state {
        _ if leg.kind != LegKind::Webrtc => {
            Err(ApiError::conflict("leg_not_ringing_a_browser", "only a leg that rings a browser can be answered here"))
        }
        LegState::Ringing if live.rings(leg.party) => Ok(leg),
        LegState::Ended => Err(ended("leg")),
        _ => Err(ApiError::conflict("leg_already_answered", "the leg was answered already")),
    }
}

/// Ends the call; whoever has a part in it hangs up theirs.
pub async fn hang_up(app: &App, caller: &Caller, call: CallId) -> ApiResult<Call> {
    let handle = find(app, caller, call).await?;
    audit::note(app, caller, "call.hangup", Some(call.to_string()), json!({})).await?;
    let user = caller.user_id;
    let done = handle.tell(move |live| {
        let own = |leg: &&Leg| user.is_some() && leg.user_id == user && leg.state == LegState::Active;
        let party = live.legs.iter().find(own).map(|leg| leg.party);
        live.input(party.map_or(Input::HangUp, |party| Input::HungUp(Party(party))));
        live.call.clone()
    });
    done.await.ok_or_else(|| ended("call"))
}

/// Puts one party out.
pub async fn hang_up_leg(app: &App, caller: &Caller, call: CallId, leg: LegId) -> ApiResult<Call> {
    let handle = find(app, caller, call).await?;
    open_leg(&handle, leg).await?;
    audit::note(app, caller, "leg.hangup", Some(leg.to_string()), json!({ "call_id": call })).await?;
    let done = handle.tell(move |live| {
        if let Some(found) = live.leg(leg) {
            let (party, effect) = (found.party, drop_effect(found));
            live.effect(effect);
            live.input(Input::HungUp(Party(party)));
        }
        live.call.clone()
    });
    done.await.ok_or_else(|| ended("leg"))
}

fn drop_effect(leg: &Leg) -> super::effects::Effect {
    super::effects::Effect::Drop { lk_call_id: leg.lk_call_id.clone(), identity: leg.identity.clone() }
}

pub async fn hold(app: &App, caller: &Caller, call: CallId, leg: LegId, command: PhoneCommand) -> ApiResult<Leg> {
    let handle = find(app, caller, call).await?;
    let (verb, unsupported) = match command {
        PhoneCommand::Hold => ("hold", "hold_unsupported"),
        PhoneCommand::Unhold => ("unhold", "hold_unsupported"),
    };
    let lk_call_id = phone(&open_leg(&handle, leg).await?, unsupported)?;
    let action = if command == PhoneCommand::Hold { "leg.hold" } else { "leg.unhold" };
    audit::note(app, caller, action, Some(leg.to_string()), json!({})).await?;
    app.gateway.act(&format!("/v1/legs/{lk_call_id}/{verb}")).await.map_err(|err| gateway_refused(&err))?;
    let held = command == PhoneCommand::Hold;
    let done = handle.tell(move |live| {
        live.leg_held(&lk_call_id, held); // the gateway's event says it again
        live.leg(leg).cloned()
    });
    done.await.flatten().ok_or_else(|| ended("leg"))
}

pub async fn dtmf(app: &App, caller: &Caller, call: CallId, leg: LegId, digits: String) -> ApiResult<()> {
    caller.require(Permission::SendDtmf)?;
    let handle = find(app, caller, call).await?;
    let lk_call_id = phone(&open_leg(&handle, leg).await?, "dtmf_unsupported")?;
    audit::note(app, caller, "leg.dtmf", Some(leg.to_string()), json!({ "count": digits.len() })).await?;
    let path = format!("/v1/legs/{lk_call_id}/dtmf");
    app.gateway.act_with(&path, &Dtmf { digits }).await.map_err(|err| gateway_refused(&err))
}

/// Blind transfer: the carrier takes the party to `to`, the call ends here.
pub async fn transfer(app: &App, caller: &Caller, call: CallId, leg: LegId, to: Destination) -> ApiResult<Call> {
    let livekit = livekit(app)?;
    let handle = find(app, caller, call).await?;
    let found = open_leg(&handle, leg).await?;
    phone(&found, "transfer_unsupported")?;
    if found.state == LegState::Dialing || found.state == LegState::Ringing {
        let detail = "transfer failed: the leg is not answered yet";
        return Err(ApiError::conflict("transfer_unsupported", detail).hint("transfer it once it is active"));
    }
    audit::note(app, caller, "leg.transfer", Some(leg.to_string()), json!({ "to": to })).await?;
    let room = handle.tell(|live| live.call.room.clone()).await.flatten().ok_or_else(transfer_too_late)?;
    let identity = found.identity.unwrap_or_default();
    let request = Transfer { room, identity, to: to.to_uri(), ..Transfer::default() };
    livekit.api.transfer_sip_participant(&request).await.map_err(|err| transfer_refused(&err))?;
    let party = Party(found.party);
    let done = handle.tell(move |live| {
        live.input(Input::Transferred(party));
        live.call.clone()
    });
    match done.await {
        Some(call) => Ok(call),
        // The gateway's event was faster, and the call is over as transferred.
        None => {
            let tenant = caller.tenant_id;
            app.db.read(move |conn| Ok(store::find::<Call>(conn, tenant, &call)?)).await
        }
    }
}

fn transfer_too_late() -> ApiError {
    ApiError::conflict("leg_already_ended", "transfer failed: the leg has ended")
}

fn transfer_refused(error: &livekit::api::ApiError) -> ApiError {
    match error.sip_status() {
        Some((code, words)) => {
            let detail = format!("transfer failed: the carrier answered {code} {words}");
            ApiError::conflict("transfer_rejected_by_carrier", detail.trim_end())
                .field(FieldError::new("sip_code", "sip_code", code))
                .hint("ask the carrier whether it accepts SIP REFER on this trunk")
        }
        None if error.is_not_found() => transfer_too_late(),
        None => match error.refusal() {
            Some(refusal) => {
                let detail = format!("transfer failed: {}", refusal.message);
                ApiError::conflict("transfer_rejected_by_carrier", detail)
            }
            None => {
                unavailable("livekit_unavailable", &crate::ready::with_causes("livekit-server does not answer", error))
            }
        },
    }
}

/// The leg, if it has not ended.
pub(super) async fn open_leg(handle: &Handle, id: LegId) -> ApiResult<Leg> {
    let leg = handle.tell(move |live| live.leg(id).cloned()).await.ok_or_else(|| ended("leg"))?;
    let leg = leg.ok_or_else(|| ApiError::not_found("leg", &id))?;
    if leg.state == LegState::Ended { Err(ended("leg")) } else { Ok(leg) }
}

/// LiveKit's id of a phone's leg; browsers and bots have none.
fn phone(leg: &Leg, code: &'static str) -> ApiResult<String> {
    leg.lk_call_id.clone().ok_or_else(|| {
        let detail = format!("this works on a sip leg, not on a {} leg", leg.kind);
        ApiError::conflict(code, detail).hint("name the call's sip leg")
    })
}

pub(super) fn ended(what: &str) -> ApiError {
    let code = if what == "call" { "call_already_ended" } else { "leg_already_ended" };
    ApiError::conflict(code, format!("the {what} has ended"))
}

fn gateway_refused(error: &UnixHttpError) -> ApiError {
    match error.refusal::<Refusal>() {
        Some((StatusCode::NOT_FOUND, _)) => ended("leg"),
        Some((status @ StatusCode::NOT_IMPLEMENTED, refusal)) => ApiError::new(status, refusal.code, refusal.detail),
        Some((_, refusal)) => ApiError::conflict(refusal.code, refusal.detail),
        None => unavailable("gateway_unavailable", &crate::ready::with_causes("sip-gateway does not answer", error)),
    }
}

pub(super) fn unavailable(code: &'static str, detail: &str) -> ApiError {
    ApiError::new(StatusCode::SERVICE_UNAVAILABLE, code, detail).retry_after(2)
}

/// LiveKit, or why there is none.
pub fn livekit(app: &App) -> ApiResult<&LiveKit> {
    app.livekit.as_ref().ok_or_else(|| unavailable("livekit_not_configured", "the box has no LiveKit settings"))
}

/// A token that lets this leg's browser into the room.
pub fn ticket(livekit: &LiveKit, room: &str, leg: &Leg, name: &str) -> ApiResult<Ticket> {
    let join = Join {
        room: room.to_owned(),
        identity: leg.id.to_string(),
        name: name.to_owned(),
        attributes: HashMap::from([
            ("scaibox.call_id".to_owned(), leg.call_id.to_string()),
            ("scaibox.leg_id".to_owned(), leg.id.to_string()),
        ]),
        ttl: JOIN_TTL,
        ..Join::default()
    };
    let token = livekit.api.tokens().join(&join).map_err(ApiError::internal)?;
    Ok(Ticket { url: livekit.access.public_url.clone(), token })
}
