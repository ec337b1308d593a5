//! Does a call whose peer is gone without a word come to an end? (RFC 4028)

mod common;

use common::*;
use sip::{Dialog, DialogEvent, OutboundEvent, TerminatedCause, Transport};

/// A call of ours that the phone on the wire answers with these headers.
async fn called(side: &Side, wire: &Wire, more: &str) -> (Dialog, Events) {
    let mut call = side.endpoint.invite(invite(wire.addr(), Transport::Udp)).await.unwrap();
    let request = wire.expect("INVITE").await;
    assert_eq!((request.header("Session-Expires"), request.header("Min-SE")), ("1800".into(), "90".into()));
    assert_eq!(request.header("Supported"), "timer, 100rel, replaces");
    wire.send(request.response("200 OK", "t", &(wire.contact() + more)), request.from).await;
    let Some(OutboundEvent::Answered { dialog, events, .. }) = soon(call.next()).await else { panic!("no answer") };
    (dialog, events)
}

async fn ends_as(events: &mut Events, cause: TerminatedCause) {
    loop {
        match soon(events.recv()).await {
            Some(DialogEvent::Terminated { cause: found }) => return assert_eq!(found, cause),
            Some(_) => {}
            None => panic!("no end"),
        }
    }
}

#[tokio::test]
async fn we_refresh_with_update_until_the_phone_does_not_know_the_call_any_more() {
    let (side, wire) = (side().await, Wire::open().await);
    let terms = "Session-Expires: 2;refresher=uac\r\nAllow: INVITE, UPDATE\r\n";
    let (_dialog, mut events) = called(&side, &wire, terms).await;
    for _ in 0..2 {
        let update = wire.expect("UPDATE").await;
        assert_eq!(update.header("Session-Expires"), "2;refresher=uac");
        wire.send(update.response("200 OK", "t", "Session-Expires: 2;refresher=uac\r\n"), update.from).await;
    }
    let update = wire.expect("UPDATE").await;
    wire.send(update.response("481 Gone", "t", ""), update.from).await;
    assert!(wire.expect("BYE").await.header("Reason").starts_with("SIP;cause=408"));
    ends_as(&mut events, TerminatedCause::SessionExpired).await;
}

#[tokio::test]
async fn a_phone_that_promised_to_refresh_and_does_not_is_hung_up() {
    let (side, wire) = (side().await, Wire::open().await);
    let (_dialog, mut events) = called(&side, &wire, "Session-Expires: 2;refresher=uas\r\n").await;
    wire.expect("BYE").await;
    ends_as(&mut events, TerminatedCause::SessionExpired).await;
}

#[tokio::test]
async fn a_phone_without_update_gets_an_offer_that_refreshes() {
    let (side, wire) = (side().await, Wire::open().await);
    let (dialog, mut events) = called(&side, &wire, "Session-Expires: 2;refresher=uac\r\n").await;
    assert!(matches!(soon(events.recv()).await, Some(DialogEvent::RefreshDue)));
    let again = tokio::spawn(async move { dialog.reinvite(OFFER.to_vec()).await });
    let reinvite = wire.expect("INVITE").await;
    assert_eq!(reinvite.header("Session-Expires"), "2;refresher=uac");
    wire.send(
        reinvite.response("200 OK", "t", &(wire.contact() + "Session-Expires: 2;refresher=uac\r\n")),
        reinvite.from,
    )
    .await;
    wire.expect("ACK").await;
    again.await.unwrap().unwrap();
    assert!(matches!(soon(events.recv()).await, Some(DialogEvent::RefreshDue)), "and again after half the time");
}

#[tokio::test]
async fn a_phone_that_wants_longer_sessions_is_asked_again_with_its_own_interval() {
    let (side, wire) = (side().await, Wire::open().await);
    let mut call = side.endpoint.invite(invite(wire.addr(), Transport::Udp)).await.unwrap();
    let first = wire.expect("INVITE").await;
    wire.send(first.response("422 Too Small", "t", "Min-SE: 3600\r\n"), first.from).await;
    let second = wire.expect("INVITE").await;
    assert_eq!((second.header("Session-Expires"), second.header("Min-SE")), ("3600".into(), "3600".into()));
    wire.send(second.response("422 Too Small", "t", ""), second.from).await;
    assert_eq!(failure(&mut call).await.0, 422, "it does not say how long");
}

