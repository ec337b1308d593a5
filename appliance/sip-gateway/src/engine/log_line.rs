//! What does a line of livekit-sip's log say?
//!
//! It writes JSON as zap does: `level`, `ts`, `logger`, `caller`, `msg`, `error`, and what belongs to the call. A line
//! that is something else (of Go's runtime, for example) is kept as text. Numbers and secrets do not go on.

use serde_json::{Map, Value};

/// As `tracing` has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    Debug,
    Info,
    Warn,
    Error,
}

/// A line, understood as far as it goes.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    pub level: Level,
    pub logger: Option<String>,
    pub msg: String,
    pub error: Option<String>,
    /// LiveKit's id of the call, `SCL_…`.
    pub lk_call_id: Option<String>,
    /// Everything else, as JSON; empty if there is nothing.
    pub rest: String,
}

/// How Go's runtime begins to tell why a program ends.
const LAST_WORDS: [&str; 2] = ["panic:", "fatal error:"];
/// Of each line the same: which machine, which place in its source, when.
const NOT_TOLD: [&str; 5] = ["ts", "caller", "nodeID", "stacktrace", "pid"];
const SECRETS: [&str; 6] = ["secret", "password", "token", "authorization", "key", "pin"];

impl Line {
    pub fn read(text: &str) -> Self {
        match serde_json::from_str::<Value>(text) {
            Ok(Value::Object(fields)) => Self::of(fields),
            _ => Self {
                level: if LAST_WORDS.iter().any(|words| text.starts_with(words)) { Level::Error } else { Level::Info },
                logger: None,
                msg: masked(text),
                error: None,
                lk_call_id: None,
                rest: String::new(),
            },
        }
    }

    fn of(mut fields: Map<String, Value>) -> Self {
        NOT_TOLD.iter().for_each(|name| drop(fields.remove(*name)));
        let mut take =
            |name: &str| fields.remove(name).map(|value| value.as_str().map_or(value.to_string(), str::to_owned));
        let (level, msg) = (take("level"), take("msg"));
        let (logger, error, call) = (take("logger"), take("error"), take("callID"));
        Self {
            level: level.as_deref().map_or(Level::Info, level_of),
            logger,
            msg: masked(&msg.unwrap_or_default()),
            error: error.map(|error| masked(&error)),
            lk_call_id: call,
            rest: shown(fields),
        }
    }

    /// A call went wrong.
    pub fn is_of_a_failed_call(&self) -> bool {
        self.level == Level::Error && self.lk_call_id.is_some()
    }
}

/// zap's names; those above `error` end the program.
fn level_of(name: &str) -> Level {
    match name {
        "debug" => Level::Debug,
        "warn" | "warning" => Level::Warn,
        "error" | "dpanic" | "panic" | "fatal" => Level::Error,
        _ => Level::Info,
    }
}

fn shown(fields: Map<String, Value>) -> String {
    if fields.is_empty() { String::new() } else { cleaned(Value::Object(fields)).to_string() }
}

fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    SECRETS.iter().any(|secret| key.ends_with(secret))
}

fn cleaned(value: Value) -> Value {
    match value {
        Value::String(text) => masked(&text).into(),
        Value::Array(items) => items.into_iter().map(cleaned).collect(),
        Value::Object(fields) => Value::Object(fields.into_iter().map(without_secret).collect()),
        other => other,
    }
}

fn without_secret((key, value): (String, Value)) -> (String, Value) {
    let value = if is_secret(&key) { Value::from("***") } else { cleaned(value) };
    (key, value)
}

/// Digits in a row that could be somebody's number.
const NUMBER: usize = 7;
/// As many of its last digits are left.
const LEFT: usize = 2;

/// With `x` for the digits of telephone numbers, but for the last two.
fn masked(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut digits = String::new();
    for c in text.chars() {
        if c.is_ascii_digit() {
            digits.push(c);
            continue;
        }
        hide(&mut shown, &mut digits);
        shown.push(c);
    }
    hide(&mut shown, &mut digits);
    shown
}

fn hide(shown: &mut String, digits: &mut String) {
    let hidden = if digits.len() >= NUMBER { digits.len() - LEFT } else { 0 };
    shown.extend(std::iter::repeat_n('x', hidden));
    shown.push_str(&digits[hidden..]);
    digits.clear();
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_line_of_zap_is_taken_apart() {
        let text = r#"{"level":"error","ts":1764141336.5,"logger":"sip","caller":"sip/inbound.go:1","msg":"call failed",
            "error":"no answer from +31612345678","callID":"SCL_abc","fromUser":"+31612345678","tries":3}"#;
        let line = Line::read(text);
        assert_eq!((line.level, line.msg.as_str()), (Level::Error, "call failed"));
        assert_eq!((line.logger.as_deref(), line.lk_call_id.as_deref()), (Some("sip"), Some("SCL_abc")));
        assert_eq!(line.error.as_deref(), Some("no answer from +xxxxxxxxx78"));
        assert_eq!(line.rest, r#"{"fromUser":"+xxxxxxxxx78","tries":3}"#);
        assert!(line.is_of_a_failed_call());
    }

    #[test]
    fn what_is_no_json_is_kept_as_text() {
        for text in ["goroutine 1 [running]:", "\"quoted\"", "[1]", "{\"level\":", ""] {
            let line = Line::read(text);
            assert_eq!((line.level, line.msg.as_str(), line.rest.as_str()), (Level::Info, text, ""));
        }
        assert_eq!(Line::read("panic: runtime error").level, Level::Error);
    }

    #[test]
    fn levels_that_end_the_program_are_errors_and_unknown_ones_are_no_alarm() {
        for (name, level) in
            [("debug", Level::Debug), ("warn", Level::Warn), ("fatal", Level::Error), ("loud", Level::Info)]
        {
            assert_eq!(Line::read(&format!(r#"{{"level":"{name}","msg":"x"}}"#)).level, level);
        }
    }

    #[test]
    fn secrets_do_not_go_on_however_deep_they_are() {
        let line = Line::read(
            r#"{"msg":"config","api_secret":"s1","pin":"1234","redis":{"password":"s2"},"sipCallID":"a-1@b"}"#,
        );
        assert_eq!(line.rest, r#"{"api_secret":"***","pin":"***","redis":{"password":"***"},"sipCallID":"a-1@b"}"#);
    }

    proptest! {
        #[test]
        fn any_text_is_a_line_and_no_number_of_it_is_left(text in "\\PC*", number in "[0-9]{7,15}") {
            Line::read(&text);
            let line = Line::read(&serde_json::json!({ "msg": text.clone() + &number, "to": &number }).to_string());
            prop_assert!(!line.msg.contains(&number) && !line.rest.contains(&number));
        }
    }
}
