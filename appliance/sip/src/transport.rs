//! Which sockets carry SIP, and how do octets find their peer?
//!
//! One UDP socket and one TCP listener on the same port, and a listener for TLS, which WebSockets come to as well
//! ([`crate::websocket`]). A [`Flow`] is the way back to a peer: a UDP address or a connection. Connections are reused
//! while they live and dialled again when they do not; [`crate::streams`] reads and writes them. What came is queued for
//! the one reader, [`crate::endpoint`].

use crate::streams;
use crate::tls::Tls;
use crate::websocket::{self, Spoken};
use crate::{Seen, SipConfig, SipError, Tap};
use futures_util::StreamExt;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

const DIAL_TIMEOUT: Duration = Duration::from_secs(5);
const MAX_CONNECTIONS: usize = 2000;
const MAX_HANDSHAKES: usize = 128;
const OUT_QUEUE: usize = 512;
const IN_QUEUE: usize = 1024;
/// A free UDP port may be taken for TCP; so often another one is tried.
const PORT_TRIES: u32 = 16;

/// How a SIP message travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Transport {
    #[default]
    Udp,
    Tcp,
    Tls,
    /// A WebSocket in TLS, always opened by the phone (RFC 7118).
    Wss,
}

impl Transport {
    /// As in a Via (`UDP`); in lower case, as in a URI parameter.
    pub fn name(self) -> &'static str {
        match self {
            Transport::Udp => "UDP",
            Transport::Tcp => "TCP",
            Transport::Tls => "TLS",
            Transport::Wss => "WSS",
        }
    }

    /// Where SIP is when nobody says a port (RFC 3261 section 19.1.2).
    pub fn default_port(self) -> u16 {
        match self {
            Transport::Udp | Transport::Tcp => 5060,
            Transport::Tls => 5061,
            Transport::Wss => 443,
        }
    }

    /// The transport of that name, in any case. A URI says `ws` also of a WebSocket in TLS (RFC 7118 section 5.2.4).
    pub fn named(name: &str) -> Option<Transport> {
        let all = [Transport::Udp, Transport::Tcp, Transport::Tls, Transport::Wss];
        let known = all.into_iter().find(|one| one.name().eq_ignore_ascii_case(name));
        known.or_else(|| name.eq_ignore_ascii_case("ws").then_some(Transport::Wss))
    }

    /// Nobody on the way reads along.
    pub fn is_secret(self) -> bool {
        matches!(self, Transport::Tls | Transport::Wss)
    }
}

impl std::fmt::Display for Transport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// The way to a peer.
#[derive(Clone)]
pub(crate) struct Flow {
    pub peer: SocketAddr,
    local: SocketAddr,
    way: Way,
    tap: Tap,
}

#[derive(Clone)]
enum Way {
    Udp(Arc<UdpSocket>),
    Stream(Stream),
}

#[derive(Clone)]
struct Stream {
    /// One number for each connection that there ever was.
    id: u64,
    to: To,
    out: mpsc::Sender<Vec<u8>>,
    closed: CancellationToken,
}

/// Which connection a request may take: to that address and, by TLS, checked for that name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct To {
    transport: Transport,
    addr: SocketAddr,
    name: Option<String>,
}

impl Flow {
    pub fn transport(&self) -> Transport {
        match self.way {
            Way::Udp(_) => Transport::Udp,
            Way::Stream(Stream { ref to, .. }) => to.transport,
        }
    }

    /// Tells connections to one address apart; none for UDP.
    pub fn id(&self) -> Option<u64> {
        match &self.way {
            Way::Udp(_) => None,
            Way::Stream(stream) => Some(stream.id),
        }
    }

    /// Who the peer has proved to be, by TLS, when we dialled it.
    pub fn name(&self) -> Option<&str> {
        match &self.way {
            Way::Udp(_) => None,
            Way::Stream(stream) => stream.to.name.as_deref(),
        }
    }

    pub fn is_alive(&self) -> bool {
        match &self.way {
            Way::Udp(_) => true,
            Way::Stream(Stream { closed, .. }) => !closed.is_cancelled(),
        }
    }

    /// Fires when the connection is gone; never for UDP.
    pub fn closed(&self) -> CancellationToken {
        match &self.way {
            Way::Udp(_) => CancellationToken::new(),
            Way::Stream(Stream { closed, .. }) => closed.clone(),
        }
    }