#[tokio::test]
async fn a_caller_that_asks_for_too_little_is_told_the_least() {
    let (side, wire) = (side().await, Wire::open().await);
    let more = "Supported: timer\r\nSession-Expires: 30\r\n";
    wire.send(wire.request("INVITE", side.addr(), "short", 1, "", more, ""), side.addr()).await;
    let refusal = wire.expect("SIP/2.0 422").await;
    assert_eq!(refusal.header("Min-SE"), "90");
}

#[tokio::test]
async fn a_caller_with_timers_refreshes_and_its_update_is_answered() {
    let (mut side, wire) = (side().await, Wire::open().await);
    let more = "Supported: timer\r\nRequire: timer\r\nSession-Expires: 600\r\n";
    wire.send(wire.request("INVITE", side.addr(), "long", 1, "", more, ""), side.addr()).await;
    let call = side.call().await;
    let (_dialog, _events) = call.accept(OFFER.to_vec(), &[]).await.unwrap();
    let ok = wire.expect("SIP/2.0 200").await;
    assert_eq!((ok.header("Session-Expires"), ok.header("Require")), ("600;refresher=uac".into(), "timer".into()));
    let tag = ok.header("To").split_once(";tag=").unwrap().1.to_owned();
    wire.send(wire.request("ACK", side.addr(), "long", 1, &tag, "", ""), side.addr()).await;
    let more = "Supported: timer\r\nSession-Expires: 600;refresher=uac\r\n";
    wire.send(wire.request("UPDATE", side.addr(), "long", 2, &tag, more, ""), side.addr()).await;
    assert_eq!(wire.expect("SIP/2.0 200").await.header("Session-Expires"), "600;refresher=uac");
}

#[tokio::test]
async fn an_offer_in_an_update_is_answered_by_the_owner_of_the_call() {
    let (mut side, wire) = (side().await, Wire::open().await);
    wire.send(wire.request("INVITE", side.addr(), "offer", 1, "", "", ""), side.addr()).await;
    let (_dialog, mut events) = side.call().await.accept(OFFER.to_vec(), &[]).await.unwrap();
    let ok = wire.expect("SIP/2.0 200").await;
    assert!(ok.headers("Session-Expires").is_empty(), "a caller without timers gets none");
    let tag = ok.header("To").split_once(";tag=").unwrap().1.to_owned();
    wire.send(wire.request("ACK", side.addr(), "offer", 1, &tag, "", ""), side.addr()).await;
    let body = std::str::from_utf8(OFFER).unwrap();
    let more = "Content-Type: application/sdp\r\n";
    wire.send(wire.request("UPDATE", side.addr(), "offer", 2, &tag, more, body), side.addr()).await;
    loop {
        match soon(events.recv()).await {
            Some(DialogEvent::Reinvite { sdp, answer }) => {
                assert_eq!(sdp.as_deref(), Some(OFFER));
                answer.send(sip::ReinviteAnswer { code: 200, sdp: Some(ANSWER.to_vec()) }).unwrap();
                break;
            }
            Some(_) => {}
            None => panic!("no offer"),
        }
    }
    assert!(wire.expect("SIP/2.0 200").await.text.ends_with(std::str::from_utf8(ANSWER).unwrap()));
}

#[tokio::test]
async fn an_update_before_the_answer_does_not_end_the_call() {
    let (side, wire) = (side().await, Wire::open().await);
    let mut call = side.endpoint.invite(invite(wire.addr(), Transport::Udp)).await.unwrap();
    let asked = wire.expect("INVITE").await;
    wire.send(asked.response("180 Ringing", "t", &wire.contact()), asked.from).await;
    for (cseq, body, answer) in [(1, "", " 200 "), (2, "v=0\r\n", " 500 ")] {
        let update = format!(
            "UPDATE sip:box SIP/2.0\r\nVia: SIP/2.0/UDP {at};branch=z9hG4bKu{cseq}\r\nFrom: {};tag=t\r\nTo: {}\r\n\
             Call-ID: {}\r\nCSeq: {cseq} UPDATE\r\n{}Content-Length: {}\r\n\r\n{body}",
            asked.header("To"),
            asked.header("From"),
            asked.header("Call-ID"),
            wire.contact(),
            body.len(),
            at = wire.addr(),
        );
        wire.send(update, asked.from).await;
        let told = wire.expect("SIP/2.0").await;
        assert!(told.start().contains(answer), "{}", told.start());
        assert!(told.header("Contact").contains("sip:"));
    }
    wire.send(asked.response("486 Busy Here", "t", ""), asked.from).await;
    assert_eq!(failure(&mut call).await.0, 486);
}
