//! Who answers the torture messages, and who sends them?
//!
//! An endpoint on UDP, TCP, TLS and WebSockets whose application is always busy, and a [`Peer`] for each way to it.

use crate::common::authority::{Authority, WebSocket};
use crate::common::{Message, Side};
use futures_util::{SinkExt, StreamExt};
use sip::{Endpoint, SipConfig, Transport};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message as WebMessage;
use tokio_util::sync::CancellationToken;

/// Long enough for any machine; nothing waits for it unless something is wrong.
const PATIENCE: Duration = Duration::from_secs(10);

const NAME: &str = "localhost";

pub struct Bench {
    endpoint: Endpoint,
    authority: Authority,
    _cancel: tokio_util::sync::DropGuard,
}

impl Bench {
    pub async fn open() -> Bench {
        let authority = Authority::new();
        let local = "127.0.0.1:0".parse().unwrap();
        let config = SipConfig {
            listen: local,
            udp: true,
            tcp: true,
            tls: Some(authority.tls(NAME, &authority, false)),
            advertise: "127.0.0.1".parse::<std::net::IpAddr>().unwrap().into(),
            user_agent: "test".into(),
            phones: vec!["127.0.0.0/8".parse().unwrap()],
            hide: false,
            tap: sip::Tap::default(),
        };
        let cancel = CancellationToken::new();
        let (endpoint, calls) = Endpoint::bind(config, cancel.clone()).await.unwrap();
        endpoint.set_accounts(Vec::new());
        let side = Side { endpoint: endpoint.clone(), calls, cancel: cancel.clone() };
        tokio::spawn(be_busy(side));
        Bench { endpoint, authority, _cancel: cancel.drop_guard() }
    }

    pub async fn peer(&self, over: Transport) -> Peer {
        let to = self.endpoint.local_addr();
        match over {
            Transport::Udp => {
                let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
                socket.connect(to).await.unwrap();
                Peer { to, way: Way::Datagrams(socket) }
            }
            Transport::Tcp => Peer::stream(to, TcpStream::connect(to).await.unwrap()),
            Transport::Tls => {
                let to = self.endpoint.tls_addr().unwrap();
                Peer::stream(to, self.authority.connect(to, NAME).await)
            }
            Transport::Wss => {
                let to = self.endpoint.tls_addr().unwrap();
                let socket = self.authority.web_socket(to, NAME, "sip").await.unwrap();
                Peer { to, way: Way::Messages(Box::new(socket)) }
            }
        }
    }
}

async fn be_busy(mut side: Side) {
    while let Some(call) = side.calls.recv().await {
        call.reject(crate::table::REACHED, None, &[]).await;
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

enum Way {
    Datagrams(UdpSocket),
    Octets { stream: Box<dyn Stream>, unread: Vec<u8> },
    Messages(Box<WebSocket>),
}

/// Somebody who speaks to the endpoint by hand.
pub struct Peer {
    pub to: SocketAddr,
    way: Way,
}

impl Peer {
    fn stream(to: SocketAddr, stream: impl Stream + 'static) -> Peer {
        Peer { to, way: Way::Octets { stream: Box::new(stream), unread: Vec::new() } }
    }

    pub async fn send(&mut self, bytes: &[u8]) {
        match &mut self.way {
            Way::Datagrams(socket) => drop(socket.send(bytes).await.unwrap()),
            Way::Octets { stream, .. } => {
                stream.write_all(bytes).await.unwrap();
                stream.flush().await.unwrap();
            }
            Way::Messages(socket) => socket.send(WebMessage::binary(bytes.to_vec())).await.unwrap(),
        }
    }

    /// The next message; none when the connection ended. It fails when nothing at all happens.
    pub async fn next(&mut self) -> Result<Option<Message>, String> {
        let text = timeout(PATIENCE, self.text()).await.map_err(|_| "nothing happened".to_owned())?;
        Ok(text.map(|text| Message { text, from: self.to }))
    }

    async fn text(&mut self) -> Option<String> {
        let mut buffer = vec![0; 65_536];
        match &mut self.way {
            Way::Datagrams(socket) => {
                let length = socket.recv(&mut buffer).await.unwrap();
                Some(String::from_utf8_lossy(&buffer[..length]).into_owned())
            }
            Way::Octets { stream, unread } => loop {
                // None of the answers has a body.
                if let Some(end) = unread.windows(4).position(|window| window == b"\r\n\r\n") {
                    let message: Vec<u8> = unread.drain(..end + 4).collect();
                    return Some(String::from_utf8_lossy(&message).into_owned());
                }
                let length = stream.read(&mut buffer).await.unwrap_or(0);
                if length == 0 {
                    return None;
                }
                unread.extend_from_slice(&buffer[..length]);
            },
            Way::Messages(socket) => Some(socket.next().await?.ok()?.into_text().ok()?.to_string()),
        }
    }
}
