//! What does one call look like while it lives?
//!
//! [`Live`] holds the call's row, its legs and its state machine, and keeps the three in step: an
//! input goes to the machine, what the machine wants becomes changed rows, events and [`Effect`]s.
//! Nothing here waits or touches the network; `actor` stores it, `effects` acts on it.

use super::effects::Effect;
use call::{Failure, Input, Output, Party, Ring, State};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use store::{
    StoreError, Transaction,
    calls::{Call, CallState},
    legs::{FarEnd, Leg, LegKind, LegState, Stats},
};
use types::{
    EndReason, LegId, TrunkId, UserId,
    control::{LegEnd, LegEndCause, LegStats, phones_of},
};

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

/// An event for the tenant's stream.
struct News {
    kind: String,
    user: Option<UserId>,
    data: Value,
}

/// Time since the call began; steady while we run, by the wall clock across a restart.
struct Clock {
    base: Instant,
    offset: Duration,
}

impl Clock {
    fn since(started: Timestamp) -> Self {
        let offset = Timestamp::now().duration_since(started).unsigned_abs();
        let offset = if Timestamp::now() < started { Duration::ZERO } else { offset };
        Self { base: Instant::now(), offset }
    }

    fn now(&self) -> Duration {
        self.offset + self.base.elapsed()
    }

    fn instant(&self, at: Duration) -> Instant {
        self.base + at.saturating_sub(self.offset)
    }
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

    /// A leg's new state: row, log line and event.
    pub fn set_leg(&mut self, party: u16, state: LegState) {
        let now = Timestamp::now();
        let Some(leg) = self.legs.iter_mut().find(|leg| leg.party == party) else { return };
        if leg.state == state || leg.state == LegState::Ended {
            return;
        }
        let before = std::mem::replace(&mut leg.state, state);
        match state {
            LegState::Active => drop(leg.answered_at.get_or_insert(now)),
            LegState::Ended => drop(leg.ended_at.get_or_insert(now)),
            _ => {}
        }
        tracing::info!(
            correlation_id = %self.call.correlation_id, call.id = %self.call.id, leg.id = %leg.id,
            leg.kind = %leg.kind, from = %before, to = %state, "scaidial_leg_state_change"
        );
        self.leg_news(party);
    }

    /// A participant whose leg is not a phone came into the room.
    pub fn joined(&mut self, identity: &str, agent: bool) {
        if agent {
            let open = self
                .legs
                .iter_mut()
                .find(|leg| matches!(leg.kind, LegKind::Bot | LegKind::Recorder) && leg.state != LegState::Ended);
            let Some(leg) = open else { return };
            leg.identity = Some(identity.to_owned());
            self.job_started();
        } else if let Some(party) = self.leg_by_identity(identity).map(|leg| leg.party) {
            self.set_leg(party, LegState::Active);
        }
    }

    /// The agent works.
    pub fn job_started(&mut self) {
        let agents = |leg: &&Leg| matches!(leg.kind, LegKind::Bot | LegKind::Recorder);
        if let Some(party) = self.legs.iter().filter(agents).map(|leg| leg.party).next_back() {
            self.set_leg(party, LegState::Active);
        }
        self.input(Input::JobStarted);
    }

    /// A participant whose leg is not a phone left the room for good.
    pub fn left(&mut self, identity: &str) {
        let Some(leg) = self.leg_by_identity(identity).filter(|leg| leg.kind != LegKind::Sip) else { return };
        let party = leg.party;
        self.set_leg(party, LegState::Ended);
        self.input(Input::HungUp(Party(party)));
    }

