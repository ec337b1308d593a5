//! Do two of our endpoints, and one of them with a bare socket, get through whole calls?

mod common;

use common::*;
use sip::{Credentials, DialogEvent, DigestCheck, OutboundEvent, ReinviteAnswer, TerminatedCause, Transport};
use std::time::Duration;

const BOTH: [Transport; 2] = [Transport::Udp, Transport::Tcp];

#[tokio::test]
async fn a_call_rings_is_answered_and_hung_up_by_the_caller() {
    for transport in BOTH {
        let (caller, mut callee) = (side().await, side().await);
        let mut offer = invite(callee.addr(), transport);
        offer.headers = vec![("X-Note".into(), "kept".into()), ("Via".into(), "forged".into())];
        let mut call = caller.endpoint.invite(offer).await.unwrap();
        let mut incoming = callee.call().await;
        incoming.set_local_tag("SCL_abc");
        assert_eq!(incoming.info.from_user, "+31612345678");
        assert_eq!(incoming.info.from_display.as_deref(), Some("Ann"));
        assert_eq!(incoming.info.request_user, "+31201110000");
        assert_eq!(incoming.info.transport, transport);
        assert_eq!(incoming.info.sdp.as_deref(), Some(OFFER));
        assert_eq!(incoming.info.via.len(), 1);
        assert!(incoming.info.headers.contains(&("X-Note".into(), "kept".into())));
        incoming.ringing().await;
        incoming.ringing().await;
        assert!(matches!(soon(call.next()).await, Some(OutboundEvent::Progress { code: 180, .. })));
        let (_, mut events) = incoming.accept(ANSWER.to_vec(), &[("X-Back".into(), "yes".into())]).await.unwrap();
        let dialog = loop {
            match soon(call.next()).await.unwrap() {
                OutboundEvent::Answered { dialog, headers, remote_tag, .. } => {
                    assert_eq!(remote_tag, "SCL_abc");
                    assert!(headers.contains(&("X-Back".into(), "yes".into())));
                    break dialog;
                }
                OutboundEvent::Progress { code, .. } => assert_eq!(code, 180),
                OutboundEvent::Failed { code, .. } => panic!("{code}"),
            }
        };
        assert!(matches!(soon(events.recv()).await, Some(DialogEvent::Acked { .. })));
        soon(dialog.bye(Some("Q.850;cause=16;text=\"bye\""), &[])).await;
        let Some(DialogEvent::Terminated { cause: TerminatedCause::RemoteBye { reason: Some(reason) } }) =
            soon(events.recv()).await
        else {
            panic!("no reason")
        };
        assert_eq!((reason.cause, reason.text.as_deref()), (Some(16), Some("bye")));
        assert!(soon(events.recv()).await.is_none(), "nothing after the end");
        assert!(dialog.is_ended());
    }
}

#[tokio::test]
async fn the_callee_hangs_up() {
    for transport in BOTH {
        let (caller, mut callee) = (side().await, side().await);
        let ((_, mut ours), (theirs, mut own)) = answered(&caller, &mut callee, transport).await;
        soon(theirs.bye(None, &[])).await;
        assert!(matches!(
            soon(ours.recv()).await,
            Some(DialogEvent::Terminated { cause: TerminatedCause::RemoteBye { reason: None } })
        ));
        assert!(matches!(soon(own.recv()).await, Some(DialogEvent::Terminated { cause: TerminatedCause::LocalBye })));
    }
}

#[tokio::test]
async fn a_cancelled_call_ends_on_both_sides() {
    for transport in BOTH {
        let (caller, mut callee) = (side().await, side().await);
        let mut call = caller.endpoint.invite(invite(callee.addr(), transport)).await.unwrap();
        let incoming = callee.call().await;
        incoming.ringing().await;
        assert!(matches!(soon(call.next()).await, Some(OutboundEvent::Progress { code: 180, .. })));
        call.cancel();
        assert_eq!(failure(&mut call).await.0, 487);
        soon(incoming.cancelled().cancelled()).await;
        assert!(incoming.accept(ANSWER.to_vec(), &[]).await.is_err(), "too late to answer");
    }
}

#[tokio::test]
async fn a_call_dropped_by_its_owner_is_cancelled() {
    let (caller, mut callee) = (side().await, side().await);
    let call = caller.endpoint.invite(invite(callee.addr(), Transport::Udp)).await.unwrap();
    let incoming = callee.call().await;
    drop(call);
    soon(incoming.cancelled().cancelled()).await;
}

