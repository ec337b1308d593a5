//! The state machine itself: one `match` per kind of input, drained through [`Call::poll_output`].
//!
//! Who is tried: `reach`. Who leaves, and how it ends: `leave`.

mod leave;
mod reach;

use crate::{
    Input, Output, Party, Ring, State,
    step::{Attempt, Job, Step},
};
use serde::{Deserialize, Serialize};
use std::{collections::VecDeque, time::Duration};
use types::{EndReason, control::Direction};

/// A worker that is alive takes a job in milliseconds.
const WORKER_PATIENCE: Duration = Duration::from_secs(5);
/// From pressing "answer" to audible: microphone prompt, ICE, DTLS.
const JOIN_PATIENCE: Duration = Duration::from_secs(20);
/// How long a report of an agent may be late after its room emptied.
const REPORT_PATIENCE: Duration = Duration::from_secs(10);
/// LiveKit gives a REFER 30 s.
const REFER_PATIENCE: Duration = Duration::from_secs(40);
/// Ringing a number that a refused REFER named.
pub(crate) const BRIDGE_TIMEOUT: Duration = Duration::from_secs(60);
/// Extension after extension: more is a loop.
const MOST_HOPS: u8 = 5;

/// One call, from the first word on it to the last.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Call {
    pub(crate) direction: Direction,
    pub(crate) step: Step,
    /// The caller has got 200 OK, or is a browser in the room.
    pub(crate) connected: bool,
    /// Nothing can be said to the caller any more.
    caller_gone: bool,
    pub(crate) held: Vec<Party>,
    /// Who is being replaced.
    #[serde(default)]
    pub(crate) handing_over: Option<Party>,
    /// It was handed over once: it is talked in, whatever is tried.
    #[serde(default)]
    pub(crate) handed_over: bool,
    /// The caller hears ringing that we make.
    #[serde(default)]
    ringing_back: bool,
    pub(crate) hops: u8,
    next_party: u16,
    pub(crate) ended: Option<EndReason>,
    #[serde(skip)]
    outputs: VecDeque<Output>,
}

impl Call {
    pub fn inbound() -> Self {
        Self::new(Direction::Inbound, false)
    }

    /// The caller is a browser that joins the room by itself.
    pub fn outbound() -> Self {
        Self::new(Direction::Outbound, true)
    }

    fn new(direction: Direction, connected: bool) -> Self {
        Self {
            direction,
            step: Step::Idle,
            connected,
            caller_gone: false,
            held: Vec::new(),
            handing_over: None,
            handed_over: false,
            ringing_back: false,
            hops: 0,
            next_party: 1,
            ended: None,
            outputs: VecDeque::new(),
        }
    }

    pub fn state(&self) -> State {
        let talking = self.connected
            && match self.step {
                _ if self.handed_over => true,
                Step::Talking { .. } | Step::Working { .. } | Step::Finishing { .. } => true,
                // The caller of an inbound call may be connected while the next one rings.
                Step::Ringing(_) | Step::Referring { .. } => self.direction == Direction::Inbound,
                Step::Idle | Step::Looking { .. } => false,
            };
        match self.step {
            _ if self.ended.is_some() => State::Ended,
            _ if talking && !self.held.is_empty() => State::Held,
            _ if talking => State::Active,
            Step::Idle | Step::Looking { .. } => State::Routing,
            _ => State::Ringing,
        }
    }

    pub fn ended(&self) -> Option<EndReason> {
        self.ended
    }

    /// True once the caller has got 200 OK.
    pub fn is_connected(&self) -> bool {
        self.connected
    }

    /// Who answered the call: a person, a phone or an agent.
    pub fn answered_by(&self) -> Option<Party> {
        match self.step {
            Step::Talking { party, .. } | Step::Working { party, until: None, .. } => Some(party),
            _ => None,
        }
    }

    /// May this party still take the call?
    pub fn rings(&self, party: Party) -> bool {
        matches!(&self.step, Step::Ringing(group) if group.rings(party))
    }

    /// When [`Input::Tick`] should come.
    pub fn deadline(&self) -> Option<Duration> {
        match &self.step {
            Step::Ringing(group) => Some(group.until),
            Step::Talking { until, .. } if !self.connected => *until,
            Step::Working { until, .. } => *until,
            Step::Finishing { until, .. } | Step::Referring { until, .. } => Some(*until),
            Step::Idle | Step::Looking { .. } | Step::Talking { .. } => None,
        }
    }

