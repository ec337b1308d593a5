//! Is this JSON a rule, and if not, what is wrong with each of its fields?
//!
//! Whether the extension, bot or number a rule names exists is a question for the database:
//! see [`NewRule::references`].

use crate::{
    Action, Destination, FieldError, Match, NewRule, TimeWindow, WindowError,
    fields::Fields,
    window::{parse_days, parse_time, parse_zone},
};
use serde_json::Value;
use types::E164;

const DEFAULT_PRIORITY: i64 = 100;
const PRIORITIES: std::ops::RangeInclusive<i64> = 0..=1_000_000;
const LONGEST_MESSAGE: usize = 2_000;
const MOST_RULES: usize = 1_000;
const MATCHES: &str = "always, did, extension, caller_prefix, time_window, holiday";
const ACTIONS: &str = "ring_extension, ring_bot, voicemail, forward, hangup, play_message";

/// Reads a list of rules; `path` is where the list stands in the body (`rules`).
pub fn parse_rules(list: &Value, path: &str) -> Result<Vec<NewRule>, Vec<FieldError>> {
    let Value::Array(items) = list else {
        return Err(vec![whole(path, "invalid_type", "must be a list of rules")]);
    };
    if items.len() > MOST_RULES {
        return Err(vec![whole(path, "too_many", &format!("at most {MOST_RULES} rules"))]);
    }
    let mut errors = Vec::new();
    let mut rules = Vec::new();
    for (index, item) in items.iter().enumerate() {
        match parse_rule(item, &format!("{path}[{index}]")) {
            Ok(rule) => rules.push(rule),
            Err(found) => errors.extend(found),
        }
    }
    if errors.is_empty() { Ok(rules) } else { Err(errors) }
}

/// Reads one rule; `path` is put before each field's name.
pub fn parse_rule(value: &Value, path: &str) -> Result<NewRule, Vec<FieldError>> {
    let mut errors = Vec::new();
    let mut fields = Fields::open(Some(value.clone()), path, &mut errors);
    fields.take("id"); // a stored rule that comes back in a PATCH is a new rule
    let priority = priority(&mut fields);
    let enabled = enabled(&mut fields);
    let matches = matches(&mut fields);
    let action = action(&mut fields);
    fields.close();
    match (priority, enabled, matches, action) {
        (Some(priority), Some(enabled), Some(matches), Some(action)) if errors.is_empty() => {
            Ok(NewRule { priority, matches, action, enabled })
        }
        _ => Err(errors),
    }
}

fn whole(path: &str, code: &'static str, message: &str) -> FieldError {
    FieldError { field: path.to_owned(), code, message: message.to_owned() }
}

fn priority(fields: &mut Fields<'_>) -> Option<i32> {
    let value = fields.take("priority").unwrap_or(DEFAULT_PRIORITY.into());
    match value.as_i64() {
        Some(number) if PRIORITIES.contains(&number) => i32::try_from(number).ok(),
        _ => {
            fields.wrong("priority", "out_of_range", "must be a whole number from 0 to 1000000");
            None
        }
    }
}

fn enabled(fields: &mut Fields<'_>) -> Option<bool> {
    match fields.take("enabled").unwrap_or(true.into()) {
        Value::Bool(value) => Some(value),
        _ => {
            fields.wrong("enabled", "invalid_type", "must be true or false");
            None
        }
    }
}

fn matches(fields: &mut Fields<'_>) -> Option<Match> {
    let params = fields.take("match_params");
    let kind = fields.required_text("match_type")?;
    let path = fields.path("match_params");
    let mut params = Fields::open(params, &path, fields.errors());
    let found = match kind.as_str() {
        "always" => Some(Match::Always {}),
        "did" => params.parsed("did_id", "invalid_id", true).map(|did_id| Match::Did { did_id }),
        "extension" => {
            params.parsed("extension_id", "invalid_id", true).map(|extension_id| Match::Extension { extension_id })
        }
        "caller_prefix" => params
            .parsed::<E164>("prefix", "invalid_prefix", true)
            .map(|prefix| Match::CallerPrefix { prefix: prefix.as_str().to_owned() }),
        "time_window" => time_window(&mut params).map(Match::TimeWindow),
        "holiday" => params.parsed("calendar_id", "invalid_id", true).map(|calendar_id| Match::Holiday { calendar_id }),
        _ => {
            fields.wrong("match_type", "unknown_value", format!("must be one of {MATCHES}"));
            return None;
        }
    };
    params.close();
    found
}

