//! What does the log say of an INVITE?

use super::{Arrival, Found, Plan, Way};
use dialplan::Trace;
use types::EndReason;

/// Every inbound INVITE has this line, whatever became of it.
pub(super) fn log_decision(
    arrival: &Arrival,
    found: Option<&Found>,
    plan: Option<&Plan>,
    outcome: &str,
    sip_code: Option<u16>,
) {
    let rule = plan.and_then(|plan| plan.rule).map(|rule| rule.to_string());
    let did = found.and_then(|found| match &found.way {
        Way::Did { did, .. } => Some(did.id.to_string()),
        Way::Phone { .. } => None,
    });
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
    let Some(trace) = trace else { return "no dialplan".to_owned() };
    let code = |entry: &dialplan::TraceEntry| serde_json::to_value(entry.reason).unwrap_or_default();
    let each =
        trace.rules.iter().map(|entry| format!("{}={}", entry.rule_id, code(entry).as_str().unwrap_or_default()));
    each.collect::<Vec<_>>().join(" ")
}
