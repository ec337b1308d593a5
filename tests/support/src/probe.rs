//! Is a part ready?
//!
//! Asked on the wire or told by the part itself, never assumed after a while.

use anyhow::Context;
use std::{path::PathBuf, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UnixDatagram},
};

#[derive(Clone, Debug)]
pub enum Probe {
    /// Answers PING on this port.
    Redis(u16),
    /// Answers HTTP there, with whatever status below 500.
    Http(String),
    /// Sends `READY=1` to this socket, as systemd asks of its services.
    Notify(PathBuf),
    /// Nobody asks.
    #[cfg(test)]
    None,
}

const PAUSE: Duration = Duration::from_millis(50);

impl Probe {
    /// Returns when the part is ready; the caller sets the limit.
    pub async fn ready(&self, inbox: Option<&UnixDatagram>) -> anyhow::Result<()> {
        match (self, inbox) {
            (Self::Notify(_), Some(inbox)) => told(inbox).await,
            _ => {
                while self.ask().await.is_err() {
                    tokio::time::sleep(PAUSE).await;
                }
                Ok(())
            }
        }
    }

    /// The socket a part reports to, bound before it starts.
    pub fn inbox(&self) -> anyhow::Result<Option<UnixDatagram>> {
        let Self::Notify(path) = self else {
            return Ok(None);
        };
        if path.exists() {
            std::fs::remove_file(path)?;
        }
        let inbox = UnixDatagram::bind(path).with_context(|| format!("cannot bind {}", path.display()))?;
        Ok(Some(inbox))
    }

    async fn ask(&self) -> anyhow::Result<()> {
        match self {
            Self::Redis(port) => ping(*port).await,
            Self::Http(url) => {
                let answer = reqwest::get(url).await?;
                anyhow::ensure!(!answer.status().is_server_error(), "{}", answer.status());
                Ok(())
            }
            Self::Notify(path) => anyhow::bail!("{} is not bound", path.display()),
            #[cfg(test)]
            Self::None => Ok(()),
        }
    }
}

async fn ping(port: u16) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect((crate::ports::HOST, port)).await?;
    stream.write_all(b"PING\r\n").await?;
    let mut answer = [0; 7];
    stream.read_exact(&mut answer).await?;
    anyhow::ensure!(&answer == b"+PONG\r\n", "not a Redis");
    Ok(())
}

async fn told(inbox: &UnixDatagram) -> anyhow::Result<()> {
    let mut message = [0; 4096];
    loop {
        let length = inbox.recv(&mut message).await?;
        if String::from_utf8_lossy(&message[..length]).lines().any(|line| line == "READY=1") {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_part_is_ready_when_it_says_so_and_not_before() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify.sock");
        let probe = Probe::Notify(path.clone());
        let inbox = probe.inbox().unwrap();
        let part = UnixDatagram::unbound().unwrap();
        part.send_to(b"STATUS=waiting for Redis", &path).await.unwrap();
        let early = tokio::time::timeout(Duration::from_millis(20), probe.ready(inbox.as_ref())).await;
        assert!(early.is_err());
        part.send_to(b"READY=1\nSTATUS=serving", &path).await.unwrap();
        probe.ready(inbox.as_ref()).await.unwrap();
    }
}
