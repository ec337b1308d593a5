//! Where does each message that arrives go?
//!
//! To the guard, then to the transaction it repeats or answers, then to the dialog it names; an
//! INVITE without a dialog becomes an [`InboundCall`]. OPTIONS is answered here.

use crate::core::Core;
use crate::dialog::Inner;
use crate::digest::NonceKey;
use crate::guard::{ALLOW, Verdict, judge};
use crate::header::{Via, cseq, tag_of};
use crate::inbound::{Unfit, merge_key, read_invite};
use crate::message::{Request, Response};
use crate::offenders::Offender;
use crate::register::{RegisterOutcome, RegisterRequest};
use crate::registrar::{self, Account, Contact, Registrar};
use crate::resolve::Resolver;
use crate::stack::{ServerTransaction, Stack};
use crate::transport::{Arrival, Flow, Sockets, Transport};
use crate::{InboundCall, OutboundCall, OutboundInvite, Replaces, SipConfig, SipError};
use parking_lot::Mutex;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::{broadcast, mpsc};
use tokio_util::sync::CancellationToken;
use tracing::debug;

/// Calls that wait for the gateway to look at them; more are told to come back.
const WAITING_CALLS: usize = 256;
/// Offenders that wait to be heard of; an older one will fail again.
const WAITING_OFFENDERS: usize = 64;

/// Our side of SIP. Clones are handles to the same sockets.
#[derive(Clone)]
pub struct Endpoint(pub(crate) Arc<Core>);

impl Endpoint {
    /// Binds, answers from then on, and gives the calls that come in; ends with `cancel`.
    pub async fn bind(
        config: SipConfig,
        cancel: CancellationToken,
    ) -> Result<(Endpoint, mpsc::Receiver<InboundCall>), SipError> {
        let (sockets, queue) = Sockets::bind(&config, cancel.clone()).await?;
        let stack = Stack::start(&config.user_agent, sockets.clone(), cancel.clone()).await;
        let nonces = NonceKey::new(crate::ids::new_key());
        let core = Arc::new(Core {
            registrar: Registrar::new(config.phones.clone(), nonces.clone()),
            stack: Arc::new(stack.ok_or(SipError::Ended)?),
            config,
            sockets,
            dialogs: Mutex::default(),
            answered: Mutex::default(),
            inviting: Mutex::default(),
            serving: Mutex::default(),
            unacknowledged: Mutex::default(),
            registrations: Mutex::default(),
            nonces,
            resolver: Resolver::default(),
            offenders: Mutex::default(),
            offended: broadcast::Sender::new(WAITING_OFFENDERS),
        });
        let (calls, receiver) = mpsc::channel(WAITING_CALLS);
        tokio::spawn(cancel.clone().run_until_cancelled_owned(registrar::keep_alive(core.clone())));
        tokio::spawn(serve(core.clone(), queue, calls, cancel));
        Ok((Endpoint(core), receiver))
    }

    /// The bound address; the port is the same for UDP and TCP.
    pub fn local_addr(&self) -> SocketAddr {
        self.0.sockets.local
    }

    /// Where we listen for TLS.
    pub fn tls_addr(&self) -> Option<SocketAddr> {
        self.0.sockets.local_tls
    }

    /// Addresses that gave too many wrong passwords, from now on.
    pub fn offenders(&self) -> broadcast::Receiver<Offender> {
        self.0.offended.subscribe()
    }

    /// Where a call to `uri` goes, for whoever must know before making its offer. `transport` beats the URI's.
    pub async fn locate(&self, uri: &str, transport: Option<Transport>) -> Result<SocketAddr, SipError> {
        self.0.resolve(&crate::outbound::uri_target(uri, transport)?).await
    }

    pub async fn invite(&self, invite: OutboundInvite) -> Result<OutboundCall, SipError> {
        crate::outbound::start(self.0.clone(), invite).await
    }

    /// A call to several phones at once; the first that answers has it. They need not all be reachable.
    pub async fn invite_all(&self, invites: Vec<OutboundInvite>) -> Result<OutboundCall, SipError> {
        let (mut calls, mut refusal) = (Vec::new(), SipError::Ended);
        for invite in invites {
            match self.invite(invite).await {
                Ok(call) => calls.push(call),
                Err(error) => refusal = error,
            }
        }
        match calls.len() {
            1 => calls.pop(),
            _ => crate::fork::merge(calls),
        }
        .ok_or(refusal)
    }

