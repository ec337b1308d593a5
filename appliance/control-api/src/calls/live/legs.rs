//! What happens to the legs of a call: rows, log lines, events, and what it means for the call.

use super::{Live, snapshot::News};
use crate::calls::effects::Effect;
use call::{Failure, Input, Party};
use jiff::Timestamp;
use serde_json::json;
use store::legs::{FarEnd, Leg, LegKind, LegState, Stats};
use types::{
    EndReason, TrunkId,
    control::{LegEnd, LegEndCause, LegStats},
};

impl Live {
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

    pub(super) fn end_open_legs(&mut self, which: impl Fn(&Leg) -> bool) {
        let open: Vec<_> = self.legs.iter().filter(|leg| which(leg)).map(|leg| leg.party).collect();
        open.into_iter().for_each(|party| self.set_leg(party, LegState::Ended));
    }

    pub(in crate::calls) fn leg_news(&mut self, party: u16) {
        let Some(leg) = self.party(party) else { return };
        let user = leg.user_id.or_else(|| self.user());
        let data = json!({ "call_id": self.call.id, "leg": leg, "correlation_id": self.call.correlation_id });
        self.news.push(News { kind: format!("leg.{}", leg.state), user, data });
        self.changed = true;
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
