//! Who repeats, matches and times out messages?
//!
//! RFC 3261 section 17: transactions. This is the only file that names `rsipstack`, whose
//! transaction layer does that work; sockets, parsing of what comes in, dialogs and digests are ours.
//! It sees our sockets through its own connection types, so that nothing is sent past us.
//!
//! Deviations mended here: a 2xx to our INVITE is acknowledged by the dialog (`auto_ack_2xx` off),
//! writes never fail towards a transaction (a lost datagram is repeated, a lost stream dialled again).

use crate::message::{Headers, Request, Response, split};
use crate::transport::{Flow, Sockets, Transport};
use futures_util::FutureExt;
use parking_lot::Mutex;
use rsipstack::sip::SipMessage;
use rsipstack::transaction::endpoint::{EndpointInner, EndpointInnerRef, EndpointOption};
use rsipstack::transaction::key::{TransactionKey, TransactionRole};
use rsipstack::transaction::transaction::{Transaction, TransactionEvent, TransactionEventSender};
use rsipstack::transaction::{TransactionReceiver, TransactionState};
use rsipstack::transport::channel::ChannelConnection;
use rsipstack::transport::udp::UdpConnection;
use rsipstack::transport::{SipAddr, SipConnection, TransportEvent, TransportLayer};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error};

/// 64 times T1: how long a transaction may wait for the other side.
pub(crate) const T1X64: Duration = Duration::from_secs(32);

pub(crate) struct Stack {
    endpoint: EndpointInnerRef,
    arrivals: Mutex<TransactionReceiver>,
    sockets: Arc<Sockets>,
    udp: Option<UdpConnection>,
    /// By the flow's id: two connections to one address may be for two names.
    streams: Mutex<HashMap<u64, (SipConnection, Flow)>>,
    cancel: CancellationToken,
}

/// A request that waits for our answer.
pub(crate) struct ServerTransaction {
    inner: Transaction,
    pub request: Request,
    pub flow: Flow,
}

/// What an INVITE transaction hears after the INVITE.
pub(crate) enum Heard {
    Ack(Request),
    /// 200 to the CANCEL is sent.
    Cancel,
}

/// Sends answers into a running transaction from elsewhere.
#[derive(Clone)]
pub(crate) struct Responder {
    sender: TransactionEventSender,
    key: TransactionKey,
}

impl Stack {
    pub async fn start(user_agent: &str, sockets: Arc<Sockets>, cancel: CancellationToken) -> Option<Stack> {
        let udp = match sockets.udp() {
            None => None,
            Some(socket) => {
                let datagrams = Arc::new(Datagrams { socket, sockets: sockets.clone() });
                Some(UdpConnection::from_socket(datagrams, None, None).await.ok()?)
            }
        };
        let option = EndpointOption { auto_ack_2xx: false, timerc: Duration::from_secs(3600), ..Default::default() };
        let mut builder = rsipstack::EndpointBuilder::new();
        builder
            .with_user_agent(user_agent)
            .with_option(option)
            .with_cancel_token(cancel.child_token())
            .with_transport_layer(TransportLayer::new(cancel.child_token()));
        let endpoint = builder.build();
        let arrivals = Mutex::new(endpoint.incoming_transactions().ok()?);
        tokio::spawn(run_timers(endpoint.inner.clone(), cancel.clone()));
        Some(Stack { endpoint: endpoint.inner, arrivals, sockets, udp, streams: Mutex::default(), cancel })
    }

