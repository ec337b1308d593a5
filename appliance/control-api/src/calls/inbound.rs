//! Somebody rings: is it for us, and what does the dialplan say?
//!
//! [`admit`] answers the gateway before there is a room: what is going to be rejected is rejected
//! there, with its CDR. [`begin`] takes the call once the caller hears ringing. Both decide by
//! [`plan`], so they cannot differ. Calls of foreign trunks are left to LiveKit; what a desk phone of
//! ours dials is read by [`super::desk_phone`].

mod conceive;
mod log;

use super::{
    actor,
    desk_phone::{self, Dialled},
    extension,
    live::Live,
};
use crate::{app::App, trunks::numbers};
use call::{Input, Output};
use conceive::conceive;
use dialplan::{Calendar, Decision, Facts, Trace, evaluate};
use jiff::Timestamp;
use log::log_decision;
use std::collections::BTreeMap;
use store::{
    Connection, StoreError,
    dids::Did,
    extensions::Extension,
    legs::{self, LegState},
    tenants::{self, Tenant},
    trunks::{self, Trunk},
};
use types::{
    CallId, CorrelationId, E164, EndReason, RuleId, TenantId,
    control::{Admission, AdmissionRequest, InboundLeg, InboundOutcome},
};

/// An INVITE that got as far as a room, or not so far.
#[derive(Clone)]
pub struct Arrival {
    pub correlation_id: CorrelationId,
    pub leg: InboundLeg,
    pub room: Option<String>,
    pub identity: Option<String>,
}

/// Whose call it is.
pub(super) struct Found {
    pub tenant: Tenant,
    pub way: Way,
    /// E.164, where the carrier's spelling could be understood; of a desk phone, what the other side is shown.
    pub caller: String,
}

/// How somebody came to us.
pub(super) enum Way {
    /// By one of our numbers.
    Did { trunk: Box<Trunk>, did: Box<Did> },
    /// One of our own, who dialled this.
    Phone { extension: Box<Extension>, dialled: Dialled },
}

/// What is going to happen.
struct Plan {
    /// The id that the call gets, or would get.
    call: CallId,
    trace: Option<Trace>,
    rule: Option<RuleId>,
    /// The matched action, for the log.
    action: &'static str,
    machine: call::Call,
    outputs: Vec<Output>,
}

/// The gateway's question before anything else; must be answered within 300 ms.
pub async fn admit(app: &App, request: AdmissionRequest) -> Admission {
    let arrival = Arrival { correlation_id: request.correlation_id, leg: request.leg, room: None, identity: None };
    let question = arrival.clone();
    let planned = app.db.read(move |conn| {
        let Some(found) = locate(conn, &question.leg)? else { return Ok::<_, StoreError>(None) };
        let plan = plan(conn, &found, CallId::new(), Timestamp::now())?;
        Ok(Some((found, plan)))
    });
    let (found, plan) = match planned.await {
        Ok(Some(planned)) => planned,
        Ok(None) => return Admission::Continue,
        Err(error) => {
            tracing::error!(correlation_id = %arrival.correlation_id, %error, "scaidial_admission_failed");
            return Admission::Continue; // the room is tried; an error of ours is no verdict on the caller
        }
    };
    let Some(reason) = plan.machine.ended() else { return admitted(&found, &plan) };
    let code = reason.sip_code().unwrap_or(603);
    log_decision(&arrival, Some(&found), Some(&plan), "rejected", Some(code));
    let mut live = conceive(&arrival, &found, plan);
    live.set_leg(0, LegState::Ended);
    if let Some(snapshot) = live.snapshot()
        && let Err(error) = app.db.write(move |tx| snapshot.write(tx)).await
    {
        tracing::error!(correlation_id = %arrival.correlation_id, %error, "scaidial_call_not_stored");
    }
    Admission::Reject { code, reason: reason.as_str().to_owned() }
}

/// LiveKit has a rule for a trunk's caller; a phone of ours is told where to go.
fn admitted(found: &Found, plan: &Plan) -> Admission {
    match &found.way {
        Way::Did { .. } => Admission::Continue,
        Way::Phone { extension, .. } => Admission::Join {
            room: plan.call.to_string(),
            identity: format!("sip_{}", extension.spec.number),
            name: extension.spec.name.clone(),
        },
    }
}

