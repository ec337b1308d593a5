//! Somebody rings the box.

mod story;

use call::{Failure, Heir, Input, Kind, Onward, Output, Party, Ring, State, TimeoutAction};
use dialplan::Action;
use proptest::prelude::*;
use std::time::Duration;
use story::*;
use types::{BotId, EndReason, UserId};

#[test]
fn a_call_that_no_rule_matches_is_told_404() {
    let mut story = Story::inbound();
    assert_eq!(story.say(Input::NoRuleMatched), rejected(EndReason::NoRuleMatched, 404));
    assert_eq!(story.state(), State::Ended);
}

#[test]
fn a_hangup_rule_is_told_603() {
    let mut story = Story::inbound();
    assert_eq!(story.say(Input::Routed(Action::Hangup {})), rejected(EndReason::Blocked, 603));
}

#[test]
fn a_user_who_answers_talks_until_the_caller_hangs_up() {
    let (extension, user) = user_extension();
    let mut story = Story::inbound();
    assert_eq!(story.ring(&extension), [ring_user(CALLEE, &extension, user)]);
    assert_eq!(story.state(), State::Ringing);
    assert_eq!(story.say(Input::PartyAnswered(CALLEE)), []);
    assert_eq!(story.state(), State::Ringing, "nobody is audible yet");
    assert_eq!(story.say(Input::CallerAnswered), []);
    assert_eq!(story.state(), State::Active);
    assert_eq!(story.after(3600), [], "no timer runs in a conversation");
    assert_eq!(story.say(Input::HungUp(Party::CALLER)), [Output::HangUp(CALLEE), ended(EndReason::CallerHangup, None)]);
}

#[test]
fn a_user_who_hangs_up_ends_the_call() {
    let (extension, _) = user_extension();
    let mut story = Story::inbound();
    story.ring(&extension);
    story.say(Input::PartyAnswered(CALLEE));
    story.say(Input::CallerAnswered);
    assert_eq!(
        story.say(Input::HungUp(CALLEE)),
        [Output::HangUp(Party::CALLER), Output::HangUp(CALLEE), ended(EndReason::CalleeHangup, None)]
    );
}

#[test]
fn a_call_nobody_answers_ends_when_the_ring_timeout_passes() {
    let (extension, _) = user_extension();
    let mut story = Story::inbound();
    story.ring(&extension);
    assert_eq!(story.after(24), []);
    let mut last = vec![Output::Cancel(CALLEE)];
    last.extend(rejected(EndReason::NoAnswer, 480));
    assert_eq!(story.after(1), last);
}

#[test]
fn reception_that_does_not_answer_in_25_seconds_is_followed_by_the_bot() {
    let (mut reception, _) = user_extension();
    let bot = BotId::new();
    reception.timeout_action = TimeoutAction::RingBot(bot);
    let mut story = Story::inbound();
    story.ring(&reception);
    assert_eq!(story.after(25), [Output::Cancel(CALLEE), Output::DispatchBot { party: SECOND, bot }]);
    story.say(Input::JobStarted);
    story.say(Input::CallerAnswered);
    assert_eq!(story.state(), State::Active);
    assert_eq!(story.after(600), [], "a bot that works has no deadline");
}

#[test]
fn each_time_out_action_is_done() {
    let (mut extension, _) = user_extension();
    let other = user_extension().0;
    for (action, wanted) in [
        (TimeoutAction::Voicemail, Output::Record { party: SECOND, extension: Some(extension.id) }),
        (TimeoutAction::Forward("+31201234567".parse().unwrap()), Output::AnswerCaller),
        (TimeoutAction::RingExtension(other.id), Output::Look(other.id)),
    ] {
        extension.timeout_action = action;
        let mut story = Story::inbound();
        story.ring(&extension);
        assert_eq!(story.after(25), [Output::Cancel(CALLEE), wanted]);
    }
}

