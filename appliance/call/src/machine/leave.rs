//! Who has left, does the call go on without them, and what is its end called?

use super::REPORT_PATIENCE;
use crate::{
    Call, Failure, Output, Party, State,
    step::{Job, Step},
};
use std::time::Duration;
use types::{EndReason, control::Direction};

impl Call {
    pub(super) fn hung_up(&mut self, party: Party, now: Duration) {
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
    pub(super) fn caller_left(&mut self, reason: EndReason, now: Duration) {
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

    pub(super) fn lost(&mut self, party: Party, reason: EndReason, now: Duration) {
        match party {
            Party::CALLER => self.caller_left(reason, now),
            _ if self.handing_over == Some(party) => self.forget(party),
            _ => {
                self.leave_behind();
                self.end(reason);
            }
        }
    }

    pub(super) fn job_failed(&mut self) {
        match self.step {
            Step::Working { job, .. } => self.broken(job.failed()),
            Step::Finishing { job, reason: EndReason::Failed, .. } => self.broken(job.failed()),
            Step::Finishing { reason, .. } => self.end(reason),
            _ => {}
        }
    }

    pub(super) fn reported(&mut self, reported: Job, reason: EndReason) {
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

    pub(super) fn hang_up(&mut self) {
        self.leave_behind();
        let reason = match (self.state(), self.direction) {
            (State::Active | State::Held, _) => EndReason::Completed,
            (_, Direction::Outbound) => EndReason::Cancelled,
            (_, Direction::Inbound) => EndReason::Busy,
        };
        self.end(reason);
    }

    pub(super) fn broken(&mut self, code: &'static str) {
        self.end_with(EndReason::Failed, None, Some(code));
    }

    pub(super) fn end(&mut self, reason: EndReason) {
        self.end_with(reason, None, None);
    }

    pub(super) fn end_with(&mut self, reason: EndReason, far_code: Option<u16>, code: Option<&'static str>) {
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
}
