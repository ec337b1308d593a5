//! Is a peer's REFER heard, answered and reported on? (RFC 3515)

mod common;

use common::*;
use sip::{DialogEvent, ReferTo, Subscription};
use tokio::sync::oneshot;

/// A call of the phone on the wire that the box answered; its tag.
async fn calling(side: &mut Side, wire: &Wire) -> (sip::Dialog, Events, String) {
    wire.send(wire.request("INVITE", side.addr(), "c", 1, "", "", ""), side.addr()).await;
    let (dialog, events) = side.call().await.accept(OFFER.to_vec(), &[]).await.unwrap();
    let ok = wire.expect("SIP/2.0 200").await;
    let tag = ok.header("To").split_once(";tag=").unwrap().1.to_owned();
    wire.send(wire.request("ACK", side.addr(), "c", 1, &tag, "", ""), side.addr()).await;
    (dialog, events, tag)
}

async fn referral(events: &mut Events) -> (ReferTo, Subscription, oneshot::Sender<u16>) {
    loop {
        match soon(events.recv()).await {
            Some(DialogEvent::Refer { to, subscription, answer }) => return (to, subscription, answer),
            Some(_) => {}
            None => panic!("no REFER"),
        }
    }
}

/// The next NOTIFY, answered: its event, state and first line.
async fn notified(wire: &Wire) -> (String, String, String) {
    let notify = wire.expect("NOTIFY").await;
    wire.send(notify.response("200 OK", "", ""), notify.from).await;
    let line = notify.text.split("\r\n\r\n").nth(1).unwrap().trim().to_owned();
    assert!(notify.header("Content-Type").starts_with("message/sipfrag"));
    (notify.header("Event"), notify.header("Subscription-State"), line)
}

#[tokio::test]
async fn a_refer_is_accepted_and_its_progress_told_until_the_final_notify() {
    let (mut side, wire) = (side().await, Wire::open().await);
    let (_dialog, mut events, tag) = calling(&mut side, &wire).await;
    let refer = |cseq: u32, more: &str| wire.request("REFER", side.addr(), "c", cseq, &tag, more, "");
    wire.send(refer(2, "Refer-To: <sip:102@box>\r\n"), side.addr()).await;
    let (to, subscription, answer) = referral(&mut events).await;
    assert_eq!(to, ReferTo { user: "102".into(), replaces: None });
    answer.send(202).unwrap();
    wire.expect("SIP/2.0 202").await;
    let (event, state, line) = notified(&wire).await;
    assert_eq!((event.as_str(), line.as_str()), ("refer", "SIP/2.0 100 Trying"));
    assert!(state.starts_with("active"), "{state}");
    let telling = tokio::spawn(async move {
        subscription.notify(180).await;
        subscription.notify(200).await;
    });
    assert_eq!(notified(&wire).await.2, "SIP/2.0 180 Ringing");
    let (_, state, line) = notified(&wire).await;
    assert_eq!(line, "SIP/2.0 200 OK");
    assert!(state.starts_with("terminated"), "{state}");
    telling.await.unwrap();

    wire.send(refer(3, "Refer-To: <sip:103@box>\r\n"), side.addr()).await;
    referral(&mut events).await.2.send(202).unwrap();
    assert_eq!(notified(&wire).await.0, "refer;id=3", "the second of a dialog is told apart");
}

#[tokio::test]
async fn a_peer_that_wants_no_notify_gets_none() {
    let (mut side, wire) = (side().await, Wire::open().await);
    let (dialog, mut events, tag) = calling(&mut side, &wire).await;
    let more = "Refer-To: <sip:102@box>\r\nRefer-Sub: false\r\n";
    wire.send(wire.request("REFER", side.addr(), "c", 2, &tag, more, ""), side.addr()).await;
    let (_, subscription, answer) = referral(&mut events).await;
    answer.send(202).unwrap();
    assert_eq!(wire.expect("SIP/2.0 202").await.header("Refer-Sub"), "false");
    subscription.notify(200).await;
    tokio::spawn(async move { dialog.bye(None, &[]).await });
    assert!(wire.recv().await.start().starts_with("BYE"), "the next thing it hears is not a NOTIFY");
}

#[tokio::test]
async fn a_refer_of_nobody_and_one_that_nobody_decides_on_are_refused() {
    let (mut side, wire) = (side().await, Wire::open().await);
    let to = "Refer-To: <sip:+31900@box>\r\n";
    wire.send(wire.request("REFER", side.addr(), "x", 1, "", to, ""), side.addr()).await;
    wire.expect("SIP/2.0 403").await;
    wire.send(wire.request("REFER", side.addr(), "x", 2, "guess", to, ""), side.addr()).await;
    wire.expect("SIP/2.0 481").await;
    let (_dialog, mut events, tag) = calling(&mut side, &wire).await;
    wire.send(wire.request("REFER", side.addr(), "c", 2, &tag, to, ""), side.addr()).await;
    drop(referral(&mut events).await);
    wire.expect("SIP/2.0 603").await;
    wire.send(wire.request("REFER", side.addr(), "c", 3, &tag, "", ""), side.addr()).await;
    wire.expect("SIP/2.0 400").await;
}