#[test]
fn extensions_that_time_out_into_each_other_stop_after_five_hops() {
    let (mut one, _) = user_extension();
    let (mut two, _) = user_extension();
    one.timeout_action = TimeoutAction::RingExtension(two.id);
    two.timeout_action = TimeoutAction::RingExtension(one.id);
    let mut story = Story::inbound();
    story.ring(&one);
    for next in [&two, &one, &two, &one] {
        assert_eq!(story.after(25).last(), Some(&Output::Look(next.id)));
        story.say(Input::Found(Box::new(next.clone())));
    }
    let last = story.after(25).pop();
    assert_eq!(
        last,
        Some(Output::Ended { reason: EndReason::Failed, sip_code: Some(503), code: Some("too_many_hops") })
    );
}

#[test]
fn an_extension_that_does_not_disturb_is_busy() {
    let (mut extension, _) = user_extension();
    extension.dnd = true;
    assert_eq!(Story::inbound().ring(&extension), rejected(EndReason::Dnd, 486));
    extension.busy = Some(Onward::Voicemail(Some(extension.id)));
    assert_eq!(Story::inbound().ring(&extension), [Output::Record { party: CALLEE, extension: Some(extension.id) }]);
}

#[test]
fn a_user_who_rejects_is_busy_unless_busy_calls_are_forwarded() {
    let (mut extension, _) = user_extension();
    let mut story = Story::inbound();
    story.ring(&extension);
    assert_eq!(story.say(Input::PartyFailed(CALLEE, Failure::Rejected)), rejected(EndReason::Busy, 486));

    extension.busy = Some(Onward::Bot(BotId::new()));
    let mut story = Story::inbound();
    story.ring(&extension);
    let outputs = story.say(Input::PartyFailed(CALLEE, Failure::Rejected));
    assert!(matches!(outputs[..], [Output::DispatchBot { .. }]));
}

#[test]
fn my_desk_and_my_mobile_ring_together_and_the_first_has_the_call() {
    let (mut extension, user) = user_extension();
    extension.always = Some(Onward::Ring(vec![
        Ring::User { user, extension: extension.id },
        Ring::Outside { to: "+31612345678".parse().unwrap(), extension: Some(extension.id) },
    ]));
    let mut story = Story::inbound();
    assert_eq!(
        story.ring(&extension),
        [ring_user(CALLEE, &extension, user), ring_outside(SECOND, "+31612345678", Some(&extension), 25)]
    );
    assert_eq!(story.say(Input::PartyFailed(CALLEE, Failure::Rejected)), [], "the mobile still rings");
    assert_eq!(story.say(Input::PartyAnswered(SECOND)), []);
    assert!(!story.call.rings(CALLEE) && !story.call.rings(SECOND));

    let mut story = Story::inbound();
    story.ring(&extension);
    assert_eq!(story.say(Input::PartyAnswered(SECOND)), [Output::Cancel(CALLEE)]);
}

#[test]
fn when_all_fail_busy_counts_more_than_silence_and_silence_more_than_trouble() {
    let (mut extension, user) = user_extension();
    let outside = |to: &str| Ring::Outside { to: to.parse().unwrap(), extension: None };
    extension.always = Some(Onward::Ring(vec![Ring::User { user, extension: extension.id }, outside("+31612345678")]));
    for (one, two, reason, code) in [
        (Failure::Rejected, Failure::Sip(480), EndReason::Busy, 486),
        (Failure::Sip(408), Failure::Sip(503), EndReason::NoAnswer, 480),
        (Failure::NoTrunk, Failure::Unavailable, EndReason::NoTrunk, 503),
        (Failure::Sip(404), Failure::Unavailable, EndReason::Failed, 503),
    ] {
        let mut story = Story::inbound();
        story.ring(&extension);
        assert_eq!(story.say(Input::PartyFailed(CALLEE, one)), []);
        assert_eq!(story.say(Input::PartyFailed(SECOND, two)), rejected(reason, code));
    }
}

#[test]
fn an_answer_without_audio_falls_through_to_the_time_out_action() {
    let (mut extension, _) = user_extension();
    extension.timeout_action = TimeoutAction::Voicemail;
    let mut story = Story::inbound();
    story.ring(&extension);
    story.say(Input::PartyAnswered(CALLEE));
    assert_eq!(
        story.after(20),
        [Output::Cancel(CALLEE), Output::Record { party: SECOND, extension: Some(extension.id) }]
    );
}