    /// UDP: to `to` instead of the peer where the message says so.
    pub async fn send_to(&self, bytes: &[u8], to: SocketAddr) -> io::Result<()> {
        if self.is_alive() {
            self.tell(true, to, bytes);
        }
        match &self.way {
            Way::Udp(socket) => socket.send_to(bytes, to).await.map(|_| ()),
            Way::Stream(Stream { out, closed, .. }) => {
                if closed.is_cancelled() || out.try_send(bytes.to_vec()).is_err() {
                    closed.cancel();
                    return Err(io::ErrorKind::ConnectionReset.into());
                }
                Ok(())
            }
        }
    }

    pub async fn send(&self, bytes: &[u8]) -> io::Result<()> {
        self.send_to(bytes, self.peer).await
    }

    /// A message from the peer is let in.
    pub fn arrived(&self, bytes: &[u8]) {
        self.tell(false, self.peer, bytes);
    }

    fn tell(&self, sent: bool, peer: SocketAddr, bytes: &[u8]) {
        self.tap.tell(Seen { sent, transport: self.transport(), local: self.local, peer, bytes });
    }
}

/// Octets of one message and the way back to who sent them.
pub(crate) type Arrival = (Vec<u8>, Flow);

/// The sockets of one endpoint.
pub(crate) struct Sockets {
    pub local: SocketAddr,
    pub local_tls: Option<SocketAddr>,
    udp: Option<Arc<UdpSocket>>,
    tcp: bool,
    tls: Option<Tls>,
    tap: Tap,
    connections: Mutex<HashMap<To, Flow>>,
    next_id: AtomicU64,
    /// Places for peers that shake hands.
    handshakes: Arc<Semaphore>,
    arrivals: mpsc::Sender<Arrival>,
    cancel: CancellationToken,
}

impl Sockets {
    /// Binds and reads from then on, until `cancel`.
    pub async fn bind(
        config: &SipConfig,
        cancel: CancellationToken,
    ) -> Result<(Arc<Sockets>, mpsc::Receiver<Arrival>), SipError> {
        let mut opened = open(config).await;
        for _ in 1..PORT_TRIES {
            match opened {
                Err(SipError::Bind { ref source, .. })
                    if config.listen.port() == 0 && source.kind() == io::ErrorKind::AddrInUse =>
                {
                    opened = open(config).await;
                }
                _ => break,
            }
        }
        let (local, udp, listener) = opened?;
        let secure = open_tls(config.tls.as_ref()).await?;
        let (arrivals, queue) = mpsc::channel(IN_QUEUE);
        let sockets = Arc::new(Sockets {
            local,
            local_tls: secure.as_ref().map(|(_, local)| *local),
            udp,
            tcp: listener.is_some(),
            tls: config.tls.clone(),
            tap: config.tap.clone(),
            connections: Mutex::default(),
            next_id: AtomicU64::default(),
            handshakes: Arc::new(Semaphore::new(MAX_HANDSHAKES)),
            arrivals,
            cancel,
        });
        sockets.serve(listener, Transport::Tcp);
        sockets.serve(secure.map(|(listener, _)| listener), Transport::Tls);
        if let Some(udp) = sockets.udp() {
            tokio::spawn(sockets.clone().until_cancelled(read_udp(sockets.clone(), udp)));
        }
        Ok((sockets, queue))
    }

    pub fn udp(&self) -> Option<Arc<UdpSocket>> {
        self.udp.clone()
    }

    /// The way to `peer` by UDP.
    pub fn udp_flow(&self, peer: SocketAddr) -> Option<Flow> {
        let way = Way::Udp(self.udp()?);
        Some(Flow { peer, local: self.local, way, tap: self.tap.clone() })
    }

    fn serve(self: &Arc<Self>, listener: Option<TcpListener>, transport: Transport) {
        if let Some(listener) = listener {
            tokio::spawn(self.clone().until_cancelled(accept(self.clone(), listener, transport)));
        }
    }

    /// Where peers find us by that transport.
    pub fn port(&self, transport: Transport) -> u16 {
        self.local_tls.filter(|_| transport.is_secret()).unwrap_or(self.local).port()
    }

    async fn until_cancelled(self: Arc<Self>, work: impl Future<Output = ()>) {
        tokio::select! {
            () = self.cancel.cancelled() => {}
            () = work => {}
        }
    }