/// The caller is in the room and hears ringing. The second time it is no news.
pub async fn begin(app: &App, arrival: Arrival) -> Result<(), StoreError> {
    let _turn = app.calls.beginning.lock().await;
    if app.calls.find_by_leg(&arrival.leg.lk_call_id).is_some() {
        return Ok(());
    }
    let news = arrival.clone();
    let begun = app.db.write(move |tx| {
        if legs::find_by_lk(tx, &news.leg.lk_call_id)?.is_some() {
            return Ok::<_, StoreError>(Begun::Known);
        }
        let Some(found) = locate(tx, &news.leg)? else { return Ok(Begun::Foreign) };
        let plan = plan(tx, &found, call_of(&news), Timestamp::now())?;
        log_decision(&news, Some(&found), Some(&plan), "dispatched", None);
        let mut live = conceive(&news, &found, plan);
        if let Some(snapshot) = live.snapshot() {
            snapshot.write(tx)?;
        }
        Ok(Begun::Ours(Box::new(live)))
    });
    match begun.await? {
        Begun::Ours(live) => drop(actor::spawn(app, *live)),
        Begun::Foreign => log_decision(&arrival, None, None, "left_to_livekit", None),
        Begun::Known => {}
    }
    Ok(())
}

/// A room that [`admitted`] named has its call's id.
fn call_of(arrival: &Arrival) -> CallId {
    arrival.room.as_deref().and_then(|room| room.parse().ok()).unwrap_or_else(CallId::new)
}

enum Begun {
    Ours(Box<Live>),
    Foreign,
    Known,
}

/// An INVITE that the gateway refused: logged, and if it was for us, kept as an ended call.
pub async fn refused(
    app: &App,
    arrival: Arrival,
    outcome: InboundOutcome,
    sip_code: Option<u16>,
    detail: String,
) -> Result<(), StoreError> {
    if outcome == InboundOutcome::NotAdmitted {
        return Ok(()); // that was our own word; it is logged and stored
    }
    let reason = match outcome {
        InboundOutcome::Cancelled => EndReason::Cancelled,
        InboundOutcome::LimitReached => EndReason::LimitReached,
        _ => EndReason::Failed,
    };
    app.db
        .write(move |tx| {
            let name = outcome_name(outcome);
            let found = locate(tx, &arrival.leg)?;
            let plan = found.as_ref().map(|found| plan(tx, found, CallId::new(), Timestamp::now())).transpose()?;
            log_decision(&arrival, found.as_ref(), plan.as_ref(), &name, sip_code);
            let (Some(found), Some(plan)) = (found, plan) else { return Ok(()) };
            if legs::find_by_lk(tx, &arrival.leg.lk_call_id)?.is_some() {
                return Ok(());
            }
            let plan = Plan { machine: call::Call::inbound(), outputs: Vec::new(), ..plan };
            let mut live = conceive(&arrival, &found, plan);
            live.edit(0, |leg| {
                leg.sip_code = sip_code;
                leg.end_detail = Some(detail);
            });
            live.leg_gone(0, reason);
            live.call.end_code = (reason == EndReason::Failed).then_some(name);
            live.call.sip_code = sip_code.or(reason.sip_code());
            live.snapshot().map_or(Ok(()), |snapshot| snapshot.write(tx))
        })
        .await
}

fn outcome_name(outcome: InboundOutcome) -> String {
    let name = serde_json::to_value(outcome).ok();
    name.and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default()
}

/// Ours is what came in by one of our trunks for one of its numbers, and what our phones dial.
fn locate(conn: &Connection, leg: &InboundLeg) -> Result<Option<Found>, StoreError> {
    if let Some(extension) = leg.extension_id {
        return desk_phone::locate(conn, extension, &leg.to);
    }
    let Some(lk_trunk_id) = &leg.lk_trunk_id else { return Ok(None) };
    let Some(trunk) = trunks::find_by_inbound(conn, lk_trunk_id)? else { return Ok(None) };
    let Some(did) = numbers::find_dialled(conn, &trunk, &leg.to)? else { return Ok(None) };
    let tenant = tenants::find(conn, trunk.tenant_id)?;
    let caller = caller_number(&leg.from, tenant.spec.country_code.as_deref());
    let way = Way::Did { trunk: Box::new(trunk), did: Box::new(did) };
    Ok(Some(Found { tenant, way, caller }))
}

