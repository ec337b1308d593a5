//! Who is tried next, and what if nobody takes the call?

use super::{BRIDGE_TIMEOUT, JOIN_PATIENCE, MOST_HOPS, REFER_PATIENCE, WORKER_PATIENCE};
use crate::{
    Call, Extension, Failure, Kind, Onward, Output, Party, Ring, TimeoutAction,
    step::{Attempt, Group, Job, Step},
};
use dialplan::{Action, Destination};
use std::time::Duration;
use types::{EndReason, ExtensionId, control::Direction};

impl Call {
    pub(super) fn route(&mut self, action: Action, now: Duration) {
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

    pub(super) fn found(&mut self, extension: Box<Extension>, now: Duration) {
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

    pub(super) fn job_started(&mut self) {
        if let Step::Working { until, .. } = &mut self.step {
            *until = None;
            self.ring_back(false);
            self.succeed();
        }
    }

    fn refer(&mut self, to: Destination, now: Duration) {
        if self.handed_over {
            return self.ring(vec![Ring::Outside { to, extension: None }], BRIDGE_TIMEOUT, None, now);
        }
        self.out(if self.connected { Output::Refer { to: to.clone() } } else { Output::AnswerCaller });
        self.step = Step::Referring { to, until: now + REFER_PATIENCE };
    }

    pub(super) fn refer_rejected(&mut self, _code: Option<u16>, now: Duration) {
        if let Step::Referring { to, .. } = &self.step {
            let bridge = Ring::Outside { to: to.clone(), extension: None };
            self.ring(vec![bridge], BRIDGE_TIMEOUT, None, now);
        }
    }

    pub(super) fn answered(&mut self, party: Party, now: Duration) {
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

    pub(super) fn failed(&mut self, party: Party, failure: Failure, now: Duration) {
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
    pub(super) fn fall_through(
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
}