fn time_window(params: &mut Fields<'_>) -> Option<TimeWindow> {
    let days = days(params);
    let start = clock(params, "start_time");
    let end = clock(params, "end_time");
    let zone = params.required_text("timezone");
    if let Some(why) = zone.as_ref().and_then(|zone| parse_zone(zone).err()) {
        params.wrong("timezone", "unknown_timezone", why);
        return None;
    }
    match TimeWindow::new(&days?, &start?, &end?, &zone?) {
        Ok(window) => Some(window),
        Err(why) => {
            params.wrong("end_time", "empty_window", why);
            None
        }
    }
}

fn days(params: &mut Fields<'_>) -> Option<Vec<i64>> {
    let Some(value) = params.take("days") else {
        params.wrong("days", "required", "is required");
        return None;
    };
    let list = value.as_array().and_then(|list| list.iter().map(Value::as_i64).collect::<Option<Vec<_>>>());
    let Some(days) = list else {
        params.wrong("days", "invalid_type", "must be a list of whole numbers, 0 is Monday");
        return None;
    };
    match parse_days(&days) {
        Ok(_) => Some(days),
        Err(why @ WindowError::NoDays) => {
            params.wrong("days", "required", why);
            None
        }
        Err(why) => {
            params.wrong("days", "out_of_range", why);
            None
        }
    }
}

fn clock(params: &mut Fields<'_>, name: &str) -> Option<String> {
    let text = params.required_text(name)?;
    match parse_time(&text) {
        Ok(_) => Some(text),
        Err(why) => {
            params.wrong(name, "invalid_time", why);
            None
        }
    }
}

fn action(fields: &mut Fields<'_>) -> Option<Action> {
    let params = fields.take("action_params");
    let kind = fields.required_text("action_type")?;
    let path = fields.path("action_params");
    let mut params = Fields::open(params, &path, fields.errors());
    let found = match kind.as_str() {
        "ring_extension" => {
            params.parsed("extension_id", "invalid_id", true).map(|extension_id| Action::RingExtension { extension_id })
        }
        "ring_bot" => params.parsed("bot_id", "invalid_id", true).map(|bot_id| Action::RingBot { bot_id }),
        "voicemail" => Some(Action::Voicemail { extension_id: params.parsed("extension_id", "invalid_id", false) }),
        "forward" => params.parsed::<Destination>("to", "invalid_destination", true).map(|to| Action::Forward { to }),
        "hangup" => Some(Action::Hangup {}),
        "play_message" => play_message(&mut params),
        _ => {
            fields.wrong("action_type", "unknown_value", format!("must be one of {ACTIONS}"));
            return None;
        }
    };
    params.close();
    found
}

