//! What is said to a call, and what it asks for.

use crate::{Extension, Ring};
use dialplan::{Action, Destination};
use serde::{Deserialize, Serialize};
use std::{fmt, time::Duration};
use types::{BotId, EndReason, ExtensionId, VoiceId};

/// One participant of a call, counted from 0, who started it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Party(pub u16);

impl Party {
    pub const CALLER: Self = Self(0);
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Routing -> Ringing -> Active <-> Held -> Ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Routing,
    Ringing,
    Active,
    Held,
    Ended,
}

impl State {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Routing => "routing",
            Self::Ringing => "ringing",
            Self::Active => "active",
            Self::Held => "held",
            Self::Ended => "ended",
        }
    }
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// The dialplan's word on an inbound call.
    Routed(Action),
    NoRuleMatched,
    /// An outbound call: dial it for the caller, who waits in the room.
    Dialed {
        to: Destination,
        ring_timeout: Duration,
    },
    /// The answers to [`Output::Look`].
    Found(Box<Extension>),
    NotFound(ExtensionId),
    /// 200 OK was sent to the caller: somebody is audible, or we asked for it.
    CallerAnswered,
    /// The caller gave up while it rang.
    Cancelled,
    PartyRinging(Party),
    /// A browser took the call, or a dialled phone picked up.
    PartyAnswered(Party),
    PartyFailed(Party, Failure),
    /// BYE, left the room, or hung up by its own user.
    HungUp(Party),
    Held(Party),
    Unheld(Party),
    /// The agent is in the room.
    JobStarted,
    JobFailed,
    VoicemailRecorded,
    MessagePlayed,
    ReferAccepted,
    ReferRejected {
        code: Option<u16>,
    },
    /// The phone of this party was sent elsewhere, or has handed the call over.
    Transferred(Party),
    /// A party wants another to take its place; it stays until that one is there.
    HandOver {
        by: Party,
        to: Heir,
    },
    /// Whoever this call was about has gone on in another call.
    Joined,
    /// A leg is gone for a reason that lies with nobody in the call.
    Lost(Party, EndReason),
    /// What was asked for cannot be done at all; `code` says why.
    Broken {
        code: &'static str,
    },
    /// Somebody outside the call ends it.
    HangUp,
    /// Time passed; send it when [`crate::Call::deadline`] is reached.
    Tick,
}

/// Who is to take the place of a party.
#[derive(Clone, Debug, PartialEq)]
pub enum Heir {
    Extension(ExtensionId),
    Outside(Destination),
}

/// Why a party could not be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    /// The SIP status that the far end gave.
    Sip(u16),
    /// A person pressed reject.
    Rejected,
    /// There is no synced trunk to dial through.
    NoTrunk,
    /// LiveKit or the gateway could not dial.
    Unavailable,
}

impl Failure {
    pub(crate) fn reason(self) -> EndReason {
        match self {
            Self::Rejected | Self::Sip(486 | 600 | 603) => EndReason::Busy,
            Self::Sip(408 | 480 | 487) => EndReason::NoAnswer,
            Self::NoTrunk => EndReason::NoTrunk,
            Self::Sip(_) | Self::Unavailable => EndReason::Failed,
        }
    }

    pub(crate) fn sip_code(self) -> Option<u16> {
        match self {
            Self::Sip(code) => Some(code),
            Self::Rejected => Some(486),
            Self::NoTrunk | Self::Unavailable => None,
        }
    }
}

/// Something to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Load this extension and answer with [`Input::Found`] or [`Input::NotFound`].
    Look(ExtensionId),
    /// Tell the user's browsers, or dial into the room.
    Ring {
        party: Party,
        ring: Ring,
        timeout: Duration,
    },
    /// Stop ringing or drop this party; it lost the race, or time is up.
    Cancel(Party),
    DispatchBot {
        party: Party,
        bot: BotId,
    },
    Record {
        party: Party,
        extension: Option<ExtensionId>,
    },
    Play {
        party: Party,
        text: String,
        voice: Option<VoiceId>,
    },
    /// 200 OK without waiting for audio.
    AnswerCaller,
    Refer {
        to: Destination,
    },
    /// The caller hands over: from now on this party is the caller, and the caller bears its number.
    Swap(Party),
    /// The party that hands over hears how it goes: the SIP code of whoever is called. After a 2xx it leaves, after a
    /// refusal it has its call back.
    Report {
        party: Party,
        code: u16,
    },
    /// The caller, who is connected already, hears ringing; or no more.
    RingBack(bool),
    /// Only while the caller is not connected.
    RejectCaller {
        code: u16,
    },
    HangUp(Party),
    /// Comes once, last.
    Ended {
        reason: EndReason,
        sip_code: Option<u16>,
        code: Option<&'static str>,
    },
}
