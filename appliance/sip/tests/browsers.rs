//! Do phones in browsers find their way to us, and calls their way to them? (RFC 7118)

mod common;

use common::authority::{Authority, WebSocket};
use common::*;
use futures_util::{SinkExt, StreamExt};
use sip::{Account, DialogEvent, OutboundEvent, OutboundInvite, TerminatedCause, Transport};
use tokio_tungstenite::tungstenite::{Error, Message as WebMessage};

const HOST: &str = "box.example";
/// Nobody can be reached there, which is what browsers say of themselves.
const CONTACT: &str = "<sip:anna@x7df.invalid;transport=ws>";

struct Browser(WebSocket);

/// A box that lets phones of loopback register by TLS, with the account `anna`.
async fn office(ours: &Authority) -> Side {
    let tls = ours.tls(HOST, ours, false);
    let office = side_with(|config| {
        config.phones = vec!["127.0.0.0/8".parse().unwrap()];
        config.tls = Some(tls);
    })
    .await;
    let account = Account { key: "ext-anna".into(), user: "anna".into(), password: "secret".into() };
    office.endpoint.set_accounts(vec![account]);
    office
}

impl Browser {
    async fn open(office: &Side, ours: &Authority, protocols: &'static str) -> Result<Browser, Error> {
        soon(ours.web_socket(office.endpoint.tls_addr().unwrap(), HOST, protocols)).await.map(Browser)
    }

    async fn send(&mut self, text: &str) {
        self.0.send(WebMessage::text(text)).await.unwrap();
    }

    /// The next message whose start line begins so; others are passed over.
    async fn expect(&mut self, start: &str) -> Message {
        loop {
            let message = soon(self.0.next()).await.expect("the connection goes on").unwrap();
            let from = "127.0.0.1:9".parse().unwrap();
            let message = Message { text: message.into_text().unwrap().to_string(), from };
            if message.start().starts_with(start) {
                return message;
            }
        }
    }

    /// Messages of a WebSocket need no length.
    async fn request(&mut self, method: &str, cseq: u32, more: &str) {
        self.send(&format!(
            "{method} sip:{HOST} SIP/2.0\r\nVia: SIP/2.0/WSS x7df.invalid;branch=z9hG4bK{method}{cseq}\r\n\
             From: <sip:anna@{HOST}>;tag=1\r\nTo: <sip:anna@{HOST}>\r\nCall-ID: {method}\r\nCSeq: {cseq} {method}\r\n\
             Max-Forwards: 70\r\nContact: {CONTACT}\r\n{more}"
        ))
        .await;
    }

    async fn register(&mut self) {
        self.request("REGISTER", 1, "\r\n").await;
        let challenge = self.expect("SIP/2.0 401").await.header("WWW-Authenticate");
        let challenge = sip::digest::Challenge::parse(&challenge).unwrap();
        let proof = challenge.answer("anna", "secret", "REGISTER", &format!("sip:{HOST}"), "x", 1);
        self.request("REGISTER", 2, &format!("Authorization: {proof}\r\n\r\n")).await;
        let accepted = self.expect("SIP/2.0 200").await;
        assert!(accepted.header("Contact").starts_with(CONTACT), "{}", accepted.text);
    }
}

