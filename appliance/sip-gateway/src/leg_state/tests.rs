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
