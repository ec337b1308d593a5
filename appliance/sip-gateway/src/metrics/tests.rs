use super::{MOST_HOSTS, Metrics};
use crate::media_thread::PacketCount;
use std::time::{Duration, Instant};
use types::control::{Event, InboundLeg, InboundOutcome, LegEnd, LegEndCause, LegStats};

fn metrics() -> Metrics {
    Metrics::new("NE_1").unwrap()
}

fn leg(id: &str) -> InboundLeg {
    InboundLeg {
        lk_call_id: id.into(),
        sip_call_id: "a@b".into(),
        lk_trunk_id: None,
        from: "100".into(),
        to: "200".into(),
        source: "192.0.2.1:5060".into(),
        transport: "udp".into(),
        extension_id: None,
    }
}

fn ended(id: &str, cause: LegEndCause, sip_code: Option<u16>) -> Event {
    let end = LegEnd { cause, sip_code, detail: String::new(), stats: LegStats::default() };
    Event::LegEnded { lk_call_id: id.into(), end }
}

fn refused(id: &str, outcome: InboundOutcome) -> Event {
    Event::InboundRefused { leg: leg(id), outcome, sip_code: Some(404), detail: String::new() }
}

fn dialing(id: &str) -> Event {
    Event::OutboundDialing {
        lk_call_id: id.into(),
        sip_call_id: "a@b".into(),
        lk_trunk_id: None,
        room: "room".into(),
        identity: "sip_1".into(),
        to: "sip:1@Carrier.example;transport=tcp".into(),
    }
}

