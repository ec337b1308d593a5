//! SIP through a WebSocket, as phones in browsers speak it (RFC 7118).
//!
//! They come to the port of TLS, where whoever begins like HTTP wants one. Each of its messages is one of SIP.

use crate::guard::MAX_MESSAGE;
use crate::streams::{FIRST_MESSAGE, IDLE, LINGER, WRITE_TIMEOUT, next_queued};
use crate::transport::{Arrival, Flow, receive_datagram};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use std::io::{self, Cursor};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::{HeaderMap, HeaderValue, StatusCode};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, accept_hdr_async_with_config};
use tokio_util::sync::CancellationToken;

/// Who says nothing for so long after the handshake of TLS is no peer of ours.
const OPENING: Duration = Duration::from_secs(10);
/// What no SIP message begins with.
const HTTP: &[u8; 4] = b"GET ";
/// Routers forget a connection that is silent for minutes.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
const SUBPROTOCOL: &str = "sip";
const SUBPROTOCOLS: &str = "Sec-WebSocket-Protocol";

/// What a peer on the port of TLS speaks. The octets that told it are still to be read.
pub(crate) enum Spoken<S> {
    Sip(S),
    WebSocket(Box<WebSocketStream<S>>),
}

/// Finds out, and opens the WebSocket where one is wanted.
pub(crate) async fn open(
    stream: impl AsyncRead + AsyncWrite + Unpin,
) -> io::Result<Spoken<impl AsyncRead + AsyncWrite + Unpin>> {
    let opening = async {
        let (mut read, write) = tokio::io::split(stream);
        let begin = first_octets(&mut read).await?;
        let is_http = begin == HTTP;
        let stream = tokio::io::join(Cursor::new(begin).chain(read), write);
        if !is_http {
            return Ok(Spoken::Sip(stream));
        }
        let limits = WebSocketConfig::default().max_message_size(Some(MAX_MESSAGE)).max_frame_size(Some(MAX_MESSAGE));
        let opened = accept_hdr_async_with_config(stream, greet, Some(limits)).await;
        opened.map(|socket| Spoken::WebSocket(Box::new(socket))).map_err(io::Error::other)
    };
    timeout(OPENING, opening).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// As many as tell HTTP from SIP.
async fn first_octets(read: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let mut begin = Vec::with_capacity(HTTP.len());
    while begin.len() < HTTP.len() && HTTP.starts_with(&begin) {
        if (&mut *read).take((HTTP.len() - begin.len()) as u64).read_buf(&mut begin).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(begin)
}

/// Phones ask for SIP by name (RFC 7118 section 4.1); whoever does not wants something else.
#[expect(clippy::result_large_err, reason = "the library's own type")]
fn greet(request: &Request, mut response: Response) -> Result<Response, ErrorResponse> {
    if wants_sip(request.headers()) {
        response.headers_mut().insert(SUBPROTOCOLS, HeaderValue::from_static(SUBPROTOCOL));
        return Ok(response);
    }
    let mut refusal = ErrorResponse::new(Some(format!("this is for SIP: ask for {SUBPROTOCOLS}: {SUBPROTOCOL}\n")));
    *refusal.status_mut() = StatusCode::BAD_REQUEST;
    Err(refusal)
}

fn wants_sip(headers: &HeaderMap) -> bool {
    let asked = headers.get_all(SUBPROTOCOLS).iter().filter_map(|value| value.to_str().ok());
    asked.flat_map(|value| value.split(',')).any(|name| name.trim().eq_ignore_ascii_case(SUBPROTOCOL))
}

/// Reads until the phone goes.
pub(crate) async fn read<S: AsyncRead + AsyncWrite + Unpin>(
    mut messages: SplitStream<WebSocketStream<S>>,
    flow: Flow,
    arrivals: mpsc::Sender<Arrival>,
) {
    let mut patience = FIRST_MESSAGE;
    while let Ok(Some(Ok(message))) = timeout(patience, messages.next()).await {
        let (Message::Text(_) | Message::Binary(_)) = message else { continue };
        patience = IDLE;
        receive_datagram(&message.into_data(), flow.clone(), &arrivals).await;
    }
}

/// Writes what is queued, until the close. Where nothing is to be said the connection is kept open: browsers do not do that.
pub(crate) async fn write<S: AsyncRead + AsyncWrite + Unpin>(
    mut messages: SplitSink<WebSocketStream<S>, Message>,
    mut queue: mpsc::Receiver<Vec<u8>>,
    closed: CancellationToken,
) {
    loop {
        let message = match timeout(KEEP_ALIVE, next_queued(&mut queue, &closed)).await {
            Ok(Some(bytes)) => message_of(bytes),
            Ok(None) => break,
            Err(_) => Message::Ping(Default::default()),
        };
        if !matches!(timeout(WRITE_TIMEOUT, messages.send(message)).await, Ok(Ok(()))) {
            break;
        }
    }
    closed.cancel();
    let _ = timeout(LINGER, messages.close()).await;
}

/// What is no UTF-8 cannot be text.
fn message_of(bytes: Vec<u8>) -> Message {
    String::from_utf8(bytes).map_or_else(|error| Message::binary(error.into_bytes()), Message::text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio_tungstenite::tungstenite::protocol::Role;

    #[test]
    fn sip_is_one_of_the_protocols_that_are_asked_for() {
        let asked = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(SUBPROTOCOLS, HeaderValue::from_static(value));
            }
            wants_sip(&headers)
        };
        assert!(asked(&["sip"]) && asked(&["xmpp, SIP"]) && asked(&["xmpp", "sip"]));
        assert!(!asked(&[]) && !asked(&["sips"]) && !asked(&["xmpp"]));
    }

    #[test]
    fn what_is_no_text_goes_as_octets() {
        assert_eq!(message_of(b"OPTIONS".to_vec()), Message::text("OPTIONS"));
        assert_eq!(message_of(vec![b'A', 0xFF]), Message::binary(vec![b'A', 0xFF]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_phone_to_which_nothing_is_said_is_pinged_until_the_close() {
        let (far, near) = tokio::io::duplex(1024);
        let near = WebSocketStream::from_raw_socket(near, Role::Server, None).await;
        let mut far = WebSocketStream::from_raw_socket(far, Role::Client, None).await;
        let ((said, queue), closed) = (mpsc::channel(1), CancellationToken::new());
        tokio::spawn(write(near.split().0, queue, closed.clone()));
        let begun = tokio::time::Instant::now();
        assert!(matches!(far.next().await, Some(Ok(Message::Ping(_)))) && begun.elapsed() >= KEEP_ALIVE);
        said.send(b"BYE".to_vec()).await.unwrap();
        assert_eq!(far.next().await.unwrap().unwrap(), Message::text("BYE"));
        closed.cancel();
        assert!(matches!(far.next().await, Some(Ok(Message::Close(_)))));
    }

    #[tokio::test]
    async fn what_begins_like_sip_is_read_from_its_first_octet_on() {
        for text in ["OPTIONS sip:x SIP/2.0\r\n", "GETX sip:x SIP/2.0\r\n", "\r\n\r\n", "G"] {
            let (mut far, near) = tokio::io::duplex(64);
            tokio::io::AsyncWriteExt::write_all(&mut far, text.as_bytes()).await.unwrap();
            tokio::io::AsyncWriteExt::shutdown(&mut far).await.unwrap();
            let opened = open(near).await;
            if text == "G" {
                assert_eq!(opened.err().map(|error| error.kind()), Some(io::ErrorKind::UnexpectedEof));
                continue;
            }
            let Ok(Spoken::Sip(mut stream)) = opened else { panic!("{text} is no SIP") };
            let mut read = String::new();
            stream.read_to_string(&mut read).await.unwrap();
            assert_eq!(read, text);
        }
    }
}