    /// A phone of ours has an id at LiveKit now; one that nobody wants any more is hung up.
    pub fn dialling(&mut self, party: u16, lk_call_id: String, sip_call_id: Option<String>, trunk: Option<TrunkId>) {
        self.edit(party, |leg| {
            leg.lk_call_id.get_or_insert_with(|| lk_call_id.clone());
            leg.sip_call_id = sip_call_id.or(leg.sip_call_id.take());
            leg.trunk_id = trunk.or(leg.trunk_id);
        });
        if self.party(party).is_some_and(|leg| leg.state == LegState::Ended) {
            self.effect(Effect::Drop { lk_call_id: Some(lk_call_id), identity: None });
        }
    }

    pub fn leg_ringing(&mut self, lk_call_id: &str) {
        let Some(party) = self.leg_by_lk(lk_call_id).map(|leg| leg.party) else { return };
        self.set_leg(party, LegState::Ringing);
        self.input(Input::PartyRinging(Party(party)));
    }

    /// The gateway says that a phone picked up, or that the caller got 200 OK.
    pub fn leg_answered(&mut self, lk_call_id: &str, codec: String) {
        let Some(party) = self.leg_by_lk(lk_call_id).map(|leg| leg.party) else { return };
        self.edit(party, |leg| leg.codec = Some(codec).filter(|codec| !codec.is_empty()));
        self.set_leg(party, LegState::Active);
        self.input(match Party(party) {
            Party::CALLER => Input::CallerAnswered,
            party => Input::PartyAnswered(party),
        });
    }

    /// Another phone is this leg from now on.
    pub fn leg_taken_over(&mut self, lk_call_id: &str, sip_call_id: String, from: String) {
        let Some(party) = self.leg_by_lk(lk_call_id).map(|leg| leg.party) else { return };
        self.edit(party, |leg| (leg.sip_call_id, leg.address) = (Some(sip_call_id), Some(from)));
        self.leg_news(party);
    }

    pub fn leg_held(&mut self, lk_call_id: &str, held: bool) {
        let Some(party) = self.leg_by_lk(lk_call_id).map(|leg| leg.party) else { return };
        self.set_leg(party, if held { LegState::Held } else { LegState::Active });
        self.input(if held { Input::Held(Party(party)) } else { Input::Unheld(Party(party)) });
    }

    /// The gateway's last word on a leg.
    pub fn leg_ended(&mut self, lk_call_id: &str, end: &LegEnd) {
        let Some(leg) = self.leg_by_lk(lk_call_id) else { return };
        let (party, answered) = (leg.party, leg.answered_at.is_some());
        self.edit(party, |leg| end_leg(leg, end));
        self.set_leg(party, LegState::Ended);
        if party == 0 {
            self.caller_left_at.get_or_insert(Timestamp::now());
        }
        self.input(meaning(Party(party), answered, end));
    }

    /// The leg is not there any more and nobody said why.
    pub fn leg_gone(&mut self, party: u16, reason: EndReason) {
        self.set_leg(party, LegState::Ended);
        self.input(Input::Lost(Party(party), reason));
    }

    fn drain(&mut self) {
        while let Some(output) = self.machine.poll_output() {
            self.take(output);
        }
        self.follow_state();
    }

