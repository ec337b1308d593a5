//! The state machine itself: one `match` per kind of input, drained through [`Call::poll_output`].

use crate::{
    Extension, Failure, Input, Kind, Onward, Output, Party, Ring, State, TimeoutAction,
    step::{Attempt, Group, Job, Step},
};
use dialplan::{Action, Destination};
use serde::{Deserialize, Serialize};
use std::{collections::VecDeque, time::Duration};
use types::{EndReason, ExtensionId, control::Direction};

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

    fn route(&mut self, action: Action, now: Duration) {
        match action {
            Action::RingExtension { extension_id } => self.look(extension_id),
            Action::RingBot { bot_id } => self.onward(Onward::Bot(bot_id), None, now),
            Action::Voicemail { extension_id } => self.onward(Onward::Voicemail(extension_id), None, now),
            Action::Forward { to } => self.refer(to, now),
            Action::Hangup {} => self.end(EndReason::Blocked),
            Action::PlayMessage { text, voice_id } => {
                let party = self.work(Job::Message, now);
                self.out(Output::Play { party, text, voice: voice_id });
            }
        }
    }

    pub(crate) fn look(&mut self, extension: ExtensionId) {
        self.hops += 1;
        if self.hops > MOST_HOPS {
            return self.broken("too_many_hops");
        }
        self.step = Step::Looking { extension };
        self.out(Output::Look(extension));
    }

    fn found(&mut self, extension: Box<Extension>, now: Duration) {
        if !matches!(self.step, Step::Looking { extension: wanted } if wanted == extension.id) {
            return;
        }
        if let Some(always) = extension.always.clone() {
            return self.onward(always, Some(extension), now);
        }
        if extension.dnd {
            return match extension.busy.clone() {
                Some(busy) => self.onward(busy, Some(extension), now),
                None => self.end(EndReason::Dnd),
            };
        }
        let id = extension.id;
        let onward = match extension.kind.clone() {
            Kind::Wave { user } => Onward::Ring(vec![Ring::User { user, extension: id }]),
            Kind::Outside { to } => Onward::Ring(vec![Ring::Outside { to, extension: Some(id) }]),
            Kind::Bot { bot } => Onward::Bot(bot),
            Kind::Voicemail => Onward::Voicemail(Some(id)),
            Kind::Unreachable => Onward::Ring(Vec::new()),
        };
        self.onward(onward, Some(extension), now);
    }

    fn onward(&mut self, onward: Onward, extension: Option<Box<Extension>>, now: Duration) {
        match onward {
            Onward::Ring(rings) => {
                let timeout = extension.as_ref().map_or(BRIDGE_TIMEOUT, |extension| extension.ring_timeout);
                self.ring(rings, timeout, extension, now);
            }
            Onward::Bot(bot) => {
                let party = self.work(Job::Bot, now);
                self.out(Output::DispatchBot { party, bot });
            }
            Onward::Voicemail(extension) => {
                let party = self.work(Job::Voicemail, now);
                self.out(Output::Record { party, extension });
            }
        }
    }

    pub(crate) fn ring(
        &mut self,
        rings: Vec<Ring>,
        timeout: Duration,
        extension: Option<Box<Extension>>,
        now: Duration,
    ) {
        if rings.is_empty() {
            return self.fall_through(EndReason::NoAnswer, None, extension, now);
        }
        let mut attempts = Vec::with_capacity(rings.len());
        for ring in rings {
            let party = self.new_party();
            self.out(Output::Ring { party, ring: ring.clone(), timeout });
            attempts.push(Attempt { party, ring, failure: None });
        }
        self.step = Step::Ringing(Group { extension, attempts, until: now + timeout });
        self.ring_back(self.connected && (self.handed_over || self.direction == Direction::Inbound));
    }

    /// Nobody else rings for who has got 200 OK.
    pub(crate) fn ring_back(&mut self, rings: bool) {
        if std::mem::replace(&mut self.ringing_back, rings) != rings {
            self.out(Output::RingBack(rings));
        }
    }

    fn work(&mut self, job: Job, now: Duration) -> Party {
        let party = self.new_party();
        self.step = Step::Working { party, job, until: Some(now + WORKER_PATIENCE) };
        party
    }

    fn refer(&mut self, to: Destination, now: Duration) {
        if self.handed_over {
            return self.ring(vec![Ring::Outside { to, extension: None }], BRIDGE_TIMEOUT, None, now);
        }
        self.out(if self.connected { Output::Refer { to: to.clone() } } else { Output::AnswerCaller });
        self.step = Step::Referring { to, until: now + REFER_PATIENCE };
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

    fn answered(&mut self, party: Party, now: Duration) {
        let Step::Ringing(group) = &self.step else { return };
        if !group.rings(party) {
            return;
        }
        let losers: Vec<_> = group.open().filter(|open| *open != party).collect();
        let extension = group.extension.clone();
        self.outputs.extend(losers.into_iter().map(Output::Cancel));
        self.ring_back(false);
        self.succeed();
        self.step = Step::Talking { party, extension, until: Some(now + JOIN_PATIENCE) };
    }

    fn failed(&mut self, party: Party, failure: Failure, now: Duration) {
        match &mut self.step {
            Step::Ringing(group) => {
                group.fail(party, failure);
                if let Some(failure) = group.verdict() {
                    let extension = group.extension.take();
                    self.fall_through(failure.reason(), failure.sip_code(), extension, now);
                }
            }
            Step::Talking { party: talking, extension, .. } if *talking == party => {
                let extension = extension.take();
                self.step = Step::Idle;
                self.fall_through(failure.reason(), failure.sip_code(), extension, now);
            }
            _ => {}
        }
    }

    /// Nobody took it: forwarding, then the time-out action, then the end.
    fn fall_through(
        &mut self,
        reason: EndReason,
        sip_code: Option<u16>,
        extension: Option<Box<Extension>>,
        now: Duration,
    ) {
        let Some(mut extension) = extension else { return self.end_with(reason, sip_code, None) };
        if reason == EndReason::Busy {
            return match extension.busy.take() {
                Some(onward) => self.onward(onward, Some(extension), now),
                None => self.end_with(reason, None, None),
            };
        }
        if let Some(onward) = extension.no_answer.take() {
            return self.onward(onward, Some(extension), now);
        }
        match extension.timeout_action.clone() {
            TimeoutAction::Voicemail => self.onward(Onward::Voicemail(Some(extension.id)), None, now),
            TimeoutAction::RingBot(bot) => self.onward(Onward::Bot(bot), None, now),
            TimeoutAction::Forward(to) => self.refer(to, now),
            TimeoutAction::RingExtension(next) => self.look(next),
            TimeoutAction::Hangup => self.end_with(reason, None, None),
        }
    }

    fn hung_up(&mut self, party: Party, now: Duration) {
        if party == Party::CALLER {
            let ringing = self.state() == State::Ringing || self.state() == State::Routing;
            let reason = if ringing { EndReason::Cancelled } else { EndReason::CallerHangup };
            return self.caller_left(reason, now);
        }
        if self.handing_over == Some(party) {
            return self.forget(party); // it does not wait for the outcome
        }
        match &self.step {
            Step::Ringing(group) if group.rings(party) => self.failed(party, Failure::Sip(480), now),
            Step::Talking { party: talking, .. } if *talking == party => match self.connected {
                true => self.end(EndReason::CalleeHangup),
                false => self.failed(party, Failure::Sip(480), now),
            },
            Step::Working { party: agent, job: Job::Bot, .. } if *agent == party => {
                self.end(EndReason::CalleeHangup);
            }
            Step::Working { party: agent, job, until: None } if *agent == party => {
                self.step = Step::Finishing { job: *job, until: now + REPORT_PATIENCE, reason: EndReason::Failed };
            }
            _ => {}
        }
    }

    /// Somebody who leaves a message hangs up when done: the recording decides the reason.
    fn caller_left(&mut self, reason: EndReason, now: Duration) {
        self.caller_gone = true;
        self.leave_behind();
        match self.step {
            Step::Working { job: job @ Job::Voicemail, until: None, .. } if self.connected => {
                self.step = Step::Finishing { job, until: now + REPORT_PATIENCE, reason };
            }
            Step::Finishing { .. } => {}
            _ => self.end(reason),
        }
    }

    fn lost(&mut self, party: Party, reason: EndReason, now: Duration) {
        match party {
            Party::CALLER => self.caller_left(reason, now),
            _ if self.handing_over == Some(party) => self.forget(party),
            _ => {
                self.leave_behind();
                self.end(reason);
            }
        }
    }

    fn job_started(&mut self) {
        if let Step::Working { until, .. } = &mut self.step {
            *until = None;
            self.ring_back(false);
            self.succeed();
        }
    }

    fn job_failed(&mut self) {
        match self.step {
            Step::Working { job, .. } => self.broken(job.failed()),
            Step::Finishing { job, reason: EndReason::Failed, .. } => self.broken(job.failed()),
            Step::Finishing { reason, .. } => self.end(reason),
            _ => {}
        }
    }

    fn reported(&mut self, reported: Job, reason: EndReason) {
        match self.step {
            Step::Working { job, .. } | Step::Finishing { job, .. } if job == reported => self.end(reason),
            _ => {}
        }
    }

    pub(crate) fn referred(&mut self, reason: EndReason) {
        let forwarding = matches!(self.step, Step::Referring { .. });
        self.caller_gone = self.direction == Direction::Inbound;
        self.end(if forwarding { EndReason::Forwarded } else { reason });
    }

    fn refer_rejected(&mut self, _code: Option<u16>, now: Duration) {
        if let Step::Referring { to, .. } = &self.step {
            let bridge = Ring::Outside { to: to.clone(), extension: None };
            self.ring(vec![bridge], BRIDGE_TIMEOUT, None, now);
        }
    }

    fn hang_up(&mut self) {
        self.leave_behind();
        let reason = match (self.state(), self.direction) {
            (State::Active | State::Held, _) => EndReason::Completed,
            (_, Direction::Outbound) => EndReason::Cancelled,
            (_, Direction::Inbound) => EndReason::Busy,
        };
        self.end(reason);
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

    fn broken(&mut self, code: &'static str) {
        self.end_with(EndReason::Failed, None, Some(code));
    }

    fn end(&mut self, reason: EndReason) {
        self.end_with(reason, None, None);
    }

    fn end_with(&mut self, reason: EndReason, far_code: Option<u16>, code: Option<&'static str>) {
        if let Some(by) = self.handing_over.take() {
            return self.take_back(by, far_code.or(reason.sip_code()).unwrap_or(480));
        }
        let told = match (self.direction, self.connected) {
            (Direction::Inbound, false) => Some(reason.sip_code().unwrap_or(480)),
            _ => None,
        };
        self.drop_everybody(told);
        self.ended = Some(reason);
        self.step = Step::Idle;
        self.out(Output::Ended { reason, sip_code: told.or(far_code), code });
    }

    fn drop_everybody(&mut self, told: Option<u16>) {
        match told {
            _ if self.caller_gone => {}
            Some(code) => self.out(Output::RejectCaller { code }),
            None => self.out(Output::HangUp(Party::CALLER)),
        }
        self.drop_others();
    }

    pub(crate) fn drop_others(&mut self) {
        let others: Vec<_> = match &self.step {
            Step::Ringing(group) => group.open().map(Output::Cancel).collect(),
            Step::Talking { party, .. } | Step::Working { party, .. } => vec![Output::HangUp(*party)],
            _ => Vec::new(),
        };
        self.outputs.extend(others);
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