fn play_message(params: &mut Fields<'_>) -> Option<Action> {
    let voice_id = params.parsed("voice_id", "invalid_id", false);
    let text = params.required_text("text")?;
    match text.chars().count() {
        _ if text.trim().is_empty() => params.wrong("text", "required", "must say something"),
        1..=LONGEST_MESSAGE => return Some(Action::PlayMessage { text, voice_id }),
        _ => params.wrong("text", "too_long", format!("at most {LONGEST_MESSAGE} characters")),
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn problems(rule: Value) -> Vec<(String, &'static str)> {
        let errors = parse_rule(&rule, "").unwrap_err();
        errors.into_iter().map(|error| (error.field, error.code)).collect()
    }

    fn owned(list: &[(&str, &'static str)]) -> Vec<(String, &'static str)> {
        list.iter().map(|(field, code)| ((*field).to_owned(), *code)).collect()
    }

    #[test]
    fn a_rule_may_leave_out_priority_enabled_and_empty_params() {
        let rule = parse_rule(&json!({"match_type": "always", "action_type": "hangup"}), "").unwrap();
        assert_eq!((rule.priority, rule.enabled), (100, true));
        assert_eq!((rule.matches, rule.action), (Match::Always {}, Action::Hangup {}));
    }

    #[test]
    fn every_wrong_field_is_named_at_once() {
        let found = problems(json!({
            "priority": "high", "enabled": 1, "colour": "red",
            "match_type": "time_window",
            "match_params": {"days": [7], "start_time": "9:00", "end_time": "25:00", "timezone": "Mars", "x": 1},
            "action_type": "forward", "action_params": {"to": "nobody"},
        }));
        assert_eq!(
            found,
            owned(&[
                ("priority", "out_of_range"),
                ("enabled", "invalid_type"),
                ("match_params.days", "out_of_range"),
                ("match_params.start_time", "invalid_time"),
                ("match_params.end_time", "invalid_time"),
                ("match_params.timezone", "unknown_timezone"),
                ("match_params.x", "unknown_field"),
                ("action_params.to", "invalid_destination"),
                ("colour", "unknown_field"),
            ])
        );
    }

    #[test]
    fn a_window_whose_start_and_end_are_equal_is_refused() {
        let found = problems(json!({
            "match_type": "time_window",
            "match_params": {"days": [0], "start_time": "09:00", "end_time": "09:00", "timezone": "UTC"},
            "action_type": "hangup",
        }));
        assert_eq!(found, owned(&[("match_params.end_time", "empty_window")]));
    }

    #[test]
    fn a_caller_prefix_is_a_plus_and_one_to_fifteen_digits() {
        let with = |prefix: &str| {
            parse_rule(
                &json!({"match_type": "caller_prefix", "match_params": {"prefix": prefix}, "action_type": "hangup"}),
                "",
            )
        };
        assert!(with("+3").is_ok() && with("+123456789012345").is_ok());
        for bad in ["", "+", "31", "+1234567890123456", "+31a", "0031"] {
            assert_eq!(with(bad).unwrap_err()[0].code, "invalid_prefix", "{bad}");
        }
    }

    #[test]
    fn each_action_asks_for_what_it_needs() {
        for (action, field, code) in [
            (json!({"action_type": "ring_extension"}), "action_params.extension_id", "required"),
            (
                json!({"action_type": "ring_bot", "action_params": {"bot_id": "ext_1"}}),
                "action_params.bot_id",
                "invalid_id",
            ),
            (
                json!({"action_type": "voicemail", "action_params": {"extension_id": 7}}),
                "action_params.extension_id",
                "invalid_type",
            ),
            (json!({"action_type": "play_message", "action_params": {"text": " "}}), "action_params.text", "required"),
            (json!({"action_type": "hangup", "action_params": {"code": 603}}), "action_params.code", "unknown_field"),
            (json!({"action_type": "hangup", "action_params": []}), "action_params", "invalid_type"),
            (json!({"action_type": "explode"}), "action_type", "unknown_value"),
            (json!({}), "action_type", "required"),
        ] {
            let mut rule = json!({"match_type": "always"});
            rule.as_object_mut().unwrap().extend(action.as_object().unwrap().clone());
            assert_eq!(problems(rule), owned(&[(field, code)]));
        }
    }

    #[test]
    fn a_list_names_the_rule_that_is_wrong() {
        let list = json!([
            {"match_type": "always", "action_type": "hangup"},
            {"match_type": "sometimes", "action_type": "hangup"},
        ]);
        let errors = parse_rules(&list, "rules").unwrap_err();
        assert_eq!(errors.len(), 1);
        assert_eq!(errors[0].field, "rules[1].match_type");
        assert_eq!(parse_rules(&json!({}), "rules").unwrap_err()[0].field, "rules");
        assert_eq!(parse_rules(&json!([7]), "rules").unwrap_err()[0].field, "rules[0]");
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "(always|time_window|did|hangup|forward|[a-z_:+0-9]{0,8})".prop_map(Value::from),
        ];
        let name = "(match_type|match_params|action_type|action_params|days|start_time|timezone|to|text|[a-z]{1,4})";
        leaf.prop_recursive(3, 24, 6, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(name, inner, 0..6).prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_json_is_a_rule_or_has_at_least_one_named_problem(value in any_json()) {
            match parse_rule(&value, "rule") {
                Ok(rule) => {
                    let again = parse_rule(&serde_json::to_value(&rule).unwrap(), "").unwrap();
                    prop_assert_eq!(again, rule);
                }
                Err(errors) => prop_assert!(!errors.is_empty()),
            }
        }
    }
}