    /// Is this an answered call of ours that goes on?
    pub fn has_dialog(&self, named: &Replaces) -> bool {
        self.0.dialogs.lock().get(&named.id()).is_some_and(|dialog| !dialog.state.lock().ended)
    }

    /// Who may register, all of them.
    pub fn set_accounts(&self, accounts: Vec<Account>) {
        self.0.registrar.set_accounts(accounts);
    }

    /// Where the phones of an account are, the last one that registered first.
    pub fn contacts(&self, key: &str) -> Vec<Contact> {
        self.0.registrar.contacts(key)
    }

    /// One REGISTER, challenges answered; never an error, always an outcome with words.
    pub async fn register(&self, request: &RegisterRequest) -> RegisterOutcome {
        crate::register::register(&self.0, request).await
    }
}

async fn serve(
    core: Arc<Core>,
    mut queue: mpsc::Receiver<Arrival>,
    calls: mpsc::Sender<InboundCall>,
    cancel: CancellationToken,
) {
    loop {
        let arrival = tokio::select! {
            () = cancel.cancelled() => return,
            arrival = queue.recv() => arrival,
        };
        let Some((bytes, flow)) = arrival else { return };
        receive(&core, &bytes, flow, &calls).await;
    }
}

async fn receive(core: &Arc<Core>, bytes: &[u8], flow: Flow, calls: &mpsc::Sender<InboundCall>) {
    let verdict = judge(bytes);
    if !matches!(verdict, Verdict::Drop(_)) {
        flow.arrived(bytes);
    }
    match verdict {
        Verdict::Drop(why) => debug!(why, peer.addr = %flow.peer, "sip_message_dropped"),
        Verdict::Refuse(response) => refuse(core, response, &flow).await,
        Verdict::Response(mut response) => {
            tighten(&mut response.headers);
            if !absorb(core, &response, &flow).await {
                core.stack.take(&response.to_bytes(), &flow).await;
            }
        }
        Verdict::Request(request) if core.config.hide && is_stray(core, &request, &flow) => {
            debug!(peer.addr = %flow.peer, "sip_register_ignored");
        }
        Verdict::Request(mut request) => {
            stamp(&mut request.headers, flow.peer);
            tighten(&mut request.headers);
            if let Some(transaction) = core.stack.take(&request.to_bytes(), &flow).await {
                dispatch(core, transaction, calls);
            }
        }
    }
}

/// A REGISTER from where no phone of ours is.
fn is_stray(core: &Core, request: &Request, flow: &Flow) -> bool {
    request.method == "REGISTER" && !core.registrar.listens_to(flow.peer.ip())
}

/// Writes into the topmost Via where the request came from.
fn stamp(headers: &mut crate::message::Headers, source: SocketAddr) {
    let via = headers.0.iter_mut().find(|(name, _)| name.eq_ignore_ascii_case("via"));
    if let Some((_, value)) = via
        && let Some(stamped) = Via::stamp(value, source)
    {
        *value = stamped;
    }
}

/// The transaction layer reads tags only in their plain form.
fn tighten(headers: &mut crate::message::Headers) {
    for (name, value) in &mut headers.0 {
        if (name.eq_ignore_ascii_case("from") || name.eq_ignore_ascii_case("to"))
            && let Some(tight) = crate::header::tightened(value)
        {
            *value = tight;
        }
    }
}

/// No transaction for what is not sound.
async fn refuse(core: &Core, mut response: Response, flow: &Flow) {
    debug!(sip.code = response.code, why = response.reason, peer.addr = %flow.peer, "sip_message_refused");
    let via = response.headers.first("Via").and_then(Via::parse);
    stamp(&mut response.headers, flow.peer);
    response.headers.push("Server", core.config.user_agent.clone());
    let to = via.map_or(flow.peer, |via| via.response_address(flow.peer));
    let _ = flow.send_to(&response.to_bytes(), to).await;
}

