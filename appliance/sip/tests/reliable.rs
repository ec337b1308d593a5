//! Do provisional responses that must arrive do so, and is their sound heard before the answer? (RFC 3262)

mod common;

use common::*;
use sip::{OutboundEvent, Transport};
use std::time::Duration;

/// Headers of a reliable 18x that carries a description.
fn reliable(wire: &Wire, number: u32) -> String {
    format!("{}Require: 100rel\r\nRSeq: {number}\r\n", wire.contact())
}

async fn progress(call: &mut sip::OutboundCall) -> u16 {
    match soon(call.next()).await {
        Some(OutboundEvent::Progress { code, .. }) => code,
        _ => panic!("no progress"),
    }
}

/// As text of a response, with ANSWER as its body.
fn with_answer(response: String) -> String {
    let body = std::str::from_utf8(ANSWER).unwrap();
    let typed = format!("Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    response.replace("Content-Length: 0\r\n\r\n", &typed)
}

#[tokio::test]
async fn reliable_progress_gets_its_prack_in_order_and_what_is_repeated_or_skips_one_gets_none() {
    let (side, wire) = (side().await, Wire::open().await);
    let mut call = side.endpoint.invite(invite(wire.addr(), Transport::Udp)).await.unwrap();
    let asked = wire.expect("INVITE").await;
    assert_eq!(asked.header("Supported"), "timer, 100rel, replaces");
    let number: u32 = asked.header("CSeq").split(' ').next().unwrap().parse().unwrap();

    wire.send(with_answer(asked.response("183 Session Progress", "t", &reliable(&wire, 41))), asked.from).await;
    let prack = wire.expect("PRACK").await;
    assert_eq!(prack.header("RAck"), format!("41 {number} INVITE"));
    assert_eq!(prack.header("CSeq"), format!("{} PRACK", number + 1));
    assert!(prack.start().contains(&wire.addr().to_string()), "it goes to the Contact: {}", prack.start());
    wire.send(prack.response("200 OK", "t", ""), prack.from).await;
    match soon(call.next()).await {
        Some(OutboundEvent::Progress { code: 183, sdp, .. }) => assert_eq!(sdp.as_deref(), Some(ANSWER)),
        _ => panic!("no progress"),
    }

    for skipped in [41, 43] {
        wire.send(asked.response("180 Ringing", "t", &reliable(&wire, skipped)), asked.from).await;
    }
    wire.send(asked.response("180 Ringing", "t", &reliable(&wire, 42)), asked.from).await;
    let prack = wire.expect("PRACK").await;
    assert_eq!(prack.header("RAck"), format!("42 {number} INVITE"));
    assert_eq!(prack.header("CSeq"), format!("{} PRACK", number + 2));
    wire.send(prack.response("200 OK", "t", ""), prack.from).await;
    assert_eq!(progress(&mut call).await, 180);

    wire.send(asked.response("200 OK", "t", &wire.contact()), asked.from).await;
    let Some(OutboundEvent::Answered { dialog, .. }) = soon(call.next()).await else { panic!("no answer") };
    assert_eq!(wire.expect("ACK").await.header("CSeq"), format!("{number} ACK"));
    let hanging_up = tokio::spawn(async move { dialog.bye(None, &[]).await });
    let bye = wire.expect("BYE").await;
    assert_eq!(bye.header("CSeq"), format!("{} BYE", number + 3), "later requests count on from the last PRACK");
    wire.send(bye.response("200 OK", "t", ""), bye.from).await;
    hanging_up.await.unwrap();
}

#[tokio::test]
async fn each_branch_of_a_forked_call_counts_for_itself() {
    let (side, wire) = (side().await, Wire::open().await);
    let mut call = side.endpoint.invite(invite(wire.addr(), Transport::Udp)).await.unwrap();
    let asked = wire.expect("INVITE").await;
    for (tag, number) in [("one", 7), ("other", 900)] {
        wire.send(asked.response("183 Session Progress", tag, &reliable(&wire, number)), asked.from).await;
        let prack = wire.expect("PRACK").await;
        assert!(prack.header("To").ends_with(&format!("tag={tag}")));
        assert!(prack.header("RAck").starts_with(&format!("{number} ")));
        wire.send(prack.response("200 OK", tag, ""), prack.from).await;
        assert_eq!(progress(&mut call).await, 183);
    }
}

#[tokio::test]
async fn a_caller_that_requires_it_is_rung_reliably_until_its_prack() {
    let (mut side, wire) = (side().await, Wire::open().await);
    wire.send(wire.request("INVITE", side.addr(), "rel", 1, "", "Require: 100rel\r\n", ""), side.addr()).await;
    let call = side.call().await;
    call.ringing().await;
    let first = wire.expect("SIP/2.0 180").await;
    let again = wire.expect("SIP/2.0 180").await;
    assert_eq!(first.text, again.text, "repeated as it was");
    assert_eq!(first.header("Require"), "100rel");
    let tag = first.header("To").split_once(";tag=").unwrap().1.to_owned();
    let prack = |cseq: u32, rack: String| wire.request("PRACK", side.addr(), "rel", cseq, &tag, &rack, "");
    wire.send(prack(2, "RAck: 1 1 INVITE\r\n".into()), side.addr()).await;
    wire.expect("SIP/2.0 481").await;
    wire.send(prack(3, String::new()), side.addr()).await;
    wire.expect("SIP/2.0 400").await;
    wire.send(prack(4, format!("RAck: {} 1 INVITE\r\n", first.header("RSeq"))), side.addr()).await;
    wire.expect("SIP/2.0 200").await;
    call.ringing().await;
    assert_eq!(wire.within(Duration::from_millis(700)).await, None, "acknowledged: neither repeated nor sent again");
    call.accept(OFFER.to_vec(), &[]).await.unwrap();
    wire.expect("SIP/2.0 200").await;
}

#[tokio::test]
async fn a_caller_that_only_supports_it_is_rung_as_ever() {
    let (mut side, wire) = (side().await, Wire::open().await);
    wire.send(wire.request("INVITE", side.addr(), "sup", 1, "", "Supported: 100rel\r\n", ""), side.addr()).await;
    let call = side.call().await;
    call.ringing().await;
    let rings = wire.expect("SIP/2.0 180").await;
    assert!(rings.headers("RSeq").is_empty() && rings.headers("Require").is_empty());
    wire.send(wire.request("PRACK", side.addr(), "sup", 2, "x", "RAck: 1 1 INVITE\r\n", ""), side.addr()).await;
    wire.expect("SIP/2.0 481").await;
}
