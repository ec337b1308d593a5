//! Which rule is first to match, and why did the others not?

use crate::{Action, Dialplan, Match, Rule, window::Place, window::zone};
use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use types::{CalendarId, DialplanId, DidId, ExtensionId, RuleId};

/// What is known of a call when it is routed.
#[derive(Clone, Debug)]
pub struct Facts {
    pub did_id: Option<DidId>,
    /// Set when one dialplan hands the call to another.
    pub extension_id: Option<ExtensionId>,
    /// E.164 where the carrier's spelling could be understood; else as it came.
    pub caller: String,
    pub at: Timestamp,
    pub calendars: BTreeMap<CalendarId, Calendar>,
}

/// Days off, in a time zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calendar {
    pub timezone: String,
    pub dates: BTreeSet<Date>,
}

/// What to do with the call.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    Matched { rule_id: RuleId, action: Action },
    NoRuleMatched,
}

/// How the decision came about; stored with the call and shown in the console.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trace {
    pub dialplan_id: DialplanId,
    pub evaluated_at: Timestamp,
    /// In the order they were tried.
    pub rules: Vec<TraceEntry>,
}

/// What became of one rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TraceEntry {
    pub rule_id: RuleId,
    pub priority: i32,
    pub match_type: String,
    pub action_type: String,
    pub outcome: Outcome,
    pub reason: Reason,
    /// What the rule asks for.
    pub wanted: Option<String>,
    /// What the call had.
    pub observed: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Matched,
    Skipped,
    NotReached,
}

/// Stable codes; the console has a sentence for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    AlwaysMatches,
    DidMatches,
    OtherDid,
    ExtensionMatches,
    OtherExtension,
    CallerMatches,
    OtherCaller,
    CallerUnknown,
    InsideWindow,
    OutsideDays,
    OutsideHours,
    UnknownTimezone,
    IsHoliday,
    NotHoliday,
    UnknownCalendar,
    Disabled,
    EarlierRuleMatched,
}

/// Lowest priority first, same priority in order of creation; the first match wins.
pub fn evaluate(dialplan: &Dialplan, facts: &Facts) -> (Decision, Trace) {
    let mut ordered: Vec<&Rule> = dialplan.rules.iter().collect();
    ordered.sort_by_key(|rule| rule.priority); // stable: ties stay in order of creation
    let mut decision = Decision::NoRuleMatched;
    let mut rules = Vec::with_capacity(ordered.len());
    for rule in ordered {
        let (outcome, seen) = match (&decision, rule.enabled) {
            (Decision::Matched { .. }, _) => (Outcome::NotReached, Seen::only(Reason::EarlierRuleMatched)),
            (_, false) => (Outcome::Skipped, Seen::only(Reason::Disabled)),
            (_, true) => look(&rule.matches, facts),
        };
        if outcome == Outcome::Matched {
            decision = Decision::Matched { rule_id: rule.id, action: rule.action.clone() };
        }
        rules.push(entry(rule, outcome, seen));
    }
    (decision, Trace { dialplan_id: dialplan.id, evaluated_at: facts.at, rules })
}

/// The reason, with what was wanted and what was there.
struct Seen {
    reason: Reason,
    wanted: Option<String>,
    observed: Option<String>,
}

impl Seen {
    fn only(reason: Reason) -> Self {
        Self { reason, wanted: None, observed: None }
    }
}

fn entry(rule: &Rule, outcome: Outcome, seen: Seen) -> TraceEntry {
    TraceEntry {
        rule_id: rule.id,
        priority: rule.priority,
        match_type: rule.matches.kind().to_owned(),
        action_type: rule.action.kind().to_owned(),
        outcome,
        reason: seen.reason,
        wanted: seen.wanted,
        observed: seen.observed,
    }
}

fn look(matches: &Match, facts: &Facts) -> (Outcome, Seen) {
    let (reason, wanted, observed) = match matches {
        Match::Always {} => (Reason::AlwaysMatches, None, None),
        Match::Did { did_id } => (
            either(facts.did_id == Some(*did_id), Reason::DidMatches, Reason::OtherDid),
            Some(did_id.to_string()),
            facts.did_id.map(|id| id.to_string()),
        ),
        Match::Extension { extension_id } => (
            either(facts.extension_id == Some(*extension_id), Reason::ExtensionMatches, Reason::OtherExtension),
            Some(extension_id.to_string()),
            facts.extension_id.map(|id| id.to_string()),
        ),
        Match::CallerPrefix { prefix } => {
            (caller(prefix, &facts.caller), Some(prefix.clone()), Some(facts.caller.clone()))
        }
        Match::TimeWindow(window) => {
            let reason = match window.place(facts.at) {
                Place::Inside => Reason::InsideWindow,
                Place::OtherDay => Reason::OutsideDays,
                Place::OtherHours => Reason::OutsideHours,
                Place::UnknownZone => Reason::UnknownTimezone,
            };
            (reason, Some(window.describe()), Some(window.describe_moment(facts.at)))
        }
        Match::Holiday { calendar_id } => {
            let (reason, observed) = holiday(facts.calendars.get(calendar_id), facts.at);
            (reason, Some(calendar_id.to_string()), observed)
        }
    };
    let outcome = if is_match(reason) { Outcome::Matched } else { Outcome::Skipped };
    (outcome, Seen { reason, wanted, observed })
}

fn either(hit: bool, yes: Reason, no: Reason) -> Reason {
    if hit { yes } else { no }
}

fn is_match(reason: Reason) -> bool {
    use Reason::*;
    matches!(reason, AlwaysMatches | DidMatches | ExtensionMatches | CallerMatches | InsideWindow | IsHoliday)
}

