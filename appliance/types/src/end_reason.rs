//! Why a call ended, and what a caller who was not yet connected is told.

use serde::{Deserialize, Serialize};

/// The last word on a call; stored in its CDR.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    NoRuleMatched,
    Blocked,
    Busy,
    Dnd,
    NoAnswer,
    NoTrunk,
    Failed,
    LimitReached,
    Cancelled,
    Completed,
    CallerHangup,
    CalleeHangup,
    Voicemail,
    MessagePlayed,
    Forwarded,
    Transferred,
    MediaTimeout,
    GatewayRestart,
}

impl EndReason {
    /// The SIP status for a caller who is still ringing; `None` for reasons that follow an answer.
    pub fn sip_code(self) -> Option<u16> {
        match self {
            Self::NoRuleMatched => Some(404),
            Self::Blocked => Some(603),
            Self::Busy | Self::Dnd => Some(486),
            Self::NoAnswer => Some(480),
            Self::NoTrunk | Self::Failed | Self::LimitReached => Some(503),
            Self::Cancelled => Some(487),
            _ => None,
        }
    }

    /// The stable spelling, as in the API and the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoRuleMatched => "no_rule_matched",
            Self::Blocked => "blocked",
            Self::Busy => "busy",
            Self::Dnd => "dnd",
            Self::NoAnswer => "no_answer",
            Self::NoTrunk => "no_trunk",
            Self::Failed => "failed",
            Self::LimitReached => "limit_reached",
            Self::Cancelled => "cancelled",
            Self::Completed => "completed",
            Self::CallerHangup => "caller_hangup",
            Self::CalleeHangup => "callee_hangup",
            Self::Voicemail => "voicemail",
            Self::MessagePlayed => "message_played",
            Self::Forwarded => "forwarded",
            Self::Transferred => "transferred",
            Self::MediaTimeout => "media_timeout",
            Self::GatewayRestart => "gateway_restart",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stable_spelling_is_the_serialised_one() {
        for reason in [EndReason::NoRuleMatched, EndReason::CallerHangup, EndReason::GatewayRestart] {
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.as_str());
        }
    }
}