#[tokio::test]
async fn a_browser_that_registered_is_called_and_hung_up_through_its_own_websocket() {
    let ours = Authority::new();
    let office = office(&ours).await;
    let mut browser = Browser::open(&office, &ours, "sip").await.unwrap();
    browser.register().await;
    let contact = office.endpoint.contacts("ext-anna").remove(0);
    assert_eq!(contact.transport, Transport::Wss);
    let invite = invite(contact.source, contact.transport);
    let invite = OutboundInvite { request_uri: contact.uri.clone(), contact: Some(contact), ..invite };
    let mut call = office.endpoint.invite(invite).await.unwrap();

    let ringing = browser.expect("INVITE sip:anna@x7df.invalid").await;
    assert!(ringing.header("Via").starts_with("SIP/2.0/WSS 127.0.0.1:"), "{}", ringing.text);
    let tls_port = office.endpoint.tls_addr().unwrap().port();
    assert!(ringing.header("Contact").ends_with(&format!("@127.0.0.1:{tls_port};transport=ws>")), "{}", ringing.text);
    browser.send(&ringing.response("200 OK", "t", &format!("Contact: {CONTACT}\r\n"))).await;
    let Some(OutboundEvent::Answered { dialog, events: _events, .. }) = soon(call.next()).await else { panic!() };
    browser.expect("ACK sip:anna@x7df.invalid").await;
    tokio::spawn(async move { dialog.bye(None, &[]).await });
    browser.expect("BYE sip:anna@x7df.invalid").await;
}

#[tokio::test]
async fn a_browsers_call_is_answered_and_ends_with_its_websocket_open() {
    let ours = Authority::new();
    let mut office = office(&ours).await;
    let mut browser = Browser::open(&office, &ours, "xmpp, sip").await.unwrap();
    let body = String::from_utf8_lossy(OFFER);
    browser.request("INVITE", 1, &format!("Content-Type: application/sdp\r\n\r\n{body}")).await;
    let call = office.call().await;
    assert_eq!((call.info.transport, call.info.sdp.as_deref()), (Transport::Wss, Some(OFFER)));
    let (_dialog, mut events) = call.accept(ANSWER.to_vec(), &[]).await.unwrap();
    let answer = browser.expect("SIP/2.0 200").await;
    assert!(answer.text.ends_with(&*String::from_utf8_lossy(ANSWER)), "{}", answer.text);
    let to = answer.header("To");
    for (method, cseq) in [("ACK", 1), ("BYE", 2)] {
        browser
            .send(&format!(
                "{method} sip:{HOST} SIP/2.0\r\nVia: SIP/2.0/WSS x7df.invalid;branch=z9hG4bKx{cseq}\r\n\
                 From: <sip:anna@{HOST}>;tag=1\r\nTo: {to}\r\nCall-ID: INVITE\r\nCSeq: {cseq} {method}\r\n\
                 Max-Forwards: 70\r\n\r\n"
            ))
            .await;
    }
    browser.expect("SIP/2.0 200").await;
    let ended = async {
        while let Some(event) = events.recv().await {
            if let DialogEvent::Terminated { cause } = event {
                return cause;
            }
        }
        panic!("no end");
    };
    assert!(matches!(soon(ended).await, TerminatedCause::RemoteBye { .. }));
    browser.send("\r\n\r\n").await;
    assert_eq!(soon(browser.0.next()).await.unwrap().unwrap(), WebMessage::text("\r\n"), "still there");
}

#[tokio::test]
async fn whoever_does_not_ask_for_sip_is_told_how_to() {
    let ours = Authority::new();
    let office = office(&ours).await;
    let Err(Error::Http(refusal)) = Browser::open(&office, &ours, "xmpp").await else { panic!("let in") };
    assert_eq!(refusal.status(), 400);
    let words = refusal.body().as_deref().map(String::from_utf8_lossy).unwrap_or_default();
    assert!(words.contains("Sec-WebSocket-Protocol: sip"), "{words}");
}

#[tokio::test]
async fn a_message_that_is_too_long_ends_the_connection_and_no_other() {
    let ours = Authority::new();
    let office = office(&ours).await;
    let mut good = Browser::open(&office, &ours, "sip").await.unwrap();
    let mut bad = Browser::open(&office, &ours, "sip").await.unwrap();
    let _ = bad.0.send(WebMessage::text("x".repeat(1 << 20))).await;
    let gone = async { while matches!(bad.0.next().await, Some(Ok(_))) {} };
    soon(gone).await;
    good.register().await;
}