fn caller(prefix: &str, caller: &str) -> Reason {
    match caller.starts_with('+') {
        true => either(caller.starts_with(prefix), Reason::CallerMatches, Reason::OtherCaller),
        false => Reason::CallerUnknown,
    }
}

fn holiday(calendar: Option<&Calendar>, at: Timestamp) -> (Reason, Option<String>) {
    let Some(calendar) = calendar else { return (Reason::UnknownCalendar, None) };
    let Some(zone) = zone(&calendar.timezone) else { return (Reason::UnknownTimezone, None) };
    let today = at.to_zoned(zone).date();
    let reason = either(calendar.dates.contains(&today), Reason::IsHoliday, Reason::NotHoliday);
    (reason, Some(format!("{today} {}", calendar.timezone)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    fn facts(at: &str) -> Facts {
        Facts {
            did_id: None,
            extension_id: None,
            caller: "+31612345678".to_owned(),
            at: at.parse().unwrap(),
            calendars: BTreeMap::new(),
        }
    }

    fn rule(priority: i32, matches: Match) -> Rule {
        Rule { id: RuleId::new(), priority, matches, action: Action::Hangup {}, enabled: true }
    }

    fn plan(rules: Vec<Rule>) -> Dialplan {
        Dialplan { id: DialplanId::new(), rules }
    }

    fn reasons(trace: &Trace) -> Vec<Reason> {
        trace.rules.iter().map(|entry| entry.reason).collect()
    }

    #[test]
    fn rules_of_the_same_priority_are_tried_in_order_of_creation() {
        let plan = plan(vec![rule(200, Match::Always {}), rule(100, Match::Always {}), rule(100, Match::Always {})]);
        let (decision, trace) = evaluate(&plan, &facts("2026-03-02T10:00:00Z"));
        assert_eq!(decision, Decision::Matched { rule_id: plan.rules[1].id, action: Action::Hangup {} });
        let order: Vec<_> = trace.rules.iter().map(|entry| entry.rule_id).collect();
        assert_eq!(order, [plan.rules[1].id, plan.rules[2].id, plan.rules[0].id]);
        assert_eq!(trace.rules[1].outcome, Outcome::NotReached);
    }

    #[test]
    fn a_disabled_rule_is_skipped_and_says_so() {
        let mut only = rule(1, Match::Always {});
        only.enabled = false;
        let (decision, trace) = evaluate(&plan(vec![only]), &facts("2026-03-02T10:00:00Z"));
        assert_eq!(decision, Decision::NoRuleMatched);
        assert_eq!((trace.rules[0].outcome, trace.rules[0].reason), (Outcome::Skipped, Reason::Disabled));
    }

    #[test]
    fn an_empty_dialplan_matches_nothing() {
        let (decision, trace) = evaluate(&plan(vec![]), &facts("2026-03-02T10:00:00Z"));
        assert_eq!(decision, Decision::NoRuleMatched);
        assert!(trace.rules.is_empty());
    }

    #[test]
    fn the_trace_shows_what_was_wanted_and_what_was_there() {
        let other = DidId::new();
        let rules = vec![
            rule(1, Match::Did { did_id: other }),
            rule(2, Match::CallerPrefix { prefix: "+44900".to_owned() }),
            rule(3, Match::Extension { extension_id: ExtensionId::new() }),
            rule(4, Match::CallerPrefix { prefix: "+316".to_owned() }),
        ];
        let mine = DidId::new();
        let facts = Facts { did_id: Some(mine), ..facts("2026-03-02T10:00:00Z") };
        let (_, trace) = evaluate(&plan(rules), &facts);
        assert_eq!(
            reasons(&trace),
            [Reason::OtherDid, Reason::OtherCaller, Reason::OtherExtension, Reason::CallerMatches]
        );
        assert_eq!(trace.rules[0].wanted, Some(other.to_string()));
        assert_eq!(trace.rules[0].observed, Some(mine.to_string()));
        assert_eq!(trace.rules[1].observed.as_deref(), Some("+31612345678"));
        assert_eq!(trace.rules[2].observed, None);
    }

    #[test]
    fn a_caller_who_hides_has_no_prefix() {
        let plan = plan(vec![rule(1, Match::CallerPrefix { prefix: "+31".to_owned() })]);
        let facts = Facts { caller: "anonymous".to_owned(), ..facts("2026-03-02T10:00:00Z") };
        assert_eq!(reasons(&evaluate(&plan, &facts).1), [Reason::CallerUnknown]);
    }

    #[test]
    fn a_holiday_is_a_date_in_the_calendars_own_time_zone() {
        let calendar = CalendarId::new();
        let plan = plan(vec![rule(1, Match::Holiday { calendar_id: calendar })]);
        let christmas =
            Calendar { timezone: "Europe/Amsterdam".to_owned(), dates: BTreeSet::from([date(2026, 12, 25)]) };
        let on = |at: &str| {
            let calendars = BTreeMap::from([(calendar, christmas.clone())]);
            reasons(&evaluate(&plan, &Facts { calendars, ..facts(at) }).1)[0]
        };
        assert_eq!(on("2026-12-24T22:59:59Z"), Reason::NotHoliday);
        assert_eq!(on("2026-12-24T23:00:00Z"), Reason::IsHoliday);
        assert_eq!(on("2026-12-25T23:00:00Z"), Reason::NotHoliday);
        let without = evaluate(&plan, &facts("2026-12-25T12:00:00Z")).1;
        assert_eq!(reasons(&without), [Reason::UnknownCalendar]);
    }

    #[test]
    fn reason_codes_are_stable_words() {
        assert_eq!(serde_json::to_value(Reason::OutsideHours).unwrap(), "outside_hours");
        assert_eq!(serde_json::to_value(Outcome::NotReached).unwrap(), "not_reached");
    }
}