#[tokio::test]
async fn an_answer_that_its_owner_never_took_is_hung_up() {
    let (caller, wire) = (side().await, Wire::open().await);
    let call = caller.endpoint.invite(invite(wire.addr(), Transport::Udp)).await.unwrap();
    let request = wire.expect("INVITE").await;
    wire.send(request.response("200 OK", "t", &wire.contact()), request.from).await;
    wire.expect("ACK").await;
    drop(call);
    wire.expect("BYE").await;
}

#[tokio::test]
async fn refusals_arrive_with_code_words_and_headers() {
    let (caller, mut callee) = (side().await, side().await);
    for (code, words) in [(486, None), (404, None), (603, Some("No thanks")), (503, None)] {
        let mut call = caller.endpoint.invite(invite(callee.addr(), Transport::Udp)).await.unwrap();
        callee.call().await.reject(code, words, &[("X-Why".into(), "test".into())]).await;
        let (told, reason, headers) = failure(&mut call).await;
        assert_eq!(told, code);
        assert!(words.is_none_or(|words| words == reason));
        assert!(headers.contains(&("X-Why".into(), "test".into())));
    }
}

#[tokio::test]
async fn a_call_that_nobody_decides_about_is_answered_500() {
    let (caller, mut callee) = (side().await, side().await);
    let mut call = caller.endpoint.invite(invite(callee.addr(), Transport::Udp)).await.unwrap();
    drop(callee.call().await);
    assert_eq!(failure(&mut call).await.0, 500);
}

#[tokio::test]
async fn a_challenged_call_gets_through_with_the_right_password_only() {
    for (password, right) in [("open sesame", true), ("wrong", false)] {
        let (caller, mut callee) = (side().await, side().await);
        let mut offer = invite(callee.addr(), Transport::Udp);
        offer.credentials = Some(Credentials { user: "alice".into(), password: password.into() });
        let mut call = caller.endpoint.invite(offer).await.unwrap();
        let first = callee.call().await;
        assert_eq!(first.check_digest("alice", "open sesame"), DigestCheck::Missing);
        let call_id = first.info.call_id.clone();
        first.challenge("LiveKit").await;
        let second = callee.call().await;
        assert_eq!(second.info.call_id, call_id);
        if right {
            assert_eq!(second.check_digest("alice", "open sesame"), DigestCheck::Right);
            second.accept(ANSWER.to_vec(), &[]).await.unwrap();
            assert!(matches!(soon(call.next()).await, Some(OutboundEvent::Answered { .. })));
        } else {
            assert_eq!(second.check_digest("alice", "open sesame"), DigestCheck::Wrong);
            second.reject(401, None, &[]).await;
            assert_eq!(failure(&mut call).await.0, 401);
        }
    }
}

