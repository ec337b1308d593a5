//! What is being tried at the moment?

use crate::{Extension, Failure, Party, Ring};
use dialplan::Destination;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use types::{EndReason, ExtensionId};

/// The data of a call lives in the step that needs it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Step {
    /// Nothing yet, or nothing any more.
    Idle,
    /// Waiting for the extension's data.
    Looking {
        extension: ExtensionId,
    },
    Ringing(Group),
    /// Somebody took the call; until their audio comes the caller still hears ringing.
    Talking {
        party: Party,
        extension: Option<Box<Extension>>,
        until: Option<Duration>,
    },
    /// An agent was asked for (`until`), or works (no `until`).
    Working {
        party: Party,
        job: Job,
        until: Option<Duration>,
    },
    /// The caller or the agent is gone; its report may still come.
    Finishing {
        job: Job,
        until: Duration,
        reason: EndReason,
    },
    /// Answering, then asking the carrier to take the caller over.
    Referring {
        to: Destination,
        until: Duration,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Job {
    Bot,
    Voicemail,
    Message,
}

impl Job {
    /// The code of a call that ended because no worker took the job.
    pub fn missing(self) -> &'static str {
        match self {
            Self::Bot => "no_bot_worker",
            Self::Voicemail | Self::Message => "no_voice_worker",
        }
    }

    /// The code of a call whose job was taken and not done.
    pub fn failed(self) -> &'static str {
        match self {
            Self::Bot => "bot_failed",
            Self::Voicemail => "recording_failed",
            Self::Message => "message_failed",
        }
    }
}

/// Everything that rings at the same time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Group {
    /// Whose forwarding and time-out action apply.
    pub extension: Option<Box<Extension>>,
    pub attempts: Vec<Attempt>,
    pub until: Duration,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Attempt {
    pub party: Party,
    pub ring: Ring,
    pub failure: Option<Failure>,
}

impl Group {
    pub fn rings(&self, party: Party) -> bool {
        self.open().any(|open| open == party)
    }

    /// Those that have not failed.
    pub fn open(&self) -> impl Iterator<Item = Party> + '_ {
        self.attempts.iter().filter(|attempt| attempt.failure.is_none()).map(|attempt| attempt.party)
    }

    pub fn fail(&mut self, party: Party, failure: Failure) {
        for attempt in self.attempts.iter_mut().filter(|attempt| attempt.party == party) {
            attempt.failure.get_or_insert(failure);
        }
    }

    /// Once all have failed: what to say, busy before silent before broken.
    pub fn verdict(&self) -> Option<Failure> {
        if self.open().next().is_some() {
            return None;
        }
        let rank = |failure: &Failure| match failure.reason() {
            EndReason::Busy => 0,
            EndReason::NoAnswer => 1,
            EndReason::NoTrunk => 2,
            _ => 3,
        };
        self.attempts.iter().filter_map(|attempt| attempt.failure).min_by_key(rank)
    }
}