/// The values of all samples that have these words in their name or labels.
fn value(metrics: &Metrics, words: &[&str]) -> f64 {
    let text = metrics.text(true, 0.0).unwrap();
    let matching = text.lines().filter(|line| !line.starts_with('#') && words.iter().all(|word| line.contains(word)));
    matching.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

#[test]
fn an_inbound_call_is_active_from_its_trunk_to_its_end_and_all_of_it_is_measured() {
    let (metrics, t0) = (metrics(), Instant::now());
    let s = Duration::from_secs;
    metrics.invited("SCL_1", "Box.example", t0);
    metrics.checked("SCL_1", t0 + s(1));
    assert_eq!(value(&metrics, &["calls_active"]), 0.0);
    metrics.accepted("SCL_1");
    assert_eq!(value(&metrics, &["calls_active{dir=\"in\"", "to=\"box.example\""]), 1.0);
    metrics.dispatched("SCL_1", t0 + s(2));
    let rings = Event::InboundRinging {
        leg: leg("SCL_1"),
        room: "room".into(),
        identity: "sip_1".into(),
        dispatch_rule_id: None,
    };
    metrics.follow(&rings, t0 + s(3));
    metrics.follow(&Event::LegAnswered { lk_call_id: "SCL_1".into(), codec: "PCMU".into() }, t0 + s(4));
    metrics.follow(&ended("SCL_1", LegEndCause::PeerHangup, None), t0 + s(3603));
    assert_eq!(value(&metrics, &["calls_active"]), 0.0);
    assert_eq!(value(&metrics, &["calls_terminated", "result=\"success\"", "reason=\"hangup\""]), 1.0);
    for (name, seconds) in [("check", 1.0), ("join", 3.0), ("session", 3603.0), ("call", 3600.0)] {
        assert_eq!(value(&metrics, &[&format!("dur_{name}_sec_sum"), "dir=\"in\""]), seconds, "{name}");
    }
    assert_eq!(value(&metrics, &["stage_dur_sec_sum", "invite-to-dispatch"]), 2.0);
    assert_eq!(value(&metrics, &["invite_requests", "dir=\"in\""]), 1.0);
    assert_eq!(value(&metrics, &["invite_error"]), 0.0);
}

#[test]
fn a_stranger_is_an_error_whose_host_is_not_shown() {
    let (metrics, t0) = (metrics(), Instant::now());
    metrics.invited("SCL_1", "scanner.example", t0);
    metrics.checked("SCL_1", t0);
    metrics.follow(&refused("SCL_1", InboundOutcome::NoTrunk), t0);
    assert_eq!(value(&metrics, &["invite_error", "to=\"unknown\"", "reason=\"no-trunk\""]), 1.0);
    assert_eq!(value(&metrics, &["calls_terminated", "to=\"unknown\"", "result=\"client_error\""]), 1.0);
    assert!(!metrics.text(true, 0.0).unwrap().contains("scanner"));
}

#[test]
fn a_challenge_ends_one_invite_and_the_next_is_another() {
    let (metrics, t0) = (metrics(), Instant::now());
    metrics.invited("SCL_1", "box", t0);
    metrics.checked("SCL_1", t0);
    metrics.challenged("SCL_1", t0);
    metrics.invited("SCL_2", "box", t0);
    metrics.accepted("SCL_2");
    assert_eq!(value(&metrics, &["invite_requests"]), 2.0);
    assert_eq!(value(&metrics, &["invite_error", "reason=\"unauthorized\""]), 1.0);
    assert_eq!(value(&metrics, &["calls_active"]), 1.0);
}

#[test]
fn a_caller_who_gives_up_before_the_trunk_is_known_is_no_error() {
    let (metrics, t0) = (metrics(), Instant::now());
    metrics.invited("SCL_1", "box", t0);
    metrics.follow(&refused("SCL_1", InboundOutcome::Cancelled), t0);
    assert_eq!(value(&metrics, &["invite_error"]), 0.0);
    assert_eq!(value(&metrics, &["calls_terminated", "result=\"success\"", "reason=\"cancelled\""]), 1.0);
}

#[test]
fn a_call_that_no_rule_takes_was_active_until_then() {
    let (metrics, t0) = (metrics(), Instant::now());
    metrics.invited("SCL_1", "box", t0);
    metrics.accepted("SCL_1");
    metrics.follow(&refused("SCL_1", InboundOutcome::Rejected), t0);
    assert_eq!(value(&metrics, &["calls_active"]), 0.0);
    assert_eq!(value(&metrics, &["calls_terminated", "to=\"box\"", "reason=\"no-dispatch\""]), 1.0);
}

#[test]
fn a_busy_phone_is_an_error_with_its_code() {
    let (metrics, t0) = (metrics(), Instant::now());
    metrics.follow(&dialing("SCL_1"), t0);
    assert_eq!(value(&metrics, &["calls_active{dir=\"out\"", "to=\"carrier.example\""]), 1.0);
    metrics.follow(&ended("SCL_1", LegEndCause::Rejected, Some(486)), t0);
    assert_eq!(value(&metrics, &["invite_error", "dir=\"out\"", "reason=\"486-BusyHere\""]), 1.0);
    assert_eq!(value(&metrics, &["calls_terminated", "result=\"client_error\"", "reason=\"busy\""]), 1.0);
    assert_eq!(value(&metrics, &["invite_accepted"]), 0.0);
}

#[test]
fn an_answered_phone_is_accepted_and_its_hanging_up_is_no_error() {
    let (metrics, t0) = (metrics(), Instant::now());
    metrics.follow(&dialing("SCL_1"), t0);
    let answered = Event::LegAnswered { lk_call_id: "SCL_1".into(), codec: "PCMU".into() };
    metrics.follow(&answered, t0 + Duration::from_secs(2));
    metrics.follow(&ended("SCL_1", LegEndCause::PeerHangup, None), t0 + Duration::from_secs(9));
    assert_eq!(value(&metrics, &["invite_accepted", "dir=\"out\""]), 1.0);
    assert_eq!(value(&metrics, &["dur_join_sec_sum", "dir=\"out\""]), 2.0);
    assert_eq!(value(&metrics, &["invite_error"]), 0.0);
}

#[test]
fn packets_are_added_up_under_their_codec() {
    let (metrics, t0) = (metrics(), Instant::now());
    metrics.follow(&dialing("SCL_1"), t0);
    let count = PacketCount { payload: "PCMU/8000", received: 50, sent: 49 };
    metrics.packets("SCL_1", std::slice::from_ref(&count));
    metrics.packets("SCL_1", std::slice::from_ref(&count));
    metrics.packets("SCL_none", &[count]);
    assert_eq!(value(&metrics, &["packets_rtp", "op=\"recv\"", "payload=\"PCMU/8000\""]), 100.0);
    assert_eq!(value(&metrics, &["packets_rtp", "op=\"send\"", "payload=\"PCMU/8000\""]), 98.0);
}

#[test]
fn invented_hosts_end_in_one_label() {
    let metrics = Metrics::new("NE_1").unwrap();
    assert_eq!(metrics.host("SIP.Example.com"), "sip.example.com");
    for n in 1..MOST_HOSTS {
        assert_eq!(metrics.host(&format!("h{n}")), format!("h{n}"));
    }
    assert_eq!(metrics.host("one-more"), "other");
    assert_eq!(metrics.host("sip.example.com"), "sip.example.com", "known ones keep theirs");
    assert_eq!(metrics.host(""), "unknown");
}

#[test]
fn what_is_looked_up_is_in_the_text() {
    let text = Metrics::new("NE_1").unwrap().text(true, 0.25).unwrap();
    assert!(text.contains("livekit_sip_available{node_id=\"NE_1\"} 1\n"), "{text}");
    assert!(text.contains("livekit_node_cpu_load{node_id=\"NE_1\",node_type=\"SIP\"} 0.25\n"), "{text}");
}
