//! What do calls, registrations and the endpoint share?
//!
//! The sockets, the transaction stack, the table of dialogs, and how a request of ours is made, sent
//! and answered. Nothing here decides about a call.

use crate::auth::{MAX_TRIES, Proofs};
use crate::dialog::Inner;
use crate::digest::NonceKey;
use crate::ids::new_branch;
use crate::message::{Headers, Request, Response};
use crate::offenders::{Offender, Offenders};
use crate::outbound::Offer;
use crate::register::Binding;
use crate::registrar::Registrar;
use crate::reliable::Waiting;
use crate::resolve::{Resolver, Target};
use crate::stack::Stack;
use crate::transport::{Flow, Sockets, Transport};
use crate::uri::bracketed;
use crate::{SipConfig, SipError};
use parking_lot::Mutex;
use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{broadcast, mpsc};

/// Who says nothing for so long, not even 100, is not there.
const SILENCE: Duration = Duration::from_secs(4);

/// Call-ID, our tag, the peer's tag.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct DialogId {
    pub call_id: String,
    pub local_tag: String,
    pub remote_tag: String,
}

pub(crate) struct Core {
    pub config: SipConfig,
    pub sockets: Arc<Sockets>,
    pub stack: Arc<Stack>,
    pub dialogs: Mutex<HashMap<DialogId, Arc<Inner>>>,
    /// Answered INVITEs of ours, by Call-ID and our tag: a second branch may answer too.
    pub answered: Mutex<HashMap<(String, String), Arc<Offer>>>,
    /// INVITEs of ours that are not answered yet, by Call-ID and our tag.
    pub inviting: Mutex<HashSet<(String, String)>>,
    /// Call-ID, From-tag and CSeq of INVITEs being served (RFC 3261 section 8.2.2.2).
    pub serving: Mutex<HashSet<(String, String, u32)>>,
    /// Reliable provisional responses of ours that wait for their PRACK.
    pub unacknowledged: Mutex<HashMap<DialogId, Waiting>>,
    pub registrations: Mutex<HashMap<String, Binding>>,
    pub nonces: NonceKey,
    pub resolver: Resolver,
    pub registrar: Registrar,
    pub offenders: Mutex<Offenders>,
    /// Whoever wants to hear of offenders.
    pub offended: broadcast::Sender<Offender>,
}

impl Core {
    /// Where we are, for the peer at the other end of `flow`.
    pub fn contact(&self, user: &str, flow: &Flow) -> String {
        let at = if user.is_empty() { String::new() } else { format!("{}@", escape_user(user)) };
        let suffix = match flow.transport() {
            Transport::Udp => "",
            Transport::Tcp => ";transport=tcp",
            Transport::Tls => ";transport=tls",
            Transport::Wss => ";transport=ws",
        };
        format!("<sip:{at}{}{suffix}>", self.sent_by(flow))
    }

    fn sent_by(&self, flow: &Flow) -> String {
        let ip = self.config.advertise.towards(flow.peer.ip());
        format!("{}:{}", bracketed(&ip.to_string()), self.sockets.port(flow.transport()))
    }

    pub fn via(&self, flow: &Flow) -> String {
        format!("SIP/2.0/{} {};branch={};rport", flow.transport().name(), self.sent_by(flow), new_branch())
    }

    /// A request with what every request has; the caller adds who and what.
    pub fn request(&self, method: &str, uri: &str, flow: &Flow) -> Request {
        let mut headers = Headers::default();
        headers.push("Via", self.via(flow));
        headers.push("Max-Forwards", "70");
        headers.push("User-Agent", self.config.user_agent.clone());
        Request { method: method.to_owned(), uri: uri.to_owned(), headers, body: Vec::new() }
    }

    /// Of several addresses the first that takes a connection, which is kept; by UDP, which has none, the first that was
    /// not silent.
    pub async fn resolve(&self, target: &Target) -> Result<SocketAddr, SipError> {
        let found = self.resolver.resolve(target).await?;
        if found.len() > 1
            && let Ok(flow) = self.flow_among(&found, target, &target.host).await
        {
            return Ok(flow.peer);
        }
        found.first().copied().ok_or_else(|| unresolved(target))
    }

    pub async fn flow_to(&self, target: &Target) -> Result<Flow, SipError> {
        self.flow_as(target, &target.host).await
    }

