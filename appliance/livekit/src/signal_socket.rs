//! How do signalling frames of a room reach livekit-server?
//!
//! [`SignalSocket`] is a task around one WebSocket: it does what [`Connect`] says and reports what
//! happens as [`SignalEvent`]s. Reconnecting is `RoomSession`'s decision: it asks for a new socket.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::http::header::AUTHORIZATION;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

use crate::room::{Connect, SignalClosed, SignalEvent, SignalInput};

/// The whole buffer is cleared at every poll, so a big one costs more than the frames.
const BUFFER_BYTES: usize = 4096;
const MAX_MESSAGE_BYTES: usize = 4 << 20;
const OPEN_TIMEOUT: Duration = Duration::from_secs(5);
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);
const PART_TIMEOUT: Duration = Duration::from_secs(2);

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// One WebSocket to livekit-server. Dropped, it sends what is queued and closes.
#[derive(Debug)]
pub struct SignalSocket {
    frames: mpsc::UnboundedSender<Vec<u8>>,
}

impl SignalSocket {
    /// Opens it on `runtime`. `report` is called from there for everything that happens.
    pub fn open(runtime: &Handle, connect: Connect, report: impl Fn(SignalEvent) + Send + Sync + 'static) -> Self {
        let (frames, queued) = mpsc::unbounded_channel();
        let attempt = connect.attempt;
        runtime.spawn(async move {
            let report = |what| report(SignalEvent { attempt, what });
            if let Err(closed) = run(connect, queued, &report).await {
                report(SignalInput::Closed(closed));
            }
        });
        Self { frames }
    }

    /// Queues a binary frame. A closed socket has reported that already.
    pub fn send(&self, frame: Vec<u8>) {
        let _ = self.frames.send(frame);
    }
}

/// Carries frames until the owner drops the socket (fine) or the connection ends (an error).
async fn run(
    connect: Connect,
    mut queued: mpsc::UnboundedReceiver<Vec<u8>>,
    report: &(impl Fn(SignalInput) + Sync),
) -> Result<(), SignalClosed> {
    let mut socket = open(connect).await?;
    report(SignalInput::Opened);
    loop {
        tokio::select! {
            frame = queued.recv() => match frame {
                Some(frame) => write(&mut socket, Message::binary(frame)).await?,
                None => return part(&mut socket).await,
            },
            message = socket.next() => match message {
                Some(Ok(Message::Binary(frame))) => report(SignalInput::Frame(frame)),
                Some(Ok(Message::Close(_))) | None => return Err(closed("the server closed it")),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(closed(error)),
            },
        }
    }
}

/// Closes it and reads on until the server has closed it, too. A socket closed over something unread is reset, and
/// a reset may take our last words with it.
async fn part(socket: &mut Socket) -> Result<(), SignalClosed> {
    write(socket, Message::Close(None)).await?;
    let emptied = async { while let Some(Ok(_)) = socket.next().await {} };
    if timeout(PART_TIMEOUT, emptied).await.is_err() {
        tracing::debug!("the server does not close the WebSocket");
    }
    Ok(())
}

async fn open(connect: Connect) -> Result<Socket, SignalClosed> {
    let mut request = connect.url.into_client_request().map_err(closed)?;
    let bearer = HeaderValue::try_from(format!("Bearer {}", connect.token)).map_err(closed)?;
    request.headers_mut().insert(AUTHORIZATION, bearer);
    let config = WebSocketConfig::default()
        .read_buffer_size(BUFFER_BYTES)
        .write_buffer_size(BUFFER_BYTES)
        .max_message_size(Some(MAX_MESSAGE_BYTES));
    let opening = connect_async_with_config(request, Some(config), true);
    match timeout(OPEN_TIMEOUT, opening).await {
        Ok(Ok((socket, _))) => Ok(socket),
        Ok(Err(Error::Http(response))) => Err(refused(&response)),
        Ok(Err(error)) => Err(closed(error)),
        Err(_) => Err(closed("no answer")),
    }
}

async fn write(socket: &mut Socket, message: Message) -> Result<(), SignalClosed> {
    match timeout(WRITE_TIMEOUT, socket.send(message)).await {
        Ok(sent) => sent.map_err(closed),
        Err(_) => Err(closed("the server does not read")),
    }
}

fn closed(why: impl ToString) -> SignalClosed {
    SignalClosed { http_status: None, message: why.to_string() }
}

fn refused(response: &tokio_tungstenite::tungstenite::http::Response<Option<Vec<u8>>>) -> SignalClosed {
    let body = response.body().as_deref().unwrap_or_default();
    let message = String::from_utf8_lossy(body).trim().to_owned();
    SignalClosed { http_status: Some(response.status().as_u16()), message }
}
