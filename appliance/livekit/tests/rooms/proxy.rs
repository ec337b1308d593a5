//! A TCP hop in front of livekit-server whose lines a test can cut.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};

pub struct Proxy {
    address: SocketAddr,
    cut: Arc<Notify>,
    open: watch::Sender<bool>,
}

impl Proxy {
    pub async fn start(target_port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let cut = Arc::new(Notify::new());
        let (open, is_open) = watch::channel(true);
        let all = cut.clone();
        tokio::spawn(async move {
            while let Ok((line, _)) = listener.accept().await {
                if *is_open.borrow() {
                    tokio::spawn(carry(line, target_port, all.clone()));
                }
            }
        });
        Self { address, cut, open }
    }

    pub fn url(&self) -> String {
        format!("ws://{}", self.address)
    }

    /// Ends every line; new ones are carried.
    pub fn cut(&self) {
        self.cut.notify_waiters();
    }

    /// While closed, every new line ends at once.
    pub fn set_open(&self, open: bool) {
        self.open.send_replace(open);
    }
}

async fn carry(mut line: TcpStream, target_port: u16, cut: Arc<Notify>) {
    let cut = cut.notified();
    let mut target = TcpStream::connect(("127.0.0.1", target_port)).await.unwrap();
    tokio::select! {
        () = cut => {}
        _ = tokio::io::copy_bidirectional(&mut line, &mut target) => {}
    }
}