    fn take(&mut self, output: Output) {
        self.changed = true;
        match output {
            Output::Look(extension) => self.effect(Effect::Look(extension)),
            Output::Ring { party, ring: Ring::User { user, extension }, timeout } => {
                self.call.extension_id = Some(extension);
                self.ring_user(party, user, timeout);
            }
            Output::Ring { party, ring: Ring::Outside { to, extension }, timeout } => {
                let leg = self.new_leg(party, LegKind::Sip, LegState::Dialing, |leg| {
                    leg.extension_id = extension;
                    leg.identity = Some(leg.id.to_string());
                    leg.address = Some(to.as_str().to_owned()).filter(|to| phones_of(to).is_none());
                });
                self.effect(Effect::Dial { party, leg, to, timeout });
            }
            Output::Cancel(party) | Output::HangUp(party) => self.drop_party(party),
            Output::DispatchBot { party, bot } => {
                self.new_leg(party, LegKind::Bot, LegState::Dialing, |leg| leg.address = Some(bot.to_string()));
                self.effect(Effect::Bot(bot));
            }
            Output::Record { party, extension } => {
                self.new_leg(party, LegKind::Recorder, LegState::Dialing, |leg| leg.extension_id = extension);
                self.effect(Effect::Record(extension));
            }
            Output::Play { party, text, .. } => {
                self.new_leg(party, LegKind::Bot, LegState::Dialing, |_| {});
                self.effect(Effect::Play(text));
            }
            Output::Swap(party) => self.swap(party.0),
            Output::Report { party, code } => self.report(party.0, code),
            Output::RingBack(on) => {
                if let Some(lk_call_id) = self.party(0).and_then(|leg| leg.lk_call_id.clone()) {
                    self.effect(Effect::RingBack { lk_call_id, on });
                }
            }
            Output::AnswerCaller => self.effect(Effect::Answer),
            Output::Refer { to } => self.effect(Effect::Refer(to)),
            Output::RejectCaller { code } => {
                self.edit(0, |leg| leg.sip_code = Some(code));
                let reason = self.machine.ended();
                self.effect(Effect::Reject { code, reason });
            }
            Output::Ended { reason, sip_code, code } => self.end(reason, sip_code, code),
        }
    }

    /// The caller and the one it talks to change numbers.
    fn swap(&mut self, party: u16) {
        for leg in &mut self.legs {
            leg.party = match leg.party {
                0 => party,
                other if other == party => 0,
                other => other,
            };
        }
        let callee = self.call.callee.clone();
        self.edit(0, |leg| leg.address = leg.address.take().or(Some(callee)));
    }

    pub(super) fn report(&mut self, party: u16, code: u16) {
        let Some(lk_call_id) = self.party(party).and_then(|leg| leg.lk_call_id.clone()) else { return };
        self.effect(Effect::Report { lk_call_id, code });
    }

    fn ring_user(&mut self, party: Party, user: UserId, timeout: Duration) {
        let extension = self.call.extension_id;
        if self.party(party.0).is_none() {
            self.new_leg(party, LegKind::Webrtc, LegState::Ringing, |leg| {
                leg.identity = Some(leg.id.to_string());
                leg.extension_id = extension;
                leg.user_id = Some(user);
            });
        }
        let Some(leg) = self.party(party.0) else { return };
        let data = json!({
            "call_id": self.call.id, "leg_id": leg.id, "caller": self.call.caller, "callee": self.call.callee,
            "extension_id": extension, "user_id": user, "ring_timeout_s": timeout.as_secs(),
            "correlation_id": self.call.correlation_id,
        });
        self.news.push(News { kind: "leg.ringing".into(), user: Some(user), data });
    }

    fn new_leg(&mut self, party: Party, kind: LegKind, state: LegState, fill: impl FnOnce(&mut Leg)) -> LegId {
        let mut leg = Leg::new(self.call.id, self.call.tenant_id, party.0, kind, state, Timestamp::now());
        leg.direction = Some(store::legs::Direction::Outbound);
        fill(&mut leg);
        let id = leg.id;
        self.legs.push(leg);
        if state != LegState::Ringing {
            self.leg_news(party.0); // a ringing browser gets more than this
        }
        id
    }

    fn drop_party(&mut self, party: Party) {
        let Some(leg) = self.party(party.0).filter(|leg| leg.state != LegState::Ended) else { return };
        let phone = leg.kind == LegKind::Sip && leg.lk_call_id.is_some();
        if self.leaving == Some(party.0) {
            return self.report(party.0, 200);
        }
        let effect = Effect::Drop { lk_call_id: leg.lk_call_id.clone(), identity: leg.identity.clone() };
        self.effect(effect);
        if !phone {
            self.set_leg(party.0, LegState::Ended); // of a phone the gateway tells, with its figures
        }
    }

