//! What is kept of a call that has just come in?

use super::{Arrival, Found, Plan, Way};
use crate::calls::live::Live;
use jiff::Timestamp;
use store::{
    calls::{Call, CallKind, CallState},
    legs::{Direction, Leg, LegKind, LegState},
};

pub(super) fn conceive(arrival: &Arrival, found: &Found, plan: Plan) -> Live {
    let now = Timestamp::now();
    let blank = Call {
        id: plan.call,
        tenant_id: found.tenant.id,
        kind: CallKind::Phone,
        direction: Direction::Inbound,
        trunk_id: None,
        did_id: None,
        caller: found.caller.clone(),
        callee: String::new(),
        from_extension_id: None,
        extension_id: None,
        user_id: None,
        dialplan_id: None,
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
    let call = match &found.way {
        Way::Did { trunk, did } => Call {
            trunk_id: Some(trunk.id),
            did_id: Some(did.id),
            callee: did.spec.number.as_str().to_owned(),
            dialplan_id: did.spec.dialplan_id,
            ..blank
        },
        Way::Phone { extension, dialled } => Call {
            direction: Direction::Outbound,
            callee: dialled.shown(),
            from_extension_id: Some(extension.id),
            user_id: extension.spec.user_id,
            ..blank
        },
    };
    let leg = caller_leg(arrival, &call, now);
    let mut live = Live::new(call, vec![leg], plan.machine);
    live.apply(plan.outputs);
    live
}

fn caller_leg(arrival: &Arrival, call: &Call, now: Timestamp) -> Leg {
    let mut leg = Leg::new(call.id, call.tenant_id, 0, LegKind::Sip, LegState::Ringing, now);
    leg.direction = Some(Direction::Inbound);
    leg.lk_call_id = Some(arrival.leg.lk_call_id.clone());
    leg.sip_call_id = Some(arrival.leg.sip_call_id.clone());
    leg.identity = arrival.identity.clone();
    leg.address = Some(call.caller.clone());
    leg.trunk_id = call.trunk_id;
    leg.extension_id = call.from_extension_id;
    leg.user_id = call.user_id;
    leg
}
