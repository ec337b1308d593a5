//! Which legs are up, and how is one of them told to do something?
//!
//! Every leg runs in a task of its own (`leg`); this is the register that the control socket and
//! transfers look it up in. A leg leaves it when its last event is on the spool.

use parking_lot::Mutex;
use sip::InboundCall;
use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};
use tokio::sync::{Notify, mpsc, oneshot};
use types::{
    ExtensionId,
    control::{LegState, LegView, Refusal},
};

/// A command and where its outcome goes.
#[derive(Debug)]
pub struct Command {
    pub what: What,
    pub done: oneshot::Sender<Result<(), CommandError>>,
}

#[derive(Debug)]
pub enum What {
    Answer,
    Reject {
        code: u16,
        reason: Option<String>,
    },
    HangUp,
    Hold,
    Unhold,
    Digits(String),
    /// The phone hears ringing instead of its room, or the room again.
    RingBack(bool),
    /// How it goes with whoever takes the phone's place.
    Report(u16),
    Transfer {
        to: String,
        headers: Vec<(String, String)>,
        /// The phone hears ringing meanwhile.
        dialtone: bool,
        /// How it went well, before `done`.
        heard: oneshot::Sender<Transferred>,
    },
    /// It took too long.
    GiveUpTransfer,
    /// Leaves its room for another.
    Move {
        room: String,
        identity: String,
    },
    /// This call takes the phone's place.
    TakeOver(Box<TakeOver>),
    /// The daemon ends.
    Stop,
}

/// A call that names a leg it wants to be (RFC 3891).
pub struct TakeOver {
    pub call: InboundCall,
    /// Whose call it is.
    pub by: Peer,
}

impl std::fmt::Debug for TakeOver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TakeOver").field("by", &self.by).finish_non_exhaustive()
    }
}

/// Whom a leg is with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peer {
    /// LiveKit's id of its trunk.
    Trunk(String),
    Extension(ExtensionId),
}

/// How a transfer went well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transferred {
    /// The other phone answered.
    Completed,
    /// The call was gone before anybody said so.
    CallEnded,
    /// Nobody says more.
    Unheard,
}

/// Why a leg did not do it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    #[error("no leg {0}")]
    NotFound(String),
    #[error("the leg has ended")]
    Ended,
    #[error("the leg is answered already")]
    AlreadyAnswered,
    #[error("the leg is not answered yet")]
    NotAnswered,
    #[error("the peer refused: {code} {reason}")]
    Refused { code: u16, reason: String },
    #[error("{0}")]
    Invalid(String),
}

impl CommandError {
    /// The stable code of `types::control`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotFound(_) => "leg_not_found",
            Self::Ended => "leg_already_ended",
            Self::AlreadyAnswered => "leg_already_answered",
            Self::NotAnswered => "leg_not_answered",
            Self::Refused { .. } => "peer_refused",
            Self::Invalid(_) => "invalid",
        }
    }

    pub fn refusal(&self) -> Refusal {
        Refusal { code: self.code().to_owned(), detail: self.to_string() }
    }
}

/// The register; cheap to clone.
#[derive(Clone, Default)]
pub struct Legs {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    legs: Mutex<HashMap<String, Entry>>,
    changed: Notify,
    /// Whoever enters now ends at once.
    stopping: AtomicBool,
}

struct Entry {
    view: LegView,
    commands: mpsc::UnboundedSender<Command>,
}

impl Legs {
    /// Enters a leg; the receiver gets its commands.
    pub fn enter(&self, view: LegView) -> mpsc::UnboundedReceiver<Command> {
        let (commands, receiver) = mpsc::unbounded_channel();
        let mut legs = self.inner.legs.lock();
        if self.inner.stopping.load(Ordering::Relaxed) {
            stop(&commands);
        }
        legs.insert(view.lk_call_id.clone(), Entry { view, commands });
        receiver
    }

