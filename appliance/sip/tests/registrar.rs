//! Do desk phones find their way to us, and calls their way to them?

mod common;

use common::*;
use sip::{
    Account, Contact, Credentials, OutboundEvent, OutboundInvite, Proof, RegisterOutcome, RegisterRequest, SipConfig,
    Transport,
};
use std::time::Duration;

/// A box that lets the phones of loopback register, with the accounts `anna` and `bert`.
async fn office() -> Side {
    let office = side_with(|config| config.phones = vec!["127.0.0.0/8".parse().unwrap()]).await;
    let account = |user: &str| Account { key: format!("ext-{user}"), user: user.into(), password: "secret".into() };
    office.endpoint.set_accounts(vec![account("anna"), account("bert")]);
    office
}

async fn register(phone: &Side, office: &Side, user: &str, password: &str, transport: Transport) -> RegisterOutcome {
    let request = RegisterRequest {
        key: user.into(),
        registrar: office.addr().to_string(),
        proxy: None,
        aor: format!("{user}@{}", office.addr().ip()),
        credentials: Some(Credentials { user: user.into(), password: password.into() }),
        transport,
        expires: Duration::from_secs(120),
    };
    soon(phone.endpoint.register(&request)).await
}

/// A phone of `anna`'s that is registered.
async fn phone(office: &Side, transport: Transport) -> Side {
    let phone = side().await;
    assert_eq!(register(&phone, office, "anna", "secret", transport).await.code, 200);
    phone
}

fn ring(contact: Contact) -> OutboundInvite {
    let invite = invite(contact.source, contact.transport);
    OutboundInvite { request_uri: contact.uri.clone(), contact: Some(contact), ..invite }
}

fn ring_all(office: &Side) -> Vec<OutboundInvite> {
    office.endpoint.contacts("ext-anna").into_iter().map(ring).collect()
}

#[tokio::test]
async fn a_registered_phone_is_called_the_way_it_came() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let office = office().await;
        let mut phone = phone(&office, transport).await;
        let contacts = office.endpoint.contacts("ext-anna");
        assert_eq!((contacts.len(), contacts[0].transport), (1, transport));
        assert!(contacts[0].expires_in > Duration::from_secs(60));
        let mut call = office.endpoint.invite_all(ring_all(&office)).await.unwrap();
        let incoming = phone.call().await;
        assert!(incoming.info.request_uri.starts_with("sip:anna@"), "{}", incoming.info.request_uri);
        assert_eq!(incoming.info.transport, transport);
        incoming.reject(486, None, &[]).await;
        assert_eq!(failure(&mut call).await.0, 486);
    }
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_user_are_told_the_same() {
    let (office, phone) = (office().await, side().await);
    let wrong = register(&phone, &office, "anna", "guess", Transport::Udp).await;
    let unknown = register(&phone, &office, "eve", "guess", Transport::Udp).await;
    assert_eq!((wrong.code, wrong.reason.as_str()), (403, "Wrong User Or Password"));
    assert_eq!(wrong, unknown);
    assert!(office.endpoint.contacts("ext-anna").is_empty());
}

#[tokio::test]
async fn what_was_overheard_cannot_be_used_again() {
    let (office, wire) = (office().await, Wire::open().await);
    let request = |cseq: u32, more: &str| {
        format!(
            "REGISTER sip:box SIP/2.0\r\nVia: SIP/2.0/UDP {at};branch=z9hG4bK{cseq}\r\nFrom: <sip:anna@box>;tag=1\r\n\
             To: <sip:anna@box>\r\nCall-ID: c\r\nCSeq: {cseq} REGISTER\r\nContact: <sip:anna@{at}>\r\n{more}\
             Content-Length: 0\r\n\r\n",
            at = wire.addr()
        )
    };
    let ask = async |cseq, more: &str| {
        wire.send(request(cseq, more), office.addr()).await;
        wire.recv().await
    };
    let challenged = ask(1, "").await;
    let challenge = sip::digest::Challenge::parse(&challenged.header("WWW-Authenticate")).unwrap();
    let proof = challenge.answer("anna", "secret", "REGISTER", "sip:box", "x", 1);
    let proof = format!("Authorization: {proof}\r\n");
    assert!(ask(2, &proof).await.start().contains(" 200 "));
    let again = ask(3, &proof).await;
    assert!(again.start().contains(" 401 ") && again.header("WWW-Authenticate").contains("stale=true"));
}