    fn end(&mut self, reason: EndReason, sip_code: Option<u16>, code: Option<&'static str>) {
        let now = Timestamp::now();
        self.call.ended_at = Some(self.caller_left_at.unwrap_or(now));
        self.call.end_reason = Some(reason);
        self.call.end_code = code.map(str::to_owned);
        self.call.sip_code = sip_code;
        self.linger = Some(Instant::now() + LINGER);
        self.end_open_legs(|leg| leg.kind != LegKind::Sip || leg.lk_call_id.is_none());
        self.effect(Effect::CloseRoom);
        tracing::info!(
            correlation_id = %self.call.correlation_id, call.id = %self.call.id, end_reason = reason.as_str(),
            sip_code, code, "scaidial_call_ended"
        );
    }

    fn end_open_legs(&mut self, which: impl Fn(&Leg) -> bool) {
        let open: Vec<_> = self.legs.iter().filter(|leg| which(leg)).map(|leg| leg.party).collect();
        open.into_iter().for_each(|party| self.set_leg(party, LegState::Ended));
    }

    /// The row follows the machine.
    fn follow_state(&mut self) {
        self.changed = true;
        let state = match self.machine.state() {
            State::Routing => CallState::Routing,
            State::Ringing => CallState::Ringing,
            State::Active => CallState::Active,
            State::Held => CallState::Held,
            State::Ended => CallState::Ended,
        };
        if self.call.state == state {
            return;
        }
        self.call.state = state;
        if state == CallState::Active {
            self.call.answered_at.get_or_insert(Timestamp::now());
        }
        let user = self.user();
        let data = json!({ "call": self.call, "correlation_id": self.call.correlation_id });
        self.news.push(News { kind: format!("call.{state}"), user, data });
    }

    pub(super) fn leg_news(&mut self, party: u16) {
        let Some(leg) = self.party(party) else { return };
        let user = leg.user_id.or_else(|| self.user());
        let data = json!({ "call_id": self.call.id, "leg": leg, "correlation_id": self.call.correlation_id });
        self.news.push(News { kind: format!("leg.{}", leg.state), user, data });
        self.changed = true;
    }

    /// Whose own page shows the call.
    fn user(&self) -> Option<UserId> {
        self.call.user_id.or_else(|| self.legs.iter().find_map(|leg| leg.user_id))
    }
}

/// A call as it is to be written.
pub struct Snapshot {
    call: Call,
    legs: Vec<Leg>,
    news: Vec<News>,
}

impl Snapshot {
    /// Rows, events and, once it has ended, the CDR: all or nothing.
    pub fn write(&self, tx: &Transaction<'_>) -> Result<(), StoreError> {
        store::calls::put(tx, &self.call, &self.legs)?;
        store::calls::finish(tx, &self.call, &self.legs)?;
        for News { kind, user, data } in &self.news {
            match user {
                Some(user) => store::events::emit_to(tx, self.call.tenant_id, *user, kind, data)?,
                None => store::events::emit(tx, self.call.tenant_id, kind, data)?,
            };
        }
        Ok(())
    }
}

/// The gateway's last word, in the leg's row.
pub fn end_leg(leg: &mut Leg, end: &LegEnd) {
    leg.end_cause = serde_json::to_value(end.cause).ok().and_then(|cause| cause.as_str().map(str::to_owned));
    leg.end_detail = Some(end.detail.clone()).filter(|detail| !detail.is_empty());
    leg.sip_code = end.sip_code.or(leg.sip_code);
    leg.stats = (end.stats.packets_in + end.stats.packets_out > 0).then(|| figures(&end.stats));
}

/// Jitter is between packets, so there must be two.
fn figures(stats: &LegStats) -> Stats {
    Stats {
        packets: stats.packets_in,
        lost: stats.lost,
        jitter_ms: (stats.packets_in > 1).then_some(stats.jitter_ms),
        mos: stats.mos,
        rtt_ms: stats.rtt_ms,
        far_end: stats.far_end.as_ref().map(|far| FarEnd { lost: far.lost, jitter_ms: far.jitter_ms, mos: far.mos }),
    }
}

