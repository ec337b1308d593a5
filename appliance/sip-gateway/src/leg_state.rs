//! What does a leg do next?
//!
//! Dialing or ringing -> active (held or not) -> ended; anything can end it, once. A caller who must type a PIN is
//! answered first and waits at the door until the room is known. Pure: `now` is an
//! argument and what to do comes out of [`LegState::poll_output`], so a ring time-out is tested in no time.
//!
//! Doing it (SIP, room, media): `leg`. What the control plane hears: `types::control::Event`.

mod words;

pub use words::{Input, Limits, Output};

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};
use types::control::LegEndCause;

/// How often an inbound caller hears of ringing again (RFC 3261 13.3.1.1 wants at least every minute; carriers expect more).
pub const RINGING_INTERVAL: Duration = Duration::from_secs(1);

/// 480 Temporarily Unavailable.
pub const UNANSWERED: u16 = 480;

/// So long a phone that handed its call over may take to hang up; as upstream waits after a REFER of ours.
const OWN_BYE: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    /// Inbound: the caller hears ringing.
    Ringing {
        until: Instant,
        again: Instant,
    },
    /// Inbound: 200 is on its way.
    Answering,
    /// Inbound: answered, and asked for a PIN.
    AtTheDoor,
    /// Inbound: the PIN was right, the room is being joined.
    Entering,
    /// Outbound: INVITE is on its way.
    Dialing {
        until: Instant,
        rings: bool,
    },
    Active {
        until: Instant,
    },
    Ended,
}

/// One leg.
#[derive(Debug)]
pub struct LegState {
    state: State,
    limits: Limits,
    joined: bool,
    wanted: bool,
    /// A PIN comes first.
    locked: bool,
    held_by_us: bool,
    held_by_peer: bool,
    /// Why it ended.
    cause: Option<LegEndCause>,
    handed_over: bool,
    outputs: VecDeque<Output>,
}

impl LegState {
    /// A caller rings; 180 goes out at once.
    pub fn inbound(limits: Limits, now: Instant) -> Self {
        let ringing = State::Ringing { until: now + limits.ringing, again: now + RINGING_INTERVAL };
        let mut leg = Self::new(ringing, limits);
        leg.outputs.extend([Output::SendRinging]);
        leg
    }

    /// A caller is answered at once, to be asked for a PIN.
    pub fn locked(now: Instant) -> Self {
        let limits = Limits { ringing: Duration::ZERO, duration: Duration::ZERO, unanswered: UNANSWERED };
        let mut leg = Self::inbound(limits, now);
        (leg.state, leg.locked) = (State::Answering, true);
        leg.outputs.push_back(Output::Answer);
        leg
    }

    /// We dial a phone.
    pub fn outbound(limits: Limits, now: Instant) -> Self {
        Self::new(State::Dialing { until: now + limits.ringing, rings: false }, limits)
    }

    fn new(state: State, limits: Limits) -> Self {
        Self {
            state,
            limits,
            joined: false,
            wanted: false,
            locked: false,
            held_by_us: false,
            held_by_peer: false,
            cause: None,
            handed_over: false,
            outputs: VecDeque::new(),
        }
    }

    pub fn is_ended(&self) -> bool {
        self.state == State::Ended
    }

    pub fn is_active(&self) -> bool {
        matches!(self.state, State::Active { .. })
    }

    pub fn is_held(&self) -> bool {
        self.held_by_us || self.held_by_peer
    }

