//! Two endpoints on loopback, and a bare socket that speaks SIP by hand.
#![allow(dead_code)] // each test file uses its part

pub mod authority;

use sip::{Dialog, DialogEvent, Endpoint, InboundCall, OutboundEvent, OutboundInvite, SipConfig, Transport};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

pub const OFFER: &[u8] =
    b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";
pub const ANSWER: &[u8] =
    b"v=0\r\no=- 2 2 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 5000 RTP/AVP 0\r\n";

pub struct Side {
    pub endpoint: Endpoint,
    pub calls: mpsc::Receiver<InboundCall>,
    pub cancel: CancellationToken,
}

pub async fn side() -> Side {
    side_with(|_| {}).await
}

/// One that presents itself by the addresses of `advertise`.
pub async fn side_as(advertise: sip::Advertise) -> Side {
    side_with(|config| config.advertise = advertise).await
}

/// One that is set up as `change` leaves it.
pub async fn side_with(change: impl FnOnce(&mut SipConfig)) -> Side {
    let cancel = CancellationToken::new();
    let mut config = SipConfig {
        listen: "127.0.0.1:0".parse().unwrap(),
        udp: true,
        tcp: true,
        tls: None,
        advertise: "127.0.0.1".parse::<std::net::IpAddr>().unwrap().into(),
        user_agent: "test".into(),
        phones: Vec::new(),
        hide: false,
        tap: sip::Tap::default(),
    };
    change(&mut config);
    let (endpoint, calls) = Endpoint::bind(config, cancel.clone()).await.unwrap();
    Side { endpoint, calls, cancel }
}

impl Side {
    pub fn addr(&self) -> SocketAddr {
        self.endpoint.local_addr()
    }

    pub async fn call(&mut self) -> InboundCall {
        soon(self.calls.recv()).await.expect("a call")
    }
}

/// Whatever is awaited comes within ten seconds or the test fails.
pub async fn soon<T>(work: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(10), work).await.expect("within ten seconds")
}

/// Until it is so; not after ten seconds.
pub async fn until(so: impl Fn() -> bool) {
    soon(async {
        while !so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

pub fn invite(to: SocketAddr, transport: Transport) -> OutboundInvite {
    OutboundInvite {
        request_uri: format!("sip:+31201110000@{to}"),
        from: "\"Ann\" <sip:+31612345678@127.0.0.1>".into(),
        to: format!("<sip:+31201110000@{to}>"),
        transport: Some(transport),
        sdp: Some(OFFER.to_vec()),
        ..Default::default()
    }
}

pub type Events = mpsc::Receiver<DialogEvent>;

/// An answered call: both ends with their events.
pub async fn answered(caller: &Side, callee: &mut Side, transport: Transport) -> ((Dialog, Events), (Dialog, Events)) {
    let mut call = caller.endpoint.invite(invite(callee.addr(), transport)).await.unwrap();
    let incoming = callee.call().await;
    let (theirs, mut their_events) = incoming.accept(ANSWER.to_vec(), &[]).await.unwrap();
    let (ours, our_events) = loop {
        match soon(call.next()).await.expect("an answer") {
            OutboundEvent::Answered { dialog, events, sdp, .. } => {
                assert_eq!(sdp.as_deref(), Some(ANSWER));
                break (dialog, events);
            }
            OutboundEvent::Failed { code, reason, .. } => panic!("{code} {reason}"),
            OutboundEvent::Progress { .. } => {}
        }
    };
    assert!(matches!(soon(their_events.recv()).await, Some(DialogEvent::Acked { sdp: None })));
    ((ours, our_events), (theirs, their_events))
}

pub async fn failure(call: &mut sip::OutboundCall) -> (u16, String, sip::HeaderList) {
    loop {
        match soon(call.next()).await.expect("an end") {
            OutboundEvent::Failed { code, reason, headers } => return (code, reason, headers),
            OutboundEvent::Progress { .. } => {}
            OutboundEvent::Answered { .. } => panic!("answered"),
        }
    }
}

/// A UDP socket that sends and reads text.
pub struct Wire {
    pub socket: UdpSocket,
}

pub struct Message {
    pub text: String,
    pub from: SocketAddr,
}

impl Message {
    pub fn header(&self, name: &str) -> String {
        self.headers(name).into_iter().next().unwrap_or_else(|| panic!("no {name} in\n{}", self.text))
    }

    pub fn headers(&self, name: &str) -> Vec<String> {
        let head = self.text.split("\r\n\r\n").next().unwrap();
        let fields = head.lines().skip(1).filter_map(|line| line.split_once(':'));
        fields.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim().to_owned()).collect()
    }

    pub fn start(&self) -> &str {
        self.text.lines().next().unwrap()
    }

    /// A response to this request.
    pub fn response(&self, status: &str, tag: &str, more: &str) -> String {
        let mut text = format!("SIP/2.0 {status}\r\n");
        for via in self.headers("Via") {
            text += &format!("Via: {via}\r\n");
        }
        let to = self.header("To");
        let to = if to.contains(";tag=") || tag.is_empty() { to } else { format!("{to};tag={tag}") };
        text += &format!(
            "From: {}\r\nTo: {to}\r\nCall-ID: {}\r\nCSeq: {}\r\n",
            self.header("From"),
            self.header("Call-ID"),
            self.header("CSeq")
        );
        text + more + "Content-Length: 0\r\n\r\n"
    }
}

impl Wire {
    pub async fn open() -> Wire {
        Wire { socket: UdpSocket::bind("127.0.0.1:0").await.unwrap() }
    }

    pub fn addr(&self) -> SocketAddr {
        self.socket.local_addr().unwrap()
    }

    pub async fn send(&self, text: impl AsRef<[u8]>, to: SocketAddr) {
        self.socket.send_to(text.as_ref(), to).await.unwrap();
    }

    pub async fn recv(&self) -> Message {
        let mut buffer = vec![0; 65_536];
        let (length, from) = soon(self.socket.recv_from(&mut buffer)).await.unwrap();
        Message { text: String::from_utf8_lossy(&buffer[..length]).into_owned(), from }
    }

    /// The next message whose start line begins so; others are passed over.
    pub async fn expect(&self, start: &str) -> Message {
        loop {
            let message = self.recv().await;
            if message.start().starts_with(start) {
                return message;
            }
        }
    }

    /// The start line of what comes within `wait`, if anything does.
    pub async fn within(&self, wait: Duration) -> Option<String> {
        timeout(wait, self.recv()).await.ok().map(|message| message.start().to_owned())
    }

    pub fn contact(&self) -> String {
        format!("Contact: <sip:wire@{}>\r\n", self.addr())
    }

    /// A request by hand; `more` may add headers, the body follows them.
    #[allow(clippy::too_many_arguments)] // the parts of a message, in wire order
    pub fn request(
        &self,
        method: &str,
        to: SocketAddr,
        call: &str,
        cseq: u32,
        to_tag: &str,
        more: &str,
        body: &str,
    ) -> String {
        let to_tag = if to_tag.is_empty() { String::new() } else { format!(";tag={to_tag}") };
        format!(
            "{method} sip:box@{to} SIP/2.0\r\nVia: SIP/2.0/UDP {};branch=z9hG4bK{method}{call}{cseq};rport\r\nMax-Forwards: 70\r\n\
             From: <sip:wire@{}>;tag=w\r\nTo: <sip:box@{to}>{to_tag}\r\nCall-ID: {call}\r\nCSeq: {cseq} {method}\r\n{}{more}Content-Length: {}\r\n\r\n{body}",
            self.addr(),
            self.addr(),
            self.contact(),
            body.len(),
        )
    }
}
