//! What must be known of an extension to ring it?

use dialplan::Destination;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use types::{BotId, ExtensionId, UserId};

/// An extension as far as ringing goes. Forwarding is already resolved to what to ring: one level
/// deep, so that forwarding cannot run in circles.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Extension {
    pub id: ExtensionId,
    pub kind: Kind,
    /// Do not disturb: forwarded as busy, or ends with `dnd`.
    pub dnd: bool,
    pub always: Option<Onward>,
    pub busy: Option<Onward>,
    pub no_answer: Option<Onward>,
    pub ring_timeout: Duration,
    pub timeout_action: TimeoutAction,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Rings the owner's browsers.
    Wave {
        user: UserId,
    },
    Bot {
        bot: BotId,
    },
    Voicemail,
    /// A number or SIP URI, or a desk phone: dialled into the room.
    Outside {
        to: Destination,
    },
    /// A desk phone that is not registered, or an extension without a target.
    Unreachable,
}

/// What follows when nobody answered in time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeoutAction {
    Voicemail,
    RingBot(BotId),
    Forward(Destination),
    RingExtension(ExtensionId),
    Hangup,
}

/// Where forwarding leads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Onward {
    /// All at once, the first to answer has it.
    Ring(Vec<Ring>),
    Bot(BotId),
    Voicemail(Option<ExtensionId>),
}

/// One thing that can ring.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ring {
    User { user: UserId, extension: ExtensionId },
    Outside { to: Destination, extension: Option<ExtensionId> },
}
