//! The small office: business hours ring reception, spam is dropped, the rest goes to voicemail.

use dialplan::{Action, Decision, Dialplan, Facts, NewRule, Outcome, Reason, Trace, evaluate, parse_rules};
use proptest::prelude::*;
use serde_json::json;
use std::collections::BTreeMap;
use types::{BotId, DialplanId, ExtensionId, RuleId};

struct Office {
    dialplan: Dialplan,
    reception: ExtensionId,
}

fn office() -> Office {
    let (reception, bot) = (ExtensionId::new(), BotId::new());
    let hours = json!({
        "days": [0, 1, 2, 3, 4], "start_time": "09:00", "end_time": "17:00", "timezone": "Europe/Amsterdam",
    });
    let rules = json!([
        {"priority": 999, "match_type": "always", "match_params": {}, "action_type": "voicemail", "action_params": {}},
        {"priority": 10, "match_type": "caller_prefix", "match_params": {"prefix": "+44900"},
         "action_type": "hangup", "action_params": {}},
        {"priority": 200, "match_type": "time_window", "match_params": hours,
         "action_type": "ring_bot", "action_params": {"bot_id": bot}},
        {"priority": 100, "match_type": "time_window", "match_params": hours,
         "action_type": "ring_extension", "action_params": {"extension_id": reception}},
    ]);
    let rules = parse_rules(&rules, "rules").unwrap();
    let rules = rules.into_iter().map(|rule| rule.with_id(RuleId::new())).collect();
    Office { dialplan: Dialplan { id: DialplanId::new(), rules }, reception }
}

impl Office {
    fn call(&self, caller: &str, at: &str) -> (Option<Action>, Trace) {
        let facts = Facts {
            did_id: None,
            extension_id: None,
            caller: caller.to_owned(),
            at: at.parse().unwrap(),
            calendars: BTreeMap::new(),
        };
        match evaluate(&self.dialplan, &facts) {
            (Decision::Matched { action, .. }, trace) => (Some(action), trace),
            (Decision::NoRuleMatched, trace) => (None, trace),
        }
    }

    fn rings_reception(&self, at: &str) -> bool {
        self.call("+31612345678", at).0 == Some(Action::RingExtension { extension_id: self.reception })
    }

    fn goes_to_voicemail(&self, at: &str) -> bool {
        self.call("+31612345678", at).0 == Some(Action::Voicemail { extension_id: None })
    }
}

#[test]
fn calls_in_business_hours_ring_reception() {
    let office = office();
    assert!(office.rings_reception("2026-03-02T10:00:00+01:00[Europe/Amsterdam]"), "Monday");
    assert!(office.rings_reception("2026-03-06T16:59:59+01:00"), "Friday, one second before five");
    assert!(office.rings_reception("2026-07-06T09:00:00+02:00"), "a Monday in summer, at nine sharp");
}

#[test]
fn calls_outside_business_hours_go_to_voicemail() {
    let office = office();
    assert!(office.goes_to_voicemail("2026-03-02T08:59:59+01:00"), "one second early");
    assert!(office.goes_to_voicemail("2026-03-02T17:00:00+01:00"), "five sharp is closed");
    assert!(office.goes_to_voicemail("2026-03-07T12:00:00+01:00"), "Saturday");
    assert!(office.goes_to_voicemail("2026-07-06T07:30:00+01:00"), "08:30 in summer");
}

#[test]
fn a_known_spam_prefix_is_dropped_at_any_hour() {
    let office = office();
    for at in ["2026-03-02T10:00:00+01:00", "2026-03-07T03:00:00+01:00"] {
        assert_eq!(office.call("+44900123456", at).0, Some(Action::Hangup {}));
    }
}

#[test]
fn the_week_after_the_clocks_change_opens_at_nine_on_the_wall() {
    let office = office();
    // The clocks change on Sunday 29 March and Sunday 25 October 2026.
    assert!(office.goes_to_voicemail("2026-03-30T06:59:59Z"));
    assert!(office.rings_reception("2026-03-30T07:00:00Z"), "09:00 +02");
    assert!(office.goes_to_voicemail("2026-10-26T07:59:59Z"));
    assert!(office.rings_reception("2026-10-26T08:00:00Z"), "09:00 +01");
}

#[test]
fn the_trace_tells_the_whole_story() {
    let (_, trace) = office().call("+31612345678", "2026-03-07T12:00:00+01:00");
    let story: Vec<_> = trace.rules.iter().map(|entry| (entry.priority, entry.outcome, entry.reason)).collect();
    assert_eq!(
        story,
        [
            (10, Outcome::Skipped, Reason::OtherCaller),
            (100, Outcome::Skipped, Reason::OutsideDays),
            (200, Outcome::Skipped, Reason::OutsideDays),
            (999, Outcome::Matched, Reason::AlwaysMatches),
        ]
    );
    assert_eq!(trace.rules[1].wanted.as_deref(), Some("Mon,Tue,Wed,Thu,Fri 09:00-17:00 Europe/Amsterdam"));
    assert_eq!(trace.rules[1].observed.as_deref(), Some("Sat 12:00 Europe/Amsterdam"));
}

fn any_rule() -> impl Strategy<Value = NewRule> {
    let matches = prop_oneof![
        Just(json!({"match_type": "always", "match_params": {}})),
        "\\+[1-9][0-9]{0,14}"
            .prop_map(|prefix| json!({"match_type": "caller_prefix", "match_params": {"prefix": prefix}})),
        (prop::collection::vec(0..7, 1..9), 0..24, 0..60, 0..24, 0..60).prop_map(|(days, h, m, h2, m2)| {
            let end = if (h, m) == (h2, m2) { (m2 + 1) % 60 } else { m2 };
            json!({"match_type": "time_window", "match_params": {
                "days": days, "start_time": format!("{h:02}:{m:02}"), "end_time": format!("{h2:02}:{end:02}"),
                "timezone": "Europe/Amsterdam"}})
        }),
    ];
    (matches, 0..5_i32, any::<bool>()).prop_map(|(mut rule, priority, enabled)| {
        rule["priority"] = priority.into();
        rule["enabled"] = enabled.into();
        rule["action_type"] = "hangup".into();
        dialplan::parse_rule(&rule, "").unwrap()
    })
}

proptest! {
    #[test]
    fn any_dialplan_at_any_moment_has_at_most_one_match_and_a_trace_of_all_its_rules(
        rules in prop::collection::vec(any_rule(), 0..12),
        caller in "\\PC{0,20}",
        second in -377_705_023_201_i64..=253_402_207_200,
    ) {
        let rules: Vec<_> = rules.into_iter().map(|rule| rule.with_id(RuleId::new())).collect();
        let plan = Dialplan { id: DialplanId::new(), rules };
        let facts = Facts {
            did_id: None, extension_id: None, caller,
            at: jiff::Timestamp::from_second(second).unwrap(), calendars: BTreeMap::new(),
        };
        let (decision, trace) = evaluate(&plan, &facts);
        let count = |wanted| trace.rules.iter().filter(|entry| entry.outcome == wanted).count();
        prop_assert_eq!(trace.rules.len(), plan.rules.len());
        prop_assert_eq!(count(Outcome::Matched), usize::from(decision != Decision::NoRuleMatched));
        prop_assert!(count(Outcome::NotReached) == 0 || count(Outcome::Matched) == 1);
        prop_assert!(trace.rules.is_sorted_by_key(|entry| entry.priority));
    }
}
