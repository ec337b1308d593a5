//! What is a rule: when does it apply, and what does it do?

use crate::{Destination, TimeWindow};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use types::{BotId, CalendarId, DialplanId, DidId, ExtensionId, RuleId, VoiceId};

/// A dialplan as it is evaluated; `rules` are in order of creation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Dialplan {
    pub id: DialplanId,
    pub rules: Vec<Rule>,
}

/// A stored rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    pub id: RuleId,
    /// Lowest first.
    pub priority: i32,
    #[serde(flatten)]
    pub matches: Match,
    #[serde(flatten)]
    pub action: Action,
    pub enabled: bool,
}

/// A rule that has no id yet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NewRule {
    pub priority: i32,
    #[serde(flatten)]
    pub matches: Match,
    #[serde(flatten)]
    pub action: Action,
    pub enabled: bool,
}

/// When a rule applies; `match_type` and `match_params` in JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "match_type", content = "match_params", rename_all = "snake_case")]
pub enum Match {
    Always {},
    /// The number that was dialled.
    Did {
        did_id: DidId,
    },
    /// The call is being routed to this extension (sub-dialplans).
    Extension {
        extension_id: ExtensionId,
    },
    /// The caller's E.164 number starts with it.
    CallerPrefix {
        prefix: String,
    },
    TimeWindow(TimeWindow),
    /// Today is in the calendar.
    Holiday {
        calendar_id: CalendarId,
    },
}

/// What a rule does; `action_type` and `action_params` in JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "action_type", content = "action_params", rename_all = "snake_case")]
pub enum Action {
    RingExtension {
        extension_id: ExtensionId,
    },
    RingBot {
        bot_id: BotId,
    },
    /// Without an extension into the tenant's default box.
    Voicemail {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        extension_id: Option<ExtensionId>,
    },
    Forward {
        to: Destination,
    },
    Hangup {},
    PlayMessage {
        text: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        voice_id: Option<VoiceId>,
    },
}

/// Something else that a rule names and that must exist in its tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reference {
    Did(DidId),
    Extension(ExtensionId),
    Bot(BotId),
    Calendar(CalendarId),
}

impl NewRule {
    pub fn with_id(self, id: RuleId) -> Rule {
        Rule { id, priority: self.priority, matches: self.matches, action: self.action, enabled: self.enabled }
    }

    /// What the rule names, with the field that names it.
    pub fn references(&self) -> Vec<(&'static str, Reference)> {
        let matched = match &self.matches {
            Match::Did { did_id } => Some(("match_params.did_id", Reference::Did(*did_id))),
            Match::Extension { extension_id } => {
                Some(("match_params.extension_id", Reference::Extension(*extension_id)))
            }
            Match::Holiday { calendar_id } => Some(("match_params.calendar_id", Reference::Calendar(*calendar_id))),
            _ => None,
        };
        let acted = match &self.action {
            Action::RingExtension { extension_id } | Action::Voicemail { extension_id: Some(extension_id) } => {
                Some(("action_params.extension_id", Reference::Extension(*extension_id)))
            }
            Action::RingBot { bot_id } => Some(("action_params.bot_id", Reference::Bot(*bot_id))),
            _ => None,
        };
        matched.into_iter().chain(acted).collect()
    }
}

impl Match {
    /// The `match_type`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Always {} => "always",
            Self::Did { .. } => "did",
            Self::Extension { .. } => "extension",
            Self::CallerPrefix { .. } => "caller_prefix",
            Self::TimeWindow(_) => "time_window",
            Self::Holiday { .. } => "holiday",
        }
    }

    /// The `match_params`.
    pub fn params(&self) -> Value {
        part(serde_json::to_value(self), "match_params")
    }

    /// From the two columns of the database.
    pub fn from_parts(kind: &str, params: Value) -> Result<Self, serde_json::Error> {
        serde_json::from_value(serde_json::json!({ "match_type": kind, "match_params": params }))
    }
}

impl Action {
    /// The `action_type`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::RingExtension { .. } => "ring_extension",
            Self::RingBot { .. } => "ring_bot",
            Self::Voicemail { .. } => "voicemail",
            Self::Forward { .. } => "forward",
            Self::Hangup {} => "hangup",
            Self::PlayMessage { .. } => "play_message",
        }
    }

    /// The `action_params`.
    pub fn params(&self) -> Value {
        part(serde_json::to_value(self), "action_params")
    }

    /// From the two columns of the database.
    pub fn from_parts(kind: &str, params: Value) -> Result<Self, serde_json::Error> {
        serde_json::from_value(serde_json::json!({ "action_type": kind, "action_params": params }))
    }
}

/// Writing these types as JSON cannot fail: they hold strings, numbers and ids only.
fn part(whole: Result<Value, serde_json::Error>, name: &str) -> Value {
    whole.ok().and_then(|mut whole| whole.get_mut(name).map(Value::take)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_rule_reads_and_writes_as_the_wire_shape() {
        let id = RuleId::new();
        let wire = json!({
            "id": id, "priority": 1, "enabled": true,
            "match_type": "caller_prefix", "match_params": {"prefix": "+44900"},
            "action_type": "hangup", "action_params": {},
        });
        let rule: Rule = serde_json::from_value(wire.clone()).unwrap();
        assert_eq!(rule.action, Action::Hangup {});
        assert_eq!(serde_json::to_value(&rule).unwrap(), wire);
    }

    #[test]
    fn both_halves_survive_the_two_columns_of_the_database() {
        let bot = BotId::new();
        let action = Action::RingBot { bot_id: bot };
        assert_eq!(action.params(), json!({ "bot_id": bot }));
        assert_eq!(Action::from_parts(action.kind(), action.params()).unwrap(), action);
        let always = Match::Always {};
        assert_eq!(always.params(), json!({}));
        assert_eq!(Match::from_parts("always", json!({})).unwrap(), always);
    }

    #[test]
    fn a_rule_tells_what_must_exist_for_it() {
        let (did, extension) = (DidId::new(), ExtensionId::new());
        let rule = NewRule {
            priority: 100,
            matches: Match::Did { did_id: did },
            action: Action::Voicemail { extension_id: Some(extension) },
            enabled: true,
        };
        assert_eq!(
            rule.references(),
            [
                ("match_params.did_id", Reference::Did(did)),
                ("action_params.extension_id", Reference::Extension(extension)),
            ]
        );
    }
}