/// A repeated 200 to an INVITE of ours gets its ACK again; one of another branch is hung up.
async fn absorb(core: &Arc<Core>, response: &Response, flow: &Flow) -> bool {
    let Some((number, "INVITE")) = response.headers.first("CSeq").and_then(cseq) else { return false };
    if !response.is_success() {
        return false;
    }
    let tag = |name: &str| response.headers.first(name).and_then(tag_of);
    let (Some(call_id), Some(local_tag)) = (response.headers.first("Call-ID"), tag("From")) else { return false };
    let id = crate::core::DialogId {
        call_id: call_id.to_owned(),
        local_tag: local_tag.clone(),
        remote_tag: tag("To").unwrap_or_default(),
    };
    let known = core.dialogs.lock().get(&id).cloned();
    if let Some(dialog) = known {
        return dialog.repeat_ack(number, flow).await;
    }
    let offer = core.answered.lock().get(&(id.call_id, local_tag)).cloned();
    let Some(offer) = offer else { return false };
    tokio::spawn(offer.refuse_second(response.clone()));
    true
}

fn dispatch(core: &Arc<Core>, transaction: ServerTransaction, calls: &mpsc::Sender<InboundCall>) {
    let in_dialog = transaction.request.headers.first("To").and_then(tag_of).is_some();
    let id = Inner::id_of(&transaction.request);
    let dialog = id.and_then(|id| core.dialogs.lock().get(&id).cloned());
    match (dialog, transaction.request.method.as_str()) {
        (_, "PRACK") => {
            let code = crate::reliable::acknowledge(core, &transaction.request);
            reply(core, transaction, code, None);
        }
        (Some(dialog), _) => {
            tokio::spawn(dialog.handle(transaction));
        }
        (None, "INVITE") if !in_dialog => open_call(core, transaction, calls),
        (None, "REGISTER") if !in_dialog => drop(tokio::spawn(registrar::serve(core.clone(), transaction))),
        (None, "UPDATE") if is_early(core, &transaction.request) => answer_early_update(core, transaction),
        (None, "OPTIONS") if !in_dialog => reply(core, transaction, 200, None),
        // Nobody places calls at our cost from outside of a call.
        (None, "REFER") if !in_dialog => reply(core, transaction, 403, None),
        (None, _) => reply(core, transaction, 481, None),
    }
}

/// Within a call of ours that is not answered yet?
fn is_early(core: &Core, request: &Request) -> bool {
    let tag = request.headers.first("To").and_then(tag_of).unwrap_or_default();
    let call_id = request.headers.first("Call-ID").unwrap_or_default().to_owned();
    core.inviting.lock().contains(&(call_id, tag))
}

/// RFC 3311 section 5.2: without an offer it is fine; with one it comes while ours is open.
fn answer_early_update(core: &Arc<Core>, transaction: ServerTransaction) {
    let code = if transaction.request.body.is_empty() { 200 } else { 500 };
    reply(core, transaction, code, None);
}

fn open_call(core: &Arc<Core>, transaction: ServerTransaction, calls: &mpsc::Sender<InboundCall>) {
    let info = match read_invite(&transaction) {
        Ok(info) => info,
        Err(Unfit(code, words)) => return reply(core, transaction, code, Some(words)),
    };
    let Ok(place) = calls.try_reserve() else { return reply(core, transaction, 503, None) };
    let first = merge_key(&transaction.request).is_some_and(|key| core.serving.lock().insert(key));
    if !first {
        return reply(core, transaction, 482, None);
    }
    place.send(InboundCall::open(core.clone(), transaction, info));
}

/// An answer that needs nobody's decision.
fn reply(core: &Arc<Core>, mut transaction: ServerTransaction, code: u16, reason: Option<&'static str>) {
    let core = core.clone();
    tokio::spawn(async move {
        let mut response = standard_answer(&core, &transaction.request, code, reason);
        if transaction.request.method == "UPDATE" {
            response.headers.push("Contact", core.contact("", &transaction.flow));
        }
        transaction.respond(&response).await;
        // An INVITE's refusal is repeated until its ACK.
        while transaction.request.method == "INVITE" && transaction.receive().await.is_some() {}
    });
}

fn standard_answer(core: &Core, request: &Request, code: u16, reason: Option<&str>) -> Response {
    let mut response = core.answer(request, code, reason, Some(&crate::new_tag()));
    match code {
        200 => {
            response.headers.push("Allow", ALLOW);
            response.headers.push("Accept", "application/sdp");
        }
        415 => response.headers.push("Accept", "application/sdp"),
        500 => response.headers.push("Retry-After", "1"),
        503 => response.headers.push("Retry-After", "5"),
        _ => {}
    }
    response
}
