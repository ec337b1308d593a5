use super::super::record::MAX_TEXT;
use super::super::samples::{at, message};
use super::*;

fn facts(sent: bool, call_id: &str, our_tag: Option<&str>, opens: bool) -> Facts {
    Facts { sent, call_id: call_id.to_owned(), our_tag: our_tag.map(str::to_owned), opens }
}

/// A caller's INVITE.
fn knock(call_id: &str) -> Facts {
    facts(false, call_id, None, true)
}

fn texts(ring: &mut Ring, name: &str) -> Vec<String> {
    let trace = ring.trace(name, at(0)).unwrap_or_default();
    trace.messages.into_iter().map(|message| message.text).collect()
}

#[test]
fn a_callers_messages_are_found_by_the_tag_of_our_answer() {
    let mut ring = Ring::default();
    ring.message(&knock("c"), message(0, "INVITE"));
    ring.message(&facts(true, "c", Some("SCL_1"), false), message(0, "407"));
    ring.message(&knock("c"), message(0, "INVITE with credentials"));
    ring.message(&facts(true, "c", Some("SCL_2"), false), message(0, "200"));
    ring.message(&facts(false, "c", Some("SCL_2"), false), message(0, "BYE"));
    assert_eq!(texts(&mut ring, "SCL_2"), ["INVITE", "407", "INVITE with credentials", "200", "BYE"]);
    assert_eq!(texts(&mut ring, "SCL_1"), texts(&mut ring, "SCL_2"), "one knock after the other");
}

#[test]
fn all_branches_of_a_call_of_ours_are_one_leg() {
    let mut ring = Ring::default();
    for call_id in ["one", "other"] {
        ring.message(&facts(true, call_id, Some("SCL_1"), true), message(0, call_id));
        ring.message(&facts(false, call_id, Some("SCL_1"), false), message(0, "180"));
    }
    assert_eq!(texts(&mut ring, "SCL_1"), ["one", "180", "other", "180"]);
}

#[test]
fn an_invite_that_is_sent_after_its_leg_came_into_being_is_the_legs() {
    let mut ring = Ring::default();
    ring.is_call("SCL_1", "c", at(0));
    ring.message(&facts(true, "c", Some("SCL_1"), true), message(0, "INVITE"));
    assert_eq!((ring.records.len(), texts(&mut ring, "SCL_1")), (1, vec!["INVITE".to_owned()]));
}

#[test]
fn both_legs_of_a_call_to_ourselves_are_told_apart() {
    let mut ring = Ring::default();
    ring.message(&facts(true, "c", Some("SCL_out"), true), message(0, "INVITE sent"));
    ring.message(&knock("c"), message(0, "INVITE received"));
    ring.message(&facts(true, "c", Some("SCL_in"), false), message(0, "200 sent"));
    ring.message(&facts(false, "c", Some("SCL_out"), false), message(0, "200 received"));
    assert_eq!(texts(&mut ring, "SCL_out"), ["INVITE sent", "200 received"]);
    assert_eq!(texts(&mut ring, "SCL_in"), ["INVITE received", "200 sent"]);
}

#[test]
fn what_belongs_to_no_call_is_not_wanted() {
    let mut ring = Ring::default();
    let stray = facts(false, "c", Some("unknown"), false);
    assert!(!ring.wants(&stray));
    ring.message(&stray, message(0, "BYE"));
    assert_eq!((ring.records.len(), ring.names.len(), ring.bytes), (0, 0, 0));
}

#[test]
fn a_leg_is_forgotten_an_hour_after_its_last_message() {
    let mut ring = Ring::default();
    ring.message(&knock("c"), message(0, "INVITE"));
    ring.is_call("SCL_1", "c", at(0));
    ring.message(&facts(false, "c", Some("SCL_1"), false), message(3000, "BYE"));
    assert!(ring.trace("SCL_1", at(3000 + 3600)).is_some());
    assert!(ring.trace("SCL_1", at(3000 + 3601)).is_none());
    assert_eq!((ring.records.len(), ring.names.len(), ring.callers.len(), ring.bytes), (0, 0, 0, 0));
}

#[test]
fn knocks_do_not_drive_out_calls_and_the_oldest_calls_give_way() {
    let mut ring = Ring::default();
    let count = MAX_LEGS as i64 + 1;
    for number in 0..count {
        ring.message(&knock(&format!("call {number}")), message(number, "INVITE"));
        ring.is_call(&format!("SCL_{number}"), &format!("call {number}"), at(number));
    }
    for number in 0..1000 {
        ring.message(&knock(&format!("knock {number}")), message(count, "INVITE"));
        assert!(ring.records.len() <= MAX_LEGS);
    }
    let kept = (0..count).filter(|number| ring.trace(&format!("SCL_{number}"), at(count)).is_some()).count();
    assert_eq!(kept, MAX_LEGS - MAX_KNOCKS);
    assert!(ring.trace(&format!("SCL_{}", count - 1), at(count)).is_some(), "the newest is there");
    assert_eq!(ring.callers.len(), ring.records.len());
}

#[test]
fn no_more_text_is_kept_than_the_limit() {
    let mut ring = Ring::default();
    let text = "x".repeat(MAX_TEXT);
    for number in 0..400 {
        let call_id = format!("{number}");
        for _ in 0..8 {
            ring.message(&facts(true, &call_id, Some(&call_id), true), message(number, &text));
        }
        ring.is_call(&call_id, &call_id, at(number));
    }
    assert_eq!(ring.bytes, MAX_BYTES);
    assert_eq!(ring.records.len(), MAX_BYTES / (8 * MAX_TEXT));
}

#[test]
fn a_caller_cannot_make_us_remember_names_without_end() {
    let mut ring = Ring::default();
    for number in 0..100 {
        ring.message(&knock("c"), message(0, "INVITE"));
        ring.message(&facts(true, "c", Some(&format!("tag {number}")), false), message(0, "407"));
    }
    assert_eq!((ring.records.len(), ring.names.len()), (1, MAX_NAMES));
}
