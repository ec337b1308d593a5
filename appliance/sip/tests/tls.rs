//! Do both ends know who the other one is? (RFC 5922)

mod common;

use common::authority::Authority;
use common::*;
use sip::tls::{Tls, TlsFiles};
use sip::{OutboundEvent, SipError, Transport};
use std::fs;

/// A call to `name` at the callee's TLS port.
async fn dial(caller: &Side, callee: &Side, name: &str) -> Result<sip::OutboundCall, SipError> {
    let address = callee.endpoint.tls_addr().unwrap();
    let mut offer = invite(address, Transport::Tls);
    offer.request_uri = format!("sip:+31201110000@{name}:{}", address.port());
    offer.destination = Some(address.to_string());
    caller.endpoint.invite(offer).await
}

#[tokio::test]
async fn a_call_by_tls_is_set_up_and_hung_up_over_one_connection() {
    let ours = Authority::new();
    let (caller, mut callee) =
        (ours.side("box.example", &ours, false).await, ours.side("carrier.example", &ours, false).await);
    let mut call = dial(&caller, &callee, "carrier.example").await.unwrap();
    let incoming = callee.call().await;
    assert_eq!(incoming.info.transport, Transport::Tls);
    assert!(incoming.info.via[0].starts_with("SIP/2.0/TLS"));
    let (theirs, mut their_events) = incoming.accept(ANSWER.to_vec(), &[]).await.unwrap();
    let Some(OutboundEvent::Answered { dialog: _dialog, mut events, .. }) = soon(call.next()).await else { panic!() };
    soon(their_events.recv()).await;
    theirs.bye(None, &[]).await;
    assert!(matches!(soon(events.recv()).await, Some(sip::DialogEvent::Terminated { .. })));
}

#[tokio::test]
async fn a_carrier_with_a_certificate_for_another_name_is_not_called() {
    let ours = Authority::new();
    let (caller, callee) =
        (ours.side("box.example", &ours, false).await, ours.side("other.example", &ours, false).await);
    let refused = dial(&caller, &callee, "carrier.example").await.err().unwrap();
    assert!(matches!(&refused, SipError::NotTrusted { name, .. } if name == "carrier.example"), "{refused}");
    assert_eq!(refused.code(), 503);
}

#[tokio::test]
async fn a_carrier_that_nobody_we_trust_vouches_for_is_not_called() {
    let (ours, stranger) = (Authority::new(), Authority::new());
    let caller = ours.side("box.example", &ours, false).await;
    let callee = stranger.side("carrier.example", &stranger, false).await;
    assert!(matches!(dial(&caller, &callee, "carrier.example").await, Err(SipError::NotTrusted { .. })));
}

#[tokio::test]
async fn where_a_client_certificate_is_wanted_a_stranger_gets_no_connection() {
    let (ours, stranger) = (Authority::new(), Authority::new());
    let mut callee = ours.side("box.example", &ours, true).await;
    let friend = ours.side("carrier.example", &ours, false).await;
    let enemy = stranger.side("enemy.example", &ours, false).await;
    // TLS 1.3 tells a client only at its first read that it was refused: its call may begin, and never arrives.
    let _refused = dial(&enemy, &callee, "box.example").await;
    let call = dial(&friend, &callee, "box.example").await.unwrap();
    assert_eq!(callee.call().await.info.call_id, call.call_id());
}

#[test]
fn files_that_are_no_certificates_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("empty.pem");
    fs::write(&path, "").unwrap();
    let files = TlsFiles {
        certificate: path.clone(),
        key: path.clone(),
        trust: path.clone(),
        client: None,
        client_trust: None,
    };
    let error = Tls::load("127.0.0.1:0".parse().unwrap(), &files).err().unwrap().to_string();
    assert!(error.contains("empty.pem"), "{error}");
}

#[tokio::test]
async fn a_connection_serves_the_name_that_it_was_checked_for_and_no_other() {
    let ours = Authority::new();
    let caller = ours.side("caller.example", &ours, false).await;
    let mut callee = ours.side("a.example,b.example", &ours, false).await;
    let mut sources = Vec::new();
    for name in ["a.example", "b.example", "a.example"] {
        let _call = dial(&caller, &callee, name).await.unwrap();
        sources.push(callee.call().await.info.source);
    }
    assert_ne!(sources[0], sources[1]);
    assert_eq!(sources[0], sources[2]);
}
