//! Does one REGISTER say what RFC 3261 asks, whatever the registrar answers?

mod common;

use common::*;
use sip::{Credentials, RegisterOutcome, RegisterRequest, Transport};
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

fn request(registrar: std::net::SocketAddr, expires: u64) -> RegisterRequest {
    RegisterRequest {
        key: "trunk-1".into(),
        registrar: registrar.to_string(),
        proxy: None,
        aor: "+31201110000@carrier.example".into(),
        credentials: Some(Credentials { user: "box".into(), password: "pw".into() }),
        transport: Transport::Udp,
        expires: Duration::from_secs(expires),
    }
}

fn asking(side: &Side, request: RegisterRequest) -> tokio::task::JoinHandle<RegisterOutcome> {
    let endpoint = side.endpoint.clone();
    tokio::spawn(async move { endpoint.register(&request).await })
}

#[tokio::test]
async fn the_stronger_of_two_challenges_is_answered_and_the_granted_time_reported() {
    let (side, registrar) = (side().await, Wire::open().await);
    let work = asking(&side, request(registrar.addr(), 3600));
    let first = registrar.expect("REGISTER").await;
    assert!(first.start().starts_with(&format!("REGISTER sip:{} SIP/2.0", registrar.addr())));
    assert!(first.header("To").contains("<sip:+31201110000@carrier.example>"));
    assert_eq!(first.header("Expires"), "3600");
    let challenges = "WWW-Authenticate: Digest realm=\"r\", nonce=\"weak\", algorithm=MD5, qop=\"auth\"\r\n\
                      WWW-Authenticate: Digest realm=\"r\", nonce=\"strong\", algorithm=SHA-256, qop=\"auth\"\r\n";
    registrar.send(first.response("401 Unauthorized", "t", challenges), first.from).await;
    let second = registrar.expect("REGISTER").await;
    let answer = sip::digest::Answer::parse(&second.header("Authorization")).unwrap();
    assert_eq!(answer.nonce, "strong");
    assert!(answer.proves("box", "pw", "REGISTER"));
    let contact = format!("Contact: {};expires=120\r\n", second.header("Contact"));
    registrar.send(second.response("200 OK", "t", &contact), second.from).await;
    let outcome = soon(work).await.unwrap();
    assert_eq!((outcome.code, outcome.expires), (200, Some(Duration::from_secs(120))));

    // Leaving keeps the Call-ID and counts on.
    let work = asking(&side, request(registrar.addr(), 0));
    let leaving = registrar.expect("REGISTER").await;
    assert_eq!(leaving.header("Expires"), "0");
    assert_eq!(leaving.header("Call-ID"), first.header("Call-ID"));
    let number = |message: &Message| message.header("CSeq").split(' ').next().unwrap().parse::<u32>().unwrap();
    assert!(number(&leaving) > number(&second) && number(&second) > number(&first));
    registrar.send(leaving.response("200 OK", "t", ""), leaving.from).await;
    assert_eq!(soon(work).await.unwrap().code, 200);
}

#[tokio::test]
async fn a_registrar_that_wants_longer_gets_its_minimum() {
    let (side, registrar) = (side().await, Wire::open().await);
    let work = asking(&side, request(registrar.addr(), 60));
    let brief = registrar.expect("REGISTER").await;
    registrar.send(brief.response("423 Interval Too Brief", "t", "Min-Expires: 600\r\n"), brief.from).await;
    let longer = registrar.expect("REGISTER").await;
    assert_eq!(longer.header("Expires"), "600");
    registrar.send(longer.response("200 OK", "t", "Expires: 600\r\n"), longer.from).await;
    assert_eq!(soon(work).await.unwrap().expires, Some(Duration::from_secs(600)));
}

#[tokio::test]
async fn a_wrong_password_is_tried_once_and_the_refusal_told_in_the_registrars_words() {
    let (side, registrar) = (side().await, Wire::open().await);
    let work = asking(&side, request(registrar.addr(), 60));
    let challenge = "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\"\r\n";
    for _ in 0..2 {
        let asked = registrar.expect("REGISTER").await;
        registrar.send(asked.response("401 Who are you", "t", challenge), asked.from).await;
    }
    let outcome = soon(work).await.unwrap();
    assert_eq!((outcome.code, outcome.reason.as_str(), outcome.expires), (401, "Who are you", None));
}