    /// What to do next; drain it after every [`Call::handle`].
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// After a restart: says again what is harmless to say twice.
    pub fn resume(&mut self, now: Duration) {
        match self.step.clone() {
            Step::Looking { extension } => self.out(Output::Look(extension)),
            Step::Ringing(group) => {
                let timeout = group.until.saturating_sub(now);
                for Attempt { party, ring, .. } in group.attempts.into_iter().filter(|a| a.failure.is_none()) {
                    if matches!(ring, Ring::User { .. }) {
                        self.out(Output::Ring { party, ring, timeout });
                    }
                }
            }
            _ => {}
        }
    }

    /// Takes one input; `now` is the time since the call began.
    pub fn handle(&mut self, input: Input, now: Duration) {
        if self.ended.is_some() {
            return; // late news is normal
        }
        match input {
            Input::Routed(action) => self.route(action, now),
            Input::NoRuleMatched => self.end(EndReason::NoRuleMatched),
            Input::Dialed { to, ring_timeout } => {
                self.ring(vec![Ring::Outside { to, extension: None }], ring_timeout, None, now);
            }
            Input::Found(extension) => self.found(extension, now),
            Input::NotFound(_) => self.broken("extension_not_found"),
            Input::CallerAnswered => self.caller_answered(),
            Input::Cancelled => self.caller_left(EndReason::Cancelled, now),
            Input::PartyRinging(_) => self.report(180),
            Input::PartyAnswered(party) => self.answered(party, now),
            Input::PartyFailed(party, failure) => self.failed(party, failure, now),
            Input::HungUp(party) => self.hung_up(party, now),
            Input::Held(party) if !self.held.contains(&party) => self.held.push(party),
            Input::Held(_) => {}
            Input::Unheld(party) => self.held.retain(|held| *held != party),
            Input::JobStarted => self.job_started(),
            Input::JobFailed => self.job_failed(),
            Input::VoicemailRecorded => self.reported(Job::Voicemail, EndReason::Voicemail),
            Input::MessagePlayed => self.reported(Job::Message, EndReason::MessagePlayed),
            Input::ReferAccepted => self.referred(EndReason::Forwarded),
            Input::Transferred(party) => self.transferred(party),
            Input::HandOver { by, to } => self.hand_over(by, to, now),
            Input::Joined => self.end(EndReason::Transferred),
            Input::ReferRejected { code } => self.refer_rejected(code, now),
            Input::Lost(party, reason) => self.lost(party, reason, now),
            Input::Broken { code } => self.broken(code),
            Input::HangUp => self.hang_up(),
            Input::Tick => self.tick(now),
        }
    }

    fn caller_answered(&mut self) {
        if self.connected {
            return;
        }
        self.connected = true;
        if let Step::Referring { to, .. } = &self.step {
            let to = to.clone();
            self.out(Output::Refer { to });
        }
    }

    fn tick(&mut self, now: Duration) {
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return;
        }
        match self.step.clone() {
            Step::Ringing(group) => {
                self.outputs.extend(group.open().map(Output::Cancel));
                self.step = Step::Idle;
                self.fall_through(EndReason::NoAnswer, None, group.extension, now);
            }
            Step::Talking { party, extension, .. } => {
                self.out(Output::Cancel(party));
                self.step = Step::Idle;
                self.fall_through(EndReason::NoAnswer, None, extension, now);
            }
            Step::Working { job, .. } => self.broken(job.missing()),
            Step::Finishing { job, reason: EndReason::Failed, .. } => self.broken(job.failed()),
            Step::Finishing { reason, .. } => self.end(reason),
            Step::Referring { .. } if self.connected => self.refer_rejected(None, now),
            Step::Referring { .. } => self.broken("caller_not_answered"),
            Step::Idle | Step::Looking { .. } => {}
        }
    }

    pub(crate) fn new_party(&mut self) -> Party {
        let party = Party(self.next_party);
        self.next_party += 1;
        party
    }

    pub(crate) fn out(&mut self, output: Output) {
        self.outputs.push_back(output);
    }
}