    /// To `target`, which must prove by TLS that it is `name`.
    pub async fn flow_as(&self, target: &Target, name: &str) -> Result<Flow, SipError> {
        self.flow_among(&self.resolver.resolve(target).await?, target, name).await
    }

    /// To the first that takes a connection; the error is that of the first that did not. Who takes one and is not who
    /// it should be is an error at once.
    async fn flow_among(&self, found: &[SocketAddr], target: &Target, name: &str) -> Result<Flow, SipError> {
        let mut refused = None;
        for addr in found {
            match self.sockets.flow(target.transport, *addr, name).await {
                Err(error) if !matches!(error, SipError::NotTrusted { .. }) => refused = refused.or(Some(error)),
                decided => return decided,
            }
        }
        Err(refused.unwrap_or_else(|| unresolved(target)))
    }

    /// Starts a client transaction.
    pub async fn send(&self, request: &Request, flow: &Flow) -> Result<mpsc::Receiver<Response>, SipError> {
        let started = self.stack.send(request, flow).await;
        started.ok_or_else(|| SipError::BadAddress(request.uri.clone()))
    }

    /// One transaction; its final response, 408 for silence.
    pub async fn exchange(&self, request: &Request, flow: &Flow) -> Result<Response, SipError> {
        let mut listening = Listening::to(self, flow);
        let mut responses = self.send(request, flow).await?;
        while let Some(response) = responses.recv().await {
            listening.answered = true;
            if !response.is_provisional() {
                return Ok(response);
            }
        }
        Ok(Response::to_request(request, 408, None, None))
    }

    /// As `exchange`, answering challenges; each try takes a new CSeq.
    pub async fn exchange_proven(
        &self,
        mut request: Request,
        flow: &Flow,
        proofs: &mut Proofs,
        mut next_cseq: impl FnMut() -> u32,
    ) -> Result<Response, SipError> {
        let mut tries = 1;
        loop {
            self.renew(&mut request, flow, next_cseq());
            proofs.apply(&mut request);
            let response = self.exchange(&request, flow).await?;
            if tries == MAX_TRIES || !proofs.learn(&response) {
                return Ok(response);
            }
            tries += 1;
        }
    }

    /// A new try of the same request is a new transaction.
    pub fn renew(&self, request: &mut Request, flow: &Flow, cseq: u32) {
        let via = self.via(flow);
        request.headers.set("CSeq", format!("{cseq} {}", request.method));
        request.headers.0.retain(|(name, _)| !name.eq_ignore_ascii_case("via"));
        request.headers.0.insert(0, ("Via".to_owned(), via));
    }

    /// An answer to a challenge of ours was right or wrong.
    pub fn tried(&self, address: IpAddr, right: bool) {
        let address = address.to_canonical();
        let mut offenders = self.offenders.lock();
        if right {
            return offenders.proved(address);
        }
        if let Some(offender) = offenders.failed(address, Instant::now()) {
            let _ = self.offended.send(offender); // nobody may care
        }
    }

    /// A response in our name.
    pub fn answer(&self, request: &Request, code: u16, reason: Option<&str>, tag: Option<&str>) -> Response {
        let mut response = Response::to_request(request, code, reason, tag);
        response.headers.push("Server", self.config.user_agent.clone());
        response
    }
}

fn unresolved(target: &Target) -> SipError {
    SipError::Unresolved(target.host.clone())
}

/// Whether whoever was asked says anything: noted when nobody listens any more, however that came.
pub(crate) struct Listening<'a> {
    core: &'a Core,
    peer: SocketAddr,
    since: Instant,
    pub answered: bool,
}

impl<'a> Listening<'a> {
    pub fn to(core: &'a Core, flow: &Flow) -> Self {
        Listening { core, peer: flow.peer, since: Instant::now(), answered: false }
    }

    pub fn note(&self) {
        if self.answered || self.since.elapsed() >= SILENCE {
            self.core.resolver.heard(self.peer, self.answered);
        }
    }
}

impl Drop for Listening<'_> {
    fn drop(&mut self) {
        self.note();
    }
}

/// A user part may hold what phone numbers and names need; the rest is escaped.
pub(crate) fn escape_user(user: &str) -> String {
    let mut out = String::new();
    for byte in user.bytes() {
        match byte {
            b if b.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,;?/".contains(&b) => out.push(byte as char),
            _ => out += &format!("%{byte:02X}"),
        }
    }
    out
}