/// What the end of a leg means for its call.
fn meaning(party: Party, answered: bool, end: &LegEnd) -> Input {
    use LegEndCause::*;
    let lost = |reason| Input::Lost(party, reason);
    match (end.cause, party == Party::CALLER || answered) {
        (Transferred, _) => Input::Transferred(party),
        (GatewayStopping, _) => lost(EndReason::GatewayRestart),
        (cause @ (Cancelled | Rejected | RingTimeout), false) => {
            let silent = if cause == Rejected { 503 } else { 480 };
            Input::PartyFailed(party, Failure::Sip(end.sip_code.unwrap_or(silent)))
        }
        (_, false) => Input::PartyFailed(party, end.sip_code.map_or(Failure::Unavailable, Failure::Sip)),
        (Cancelled, true) => Input::Cancelled,
        (PeerHangup, true) => Input::HungUp(party),
        (LocalHangup, true) if party != Party::CALLER => Input::HungUp(party),
        (LocalHangup | MaxDuration, true) => lost(EndReason::Completed),
        (RingTimeout, true) => lost(EndReason::NoAnswer),
        (MediaTimeout, true) => lost(EndReason::MediaTimeout),
        (Rejected | RoomLost, true) => lost(EndReason::Failed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_gateway_does_not_know_of_a_leg_stays_unknown() {
        let silent = figures(&LegStats { packets_out: 500, ..LegStats::default() });
        assert_eq!(
            (silent.packets, silent.lost, silent.jitter_ms, silent.mos, silent.rtt_ms),
            (0, 0, None, None, None)
        );
        assert_eq!(silent.far_end, None);
        let far_end = Some(types::control::FarEnd { lost: 3, jitter_ms: 1.5, mos: 4.1 });
        let known =
            figures(&LegStats { packets_in: 2, mos: Some(4.2), rtt_ms: Some(30.0), far_end, ..LegStats::default() });
        assert_eq!((known.jitter_ms, known.mos, known.rtt_ms), (Some(0.0), Some(4.2), Some(30.0)));
        assert_eq!(known.far_end, Some(FarEnd { lost: 3, jitter_ms: 1.5, mos: 4.1 }));
    }

    fn end(cause: LegEndCause, sip_code: Option<u16>) -> LegEnd {
        LegEnd { cause, sip_code, detail: String::new(), stats: LegStats::default() }
    }

    #[test]
    fn the_end_of_a_leg_means_what_the_table_says() {
        use LegEndCause::*;
        let callee = Party(1);
        for (party, answered, cause, code, wanted) in [
            (Party::CALLER, false, Cancelled, Some(487), Input::Cancelled),
            (Party::CALLER, true, PeerHangup, None, Input::HungUp(Party::CALLER)),
            (Party::CALLER, false, RingTimeout, Some(480), Input::Lost(Party::CALLER, EndReason::NoAnswer)),
            (Party::CALLER, true, MediaTimeout, None, Input::Lost(Party::CALLER, EndReason::MediaTimeout)),
            (Party::CALLER, true, LocalHangup, None, Input::Lost(Party::CALLER, EndReason::Completed)),
            (Party::CALLER, true, Transferred, None, Input::Transferred(Party::CALLER)),
            (callee, false, Rejected, Some(486), Input::PartyFailed(callee, Failure::Sip(486))),
            (callee, false, Cancelled, None, Input::PartyFailed(callee, Failure::Sip(480))),
            (callee, false, RoomLost, None, Input::PartyFailed(callee, Failure::Unavailable)),
            (callee, true, PeerHangup, None, Input::HungUp(callee)),
            (callee, true, GatewayStopping, None, Input::Lost(callee, EndReason::GatewayRestart)),
        ] {
            assert_eq!(meaning(party, answered, &end(cause, code)), wanted, "{cause:?}");
        }
    }
}