fn plan(conn: &Connection, found: &Found, call: CallId, now: Timestamp) -> Result<Plan, StoreError> {
    let mut machine = call::Call::inbound();
    let Routed { trace, rule, action, input } = match &found.way {
        Way::Did { did, .. } => route(conn, found, did, now)?,
        Way::Phone { dialled, .. } => Routed { action: dialled.kind(), ..Routed::by(dialled.input()) },
    };
    machine.handle(input, std::time::Duration::ZERO);
    let outputs = settle(conn, found.tenant.id, &mut machine)?;
    Ok(Plan { call, trace, rule, action, machine, outputs })
}

/// What the machine is to be told, and why.
struct Routed {
    trace: Option<Trace>,
    rule: Option<RuleId>,
    action: &'static str,
    input: Input,
}

impl Routed {
    fn by(input: Input) -> Self {
        Self { trace: None, rule: None, action: "none", input }
    }
}

/// By the number's dialplan.
fn route(conn: &Connection, found: &Found, did: &Did, now: Timestamp) -> Result<Routed, StoreError> {
    let tenant = found.tenant.id;
    let dialplan = match did.spec.dialplan_id.filter(|_| did.spec.enabled) {
        Some(id) => store::dialplans::load(conn, tenant, id)?,
        None => None,
    };
    let Some(dialplan) = dialplan else { return Ok(Routed::by(Input::NoRuleMatched)) };
    let facts = Facts {
        did_id: Some(did.id),
        extension_id: None,
        caller: found.caller.clone(),
        at: now,
        calendars: calendars(conn, tenant)?,
    };
    let (decision, trace) = evaluate(&dialplan, &facts);
    let routed = match decision {
        Decision::Matched { rule_id, action } => {
            Routed { rule: Some(rule_id), action: action.kind(), ..Routed::by(Input::Routed(action)) }
        }
        Decision::NoRuleMatched => Routed::by(Input::NoRuleMatched),
    };
    Ok(Routed { trace: Some(trace), ..routed })
}

/// Answers what the machine asks of the database, until it asks no more.
fn settle(conn: &Connection, tenant: TenantId, machine: &mut call::Call) -> Result<Vec<Output>, StoreError> {
    let mut outputs = Vec::new();
    while let Some(output) = machine.poll_output() {
        let Output::Look(id) = output else {
            outputs.push(output);
            continue;
        };
        let answer = match extension::load(conn, tenant, id)? {
            Some(extension) => Input::Found(Box::new(extension)),
            None => Input::NotFound(id),
        };
        machine.handle(answer, std::time::Duration::ZERO);
    }
    Ok(outputs)
}

/// The tenant's calendars, for holiday rules.
pub fn calendars(conn: &Connection, tenant: TenantId) -> Result<BTreeMap<types::CalendarId, Calendar>, StoreError> {
    let page = store::Page { limit: 1_000, after: None };
    let all: Vec<store::calendars::Calendar> = store::list(conn, tenant, &page)?;
    let translate = |stored: store::calendars::Calendar| {
        let dates = stored.spec.days.iter().map(|day| day.date).collect();
        (stored.id, Calendar { timezone: stored.spec.timezone, dates })
    };
    Ok(all.into_iter().map(translate).collect())
}

/// The E.164 number behind a carrier's spelling; what cannot be understood stays as it came.
pub fn caller_number(from: &str, country: Option<&str>) -> String {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let national = |rest: &str| country.map(|country| format!("+{country}{rest}"));
    let e164 = match from {
        _ if from.starts_with('+') => Some(from.to_owned()),
        _ if !digits(from) => None,
        _ if from.starts_with("00") => Some(format!("+{}", &from[2..])),
        _ if from.starts_with('0') => national(&from[1..]),
        // Shorter ones are extensions of a PBX behind the trunk.
        _ if from.len() >= 8 => Some(format!("+{from}")),
        _ => None,
    };
    match e164.and_then(|number| number.parse::<E164>().ok()) {
        Some(number) => number.as_str().to_owned(),
        None => from.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callers_number_is_understood_in_every_spelling() {
        for (from, wanted) in [
            ("+31612345678", "+31612345678"),
            ("0031612345678", "+31612345678"),
            ("31612345678", "+31612345678"),
            ("0612345678", "+31612345678"),
            ("100", "100"),
            ("anonymous", "anonymous"),
            ("", ""),
            ("+0123", "+0123"),
        ] {
            assert_eq!(caller_number(from, Some("31")), wanted, "{from}");
        }
        assert_eq!(caller_number("0612345678", None), "0612345678");
    }
}