    /// Takes a message that the guard let through; gives a transaction when it opens one.
    /// One caller at a time, so that the transaction found is the one this message opened.
    pub async fn take(self: &Arc<Self>, bytes: &[u8], flow: &Flow) -> Option<ServerTransaction> {
        let parsed = std::panic::catch_unwind(|| SipMessage::try_from(bytes));
        let message = match parsed {
            Ok(Ok(message)) => message,
            Ok(Err(error)) => {
                debug!(%error, "sip_message_not_parsed");
                return None;
            }
            Err(_) => {
                error!(peer.addr = %flow.peer, "sip_parser_panicked");
                return None;
            }
        };
        let connection = self.connection(flow).await?;
        let from = sip_addr(flow.transport(), flow.peer);
        let work = AssertUnwindSafe(self.endpoint.on_received_message(message, connection, &from)).catch_unwind();
        match work.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => debug!(%error, peer.addr = %flow.peer, "sip_message_not_handled"),
            Err(_) => error!(peer.addr = %flow.peer, "sip_stack_panicked"),
        }
        let inner = self.arrivals.lock().try_recv().ok()?;
        let request = own_request(&inner.original)?;
        Some(ServerTransaction { inner, request, flow: flow.clone() })
    }

    /// Sends `request`; its responses come through the channel, which closes after the final one.
    pub async fn send(self: &Arc<Self>, request: &Request, flow: &Flow) -> Option<mpsc::Receiver<Response>> {
        let SipMessage::Request(original) = SipMessage::try_from(request.to_bytes().as_slice()).ok()? else {
            return None;
        };
        let key = TransactionKey::from_request(&original, TransactionRole::Client).ok()?;
        let connection = self.connection(flow).await?;
        let mut transaction = Transaction::new_client(key, original, self.endpoint.clone(), Some(connection));
        transaction.destination = Some(sip_addr(flow.transport(), flow.peer));
        let (responses, receiver) = mpsc::channel(16);
        let cancel = self.cancel.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = cancel.cancelled() => {}
                () = AssertUnwindSafe(run_client(transaction, responses)).catch_unwind().map(|_| ()) => {}
            }
        });
        Some(receiver)
    }

    async fn connection(self: &Arc<Self>, flow: &Flow) -> Option<SipConnection> {
        let Some(id) = flow.id() else { return self.udp.clone().map(SipConnection::Udp) };
        if let Some((known, _)) = self.streams.lock().get(&id).filter(|(_, known)| known.is_alive()) {
            return Some(known.clone());
        }
        self.adopt_stream(id, flow).await
    }

    async fn adopt_stream(self: &Arc<Self>, id: u64, flow: &Flow) -> Option<SipConnection> {
        let (_, nothing) = rsipstack::platform::mpsc::unbounded_channel();
        let (out, queue) = rsipstack::platform::mpsc::unbounded_channel();
        let addr = sip_addr(flow.transport(), flow.peer);
        let channel = ChannelConnection::create_connection(nothing, out, addr, None).await.ok()?;
        let connection = SipConnection::Channel(channel);
        self.streams.lock().insert(id, (connection.clone(), flow.clone()));
        tokio::spawn(carry(queue, flow.clone(), self.sockets.clone(), Arc::downgrade(self)));
        Some(connection)
    }
}

/// Moves what transactions send from their channel to the stream.
async fn carry(
    mut queue: rsipstack::transport::connection::TransportReceiver,
    flow: Flow,
    sockets: Arc<Sockets>,
    stack: std::sync::Weak<Stack>,
) {
    let closed = flow.closed();
    let mut listed = true;
    loop {
        let event = tokio::select! {
            event = queue.recv() => event,
            () = closed.cancelled(), if listed => {
                listed = false;
                unlist(&stack, &flow);
                continue;
            }
        };
        let Some(event) = event else { return };
        if let TransportEvent::Incoming(message, _, _) = event {
            let bytes = message.to_bytes();
            if flow.send(&bytes).await.is_err() && message.is_response() {
                send_elsewhere(&bytes, &flow, &sockets).await;
            }
        }
    }
}

fn unlist(stack: &std::sync::Weak<Stack>, flow: &Flow) {
    if let Some((stack, id)) = stack.upgrade().zip(flow.id()) {
        stack.streams.lock().remove(&id);
    }
}

/// RFC 3261 section 18.2.2: a response whose connection is gone goes to a new one, to the Via's address.
async fn send_elsewhere(bytes: &[u8], flow: &Flow, sockets: &Arc<Sockets>) {
    let via = split(bytes).and_then(|raw| crate::header::Via::parse(raw.headers.first("Via")?));
    let Some(via) = via else { return };
    let transport = flow.transport();
    let to = SocketAddr::new(flow.peer.ip(), via.port.unwrap_or(transport.default_port()));
    if let Ok(flow) = sockets.flow(transport, to, &via.host).await {
        let _ = flow.send(bytes).await;
    }
}

async fn run_timers(endpoint: Arc<EndpointInner>, cancel: CancellationToken) {
    loop {
        let work = AssertUnwindSafe(endpoint.process_timer()).catch_unwind();
        tokio::select! {
            () = cancel.cancelled() => return,
            outcome = work => if outcome.is_err() { error!("sip_timer_panicked") },
        }
    }
}

async fn run_client(mut transaction: Transaction, responses: mpsc::Sender<Response>) {
    if let Err(error) = transaction.send().await {
        debug!(%error, "sip_request_not_sent");
        return;
    }
    while let Some(message) = transaction.receive().await {
        let SipMessage::Response(response) = message else { continue };
        let Some(response) = own_response(&response) else { continue };
        let last = !response.is_provisional();
        // Nobody listens: the transaction still absorbs what comes.
        let _ = responses.send(response).await;
        if last {
            break;
        }
    }
}

impl ServerTransaction {
    pub fn responder(&self) -> Responder {
        Responder { sender: self.inner.tu_sender.clone(), key: self.inner.key.clone() }
    }

