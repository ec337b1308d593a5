//! One party of a call puts another in its place.

mod story;

use call::{Failure, Heir, Input, Onward, Output, Party, State, TimeoutAction};
use story::*;
use types::EndReason;

const THIRD: Party = Party(2);

/// The caller talks to a desk phone.
fn talking() -> Story {
    let mut story = Story::inbound();
    let desk = extension(call::Kind::Outside { to: "sip:desk@phones.scaibox.invalid".parse().unwrap() });
    story.ring(&desk);
    story.say(Input::PartyAnswered(CALLEE));
    story.say(Input::CallerAnswered);
    assert_eq!(story.state(), State::Active);
    story
}

fn outside() -> Heir {
    Heir::Outside("+31201234567".parse().unwrap())
}

fn ring_third() -> Output {
    ring_outside(THIRD, "+31201234567", None, 60)
}

/// The caller hears that it rings, or what is said again.
const RINGING: Output = Output::RingBack(true);
const TALKING: Output = Output::RingBack(false);

fn report(code: u16) -> Output {
    Output::Report { party: CALLEE, code }
}

#[test]
fn the_one_who_was_called_hands_the_caller_to_a_third_and_leaves() {
    let mut story = talking();
    assert_eq!(story.say(Input::HandOver { by: CALLEE, to: outside() }), [ring_third(), RINGING]);
    assert_eq!(story.state(), State::Active, "nobody hears that the call is over");
    assert_eq!(story.say(Input::PartyRinging(THIRD)), [report(180)]);
    assert_eq!(story.say(Input::PartyAnswered(THIRD)), [TALKING, report(200)]);
    assert_eq!(story.say(Input::Transferred(CALLEE)), [], "it is not missed");
    assert_eq!(
        story.say(Input::HungUp(THIRD)),
        [Output::HangUp(Party::CALLER), Output::HangUp(THIRD), ended(EndReason::CalleeHangup, None)]
    );
}

#[test]
fn a_caller_who_hands_over_makes_the_other_one_the_caller() {
    let mut story = talking();
    story.say(Input::Held(Party::CALLER));
    let to = outside();
    assert_eq!(story.say(Input::HandOver { by: Party::CALLER, to }), [Output::Swap(CALLEE), ring_third(), RINGING]);
    assert_eq!(story.say(Input::PartyAnswered(THIRD)), [TALKING, report(200)]);
    assert_eq!(story.state(), State::Active, "who handed over had the call on hold");
    let outputs = story.say(Input::HungUp(Party::CALLER));
    assert_eq!(outputs, [Output::HangUp(THIRD), ended(EndReason::CallerHangup, None)]);
}

#[test]
fn a_third_who_is_busy_gives_the_call_back() {
    let mut story = talking();
    story.say(Input::HandOver { by: CALLEE, to: outside() });
    assert_eq!(story.restart(), [], "over a restart as well");
    assert_eq!(story.say(Input::PartyFailed(THIRD, Failure::Sip(486))), [TALKING, report(486)]);
    assert_eq!(story.state(), State::Active);
    let outputs = story.say(Input::HungUp(CALLEE));
    assert_eq!(outputs.last(), Some(&ended(EndReason::CalleeHangup, None)));
}

#[test]
fn an_extension_is_rung_as_its_settings_say_and_its_voicemail_counts_as_somebody() {
    let (mut extension, _) = user_extension();
    extension.timeout_action = TimeoutAction::Voicemail;
    let mut story = talking();
    let to = Heir::Extension(extension.id);
    assert_eq!(story.say(Input::HandOver { by: CALLEE, to }), [Output::Look(extension.id)]);
    story.say(Input::Found(Box::new(extension.clone())));
    let outputs = story.after(25);
    assert!(matches!(outputs.last(), Some(Output::Record { .. })), "{outputs:?}");
    assert_eq!(story.say(Input::JobStarted), [TALKING, report(200)]);
}

#[test]
fn an_extension_that_is_unknown_or_wants_no_calls_gives_the_call_back() {
    let (mut extension, _) = user_extension();
    let to = || Heir::Extension(extension.id);
    let mut story = talking();
    story.say(Input::HandOver { by: CALLEE, to: to() });
    assert_eq!(story.say(Input::NotFound(extension.id)), [report(503)]);
    story.say(Input::HandOver { by: CALLEE, to: to() });
    extension.dnd = true;
    assert_eq!(story.say(Input::Found(Box::new(extension))), [report(486)]);
    assert_eq!(story.state(), State::Active);
}

#[test]
fn who_hangs_up_at_once_does_not_get_the_call_back() {
    let mut story = talking();
    story.say(Input::HandOver { by: CALLEE, to: outside() });
    assert_eq!(story.say(Input::Transferred(CALLEE)), []);
    let outputs = story.say(Input::PartyFailed(THIRD, Failure::Sip(486)));
    assert_eq!(outputs, [Output::HangUp(Party::CALLER), ended(EndReason::Busy, Some(486))]);
}

#[test]
fn a_caller_who_gives_up_meanwhile_ends_it_for_all() {
    let mut story = talking();
    story.say(Input::HandOver { by: CALLEE, to: outside() });
    assert_eq!(
        story.say(Input::HungUp(Party::CALLER)),
        [report(487), Output::HangUp(CALLEE), Output::Cancel(THIRD), ended(EndReason::CallerHangup, None)]
    );
}

#[test]
fn only_one_of_two_who_talk_may_hand_over_and_only_one_at_a_time() {
    let refused = |party| vec![Output::Report { party, code: 603 }];
    let mut story = talking();
    assert_eq!(story.say(Input::HandOver { by: THIRD, to: outside() }), refused(THIRD));
    story.say(Input::HandOver { by: CALLEE, to: outside() });
    assert_eq!(story.say(Input::HandOver { by: CALLEE, to: outside() }), refused(CALLEE));
    let mut story = Story::inbound();
    let (extension, _) = user_extension();
    story.ring(&call::Extension { always: Some(Onward::Voicemail(None)), ..extension });
    assert_eq!(story.say(Input::HandOver { by: CALLEE, to: outside() }), refused(CALLEE), "not a message");
}

#[test]
fn a_party_that_goes_on_in_another_call_ends_this_one_as_transferred() {
    assert_eq!(
        talking().say(Input::Joined),
        [Output::HangUp(Party::CALLER), Output::HangUp(CALLEE), ended(EndReason::Transferred, None)]
    );
}