    /// What the phone is told when we hang up for a reason of ours (RFC 3326).
    pub fn bye_reason(&self) -> Option<&'static str> {
        (self.cause == Some(LegEndCause::RoomLost)).then_some(r#"Q.850;cause=41;text="Temporary failure""#)
    }

    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Input::Tick`] is due.
    pub fn next_tick(&self) -> Option<Instant> {
        match self.state {
            State::Ringing { until, again } => Some(until.min(again)),
            State::Dialing { until, .. } | State::Active { until } => Some(until),
            State::Answering | State::AtTheDoor | State::Entering | State::Ended => None,
        }
    }

    pub fn handle(&mut self, input: Input, now: Instant) {
        match self.state {
            State::Ringing { until, again } => self.while_ringing(input, now, until, again),
            State::Answering => self.while_answering(input, now),
            State::AtTheDoor | State::Entering => self.while_entering(input, now),
            State::Dialing { until, rings } => self.while_dialing(input, now, until, rings),
            State::Active { until } => self.while_active(input, now, until),
            State::Ended => {} // late packets are normal
        }
    }

    fn while_ringing(&mut self, input: Input, now: Instant, until: Instant, again: Instant) {
        use LegEndCause::*;
        match input {
            Input::Joined => {
                self.joined = true;
                self.outputs.push_back(Output::ReportRinging);
            }
            Input::SomebodySpeaks | Input::Answer => self.wanted = true,
            Input::Reject { code } => self.refuse(Rejected, code),
            Input::PeerCancelled | Input::PeerHungUp => self.end(Cancelled, Some(487), None),
            Input::HangUp | Input::RoomClosed => self.refuse(LocalHangup, 480),
            Input::RoomLost => self.refuse(RoomLost, 503),
            Input::Stopping => self.refuse(GatewayStopping, 503),
            Input::Tick if now >= until => self.refuse(RingTimeout, self.limits.unanswered),
            Input::Tick if now >= again => {
                self.outputs.push_back(Output::SendRinging);
                self.state = State::Ringing { until, again: now + RINGING_INTERVAL };
            }
            _ => {}
        }
        if self.joined && self.wanted && !self.is_ended() {
            self.state = State::Answering;
            self.outputs.push_back(Output::Answer);
        }
    }

    fn while_answering(&mut self, input: Input, now: Instant) {
        use LegEndCause::*;
        match input {
            Input::Connected if self.locked => self.state = State::AtTheDoor,
            Input::Connected => self.activate(now),
            Input::PeerRefused { code } => self.end(PeerHangup, Some(code), None),
            Input::PeerCancelled => self.end(Cancelled, Some(487), None),
            Input::PeerHungUp => self.end(PeerHangup, None, None),
            Input::HangUp | Input::RoomClosed => self.end(LocalHangup, None, Some(Output::HangUp)),
            Input::RoomLost => self.end(RoomLost, None, Some(Output::HangUp)),
            Input::Stopping => self.end(GatewayStopping, None, Some(Output::HangUp)),
            _ => {}
        }
    }

    fn while_entering(&mut self, input: Input, now: Instant) {
        use LegEndCause::*;
        let bye = Some(Output::HangUp);
        match input {
            Input::LetIn(limits) => {
                self.limits = limits;
                self.state = State::Entering;
            }
            Input::Joined => {
                self.outputs.push_back(Output::ReportRinging);
                self.activate(now);
            }
            Input::TurnedAway => self.end(Rejected, None, bye),
            Input::PeerHungUp => self.end(PeerHangup, None, None),
            Input::HangUp | Input::RoomClosed => self.end(LocalHangup, None, bye),
            Input::RoomLost => self.end(RoomLost, None, bye),
            Input::MediaTimedOut => self.end(MediaTimeout, None, bye),
            Input::Stopping => self.end(GatewayStopping, None, bye),
            Input::PeerHolds(held) => self.held_by_peer = held,
            _ => {}
        }
    }

    fn while_dialing(&mut self, input: Input, now: Instant, until: Instant, rings: bool) {
        use LegEndCause::*;
        match input {
            Input::PeerRings if !rings => {
                self.state = State::Dialing { until, rings: true };
                self.outputs.extend([Output::Status("ringing"), Output::ReportRinging]);
            }
            Input::Connected => self.activate(now),
            Input::PeerRefused { code } => self.end(Rejected, Some(code), None),
            Input::HangUp | Input::RoomClosed => self.end(LocalHangup, None, Some(Output::Cancel)),
            Input::RoomLost => self.end(RoomLost, None, Some(Output::Cancel)),
            Input::Stopping => self.end(GatewayStopping, None, Some(Output::Cancel)),
            Input::Tick if now >= until => self.end(RingTimeout, Some(408), Some(Output::Cancel)),
            _ => {}
        }
    }

    fn while_active(&mut self, input: Input, now: Instant, until: Instant) {
        use LegEndCause::*;
        let bye = Some(Output::HangUp);
        match input {
            Input::PeerHungUp if self.handed_over => self.end(Transferred, None, None),
            Input::PeerHungUp => self.end(PeerHangup, None, None),
            Input::RoomClosed if self.handed_over => {} // its call has ended before it
            Input::HangUp if self.handed_over => self.end(Transferred, None, bye),
            Input::HangUp | Input::RoomClosed => self.end(LocalHangup, None, bye),
            Input::RoomLost => self.end(RoomLost, None, bye),
            Input::MediaTimedOut => self.end(MediaTimeout, None, bye),
            Input::Transferred => self.end(Transferred, None, bye),
            Input::HandedOver => {
                self.handed_over = true;
                self.state = State::Active { until: now + OWN_BYE };
            }
            Input::Stopping => self.end(GatewayStopping, None, bye),
            Input::Tick if now >= until && self.handed_over => self.end(Transferred, None, bye),
            Input::Tick if now >= until => self.end(MaxDuration, None, bye),
            Input::PeerHolds(held) => self.hold(held, true),
            Input::WeHold(held) => self.hold(held, false),
            _ => {}
        }
    }

    fn activate(&mut self, now: Instant) {
        self.state = State::Active { until: now + self.limits.duration };
        self.outputs.extend([Output::Status("active"), Output::ReportAnswered]);
    }

    fn hold(&mut self, held: bool, by_peer: bool) {
        let flag = if by_peer { &mut self.held_by_peer } else { &mut self.held_by_us };
        if std::mem::replace(flag, held) != held {
            self.outputs.push_back(if held {
                Output::ReportHeld { by_peer }
            } else {
                Output::ReportUnheld { by_peer }
            });
        }
    }

    fn refuse(&mut self, cause: LegEndCause, code: u16) {
        self.end(cause, Some(code), Some(Output::Reject { code }));
    }

    fn end(&mut self, cause: LegEndCause, sip_code: Option<u16>, tell_phone: Option<Output>) {
        self.state = State::Ended;
        self.cause = Some(cause);
        self.outputs.extend(tell_phone);
        let leave = Output::LeaveRoom(cause, sip_code);
        self.outputs.extend([Output::Status("hangup"), leave, Output::Ended { cause, sip_code }]);
    }
}

#[cfg(test)]
mod tests;
