//! What a call's machine wants becomes changed rows, events and effects.

use super::{LINGER, Live, snapshot::News};
use crate::calls::effects::Effect;
use call::{Output, Party, Ring, State};
use jiff::Timestamp;
use serde_json::json;
use std::time::{Duration, Instant};
use store::{
    calls::CallState,
    legs::{Leg, LegKind, LegState},
};
use types::{EndReason, LegId, UserId, control::phones_of};

impl Live {
    pub(super) fn take(&mut self, output: Output) {
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

    pub(in crate::calls) fn report(&mut self, party: u16, code: u16) {
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

    /// The row follows the machine.
    pub(super) fn follow_state(&mut self) {
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

    /// Whose own page shows the call.
    pub(super) fn user(&self) -> Option<UserId> {
        self.call.user_id.or_else(|| self.legs.iter().find_map(|leg| leg.user_id))
    }
}
