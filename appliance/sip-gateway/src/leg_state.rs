//! What does a leg do next?
//!
//! Dialing or ringing -> active (held or not) -> ended; anything can end it, once. A caller who must type a PIN is
//! answered first and waits at the door until the room is known. Pure: `now` is an
//! argument and what to do comes out of [`LegState::poll_output`], so a ring time-out is tested in no time.
//!
//! Doing it (SIP, room, media): `leg`. What the control plane hears: `types::control::Event`.

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

/// Limits of one leg.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Until the answer.
    pub ringing: Duration,
    /// After the answer; at most 24 h.
    pub duration: Duration,
    /// What a caller gets whom nobody answered.
    pub unanswered: u16,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// The room is joined.
    Joined,
    /// Somebody in the room publishes audio, or another phone is there.
    SomebodySpeaks,
    /// The PIN was right: the room is being joined.
    LetIn(Limits),
    /// The PIN was wrong for the last time, or none was typed.
    TurnedAway,
    /// The control plane wants it answered now.
    Answer,
    /// The control plane refuses the caller.
    Reject {
        code: u16,
    },
    /// The control plane hangs up.
    HangUp,
    /// 18x from the phone that we dial.
    PeerRings,
    /// 200 OK from the phone that we dial, or our own 200 is accepted.
    Connected,
    /// The phone that we dial refused (or never answered: 408).
    PeerRefused {
        code: u16,
    },
    /// CANCEL from an inbound caller.
    PeerCancelled,
    /// BYE from the phone.
    PeerHungUp,
    /// A re-INVITE of the phone put us on hold, or took us back.
    PeerHolds(bool),
    /// Our re-INVITE put the phone on hold, or took it back.
    WeHold(bool),
    /// REFER succeeded.
    Transferred,
    /// Somebody took the phone's place, as it asked by REFER: it has a moment to hang up by itself.
    HandedOver,
    /// The room ended or threw us out.
    RoomClosed,
    /// The room could not be joined, or not again.
    RoomLost,
    /// No RTP for too long.
    MediaTimedOut,
    /// The daemon ends.
    Stopping,
    Tick,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// 180 to the caller.
    SendRinging,
    /// 200 to the caller.
    Answer,
    /// A final refusal to the caller.
    Reject {
        code: u16,
    },
    /// CANCEL to the phone that we dial.
    Cancel,
    /// BYE.
    HangUp,
    /// For this reason.
    LeaveRoom(LegEndCause, Option<u16>),
    /// The participant attribute `sip.callStatus`.
    Status(&'static str),
    /// To the event spool.
    ReportRinging,
    ReportAnswered,
    ReportHeld {
        by_peer: bool,
    },
    ReportUnheld {
        by_peer: bool,
    },
    /// Always the last output.
    Ended {
        cause: LegEndCause,
        sip_code: Option<u16>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum State {
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
mod tests {
    use super::*;

    const LIMITS: Limits =
        Limits { ringing: Duration::from_secs(180), duration: Duration::from_secs(3600), unanswered: UNANSWERED };

    fn drain(leg: &mut LegState) -> Vec<Output> {
        std::iter::from_fn(|| leg.poll_output()).collect()
    }

    fn ended(outputs: &[Output]) -> Option<(LegEndCause, Option<u16>)> {
        match outputs.last() {
            Some(Output::Ended { cause, sip_code }) => Some((*cause, *sip_code)),
            _ => None,
        }
    }

    #[test]
    fn a_caller_hears_ringing_every_second_until_somebody_speaks() {
        let t0 = Instant::now();
        let mut leg = LegState::inbound(LIMITS, t0);
        assert_eq!(drain(&mut leg), [Output::SendRinging]);
        leg.handle(Input::Joined, t0);
        assert_eq!(drain(&mut leg), [Output::ReportRinging]);
        leg.handle(Input::Tick, t0 + RINGING_INTERVAL);
        assert_eq!(drain(&mut leg), [Output::SendRinging]);
        leg.handle(Input::SomebodySpeaks, t0 + Duration::from_secs(2));
        assert_eq!(drain(&mut leg), [Output::Answer]);
        leg.handle(Input::Connected, t0 + Duration::from_secs(2));
        assert_eq!(drain(&mut leg), [Output::Status("active"), Output::ReportAnswered]);
    }

    #[test]
    fn an_answer_command_before_the_join_answers_once_joined() {
        let t0 = Instant::now();
        let mut leg = LegState::inbound(LIMITS, t0);
        leg.handle(Input::Answer, t0);
        assert_eq!(drain(&mut leg), [Output::SendRinging]);
        leg.handle(Input::Joined, t0);
        assert_eq!(drain(&mut leg), [Output::ReportRinging, Output::Answer]);
    }

    #[test]
    fn a_caller_whom_nobody_answers_gets_480_when_the_ring_timeout_passes() {
        let t0 = Instant::now();
        let mut leg = LegState::inbound(LIMITS, t0);
        leg.handle(Input::Joined, t0);
        leg.handle(Input::Tick, t0 + LIMITS.ringing);
        let outputs = drain(&mut leg);
        assert!(outputs.contains(&Output::Reject { code: 480 }));
        assert_eq!(ended(&outputs), Some((LegEndCause::RingTimeout, Some(480))));
    }

    #[test]
    fn a_caller_who_gives_up_leaves_the_room_and_is_told_nothing_more() {
        let t0 = Instant::now();
        let mut leg = LegState::inbound(LIMITS, t0);
        drain(&mut leg);
        leg.handle(Input::PeerCancelled, t0);
        let outputs = drain(&mut leg);
        assert_eq!(outputs[..2], [Output::Status("hangup"), Output::LeaveRoom(LegEndCause::Cancelled, Some(487))]);
        leg.handle(Input::SomebodySpeaks, t0);
        leg.handle(Input::Reject { code: 404 }, t0);
        assert_eq!(drain(&mut leg), []);
    }

    #[test]
    fn a_caller_with_a_pin_is_answered_at_once_and_active_when_the_room_is_joined() {
        let t0 = Instant::now();
        let mut leg = LegState::locked(t0);
        assert_eq!(drain(&mut leg), [Output::SendRinging, Output::Answer]);
        leg.handle(Input::Connected, t0);
        assert_eq!((drain(&mut leg), leg.next_tick()), (vec![], None));
        leg.handle(Input::LetIn(LIMITS), t0);
        leg.handle(Input::Joined, t0);
        assert_eq!(drain(&mut leg), [Output::ReportRinging, Output::Status("active"), Output::ReportAnswered]);
        assert_eq!(leg.next_tick(), Some(t0 + LIMITS.duration));
    }

    #[test]
    fn a_caller_without_the_pin_gets_a_bye() {
        let t0 = Instant::now();
        let mut leg = LegState::locked(t0);
        leg.handle(Input::Connected, t0);
        drain(&mut leg);
        leg.handle(Input::TurnedAway, t0);
        let outputs = drain(&mut leg);
        assert_eq!(outputs[0], Output::HangUp);
        assert_eq!(ended(&outputs), Some((LegEndCause::Rejected, None)));
    }

    #[test]
    fn a_phone_that_does_not_answer_is_cancelled() {
        let t0 = Instant::now();
        let mut leg = LegState::outbound(Limits { ringing: Duration::from_secs(2), ..LIMITS }, t0);
        leg.handle(Input::PeerRings, t0);
        leg.handle(Input::PeerRings, t0);
        assert_eq!(drain(&mut leg), [Output::Status("ringing"), Output::ReportRinging]);
        leg.handle(Input::Tick, t0 + Duration::from_secs(2));
        let outputs = drain(&mut leg);
        assert_eq!(outputs[0], Output::Cancel);
        assert_eq!(ended(&outputs).unwrap().0, LegEndCause::RingTimeout);
    }

    #[test]
    fn the_room_closing_hangs_up_an_answered_leg() {
        let t0 = Instant::now();
        let mut leg = LegState::outbound(LIMITS, t0);
        leg.handle(Input::Connected, t0);
        drain(&mut leg);
        leg.handle(Input::RoomClosed, t0);
        let outputs = drain(&mut leg);
        assert_eq!(outputs[0], Output::HangUp);
        assert_eq!(ended(&outputs), Some((LegEndCause::LocalHangup, None)));
    }

    #[test]
    fn a_room_that_stays_lost_ends_the_leg_and_the_phone_is_told_why() {
        let t0 = Instant::now();
        let mut leg = LegState::outbound(LIMITS, t0);
        leg.handle(Input::Connected, t0);
        drain(&mut leg);
        assert_eq!(leg.bye_reason(), None);
        leg.handle(Input::RoomLost, t0);
        let outputs = drain(&mut leg);
        assert_eq!(outputs[0], Output::HangUp);
        assert_eq!(ended(&outputs), Some((LegEndCause::RoomLost, None)));
        assert!(leg.bye_reason().unwrap().starts_with("Q.850;cause=41"));
    }

    #[test]
    fn a_room_that_is_lost_while_the_caller_is_answered_ends_in_a_bye() {
        let t0 = Instant::now();
        let mut leg = LegState::inbound(LIMITS, t0);
        leg.handle(Input::Joined, t0);
        leg.handle(Input::Answer, t0);
        drain(&mut leg);
        leg.handle(Input::RoomLost, t0);
        let outputs = drain(&mut leg);
        assert_eq!(outputs[0], Output::HangUp);
        assert_eq!(ended(&outputs), Some((LegEndCause::RoomLost, None)));
    }

    #[test]
    fn a_call_ends_at_its_longest_duration() {
        let t0 = Instant::now();
        let mut leg = LegState::outbound(LIMITS, t0);
        leg.handle(Input::Connected, t0);
        assert_eq!(leg.next_tick(), Some(t0 + LIMITS.duration));
        leg.handle(Input::Tick, t0 + LIMITS.duration);
        assert_eq!(ended(&drain(&mut leg)), Some((LegEndCause::MaxDuration, None)));
    }

    #[test]
    fn a_phone_that_handed_over_may_hang_up_itself_and_is_hung_up_after_a_second() {
        let t0 = Instant::now();
        for (input, bye) in [(Input::PeerHungUp, false), (Input::Tick, true)] {
            let mut leg = LegState::outbound(LIMITS, t0);
            leg.handle(Input::Connected, t0);
            leg.handle(Input::HandedOver, t0);
            drain(&mut leg);
            leg.handle(input, t0 + OWN_BYE);
            let outputs = drain(&mut leg);
            assert_eq!(outputs.contains(&Output::HangUp), bye);
            assert_eq!(ended(&outputs), Some((LegEndCause::Transferred, None)));
        }
    }

    #[test]
    fn hold_is_reported_once_and_per_side() {
        let t0 = Instant::now();
        let mut leg = LegState::outbound(LIMITS, t0);
        leg.handle(Input::Connected, t0);
        drain(&mut leg);
        for input in [Input::PeerHolds(true), Input::PeerHolds(true), Input::WeHold(true), Input::PeerHolds(false)] {
            leg.handle(input, t0);
        }
        assert!(leg.is_held());
        assert_eq!(
            drain(&mut leg),
            [
                Output::ReportHeld { by_peer: true },
                Output::ReportHeld { by_peer: false },
                Output::ReportUnheld { by_peer: true }
            ]
        );
    }
}