#[tokio::test]
async fn a_carriers_challenge_is_answered_in_each_algorithm() {
    for (status, field, params) in [
        ("407 Auth", "Proxy-Authenticate", r#"algorithm=MD5, qop="auth""#),
        ("401 Auth", "WWW-Authenticate", r#"algorithm=SHA-256, qop="auth""#),
        ("401 Auth", "WWW-Authenticate", "algorithm=MD5"),
    ] {
        let (caller, wire) = (side().await, Wire::open().await);
        let mut offer = invite(wire.addr(), Transport::Udp);
        offer.credentials = Some(Credentials { user: "box".into(), password: "pw".into() });
        let mut call = caller.endpoint.invite(offer).await.unwrap();
        let first = wire.expect("INVITE").await;
        let challenge = format!("{field}: Digest realm=\"carrier\", nonce=\"n1\", {params}\r\n");
        wire.send(first.response(status, "t1", &challenge), first.from).await;
        let second = wire.expect("INVITE").await;
        let answer = second.header(&field.replace("Authenticate", "Authorization").replace("WWW-", ""));
        let answer = sip::digest::Answer::parse(&answer).unwrap();
        assert!(answer.proves("box", "pw", "INVITE"));
        assert_eq!(answer.uri, second.start().split(' ').nth(1).unwrap());
        assert_ne!(first.header("CSeq"), second.header("CSeq"));
        wire.send(second.response("200 OK", "t2", &wire.contact()), second.from).await;
        let ack = wire.expect("ACK").await;
        assert!(ack.headers("Authorization").len() + ack.headers("Proxy-Authorization").len() == 1, "RFC 3261 22.1");
        assert!(matches!(soon(call.next()).await, Some(OutboundEvent::Answered { .. })));
    }
}

#[tokio::test]
async fn a_repeated_200_is_acknowledged_again_and_a_second_branch_hung_up() {
    let (caller, wire) = (side().await, Wire::open().await);
    let mut call = caller.endpoint.invite(invite(wire.addr(), Transport::Udp)).await.unwrap();
    let request = wire.expect("INVITE").await;
    let ok = request.response("200 OK", "one", &wire.contact());
    wire.send(&ok, request.from).await;
    let first = wire.expect("ACK").await;
    assert!(matches!(soon(call.next()).await, Some(OutboundEvent::Answered { .. })));
    wire.send(&ok, request.from).await;
    assert_eq!(wire.expect("ACK").await.text, first.text);
    wire.send(request.response("200 OK", "two", &wire.contact()), request.from).await;
    assert!(wire.expect("ACK").await.header("To").ends_with("tag=two"));
    assert!(wire.expect("BYE").await.header("To").ends_with("tag=two"));
}

#[tokio::test]
async fn a_200_that_crosses_the_cancel_is_acknowledged_and_hung_up() {
    let (caller, wire) = (side().await, Wire::open().await);
    let mut call = caller.endpoint.invite(invite(wire.addr(), Transport::Udp)).await.unwrap();
    let request = wire.expect("INVITE").await;
    wire.send(request.response("180 Ringing", "one", &wire.contact()), request.from).await;
    assert!(matches!(soon(call.next()).await, Some(OutboundEvent::Progress { code: 180, .. })));
    call.cancel();
    let cancel = wire.expect("CANCEL").await;
    assert_eq!(cancel.header("Via"), request.header("Via"));
    wire.send(request.response("200 OK", "one", &wire.contact()), request.from).await;
    wire.send(cancel.response("200 OK", "one", ""), request.from).await;
    wire.expect("ACK").await;
    wire.expect("BYE").await;
    assert_eq!(failure(&mut call).await.0, 487);
}

#[tokio::test]
async fn a_cancel_before_any_answer_waits_for_the_first_provisional() {
    let (caller, wire) = (side().await, Wire::open().await);
    let mut call = caller.endpoint.invite(invite(wire.addr(), Transport::Udp)).await.unwrap();
    let request = wire.expect("INVITE").await;
    call.cancel();
    assert_eq!(failure(&mut call).await.0, 487);
    wire.send(request.response("100 Trying", "", ""), request.from).await;
    wire.expect("CANCEL").await;
}

#[tokio::test]
async fn record_routes_are_followed_in_both_directions() {
    let (mut box_side, wire) = (side().await, Wire::open().await);
    let routes = format!("Record-Route: <sip:{0};lr;hop=1>\r\nRecord-Route: <sip:{0};lr;hop=2>\r\n", wire.addr());
    let mut call = box_side.endpoint.invite(invite(wire.addr(), Transport::Udp)).await.unwrap();
    let request = wire.expect("INVITE").await;
    wire.send(request.response("200 OK", "t", &format!("{routes}Contact: <sip:far@192.0.2.1>\r\n")), request.from)
        .await;
    let ack = wire.expect("ACK sip:far@192.0.2.1").await;
    assert!(ack.headers("Route")[0].contains("hop=2") && ack.headers("Route")[1].contains("hop=1"));
    assert!(matches!(soon(call.next()).await, Some(OutboundEvent::Answered { .. })));

    let routes = format!("{routes}Contact: <sip:far@192.0.2.1>\r\n");
    let invite = wire.request("INVITE", box_side.addr(), "rr", 1, "", &routes, "").replace(&wire.contact(), "");
    wire.send(invite, box_side.addr()).await;
    let (dialog, _events) = box_side.call().await.accept(ANSWER.to_vec(), &[]).await.unwrap();
    let ok = wire.expect("SIP/2.0 200").await;
    assert_eq!(ok.headers("Record-Route").len(), 2);
    tokio::spawn(async move { dialog.bye(None, &[]).await });
    let bye = wire.expect("BYE sip:far@192.0.2.1").await;
    assert!(bye.headers("Route")[0].contains("hop=1") && bye.headers("Route")[1].contains("hop=2"));
}

#[tokio::test]
async fn repetitions_of_an_invite_make_one_call_and_hear_the_last_answer_again() {
    let (mut callee, wire) = (side().await, Wire::open().await);
    let invite = wire.request("INVITE", callee.addr(), "rep", 1, "", "", "");
    wire.send(&invite, callee.addr()).await;
    let call = callee.call().await;
    assert!(wire.recv().await.start().starts_with("SIP/2.0 100"));
    call.ringing().await;
    wire.expect("SIP/2.0 180").await;
    wire.send(&invite, callee.addr()).await;
    wire.expect("SIP/2.0 180").await;
    assert!(callee.calls.try_recv().is_err(), "still one call");
    let other_way = invite.replace("branch=z9hG4bK", "branch=z9hG4bKother");
    wire.send(other_way, callee.addr()).await;
    wire.expect("SIP/2.0 482").await;
}

#[tokio::test]
async fn a_200_is_repeated_until_its_ack() {
    let (mut callee, wire) = (side().await, Wire::open().await);
    wire.send(wire.request("INVITE", callee.addr(), "ack", 1, "", "", ""), callee.addr()).await;
    let (dialog, mut events) = callee.call().await.accept(ANSWER.to_vec(), &[]).await.unwrap();
    wire.expect("SIP/2.0 200").await;
    wire.expect("SIP/2.0 200").await;
    let answer = "Content-Type: application/sdp\r\n";
    let ack = wire.request("ACK", callee.addr(), "ack", 1, dialog.local_tag(), answer, "v=0\r\n");
    wire.send(ack, callee.addr()).await;
    let Some(DialogEvent::Acked { sdp }) = soon(events.recv()).await else { panic!("no ACK") };
    assert_eq!(sdp.as_deref(), Some(b"v=0\r\n".as_slice()));
    // Timer G is over: nothing more comes than what was on its way.
    while let Some(line) = wire.within(Duration::from_millis(1200)).await {
        assert!(!line.starts_with("SIP/2.0 200"), "repeated after its ACK");
    }
}

#[tokio::test]
async fn an_ignored_call_stays_silent() {
    let (mut callee, wire) = (side().await, Wire::open().await);
    let invite = wire.request("INVITE", callee.addr(), "ign", 1, "", "", "");
    wire.send(&invite, callee.addr()).await;
    callee.call().await.ignore();
    wire.expect("SIP/2.0 100").await;
    wire.send(&invite, callee.addr()).await;
    wire.expect("SIP/2.0 100").await;
    assert_eq!(wire.within(Duration::from_millis(300)).await, None);
    assert!(callee.calls.try_recv().is_err());
}

#[tokio::test]
async fn either_side_may_offer_again_and_be_refused() {
    for transport in BOTH {
        let (caller, mut callee) = (side().await, side().await);
        let ((ours, mut our_events), (theirs, mut their_events)) = answered(&caller, &mut callee, transport).await;
        for (from, events) in [(&ours, &mut their_events), (&theirs, &mut our_events)] {
            for code in [200, 488] {
                let dialog = from.clone();
                let offering = tokio::spawn(async move { dialog.reinvite(OFFER.to_vec()).await });
                let Some(DialogEvent::Reinvite { sdp, answer }) = soon(events.recv()).await else { panic!("no offer") };
                assert_eq!(sdp.as_deref(), Some(OFFER));
                answer.send(ReinviteAnswer { code, sdp: Some(ANSWER.to_vec()) }).unwrap();
                let outcome = soon(offering).await.unwrap();
                if code == 200 {
                    assert_eq!(outcome.unwrap(), ANSWER);
                    assert!(matches!(soon(events.recv()).await, Some(DialogEvent::Acked { .. })));
                } else {
                    assert_eq!(outcome.unwrap_err().code(), 488);
                }
            }
        }
        assert!(!ours.is_ended() && !theirs.is_ended());
    }
}

#[tokio::test]
async fn an_offer_while_ours_is_open_gets_491() {
    let (mut callee, wire) = (side().await, Wire::open().await);
    wire.send(wire.request("INVITE", callee.addr(), "glare", 1, "", "", ""), callee.addr()).await;
    let (dialog, _events) = callee.call().await.accept(ANSWER.to_vec(), &[]).await.unwrap();
    wire.expect("SIP/2.0 200").await;
    wire.send(wire.request("ACK", callee.addr(), "glare", 1, dialog.local_tag(), "", ""), callee.addr()).await;
    let offering = dialog.clone();
    tokio::spawn(async move { offering.reinvite(OFFER.to_vec()).await });
    wire.expect("INVITE").await;
    wire.send(wire.request("INVITE", callee.addr(), "glare", 2, dialog.local_tag(), "", ""), callee.addr()).await;
    wire.expect("SIP/2.0 491").await;
}

#[tokio::test]
async fn a_transfer_reports_its_progress_and_its_refusal() {
    let (mut callee, wire) = (side().await, Wire::open().await);
    wire.send(wire.request("INVITE", callee.addr(), "ref", 1, "", "", ""), callee.addr()).await;
    let (dialog, _events) = callee.call().await.accept(ANSWER.to_vec(), &[]).await.unwrap();
    wire.expect("SIP/2.0 200").await;
    wire.send(wire.request("ACK", callee.addr(), "ref", 1, dialog.local_tag(), "", ""), callee.addr()).await;

    let asking = dialog.clone();
    let referred = tokio::spawn(async move {
        asking.refer("tel:+31209998877", &[("Referred-By".into(), "<sip:me@box>".into())]).await
    });
    let refer = wire.expect("REFER").await;
    assert_eq!(refer.header("Refer-To"), "tel:+31209998877");
    assert_eq!(refer.header("Referred-By"), "<sip:me@box>");
    let id = refer.header("CSeq").split(' ').next().unwrap().to_owned();
    let notify = |cseq, state: &str, frag: &str| {
        let more = format!("Event: refer;id={id}\r\nSubscription-State: {state}\r\nContent-Type: message/sipfrag\r\n");
        wire.request("NOTIFY", callee.addr(), "ref", cseq, dialog.local_tag(), &more, frag)
    };
    // The first NOTIFY overtakes the 202.
    wire.send(notify(2, "active", "SIP/2.0 100 Trying"), callee.addr()).await;
    wire.expect("SIP/2.0 200").await;
    wire.send(refer.response("202 Accepted", "", ""), refer.from).await;
    let mut progress = soon(referred).await.unwrap().unwrap();
    assert_eq!(soon(progress.recv()).await.unwrap().code, 100);
    wire.send(notify(3, "terminated;reason=noresource", "SIP/2.0 603 Decline"), callee.addr()).await;
    let last = soon(progress.recv()).await.unwrap();
    assert_eq!((last.code, last.reason.as_str(), last.terminated), (603, "Decline", true));

    let asking = dialog.clone();
    let refused = tokio::spawn(async move { asking.refer("<sip:x@y?Replaces=1>", &[]).await });
    let refer = wire.expect("REFER").await;
    wire.send(refer.response("405 Method Not Allowed", "", ""), refer.from).await;
    assert_eq!(soon(refused).await.unwrap().unwrap_err().code(), 405);
    assert!(!dialog.is_ended());
}

#[tokio::test]
async fn info_travels_in_the_call() {
    let (caller, mut callee) = (side().await, side().await);
    let ((ours, _events), (_theirs, mut events)) = answered(&caller, &mut callee, Transport::Udp).await;
    ours.info("application/dtmf-relay", b"Signal=5".to_vec()).await.unwrap();
    let Some(DialogEvent::Info { content_type, body }) = soon(events.recv()).await else { panic!("no INFO") };
    assert_eq!((content_type.as_str(), body.as_slice()), ("application/dtmf-relay", b"Signal=5".as_slice()));
}

#[tokio::test]
async fn what_runs_backwards_or_belongs_to_no_call_is_refused() {
    let (mut callee, wire) = (side().await, Wire::open().await);
    wire.send(wire.request("BYE", callee.addr(), "none", 1, "nobody", "", ""), callee.addr()).await;
    wire.expect("SIP/2.0 481").await;
    wire.send(wire.request("CANCEL", callee.addr(), "none", 2, "", "", ""), callee.addr()).await;
    wire.expect("SIP/2.0 481").await;
    wire.send(wire.request("INVITE", callee.addr(), "back", 10, "", "", ""), callee.addr()).await;
    let (dialog, mut events) = callee.call().await.accept(ANSWER.to_vec(), &[]).await.unwrap();
    wire.expect("SIP/2.0 200").await;
    wire.send(wire.request("ACK", callee.addr(), "back", 10, dialog.local_tag(), "", ""), callee.addr()).await;
    assert!(matches!(soon(events.recv()).await, Some(DialogEvent::Acked { .. })));
    wire.send(wire.request("INFO", callee.addr(), "back", 9, dialog.local_tag(), "", ""), callee.addr()).await;
    wire.expect("SIP/2.0 500").await;
    wire.send(wire.request("BYE", callee.addr(), "back", 11, dialog.local_tag(), "", ""), callee.addr()).await;
    wire.expect("SIP/2.0 200").await;
    wire.send(wire.request("INFO", callee.addr(), "back", 12, dialog.local_tag(), "", ""), callee.addr()).await;
    wire.expect("SIP/2.0 481").await;
}

#[tokio::test]
async fn probes_are_answered_over_both_transports() {
    let (asking, asked) = (side().await, side().await);
    for transport in BOTH {
        let code = soon(asking.endpoint.options(&asked.addr().to_string(), transport)).await.unwrap().code;
        assert_eq!(code, 200);
    }
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_told_before_anything_is_sent() {
    let caller = side().await;
    let mut offer = invite(caller.addr(), Transport::Udp);
    offer.destination = Some("no-such-host.invalid".into());
    let Err(error) = caller.endpoint.invite(offer).await else { panic!("resolved") };
    assert_eq!(error.code(), 503);
}
