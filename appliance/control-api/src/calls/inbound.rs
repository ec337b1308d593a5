//! Somebody rings: is it for us, and what does the dialplan say?
//!
//! [`admit`] answers the gateway before there is a room: what is going to be rejected is rejected
//! there, with its CDR. [`begin`] takes the call once the caller hears ringing. Both decide by
//! [`plan`], so they cannot differ. Calls of foreign trunks are left to LiveKit.

use super::{actor, extension, live::Live};
use crate::{app::App, trunks::numbers};
use call::{Input, Output};
use dialplan::{Calendar, Decision, Facts, Trace, evaluate};
use jiff::Timestamp;
use std::collections::BTreeMap;
use store::{
    Connection, StoreError,
    calls::{Call, CallKind, CallState},
    dids::Did,
    legs::{self, Direction, Leg, LegKind, LegState},
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

/// Whose number it is.
struct Found {
    tenant: Tenant,
    trunk: Trunk,
    did: Did,
    /// E.164, where the carrier's spelling could be understood.
    caller: String,
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
        let plan = plan(conn, &found, Timestamp::now())?;
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
    let Some(reason) = plan.machine.ended() else { return Admission::Continue };
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
        let plan = plan(tx, &found, Timestamp::now())?;
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
            let plan = found.as_ref().map(|found| plan(tx, found, Timestamp::now())).transpose()?;
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

/// Ours is what came in by one of our trunks for one of its numbers.
fn locate(conn: &Connection, leg: &InboundLeg) -> Result<Option<Found>, StoreError> {
    let Some(lk_trunk_id) = &leg.lk_trunk_id else { return Ok(None) };
    let Some(trunk) = trunks::find_by_inbound(conn, lk_trunk_id)? else { return Ok(None) };
    let Some(did) = numbers::find_dialled(conn, &trunk, &leg.to)? else { return Ok(None) };
    let tenant = tenants::find(conn, trunk.tenant_id)?;
    let caller = caller_number(&leg.from, tenant.spec.country_code.as_deref());
    Ok(Some(Found { tenant, trunk, did, caller }))
}

fn plan(conn: &Connection, found: &Found, now: Timestamp) -> Result<Plan, StoreError> {
    let tenant = found.tenant.id;
    let dialplan = match found.did.spec.dialplan_id.filter(|_| found.did.spec.enabled) {
        Some(id) => store::dialplans::load(conn, tenant, id)?,
        None => None,
    };
    let mut machine = call::Call::inbound();
    let (mut trace, mut rule, mut action, mut input) = (None, None, "none", Input::NoRuleMatched);
    if let Some(dialplan) = dialplan {
        let facts = Facts {
            did_id: Some(found.did.id),
            extension_id: None,
            caller: found.caller.clone(),
            at: now,
            calendars: calendars(conn, tenant)?,
        };
        let (decision, how) = evaluate(&dialplan, &facts);
        trace = Some(how);
        if let Decision::Matched { rule_id, action: matched } = decision {
            (rule, action) = (Some(rule_id), matched.kind());
            input = Input::Routed(matched);
        }
    }
    machine.handle(input, std::time::Duration::ZERO);
    let outputs = settle(conn, tenant, &mut machine)?;
    Ok(Plan { call: CallId::new(), trace, rule, action, machine, outputs })
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

fn conceive(arrival: &Arrival, found: &Found, plan: Plan) -> Live {
    let now = Timestamp::now();
    let call = Call {
        id: plan.call,
        tenant_id: found.tenant.id,
        kind: CallKind::Phone,
        direction: Direction::Inbound,
        trunk_id: Some(found.trunk.id),
        did_id: Some(found.did.id),
        caller: found.caller.clone(),
        callee: found.did.spec.number.as_str().to_owned(),
        from_extension_id: None,
        extension_id: None,
        user_id: None,
        dialplan_id: found.did.spec.dialplan_id,
        matched_rule_id: plan.rule,
        state: CallState::Routing,
        started_at: now,
        answered_at: None,
        ended_at: None,
        end_reason: None,
        end_code: None,
        sip_code: None,
        room: arrival.room.clone(),
        correlation_id: arrival.correlation_id.clone(),
        trace: plan.trace.as_ref().and_then(|trace| serde_json::to_value(trace).ok()),
        machine: None,
    };
    let mut leg = Leg::new(call.id, call.tenant_id, 0, LegKind::Sip, LegState::Ringing, now);
    leg.direction = Some(Direction::Inbound);
    leg.lk_call_id = Some(arrival.leg.lk_call_id.clone());
    leg.sip_call_id = Some(arrival.leg.sip_call_id.clone());
    leg.identity = arrival.identity.clone();
    leg.address = Some(found.caller.clone());
    leg.trunk_id = Some(found.trunk.id);
    let mut live = Live::new(call, vec![leg], plan.machine);
    live.apply(plan.outputs);
    live
}

/// Every inbound INVITE has this line, whatever became of it.
fn log_decision(arrival: &Arrival, found: Option<&Found>, plan: Option<&Plan>, outcome: &str, sip_code: Option<u16>) {
    let rule = plan.and_then(|plan| plan.rule).map(|rule| rule.to_string());
    let did = found.map(|found| found.did.id.to_string());
    let reason = plan.and_then(|plan| plan.machine.ended()).map(EndReason::as_str);
    let call = plan.map(|plan| plan.call.to_string());
    tracing::info!(
        correlation_id = %arrival.correlation_id, call.id = call, lk_call_id = arrival.leg.lk_call_id, outcome,
        sip_code, did.id = did, rule.id = rule, action = plan.map(|plan| plan.action), end_reason = reason,
        source = arrival.leg.source, "scaidial_inbound_dispatch_decision"
    );
    if reason == Some(EndReason::NoRuleMatched.as_str()) {
        let rules = plan.map(|plan| why_not(plan.trace.as_ref()));
        tracing::warn!(
            correlation_id = %arrival.correlation_id, call.id = call, did.id = did, rules, "scaidial_dialplan_no_match"
        );
    }
}

/// Each rule that was tried with its reason code; numbers stay in the trace, out of the log.
fn why_not(trace: Option<&Trace>) -> String {
    let Some(trace) = trace else { return "the number has no dialplan".to_owned() };
    let code = |entry: &dialplan::TraceEntry| serde_json::to_value(entry.reason).unwrap_or_default();
    let each =
        trace.rules.iter().map(|entry| format!("{}={}", entry.rule_id, code(entry).as_str().unwrap_or_default()));
    each.collect::<Vec<_>>().join(" ")
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