    /// The flow to `addr`: the UDP socket, the living connection to that address, or a new one. By TLS the peer
    /// must prove that it is `name`.
    pub async fn flow(self: &Arc<Self>, transport: Transport, addr: SocketAddr, name: &str) -> Result<Flow, SipError> {
        let off = SipError::TransportOff(transport);
        let name = (transport == Transport::Tls).then(|| name.to_owned());
        match transport {
            Transport::Udp => return self.udp_flow(addr).ok_or(off),
            Transport::Tcp if !self.tcp => return Err(off),
            Transport::Tls if self.tls.is_none() => return Err(off),
            Transport::Tcp | Transport::Tls | Transport::Wss => {}
        }
        let to = To { transport, addr, name };
        let known = self.connections.lock().get(&to).cloned();
        match known.filter(Flow::is_alive) {
            Some(flow) => Ok(flow),
            None if transport == Transport::Wss => Err(off),
            None => self.dial(to).await,
        }
    }

    async fn dial(self: &Arc<Self>, to: To) -> Result<Flow, SipError> {
        let stream = connect(to.addr).await?;
        let _ = stream.set_nodelay(true);
        let local = self.local_of(&stream, to.transport);
        match (&self.tls, &to.name) {
            (Some(tls), Some(name)) => {
                let stream = tls.connect(stream, name).await;
                let stream = stream.map_err(|source| SipError::NotTrusted { name: name.clone(), source })?;
                Ok(self.adopt(stream, to, local))
            }
            _ => Ok(self.adopt(stream, to, local)),
        }
    }

    /// Our end of it.
    fn local_of(&self, stream: &TcpStream, transport: Transport) -> SocketAddr {
        stream.local_addr().unwrap_or(SocketAddr::new(self.local.ip(), self.port(transport)))
    }

    /// A connection that is closed at once.
    pub async fn knock(&self, addr: SocketAddr) -> Result<(), SipError> {
        if self.tcp { connect(addr).await.map(drop) } else { Err(SipError::TransportOff(Transport::Tcp)) }
    }

    /// A handshake with whoever must prove to be `name`, and nothing after it; protocol and cipher.
    pub async fn shake_hands(&self, addr: SocketAddr, name: &str) -> Result<String, SipError> {
        let tls = self.tls.as_ref().ok_or(SipError::TransportOff(Transport::Tls))?;
        let shaken = tls.connect(connect(addr).await?, name).await;
        let stream = shaken.map_err(|source| SipError::NotTrusted { name: name.to_owned(), source })?;
        Ok(crate::tls::words_of(&stream))
    }

    fn adopt<S>(self: &Arc<Self>, stream: S, to: To, local: SocketAddr) -> Flow
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        let (read, write) = tokio::io::split(stream);
        let reader = |flow, arrivals| streams::read(read, flow, arrivals);
        self.keep(to, local, reader, |queue, closed| streams::write(write, queue, closed))
    }

    /// As [`Sockets::adopt`], of a WebSocket.
    fn adopt_messages<S>(self: &Arc<Self>, socket: WebSocketStream<S>, to: To, local: SocketAddr) -> Flow
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (write, read) = socket.split();
        let reader = |flow, arrivals| websocket::read(read, flow, arrivals);
        self.keep(to, local, reader, |queue, closed| websocket::write(write, queue, closed))
    }

    /// A connection from now on, with its two halves at work.
    fn keep<R, W>(
        self: &Arc<Self>,
        to: To,
        local: SocketAddr,
        reader: impl FnOnce(Flow, mpsc::Sender<Arrival>) -> R,
        writer: impl FnOnce(mpsc::Receiver<Vec<u8>>, CancellationToken) -> W,
    ) -> Flow
    where
        R: Future<Output = ()> + Send + 'static,
        W: Future<Output = ()> + Send + 'static,
    {
        let (out, queue) = mpsc::channel(OUT_QUEUE);
        let closed = self.cancel.child_token();
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let way = Way::Stream(Stream { id, to: to.clone(), out, closed: closed.clone() });
        let flow = Flow { peer: to.addr, local, way, tap: self.tap.clone() };
        self.connections.lock().insert(to.clone(), flow.clone());
        tokio::spawn(writer(queue, closed.clone()));
        let reader = reader(flow.clone(), self.arrivals.clone());
        let sockets = Arc::downgrade(self);
        tokio::spawn(async move {
            tokio::select! {
                () = closed.cancelled() => {}
                () = reader => closed.cancel(),
            }
            forget(&sockets, &to);
        });
        flow
    }

    /// A peer that dialled us; it is let go when too many are shaking hands.
    async fn welcome(self: Arc<Self>, stream: TcpStream, to: To) {
        let Ok(_place) = self.handshakes.clone().try_acquire_owned() else { return };
        let _ = stream.set_nodelay(true);
        let local = self.local_of(&stream, to.transport);
        match (&self.tls, to.transport) {
            (Some(tls), Transport::Tls) => match tls.accept(stream).await {
                Ok(stream) => self.begin(websocket::open(stream).await, to, local),
                Err(error) => info!(%error, peer.addr = %to.addr, "sip_tls_handshake_failed"),
            },
            _ => drop(self.adopt(stream, to, local)),
        }
    }

    /// Whatever the peer speaks in TLS.
    fn begin<S>(self: &Arc<Self>, spoken: io::Result<Spoken<S>>, to: To, local: SocketAddr)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        match spoken {
            Ok(Spoken::Sip(stream)) => drop(self.adopt(stream, to, local)),
            Ok(Spoken::WebSocket(socket)) => {
                drop(self.adopt_messages(*socket, To { transport: Transport::Wss, ..to }, local));
            }
            Err(error) => info!(%error, peer.addr = %to.addr, "sip_connection_not_begun"),
        }
    }
}