    pub fn leave(&self, lk_call_id: &str) {
        self.inner.legs.lock().remove(lk_call_id);
        self.inner.changed.notify_waiters();
    }

    pub fn update(&self, lk_call_id: &str, change: impl FnOnce(&mut LegView)) {
        if let Some(entry) = self.inner.legs.lock().get_mut(lk_call_id) {
            change(&mut entry.view);
        }
    }

    pub fn views(&self) -> Vec<LegView> {
        self.inner.legs.lock().values().map(|entry| entry.view.clone()).collect()
    }

    pub fn len(&self) -> usize {
        self.inner.legs.lock().len()
    }

    pub fn has(&self, lk_call_id: &str) -> bool {
        self.inner.legs.lock().contains_key(lk_call_id)
    }

    /// Tells a leg to do something and waits for the outcome.
    pub async fn command(&self, lk_call_id: &str, what: What) -> Result<(), CommandError> {
        let (done, outcome) = oneshot::channel();
        let sender = self.sender(lk_call_id)?;
        sender.send(Command { what, done }).map_err(|_| CommandError::Ended)?;
        outcome.await.unwrap_or(Err(CommandError::Ended))
    }

    fn sender(&self, lk_call_id: &str) -> Result<mpsc::UnboundedSender<Command>, CommandError> {
        let legs = self.inner.legs.lock();
        let entry = legs.get(lk_call_id).ok_or_else(|| CommandError::NotFound(lk_call_id.to_owned()))?;
        match entry.view.state {
            LegState::Ended => Err(CommandError::Ended),
            _ => Ok(entry.commands.clone()),
        }
    }

    /// Ends every leg and waits until all of them are gone.
    pub async fn stop_all(&self) {
        {
            let legs = self.inner.legs.lock();
            self.inner.stopping.store(true, Ordering::Relaxed);
            legs.values().for_each(|entry| stop(&entry.commands));
        }
        loop {
            let changed = self.inner.changed.notified();
            if self.len() == 0 {
                return;
            }
            changed.await;
        }
    }
}

/// A leg that has ended already does not mind.
fn stop(commands: &mpsc::UnboundedSender<Command>) {
    let (done, _) = oneshot::channel();
    commands.send(Command { what: What::Stop, done }).ok();
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::{CorrelationId, control::Direction};

    fn view(id: &str) -> LegView {
        LegView {
            lk_call_id: id.into(),
            sip_call_id: "a@b".into(),
            correlation_id: CorrelationId::new(),
            direction: Direction::Inbound,
            room: "room".into(),
            identity: "sip_1".into(),
            state: LegState::Ringing,
            codec: None,
            others: None,
        }
    }

    #[tokio::test]
    async fn a_command_reaches_its_leg_and_brings_the_outcome_back() {
        let legs = Legs::default();
        let mut commands = legs.enter(view("SCL_1"));
        let leg = tokio::spawn(async move {
            let command = commands.recv().await.unwrap();
            command.done.send(Err(CommandError::NotAnswered)).unwrap();
        });
        assert_eq!(legs.command("SCL_1", What::Hold).await, Err(CommandError::NotAnswered));
        leg.await.unwrap();
    }

    #[tokio::test]
    async fn a_leg_that_enters_while_all_are_stopped_is_stopped_too() {
        let legs = Legs::default();
        legs.stop_all().await;
        let mut commands = legs.enter(view("SCL_1"));
        assert!(matches!(commands.recv().await.map(|command| command.what), Some(What::Stop)));
    }

    #[tokio::test]
    async fn unknown_and_ended_legs_are_told_apart() {
        let legs = Legs::default();
        let _commands = legs.enter(view("SCL_1"));
        assert!(matches!(legs.command("SCL_2", What::HangUp).await, Err(CommandError::NotFound(_))));
        legs.update("SCL_1", |view| view.state = LegState::Ended);
        assert_eq!(legs.command("SCL_1", What::HangUp).await, Err(CommandError::Ended));
    }
}
