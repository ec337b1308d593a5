//! How far is each call, and what does that add to the figures?
//!
//! An inbound call is entered with its INVITE, an outbound one with the event of its dialling; the last event of
//! either takes it out. `now` is an argument, so an hour's call is tested in no time.

use super::{
    Metrics, dir,
    outcome::{self, Termination, UNKNOWN},
};
use crate::media_thread::PacketCount;
use std::time::Instant;
use types::control::{Direction, Event, InboundOutcome, LegEnd};

/// A call that is not over.
pub(super) struct Call {
    pub direction: Direction,
    to: String,
    progress: Progress,
    invited: Instant,
    joined: Option<Instant>,
}

/// Each includes the ones before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Progress {
    Invited,
    /// livekit-server has said whose it is.
    Checked,
    /// It is let in: from here on it counts as active.
    Accepted,
    /// Its room is known.
    Dispatched,
    Answered,
}

impl Call {
    fn is_active(&self) -> bool {
        self.progress >= Progress::Accepted
    }
}

impl Metrics {
    /// An INVITE came; `to` is the host that it names.
    pub fn invited(&self, id: &str, to: &str, now: Instant) {
        let call = Call {
            direction: Direction::Inbound,
            to: to.to_owned(),
            progress: Progress::Invited,
            invited: now,
            joined: None,
        };
        self.enter(id, call);
    }

    /// livekit-server has named the trunk, or did not answer.
    pub fn checked(&self, id: &str, now: Instant) {
        self.on_call(id, |call| {
            call.progress = Progress::Checked;
            let took = now.duration_since(call.invited).as_secs_f64();
            self.families.check.with_label_values(&[dir(call.direction)]).observe(took);
            self.families.stage.with_label_values(&[dir(call.direction), "auth-check"]).observe(took);
        });
    }

    /// The caller is who it says it is.
    pub fn accepted(&self, id: &str) {
        self.on_call(id, |call| {
            call.progress = Progress::Accepted;
            call.to = self.host(&call.to);
            let labels = [dir(call.direction), &call.to];
            self.families.invite_accepted.with_label_values(&labels).inc();
            self.families.calls_active.with_label_values(&labels).inc();
        });
    }

    /// Its room is known.
    pub fn dispatched(&self, id: &str, now: Instant) {
        self.on_call(id, |call| {
            call.progress = Progress::Dispatched;
            let took = now.duration_since(call.invited).as_secs_f64();
            self.families.stage.with_label_values(&[dir(call.direction), "invite-to-dispatch"]).observe(took);
        });
    }

    /// It is asked for credentials; the next INVITE is another call.
    pub fn challenged(&self, id: &str, now: Instant) {
        self.refused(id, InboundOutcome::Unauthorized, now);
    }

    /// It is another phone of a call that is known already.
    pub fn took_over(&self, id: &str, now: Instant) {
        self.refused(id, InboundOutcome::Cancelled, now);
    }

    /// Counts what is reported to the control plane.
    pub fn follow(&self, event: &Event, now: Instant) {
        match event {
            Event::InboundRefused { leg, outcome, .. } => self.refused(&leg.lk_call_id, *outcome, now),
            Event::InboundRinging { leg, .. } => self.joined(&leg.lk_call_id, now),
            Event::OutboundDialing { lk_call_id, to, .. } => self.dialing(lk_call_id, to, now),
            Event::LegAnswered { lk_call_id, .. } => self.answered(lk_call_id, now),
            Event::LegEnded { lk_call_id, end } => self.ended(lk_call_id, end, now),
            _ => {}
        }
    }

    /// RTP that came from and went to the phone since the last time.
    pub fn packets(&self, id: &str, counts: &[PacketCount]) {
        self.on_call(id, |call| {
            for count in counts {
                let labels = |op| [dir(call.direction), &call.to, op, count.payload];
                self.families.packets.with_label_values(&labels("recv")).inc_by(count.received);
                self.families.packets.with_label_values(&labels("send")).inc_by(count.sent);
            }
        });
    }

    pub(super) fn direction(&self, id: &str) -> Option<Direction> {
        self.calls.lock().get(id).map(|call| call.direction)
    }

    fn enter(&self, id: &str, call: Call) {
        self.families.invite_requests.with_label_values(&[dir(call.direction)]).inc();
        self.calls.lock().insert(id.to_owned(), call);
    }

    fn on_call(&self, id: &str, change: impl FnOnce(&mut Call)) {
        if let Some(call) = self.calls.lock().get_mut(id) {
            change(call);
        }
    }

    fn dialing(&self, id: &str, uri: &str, now: Instant) {
        let host = sip::uri::SipUri::parse(uri).map(|uri| uri.host).unwrap_or_default();
        let to = self.host(&host);
        self.families.calls_active.with_label_values(&[dir(Direction::Outbound), &to]).inc();
        let direction = Direction::Outbound;
        self.enter(id, Call { direction, to, progress: Progress::Dispatched, invited: now, joined: None });
    }

    fn joined(&self, id: &str, now: Instant) {
        self.on_call(id, |call| {
            call.joined = Some(now);
            self.observe_join(call, now);
        });
    }

    fn answered(&self, id: &str, now: Instant) {
        self.on_call(id, |call| {
            call.progress = Progress::Answered;
            if call.direction == Direction::Outbound {
                self.families.invite_accepted.with_label_values(&[dir(call.direction), &call.to]).inc();
                self.observe_join(call, now);
            }
        });
    }

    fn observe_join(&self, call: &Call, now: Instant) {
        let took = now.duration_since(call.invited).as_secs_f64();
        self.families.join.with_label_values(&[dir(call.direction)]).observe(took);
    }

    fn refused(&self, id: &str, outcome: InboundOutcome, now: Instant) {
        let Some(mut call) = self.calls.lock().remove(id) else { return };
        let ended = outcome::of_refusal(outcome, call.progress);
        if !call.is_active() {
            call.to = UNKNOWN.to_owned(); // a stranger's words are no label
            if ended.is_error() {
                self.count_error(&call, &ended.reason);
            }
        }
        self.leave(&call, &ended, now);
    }

    fn ended(&self, id: &str, end: &LegEnd, now: Instant) {
        let Some(call) = self.calls.lock().remove(id) else { return };
        if call.direction == Direction::Outbound && call.progress < Progress::Answered {
            self.count_error(&call, &outcome::status(end.sip_code));
        }
        self.leave(&call, &outcome::of_end(end, call.direction), now);
    }

    fn count_error(&self, call: &Call, reason: &str) {
        self.families.invite_error.with_label_values(&[dir(call.direction), &call.to, reason]).inc();
    }

    fn leave(&self, call: &Call, ended: &Termination, now: Instant) {
        let (direction, families) = (dir(call.direction), &self.families);
        if call.is_active() {
            families.calls_active.with_label_values(&[direction, &call.to]).dec();
        }
        families.calls_terminated.with_label_values(&[direction, &call.to, ended.result, &ended.reason]).inc();
        self.observe_long("session", &families.session, direction, call.invited, now);
        if let Some(joined) = call.joined {
            self.observe_long("call", &families.call, direction, joined, now);
        }
    }

    fn observe_long(&self, stage: &str, family: &prometheus::HistogramVec, dir: &str, since: Instant, now: Instant) {
        let took = now.duration_since(since).as_secs_f64();
        family.with_label_values(&[dir]).observe(took);
        self.families.stage.with_label_values(&[dir, stage]).observe(took);
    }
}