#[tokio::test]
async fn a_maintenance_break_says_when_to_come_back() {
    let (side, registrar) = (side().await, Wire::open().await);
    let work = asking(&side, request(registrar.addr(), 60));
    let asked = registrar.expect("REGISTER").await;
    registrar.send(asked.response("503 Later", "t", "Retry-After: 42\r\n"), asked.from).await;
    assert_eq!(soon(work).await.unwrap().retry_after, Some(Duration::from_secs(42)));
}

#[tokio::test]
async fn a_registrar_without_an_address_is_503_with_its_name() {
    let side = side().await;
    let mut request = request(side.addr(), 60);
    request.registrar = "registrar.invalid".into();
    let outcome = soon(side.endpoint.register(&request)).await;
    assert_eq!((outcome.code, outcome.reason.as_str()), (503, "`registrar.invalid` does not resolve"));
}

#[tokio::test]
async fn a_registrar_that_cannot_be_reached_over_tcp_is_503() {
    let side = side().await;
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut request = request(nobody, 60);
    request.transport = Transport::Tcp;
    assert_eq!(soon(side.endpoint.register(&request)).await.code, 503);
}

/// An endpoint whose address changes, and the way to change it.
async fn moving() -> (Side, Arc<Mutex<IpAddr>>) {
    let address = Arc::new(Mutex::new("192.0.2.1".parse().unwrap()));
    let now = address.clone();
    (side_as(sip::Advertise::new(move |_| *now.lock().unwrap())).await, address)
}

/// Registers once more, `status` being the answer; gives the Contacts that were named.
async fn contacts(side: &Side, registrar: &Wire, status: &str) -> Vec<String> {
    let work = asking(side, request(registrar.addr(), 60));
    let asked = registrar.expect("REGISTER").await;
    registrar.send(asked.response(status, "t", ""), asked.from).await;
    soon(work).await.unwrap();
    let named = |contact: String| contact.replace(&format!(":{}", side.addr().port()), "").replace("+31201110000@", "");
    asked.headers("Contact").into_iter().map(named).collect()
}

#[tokio::test]
async fn a_new_address_is_registered_and_the_old_one_taken_back() {
    let (side, address) = moving().await;
    let registrar = Wire::open().await;
    assert_eq!(contacts(&side, &registrar, "200 OK").await, ["<sip:192.0.2.1>"]);
    *address.lock().unwrap() = "192.0.2.2".parse().unwrap();
    let both = ["<sip:192.0.2.2>", "<sip:192.0.2.1>;expires=0"];
    assert_eq!(contacts(&side, &registrar, "503 Later").await, both);
    assert_eq!(contacts(&side, &registrar, "200 OK").await, both, "the registrar may have it still");
    assert_eq!(contacts(&side, &registrar, "200 OK").await, ["<sip:192.0.2.2>"]);
}

#[tokio::test]
async fn a_registrar_that_refuses_two_contacts_is_given_one() {
    let (side, address) = moving().await;
    let registrar = Wire::open().await;
    contacts(&side, &registrar, "200 OK").await;
    *address.lock().unwrap() = "192.0.2.2".parse().unwrap();
    assert_eq!(contacts(&side, &registrar, "400 One Contact Only").await.len(), 2);
    assert_eq!(contacts(&side, &registrar, "200 OK").await, ["<sip:192.0.2.2>"]);
}

#[tokio::test]
async fn each_peer_is_told_the_address_that_is_for_it() {
    let by_peer = |peer: IpAddr| if peer.is_loopback() { "192.0.2.7".parse().unwrap() } else { peer };
    let side = side_as(sip::Advertise::new(by_peer)).await;
    let registrar = Wire::open().await;
    let work = asking(&side, request(registrar.addr(), 60));
    let asked = registrar.expect("REGISTER").await;
    assert!(asked.header("Contact").contains("@192.0.2.7:"), "{}", asked.text);
    assert!(asked.header("Via").starts_with("SIP/2.0/UDP 192.0.2.7:"), "{}", asked.text);
    registrar.send(asked.response("200 OK", "t", ""), asked.from).await;
    soon(work).await.unwrap();
}