#[test]
fn a_desk_phone_is_dialled_and_one_that_is_not_there_times_out_at_once() {
    let to = "sip:100@192.0.2.7";
    let desk = extension(Kind::Outside { to: to.parse().unwrap() });
    assert_eq!(Story::inbound().ring(&desk), [ring_outside(CALLEE, to, Some(&desk), 25)]);
    let mut absent = extension(Kind::Unreachable);
    assert_eq!(Story::inbound().ring(&absent), rejected(EndReason::NoAnswer, 480));
    absent.timeout_action = TimeoutAction::Voicemail;
    assert_eq!(Story::inbound().ring(&absent), [Output::Record { party: CALLEE, extension: Some(absent.id) }]);
}

#[test]
fn a_caller_who_gives_up_cancels_everything_that_rings() {
    let (extension, _) = user_extension();
    let mut story = Story::inbound();
    story.ring(&extension);
    assert_eq!(story.say(Input::Cancelled), [Output::Cancel(CALLEE), ended(EndReason::Cancelled, Some(487))]);
}

#[test]
fn without_a_bot_worker_the_call_fails_after_five_seconds() {
    let mut story = Story::inbound();
    let bot = BotId::new();
    let outputs = story.say(Input::Routed(Action::RingBot { bot_id: bot }));
    assert_eq!(outputs, [Output::DispatchBot { party: CALLEE, bot }]);
    assert_eq!(story.after(4), []);
    assert_eq!(
        story.after(1),
        [
            Output::RejectCaller { code: 503 },
            Output::HangUp(CALLEE),
            Output::Ended { reason: EndReason::Failed, sip_code: Some(503), code: Some("no_bot_worker") },
        ]
    );
}

fn leaving_a_message() -> Story {
    let mut story = Story::inbound();
    story.say(Input::Routed(Action::Voicemail { extension_id: None }));
    story.say(Input::JobStarted);
    story.say(Input::CallerAnswered);
    assert_eq!(story.state(), State::Active);
    story
}

#[test]
fn a_recorded_message_decides_the_reason_whoever_hung_up() {
    let mut story = leaving_a_message();
    assert_eq!(story.say(Input::HungUp(Party::CALLER)), []);
    assert_eq!(story.say(Input::VoicemailRecorded), [ended(EndReason::Voicemail, None)]);

    let mut story = leaving_a_message();
    assert_eq!(
        story.say(Input::VoicemailRecorded),
        [Output::HangUp(Party::CALLER), Output::HangUp(CALLEE), ended(EndReason::Voicemail, None)]
    );

    let mut story = leaving_a_message();
    story.say(Input::Lost(Party::CALLER, EndReason::MediaTimeout));
    assert_eq!(story.say(Input::VoicemailRecorded), [ended(EndReason::Voicemail, None)]);
}

#[test]
fn a_caller_who_leaves_no_message_just_hung_up() {
    let mut story = leaving_a_message();
    story.say(Input::HungUp(Party::CALLER));
    assert_eq!(story.say(Input::JobFailed), [ended(EndReason::CallerHangup, None)]);
    let mut story = leaving_a_message();
    story.say(Input::HungUp(Party::CALLER));
    assert_eq!(story.after(10), [ended(EndReason::CallerHangup, None)]);
}

#[test]
fn a_recorder_that_vanishes_does_not_leave_the_caller_in_silence() {
    let mut story = leaving_a_message();
    assert_eq!(story.say(Input::HungUp(CALLEE)), []);
    assert_eq!(
        story.after(10),
        [
            Output::HangUp(Party::CALLER),
            Output::Ended { reason: EndReason::Failed, sip_code: None, code: Some("recording_failed") },
        ]
    );
}