async fn connect(addr: SocketAddr) -> Result<TcpStream, SipError> {
    let attempt = timeout(DIAL_TIMEOUT, TcpStream::connect(addr)).await;
    let stream = attempt.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
    stream.map_err(|source| SipError::Unreachable { addr, source })
}

/// The sockets that `config` wants, on one port.
async fn open(config: &SipConfig) -> Result<(SocketAddr, Option<Arc<UdpSocket>>, Option<TcpListener>), SipError> {
    let failed = |addr| move |source| SipError::Bind { addr, source };
    let mut local = config.listen;
    let mut udp = None;
    if config.udp {
        let socket = UdpSocket::bind(local).await.map_err(failed(local))?;
        local = socket.local_addr().map_err(failed(local))?;
        udp = Some(Arc::new(socket));
    }
    let mut listener = None;
    if config.tcp {
        let socket = TcpListener::bind(local).await.map_err(failed(local))?;
        local = socket.local_addr().map_err(failed(local))?;
        listener = Some(socket);
    }
    Ok((local, udp, listener))
}

async fn open_tls(tls: Option<&Tls>) -> Result<Option<(TcpListener, SocketAddr)>, SipError> {
    let Some(addr) = tls.map(|tls| tls.listen) else { return Ok(None) };
    let failed = |source| SipError::Bind { addr, source };
    let listener = TcpListener::bind(addr).await.map_err(failed)?;
    let local = listener.local_addr().map_err(failed)?;
    Ok(Some((listener, local)))
}

/// Drops a dead connection from the table, never a newer one to the same peer.
fn forget(sockets: &Weak<Sockets>, to: &To) {
    let Some(sockets) = sockets.upgrade() else { return };
    let mut connections = sockets.connections.lock();
    if connections.get(to).is_some_and(|flow| !flow.is_alive()) {
        connections.remove(to);
    }
}

async fn read_udp(sockets: Arc<Sockets>, socket: Arc<UdpSocket>) {
    let mut buffer = vec![0; crate::guard::MAX_MESSAGE + 1];
    loop {
        match socket.recv_from(&mut buffer).await {
            Ok((length, peer)) => {
                let Some(flow) = sockets.udp_flow(peer) else { return };
                receive_datagram(&buffer[..length], flow, &sockets.arrivals).await;
            }
            // ICMP errors of earlier sends show up here; the socket itself is fine.
            Err(error) => debug!(%error, "sip_udp_receive_failed"),
        }
    }
}

/// One message and no more: a datagram, or a message of a WebSocket.
pub(crate) async fn receive_datagram(bytes: &[u8], flow: Flow, arrivals: &mpsc::Sender<Arrival>) {
    if bytes == b"\r\n\r\n" {
        let _ = flow.send(b"\r\n").await;
    } else if !bytes.iter().all(u8::is_ascii_whitespace) {
        let _ = arrivals.send((bytes.to_vec(), flow)).await;
    }
}

async fn accept(sockets: Arc<Sockets>, listener: TcpListener, transport: Transport) {
    loop {
        match listener.accept().await {
            Ok((stream, addr)) if sockets.connections.lock().len() < MAX_CONNECTIONS => {
                // A handshake takes its time; the next one need not wait for it.
                tokio::spawn(sockets.clone().welcome(stream, To { transport, addr, name: None }));
            }
            Ok((_, peer)) => warn!(peer.addr = %peer, "sip_tcp_connection_refused_too_many"),
            Err(error) => {
                // Out of file descriptors: give others time to close theirs.
                warn!(%error, "sip_tcp_accept_failed");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}
