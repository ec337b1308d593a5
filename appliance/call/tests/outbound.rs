//! A browser dials out.

mod story;

use call::{Failure, Input, Output, Party, State};
use std::time::Duration;
use story::*;
use types::EndReason;

const NUMBER: &str = "+31201234567";

fn dialled() -> Story {
    let mut story = Story::outbound();
    let outputs = story.say(Input::Dialed { to: NUMBER.parse().unwrap(), ring_timeout: Duration::from_secs(60) });
    assert_eq!(outputs, [ring_outside(CALLEE, NUMBER, None, 60)]);
    assert_eq!(story.state(), State::Ringing);
    story
}

#[test]
fn a_phone_that_picks_up_is_talked_to_until_either_hangs_up() {
    for (who, reason, other) in
        [(Party::CALLER, EndReason::CallerHangup, CALLEE), (CALLEE, EndReason::CalleeHangup, Party::CALLER)]
    {
        let mut story = dialled();
        assert_eq!(story.say(Input::PartyRinging(CALLEE)), []);
        assert_eq!(story.say(Input::PartyAnswered(CALLEE)), []);
        assert_eq!(story.state(), State::Active);
        assert_eq!(story.after(3600), []);
        let outputs = story.say(Input::HungUp(who));
        assert!(outputs.contains(&Output::HangUp(other)));
        assert_eq!(outputs.last(), Some(&ended(reason, None)));
    }
}

#[test]
fn what_the_far_end_says_becomes_the_reason() {
    for (code, reason) in [
        (486, EndReason::Busy),
        (600, EndReason::Busy),
        (603, EndReason::Busy),
        (408, EndReason::NoAnswer),
        (480, EndReason::NoAnswer),
        (404, EndReason::Failed),
        (503, EndReason::Failed),
    ] {
        let outputs = dialled().say(Input::PartyFailed(CALLEE, Failure::Sip(code)));
        assert_eq!(outputs, [Output::HangUp(Party::CALLER), ended(reason, Some(code))]);
    }
}

#[test]
fn a_phone_that_rings_too_long_is_cancelled() {
    let mut story = dialled();
    assert_eq!(story.after(59), []);
    assert_eq!(
        story.after(1),
        [Output::Cancel(CALLEE), Output::HangUp(Party::CALLER), ended(EndReason::NoAnswer, None)]
    );
}

#[test]
fn a_caller_who_gives_up_cancels_the_phone() {
    assert_eq!(
        dialled().say(Input::HungUp(Party::CALLER)),
        [Output::Cancel(CALLEE), ended(EndReason::Cancelled, None)]
    );
}

#[test]
fn a_gateway_that_restarts_takes_the_call_with_it() {
    let mut story = dialled();
    story.say(Input::PartyAnswered(CALLEE));
    let outputs = story.say(Input::Lost(CALLEE, EndReason::GatewayRestart));
    assert_eq!(outputs.last(), Some(&ended(EndReason::GatewayRestart, None)));
}