#[test]
fn a_message_is_played_and_then_the_caller_is_hung_up() {
    let mut story = Story::inbound();
    let text = "We are closed.".to_owned();
    let outputs = story.say(Input::Routed(Action::PlayMessage { text: text.clone(), voice_id: None }));
    assert_eq!(outputs, [Output::Play { party: CALLEE, text, voice: None }]);
    story.say(Input::JobStarted);
    story.say(Input::CallerAnswered);
    assert_eq!(
        story.say(Input::MessagePlayed),
        [Output::HangUp(Party::CALLER), Output::HangUp(CALLEE), ended(EndReason::MessagePlayed, None)]
    );
}

fn forwarded() -> Story {
    let to = "+31201234567".parse().unwrap();
    let mut story = Story::inbound();
    assert_eq!(story.say(Input::Routed(Action::Forward { to })), [Output::AnswerCaller]);
    let to = "+31201234567".parse().unwrap();
    assert_eq!(story.say(Input::CallerAnswered), [Output::Refer { to }]);
    story
}

#[test]
fn a_forward_that_the_carrier_accepts_takes_the_caller_away() {
    assert_eq!(forwarded().say(Input::ReferAccepted), [ended(EndReason::Forwarded, None)]);
    assert_eq!(
        forwarded().say(Input::Transferred(Party::CALLER)),
        [ended(EndReason::Forwarded, None)],
        "the gateway's event may be first"
    );
}

#[test]
fn a_forward_that_the_carrier_refuses_is_bridged() {
    let mut story = forwarded();
    let dial = ring_outside(CALLEE, "+31201234567", None, 60);
    assert_eq!(story.say(Input::ReferRejected { code: Some(603) }), [dial, Output::RingBack(true)]);
    assert_eq!(story.state(), State::Active);
    assert_eq!(story.say(Input::PartyAnswered(CALLEE)), [Output::RingBack(false)], "the caller is answered already");
    assert_eq!(
        story.say(Input::HungUp(CALLEE)),
        [Output::HangUp(Party::CALLER), Output::HangUp(CALLEE), ended(EndReason::CalleeHangup, None)]
    );
}

#[test]
fn a_bridge_without_a_trunk_ends_with_no_trunk() {
    let mut story = forwarded();
    story.say(Input::ReferRejected { code: None });
    assert_eq!(
        story.say(Input::PartyFailed(CALLEE, Failure::NoTrunk)),
        [Output::HangUp(Party::CALLER), ended(EndReason::NoTrunk, None)]
    );
}

#[test]
fn a_held_call_is_held_until_all_have_let_go() {
    let (extension, _) = user_extension();
    let mut story = Story::inbound();
    story.ring(&extension);
    story.say(Input::PartyAnswered(CALLEE));
    story.say(Input::CallerAnswered);
    story.say(Input::Held(Party::CALLER));
    story.say(Input::Held(Party::CALLER));
    assert_eq!(story.state(), State::Held);
    story.say(Input::Unheld(Party::CALLER));
    assert_eq!(story.state(), State::Active);
}

#[test]
fn a_ringing_call_goes_on_after_a_restart_with_the_time_that_is_left() {
    let (extension, user) = user_extension();
    let mut story = Story::inbound();
    story.ring(&extension);
    story.after(10);
    let ring = Ring::User { user, extension: extension.id };
    assert_eq!(story.restart(), [Output::Ring { party: CALLEE, ring, timeout: Duration::from_secs(15) }]);
    assert_eq!(story.after(14), []);
    assert_eq!(story.after(1).last(), Some(&ended(EndReason::NoAnswer, Some(480))));
}

#[test]
fn a_conversation_goes_on_after_a_restart_and_says_nothing_twice() {
    let (extension, _) = user_extension();
    let mut story = Story::inbound();
    story.ring(&extension);
    story.say(Input::PartyAnswered(CALLEE));
    story.say(Input::CallerAnswered);
    assert_eq!(story.restart(), []);
    assert_eq!(story.state(), State::Active);
    let last = story.say(Input::HungUp(Party::CALLER)).pop();
    assert_eq!(last, Some(ended(EndReason::CallerHangup, None)));
}