#[tokio::test]
async fn a_phone_that_wants_to_come_too_often_is_told_the_least() {
    let (office, phone) = (office().await, side().await);
    let request = RegisterRequest {
        key: "k".into(),
        registrar: office.addr().to_string(),
        proxy: None,
        aor: "anna@box".into(),
        credentials: Some(Credentials { user: "anna".into(), password: "secret".into() }),
        transport: Transport::Udp,
        expires: Duration::from_secs(10),
    };
    let outcome = soon(phone.endpoint.register(&request)).await;
    assert_eq!((outcome.code, outcome.expires.map(|it| it.as_secs() > 10)), (200, Some(true)));
}

#[tokio::test]
async fn strangers_networks_are_refused_and_by_a_hidden_box_not_answered() {
    let request = |to: &Side, at, method: &str| {
        format!(
            "{method} sip:{} SIP/2.0\r\nVia: SIP/2.0/UDP {at};branch=z9hG4bK{method}\r\nFrom: <sip:anna@box>;tag=1\r\n\
             To: <sip:anna@box>\r\nCall-ID: c\r\nCSeq: 1 {method}\r\nContent-Length: 0\r\n\r\n",
            to.addr()
        )
    };
    let elsewhere = |config: &mut SipConfig| config.phones = vec!["192.0.2.0/24".parse().unwrap()];
    let (open, wire) = (side_with(elsewhere).await, Wire::open().await);
    wire.send(request(&open, wire.addr(), "REGISTER"), open.addr()).await;
    assert!(wire.recv().await.start().contains(" 403 "));
    let hidden = side_with(|config| {
        elsewhere(config);
        config.hide = true;
    })
    .await;
    wire.send(request(&hidden, wire.addr(), "REGISTER"), hidden.addr()).await;
    wire.send(request(&hidden, wire.addr(), "OPTIONS"), hidden.addr()).await;
    assert_eq!(wire.recv().await.header("CSeq"), "1 OPTIONS");
}

#[tokio::test]
async fn the_first_phone_that_answers_has_the_call_and_the_other_stops_ringing() {
    let office = office().await;
    let (mut desk, mut kitchen) = (phone(&office, Transport::Udp).await, phone(&office, Transport::Tcp).await);
    let mut call = office.endpoint.invite_all(ring_all(&office)).await.unwrap();
    let (at_desk, in_kitchen) = (desk.call().await, kitchen.call().await);
    at_desk.ringing().await;
    in_kitchen.ringing().await;
    let stopped = at_desk.cancelled();
    let _talking = in_kitchen.accept(ANSWER.to_vec(), &[]).await.unwrap();
    loop {
        match soon(call.next()).await.expect("an answer") {
            OutboundEvent::Answered { sdp, .. } => break assert_eq!(sdp.as_deref(), Some(ANSWER)),
            OutboundEvent::Failed { code, .. } => panic!("{code}"),
            OutboundEvent::Progress { .. } => {}
        }
    }
    soon(stopped.cancelled()).await;
}

#[tokio::test]
async fn a_phone_that_declines_leaves_the_others_ringing_unless_it_speaks_for_all() {
    for (code, others_stop) in [(486, false), (603, true)] {
        let office = office().await;
        let (mut desk, mut kitchen) = (phone(&office, Transport::Udp).await, phone(&office, Transport::Udp).await);
        let mut call = office.endpoint.invite_all(ring_all(&office)).await.unwrap();
        let (at_desk, in_kitchen) = (desk.call().await, kitchen.call().await);
        at_desk.ringing().await;
        let stopped = at_desk.cancelled();
        in_kitchen.reject(code, None, &[]).await;
        if others_stop {
            soon(stopped.cancelled()).await;
        } else {
            at_desk.reject(503, None, &[]).await;
        }
        assert_eq!(failure(&mut call).await.0, code);
    }
}

