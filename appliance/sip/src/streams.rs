//! How do messages go over a connection?
//!
//! [`read`] cuts a stream of octets into them, [`write`] puts them into one. How long a peer may take for anything is
//! said here for WebSockets, too ([`crate::websocket`]).

use crate::framing::{Frame, next_frame};
use crate::transport::{Arrival, Flow};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

pub(crate) const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// A connection that said nothing yet, and one that did.
pub(crate) const FIRST_MESSAGE: Duration = Duration::from_secs(30);
pub(crate) const IDLE: Duration = Duration::from_secs(3600);
pub(crate) const LINGER: Duration = Duration::from_secs(1);

/// Reads until the peer goes, or says what cannot be told apart.
pub(crate) async fn read(mut read: impl AsyncRead + Unpin, flow: Flow, arrivals: mpsc::Sender<Arrival>) {
    let mut buffer = Vec::with_capacity(4096);
    let mut patience = FIRST_MESSAGE;
    loop {
        match timeout(patience, read.read_buf(&mut buffer)).await {
            Ok(Ok(length)) if length > 0 => {}
            _ => return,
        }
        loop {
            let (length, go_on) = match next_frame(&buffer) {
                Frame::More => break,
                Frame::Blank => (2, true),
                Frame::Ping => {
                    let _ = flow.send(b"\r\n").await;
                    (4, true)
                }
                Frame::Message(length) => (length, true),
                Frame::Broken(length) => (length, false),
            };
            let message: Vec<u8> = buffer.drain(..length).collect();
            if length > 4 {
                patience = IDLE;
                if arrivals.send((message, flow.clone())).await.is_err() {
                    return;
                }
            }
            if !go_on {
                // Time for the refusal to be written and read.
                let _ = timeout(LINGER, drain(&mut read)).await;
                return;
            }
        }
    }
}

/// Reads to the end and forgets it.
async fn drain(read: &mut (impl AsyncRead + Unpin)) {
    let mut buffer = [0; 4096];
    while matches!(read.read(&mut buffer).await, Ok(length) if length > 0) {}
}

/// Writes what is queued, until the close.
pub(crate) async fn write(
    mut write: impl AsyncWrite + Unpin,
    mut queue: mpsc::Receiver<Vec<u8>>,
    closed: CancellationToken,
) {
    while let Some(bytes) = next_queued(&mut queue, &closed).await {
        // By TLS a write may end in a buffer; only the flush brings it out.
        let written = async {
            write.write_all(&bytes).await?;
            write.flush().await
        };
        if !matches!(timeout(WRITE_TIMEOUT, written).await, Ok(Ok(()))) {
            break;
        }
    }
    closed.cancel();
    // A peer that reads no more would keep us here.
    let _ = timeout(LINGER, write.shutdown()).await;
}

/// What is to be written, also what was queued just before the close.
pub(crate) async fn next_queued(queue: &mut mpsc::Receiver<Vec<u8>>, closed: &CancellationToken) -> Option<Vec<u8>> {
    tokio::select! {
        biased;
        bytes = queue.recv() => bytes,
        () = closed.cancelled() => None,
    }
}
