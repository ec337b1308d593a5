//! What does one call look like while it lives?
//!
//! [`Live`] holds the call's row, its legs and its state machine, and keeps the three in step: an
//! input goes to the machine, what the machine wants becomes changed rows, events and [`Effect`]s.
//! Nothing here waits or touches the network; `actor` stores it, `effects` acts on it.
//!
//! What the machine wants: `wishes`. What the legs do: `legs`. What is written: `snapshot`.

mod clock;
mod legs;
mod snapshot;
mod wishes;

use super::effects::Effect;
use call::{Input, Output, Party};
use clock::Clock;
use jiff::Timestamp;
use snapshot::News;
use std::time::{Duration, Instant};
use store::{
    calls::Call,
    legs::{Leg, LegState},
};
use types::LegId;

pub use legs::end_leg;
pub use snapshot::Snapshot;

/// How long an ended call waits for the last words of its phones.
const LINGER: Duration = Duration::from_secs(15);

pub struct Live {
    pub call: Call,
    pub legs: Vec<Leg>,
    pub(super) machine: call::Call,
    clock: Clock,
    news: Vec<News>,
    effects: Vec<Effect>,
    changed: bool,
    /// When the caller left, if the call goes on after that.
    caller_left_at: Option<Timestamp>,
    linger: Option<Instant>,
    /// A phone that leaves because it is not needed any more: it hangs up itself.
    pub(super) leaving: Option<u16>,
}

impl Live {
    pub fn new(call: Call, legs: Vec<Leg>, machine: call::Call) -> Self {
        let clock = Clock::since(call.started_at);
        Self {
            call,
            legs,
            machine,
            clock,
            news: Vec::new(),
            effects: Vec::new(),
            changed: true,
            caller_left_at: None,
            linger: None,
            leaving: None,
        }
    }

    /// From its row, after a restart; `None` if the row cannot be read any more.
    pub fn restore(call: Call, legs: Vec<Leg>) -> Option<Self> {
        let machine = serde_json::from_value(call.machine.clone()?).ok()?;
        let mut live = Self::new(call, legs, machine);
        live.machine.resume(live.clock.now());
        live.drain();
        Some(live)
    }

    /// Says something to the call.
    pub fn input(&mut self, input: Input) {
        self.machine.handle(input, self.clock.now());
        self.drain();
    }

    /// Does what the machine wanted while the call was being created.
    pub fn apply(&mut self, outputs: Vec<Output>) {
        outputs.into_iter().for_each(|output| self.take(output));
        self.follow_state();
    }

    pub fn ended(&self) -> bool {
        self.machine.ended().is_some()
    }

    pub fn handed_over(&self) -> bool {
        self.machine.is_handed_over()
    }

    pub fn may_hand_over(&self, party: Party) -> bool {
        self.machine.may_hand_over(party)
    }

    pub fn rings(&self, party: u16) -> bool {
        self.machine.rings(Party(party))
    }

    /// When [`Live::wake`] should be called.
    pub fn wake_at(&self) -> Option<Instant> {
        match self.linger {
            Some(linger) => Some(linger),
            None => self.machine.deadline().map(|deadline| self.clock.instant(deadline)),
        }
    }

    pub fn wake(&mut self) {
        match self.linger {
            Some(linger) if Instant::now() >= linger => self.end_open_legs(|_| true),
            Some(_) => {}
            None => self.input(Input::Tick),
        }
    }

    /// Nothing more will come.
    pub fn is_over(&self) -> bool {
        self.ended() && self.legs.iter().all(|leg| leg.state == LegState::Ended)
    }

    pub fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    pub fn effect(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    /// What has to be written, if anything changed since the last time.
    pub fn snapshot(&mut self) -> Option<Snapshot> {
        if !std::mem::take(&mut self.changed) {
            return None;
        }
        self.call.machine = match self.ended() {
            true => None,
            false => serde_json::to_value(&self.machine).ok(),
        };
        let news = std::mem::take(&mut self.news);
        Some(Snapshot { call: self.call.clone(), legs: self.legs.clone(), news })
    }

    pub fn leg(&self, id: LegId) -> Option<&Leg> {
        self.legs.iter().find(|leg| leg.id == id)
    }

    pub fn leg_by_lk(&self, lk_call_id: &str) -> Option<&Leg> {
        self.legs.iter().find(|leg| leg.lk_call_id.as_deref() == Some(lk_call_id))
    }

    pub fn leg_by_identity(&self, identity: &str) -> Option<&Leg> {
        self.legs.iter().find(|leg| leg.identity.as_deref() == Some(identity))
    }

    pub fn party(&self, party: u16) -> Option<&Leg> {
        self.legs.iter().find(|leg| leg.party == party)
    }

    /// Changes a leg's row.
    pub fn edit(&mut self, party: u16, change: impl FnOnce(&mut Leg)) {
        if let Some(leg) = self.legs.iter_mut().find(|leg| leg.party == party) {
            change(leg);
            self.changed = true;
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.machine.poll_output() {
            self.take(output);
        }
        self.follow_state();
    }
}