#[tokio::test]
async fn a_phone_that_does_not_accept_the_first_offer_gets_the_second_and_no_third() {
    let office = office().await;
    let mut phone = phone(&office, Transport::Udp).await;
    let mut invites = ring_all(&office);
    invites[0].second_sdp = Some(ANSWER.to_vec());
    let mut call = office.endpoint.invite_all(invites).await.unwrap();
    for offer in [OFFER, ANSWER] {
        let incoming = phone.call().await;
        assert_eq!(incoming.info.sdp.as_deref(), Some(offer));
        incoming.reject(488, None, &[]).await;
    }
    assert_eq!(failure(&mut call).await.0, 488);
}

#[tokio::test]
async fn a_phone_whose_connection_broke_is_not_rung() {
    let office = office().await;
    let phone = phone(&office, Transport::Tcp).await;
    phone.cancel.cancel();
    until(|| office.endpoint.contacts("ext-anna").is_empty()).await;
    assert!(office.endpoint.invite_all(ring_all(&office)).await.is_err());
}

#[tokio::test]
async fn ten_wrong_passwords_make_an_offender_and_a_right_one_in_between_forgives() {
    let (office, phone) = (office().await, side().await);
    let mut offenders = office.endpoint.offenders();
    for password in ["wrong"; 9].into_iter().chain(["secret"]).chain(["wrong"; 9]) {
        let outcome = register(&phone, &office, "anna", password, Transport::Udp).await;
        assert_eq!(outcome.code, if password == "secret" { 200 } else { 403 });
    }
    assert!(offenders.try_recv().is_err());
    register(&phone, &office, "nobody", "wrong", Transport::Udp).await;
    let address = phone.addr().ip();
    assert_eq!(offenders.try_recv().unwrap(), sip::Offender { address, failures: 10 });
}

#[tokio::test]
async fn before_the_accounts_are_known_a_phone_is_told_to_come_back() {
    let (office, phone) =
        (side_with(|config| config.phones = vec!["127.0.0.0/8".parse().unwrap()]).await, side().await);
    let outcome = register(&phone, &office, "anna", "secret", Transport::Udp).await;
    assert_eq!((outcome.code, outcome.retry_after), (503, Some(Duration::from_secs(2))));
}

#[tokio::test]
async fn an_account_that_is_gone_takes_its_phones_along() {
    let office = office().await;
    let _phone = phone(&office, Transport::Udp).await;
    office.endpoint.set_accounts(Vec::new());
    assert!(office.endpoint.contacts("ext-anna").is_empty());
}

/// What the box makes of an INVITE in `from`'s name by somebody who knows `user`'s password.
async fn proof_of(from: &str, user: &str, password: &str) -> Proof {
    let (mut office, phone) = (office().await, side().await);
    let call = OutboundInvite {
        from: format!("<sip:{from}@box>"),
        credentials: Some(Credentials { user: user.into(), password: password.into() }),
        ..invite(office.addr(), Transport::Udp)
    };
    let _call = phone.endpoint.invite(call).await.unwrap();
    let first = office.call().await;
    assert_eq!(first.may_be_a_phone(), from != "stranger");
    assert_eq!(first.check_phone(), Proof::Missing);
    first.challenge_phone().await;
    office.call().await.check_phone()
}

#[tokio::test]
async fn a_phone_proves_by_its_password_whose_call_it_is() {
    assert_eq!(proof_of("anna", "anna", "secret").await, Proof::Right("ext-anna".into()));
    assert_eq!(proof_of("anna", "anna", "guess").await, Proof::Wrong);
    assert_eq!(proof_of("anna", "bert", "secret").await, Proof::Wrong);
    assert_eq!(proof_of("stranger", "stranger", "secret").await, Proof::Wrong);
}