    pub async fn respond(&mut self, response: &Response) {
        let Some(response) = foreign_response(response) else { return };
        if let Err(error) = self.inner.respond(response).await {
            debug!(%error, "sip_response_not_sent");
        }
    }

    /// Repeats our last answer as needed; `None` when the transaction is over.
    pub async fn receive(&mut self) -> Option<Heard> {
        loop {
            if self.inner.state == TransactionState::Terminated {
                return None;
            }
            let SipMessage::Request(request) = self.inner.receive().await? else { continue };
            match request.method {
                rsipstack::sip::Method::Ack => return own_request(&request).map(Heard::Ack),
                rsipstack::sip::Method::Cancel => return Some(Heard::Cancel),
                _ => {}
            }
        }
    }
}

impl Responder {
    pub fn respond(&self, response: &Response) {
        if let Some(response) = foreign_response(response) {
            let _ = self.sender.send(TransactionEvent::Respond(response));
        }
    }

    /// Ends the transaction without an answer.
    pub fn abandon(&self) {
        let _ = self.sender.send(TransactionEvent::Terminate(self.key.clone()));
    }
}

/// The stack's view of our UDP socket; a failed write counts as a lost datagram.
struct Datagrams {
    socket: Arc<UdpSocket>,
    sockets: Arc<Sockets>,
}

#[async_trait::async_trait]
impl rsipstack::platform::net::UdpSocket for Datagrams {
    async fn recv_from(&self, buffer: &mut [u8]) -> rsipstack::Result<(usize, SocketAddr)> {
        Ok(self.socket.recv_from(buffer).await?)
    }

    async fn send_to(&self, bytes: &[u8], addr: SocketAddr) -> rsipstack::Result<usize> {
        if let Some(flow) = self.sockets.udp_flow(addr)
            && let Err(error) = flow.send(bytes).await
        {
            debug!(%error, peer.addr = %addr, "sip_udp_send_failed");
        }
        Ok(bytes.len())
    }

    fn local_addr(&self) -> rsipstack::Result<SocketAddr> {
        Ok(self.socket.local_addr()?)
    }
}

fn sip_addr(transport: Transport, addr: SocketAddr) -> SipAddr {
    let transport = match transport {
        Transport::Udp => rsipstack::sip::Transport::Udp,
        Transport::Tcp => rsipstack::sip::Transport::Tcp,
        Transport::Tls => rsipstack::sip::Transport::Tls,
        Transport::Wss => rsipstack::sip::Transport::Wss,
    };
    SipAddr { r#type: Some(transport), addr: addr.into() }
}

fn foreign_response(response: &Response) -> Option<rsipstack::sip::Response> {
    let Ok(SipMessage::Response(mut foreign)) = SipMessage::try_from(response.to_bytes().as_slice()) else {
        return None;
    };
    // It writes its own words for codes it knows, unless the code is "other".
    if foreign.wire_reason.is_some() && response.code != 100 {
        foreign.status_code = rsipstack::sip::StatusCode::Other(response.code, response.reason.clone());
    }
    Some(foreign)
}

fn own_request(request: &rsipstack::sip::Request) -> Option<Request> {
    let raw = split(&request.to_bytes())?;
    let uri = raw.start.split(' ').nth(1)?.to_owned();
    Some(Request {
        method: request.method.to_string(),
        uri,
        headers: stripped(raw.headers),
        body: request.body.clone(),
    })
}

fn own_response(response: &rsipstack::sip::Response) -> Option<Response> {
    let raw = split(&response.to_bytes())?;
    let mut words = raw.start.splitn(3, ' ').skip(1);
    let code = words.next()?.parse().ok()?;
    let reason = response.wire_reason.clone().or(words.next().map(str::to_owned)).unwrap_or_default();
    Some(Response { code, reason, headers: stripped(raw.headers), body: response.body.clone() })
}

/// The length belongs to the wire.
fn stripped(mut headers: Headers) -> Headers {
    headers.remove("Content-Length");
    headers
}

/// SRV and address look-ups with the stack's resolver.
pub(crate) struct NameResolver(rsipstack::resolver::SipResolver);

impl NameResolver {
    pub fn new() -> Self {
        NameResolver(rsipstack::resolver::SipResolver::new())
    }

    /// In the order in which they are to be tried; none when the name leads nowhere.
    pub async fn lookup(&self, target: &crate::resolve::Target) -> Vec<SocketAddr> {
        let domain = rsipstack::sip::Domain::from(target.host.clone());
        let port = target.port.map(Into::into);
        let transport = sip_addr(target.transport, ([0, 0, 0, 0], 0).into()).r#type;
        let found = self.0.lookup(&domain, port, transport, false).await.unwrap_or_default();
        found.into_iter().map(|found| found.addr).collect()
    }
}
