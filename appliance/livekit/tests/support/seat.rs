//! Somebody in a room: the signalling connection alone, without media.

use futures_util::StreamExt;
use livekit::protocol::{JoinResponse, SignalResponse, signal_response};
use prost::Message as _;
use tokio::net::TcpStream;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async, tungstenite::Message};

/// In the room until dropped.
pub struct Seat {
    pub join: JoinResponse,
    _socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Seat {
    /// Panics when livekit-server does not believe the token.
    pub async fn take(url: &str, token: &str) -> Self {
        let url = format!("{url}/rtc?access_token={token}&auto_subscribe=0&protocol=9");
        let (mut socket, _) = connect_async(url).await.expect("livekit-server must let us in");
        while let Some(Ok(frame)) = socket.next().await {
            let Message::Binary(bytes) = frame else { continue };
            if let Some(signal_response::Message::Join(join)) = SignalResponse::decode(bytes).unwrap().message {
                return Self { join, _socket: socket };
            }
        }
        panic!("livekit-server closed the connection before we had joined");
    }
}