#[test]
fn an_operator_ends_a_conversation_and_declines_what_only_rings() {
    let (extension, _) = user_extension();
    let mut story = Story::inbound();
    story.ring(&extension);
    let outputs = story.say(Input::HangUp);
    assert_eq!(outputs.first(), Some(&Output::RejectCaller { code: 486 }));
    let mut story = leaving_a_message();
    assert_eq!(story.say(Input::HangUp).pop(), Some(ended(EndReason::Completed, None)));
}

fn any_input() -> impl Strategy<Value = Input> {
    let party = (0..4_u16).prop_map(Party);
    prop_oneof![
        Just(Input::CallerAnswered),
        Just(Input::Cancelled),
        party.clone().prop_map(Input::PartyAnswered),
        party.clone().prop_map(|party| Input::PartyFailed(party, Failure::Sip(486))),
        party.clone().prop_map(|party| Input::PartyFailed(party, Failure::NoTrunk)),
        party.clone().prop_map(Input::HungUp),
        party.clone().prop_map(Input::Held),
        party.clone().prop_map(Input::Unheld),
        party.clone().prop_map(|party| Input::Lost(party, EndReason::MediaTimeout)),
        party.clone().prop_map(Input::Transferred),
        party.prop_map(|by| Input::HandOver { by, to: Heir::Outside("+3161234".parse().unwrap()) }),
        Just(Input::Joined),
        Just(Input::JobStarted),
        Just(Input::JobFailed),
        Just(Input::VoicemailRecorded),
        Just(Input::MessagePlayed),
        Just(Input::ReferAccepted),
        Just(Input::ReferRejected { code: Some(603) }),
        Just(Input::HangUp),
    ]
}

fn any_extension() -> impl Strategy<Value = call::Extension> {
    let onward = || {
        prop_oneof![
            Just(None),
            Just(Some(Onward::Voicemail(None))),
            Just(Some(Onward::Bot(BotId::new()))),
            Just(Some(Onward::Ring(vec![]))),
            Just(Some(Onward::Ring(vec![Ring::Outside { to: "+3161234".parse().unwrap(), extension: None }]))),
        ]
    };
    let kind = prop_oneof![
        Just(Kind::Wave { user: UserId::new() }),
        Just(Kind::Voicemail),
        Just(Kind::Unreachable),
        Just(Kind::Outside { to: "sip:1@b".parse().unwrap() }),
    ];
    let action = prop_oneof![
        Just(TimeoutAction::Hangup),
        Just(TimeoutAction::Voicemail),
        Just(TimeoutAction::Forward("+3161234".parse().unwrap())),
        Just(TimeoutAction::RingExtension(types::ExtensionId::new())),
    ];
    (kind, any::<bool>(), onward(), onward(), onward(), action).prop_map(
        |(kind, dnd, always, busy, no_answer, timeout_action)| call::Extension {
            dnd,
            always,
            busy,
            no_answer,
            timeout_action,
            ..extension(kind)
        },
    )
}

proptest! {
    #[test]
    fn any_story_ends_at_most_once_and_never_hangs_without_a_deadline_while_it_rings(
        extension in any_extension(),
        inputs in prop::collection::vec((any_input(), 0..30_u64), 0..25),
    ) {
        let mut story = Story::inbound();
        let mut all = story.ring(&extension);
        for (input, seconds) in inputs {
            all.extend(story.after(seconds));
            let found = |output: &Output| matches!(output, Output::Look(_));
            if all.last().is_some_and(found) {
                all.extend(story.say(Input::NotFound(extension.id)));
            }
            all.extend(story.say(input));
            if story.state() == State::Ringing {
                let waits = story.call.answered_by().is_some(); // an agent at work is on the gateway's clock
                prop_assert!(story.call.deadline().is_some() || waits);
            }
        }
        let ends = all.iter().filter(|output| matches!(output, Output::Ended { .. })).count();
        let rejects = all.iter().filter(|output| matches!(output, Output::RejectCaller { .. })).count();
        prop_assert_eq!(ends, usize::from(story.state() == State::Ended));
        prop_assert!(rejects <= 1);
        let last_word = matches!(all.last(), Some(Output::Ended { .. }));
        prop_assert!(ends == 0 || last_word);
    }
}
