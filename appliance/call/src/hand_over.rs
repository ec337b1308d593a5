//! How does one party of a call put another in its place?
//!
//! The party that hands over stays until somebody has taken its place, hears how it goes, and has its call back when
//! nobody does. Who it talked to is the caller from then on, so that everything that can happen to a caller can follow:
//! extensions with their forwarding, bots, voicemail.

use crate::{Call, Heir, Output, Party, Ring, machine::BRIDGE_TIMEOUT, step::Step};
use std::time::Duration;
use types::EndReason;

impl Call {
    /// May this party put another in its place? Only one of two that talk to each other, and one at a time.
    pub fn may_hand_over(&self, by: Party) -> bool {
        let talks = matches!(self.step, Step::Talking { party, .. } if by == party || by == Party::CALLER);
        talks && self.connected && self.handing_over.is_none() && self.ended.is_none()
    }

    /// Was that done once?
    pub fn is_handed_over(&self) -> bool {
        self.handed_over
    }

    /// Whom this party talks to, if it may hand over.
    pub fn partner(&self, of: Party) -> Option<Party> {
        match self.step {
            Step::Talking { party, .. } if self.may_hand_over(of) => {
                Some(if of == Party::CALLER { party } else { Party::CALLER })
            }
            _ => None,
        }
    }

    /// A number for a party whose place another has taken.
    pub fn retire(&mut self) -> Party {
        self.new_party()
    }

    pub(crate) fn hand_over(&mut self, by: Party, to: Heir, now: Duration) {
        if !self.may_hand_over(by) {
            return self.out(Output::Report { party: by, code: 603 });
        }
        let by = if by == Party::CALLER { self.swap() } else { by };
        self.handing_over = Some(by);
        self.handed_over = true;
        self.hops = 0;
        match to {
            Heir::Extension(extension) => self.look(extension),
            Heir::Outside(to) => self.ring(vec![Ring::Outside { to, extension: None }], BRIDGE_TIMEOUT, None, now),
        }
    }

    /// The caller and the one it talks to change numbers; gives the former caller's.
    fn swap(&mut self) -> Party {
        let Step::Talking { party, .. } = self.step else { return Party::CALLER };
        for held in &mut self.held {
            *held = match *held {
                Party::CALLER => party,
                other if other == party => Party::CALLER,
                other => other,
            };
        }
        self.out(Output::Swap(party));
        party
    }

    pub(crate) fn report(&mut self, code: u16) {
        if let Some(party) = self.handing_over {
            self.out(Output::Report { party, code });
        }
    }

    /// Somebody is there; whoever handed over leaves.
    pub(crate) fn succeed(&mut self) {
        self.report(200);
        if let Some(party) = self.handing_over {
            self.forget(party);
        }
    }

    /// The party that hands over is gone.
    pub(crate) fn forget(&mut self, party: Party) {
        self.handing_over = None;
        self.held.retain(|held| *held != party);
    }

    /// Nobody took the call: everything is as it was before.
    pub(crate) fn take_back(&mut self, by: Party, code: u16) {
        self.drop_others();
        self.ring_back(false);
        self.step = Step::Talking { party: by, extension: None, until: None };
        self.out(Output::Report { party: by, code });
    }

    /// There is nothing to hand over any more.
    pub(crate) fn leave_behind(&mut self) {
        self.report(487);
        if let Some(party) = self.handing_over.take() {
            self.out(Output::HangUp(party));
        }
    }

    /// The phone of one of the two is gone elsewhere, and with it the call; that of one who handed over is not missed.
    pub(crate) fn transferred(&mut self, party: Party) {
        if self.handing_over == Some(party) {
            self.forget(party);
        } else if self.is_in_it(party) {
            self.referred(EndReason::Transferred);
        }
    }

    fn is_in_it(&self, party: Party) -> bool {
        party == Party::CALLER
            || match &self.step {
                Step::Talking { party: talking, .. } | Step::Working { party: talking, .. } => *talking == party,
                _ => false,
            }
    }
}
