//! How does a call of ours come about?
//!
//! INVITE, answers to challenges, progress, and then either a [`Dialog`] or a failure. A cancelled
//! call that is answered all the same is acknowledged and hung up; so is a second answer to a forked one.

use crate::SipError;
use crate::auth::{Credentials, MAX_TRIES, Proofs};
use crate::core::{Core, DialogId, Listening};
use crate::dialog::{Dialog, DialogEvent, Inner, Noted, State, TerminatedCause};
use crate::header::{NameAddr, cseq, list, tag_of};
use crate::ids::{first_cseq, new_call_id, new_tag};
use crate::message::{HeaderList, Request, Response};
use crate::registrar::Contact;
use crate::reliable::EarlyDialogs;
use crate::resolve::Target;
use crate::session_timer;
use crate::stack::T1X64;
use crate::transport::{Flow, Transport};
use crate::uri::SipUri;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::debug;

/// The words of a call's end that was challenged at every try.
pub const ENDLESS_CHALLENGE: &str = "The password is not accepted";

/// Whom to call, as whom, and what to offer.
#[derive(Debug, Clone, Default)]
pub struct OutboundInvite {
    /// `sip:user@host[:port]`, verbatim on the wire.
    pub request_uri: String,
    /// Whole From and To values without tags: `"Name" <sip:user@host>`.
    pub from: String,
    pub to: String,
    /// `host[:port]` to send to instead of the Request-URI's host.
    pub destination: Option<String>,
    /// A phone that registered: the INVITE goes back the way its REGISTER came.
    pub contact: Option<Contact>,
    /// Beats the `transport` parameter of the Request-URI; UDP if neither says.
    pub transport: Option<Transport>,
    pub credentials: Option<Credentials>,
    pub sdp: Option<Vec<u8>>,
    /// What to offer to one that does not accept the first (488).
    pub second_sdp: Option<Vec<u8>>,
    pub headers: HeaderList,
    pub call_id: Option<String>,
    pub from_tag: Option<String>,
}

pub enum OutboundEvent {
    /// 101 to 199.
    Progress { code: u16, reason: String, headers: HeaderList, sdp: Option<Vec<u8>> },
    Answered {
        dialog: Dialog,
        events: mpsc::Receiver<DialogEvent>,
        headers: HeaderList,
        sdp: Option<Vec<u8>>,
        remote_tag: String,
    },
    /// 408 for silence, 487 once cancelled.
    Failed { code: u16, reason: String, headers: HeaderList },
}

/// A call that is being set up. Dropped unanswered, it is cancelled.
pub struct OutboundCall {
    call_id: String,
    local_tag: String,
    events: mpsc::Receiver<OutboundEvent>,
    cancel: CancellationToken,
}

impl OutboundCall {
    pub(crate) fn new(
        call_id: String,
        local_tag: String,
        events: mpsc::Receiver<OutboundEvent>,
        cancel: CancellationToken,
    ) -> OutboundCall {
        OutboundCall { call_id, local_tag, events, cancel }
    }

    pub fn call_id(&self) -> &str {
        &self.call_id
    }

    pub fn local_tag(&self) -> &str {
        &self.local_tag
    }

    /// `None` after `Answered` or `Failed`.
    pub async fn next(&mut self) -> Option<OutboundEvent> {
        self.events.recv().await
    }

    /// Sends CANCEL as soon as RFC 3261 lets us; `next` gives `Failed` with 487 at once.
    pub fn cancel(&self) {
        self.cancel.cancel();
    }
}

impl Drop for OutboundCall {
    fn drop(&mut self) {
        self.cancel.cancel();
        self.events.close();
        // An answer that nobody took.
        while let Ok(event) = self.events.try_recv() {
            if let OutboundEvent::Answered { dialog, .. } = event
                && let Ok(runtime) = tokio::runtime::Handle::try_current()
            {
                runtime.spawn(async move { dialog.bye(None, &[]).await });
            }
        }
    }
}

/// Extensions that we know as a caller.
const SUPPORTED: &str = "timer, 100rel, replaces";

/// What stays the same over all tries of one INVITE.
pub(crate) struct Offer {
    core: Arc<Core>,
    call_id: String,
    local_tag: String,
    local_user: String,
    from: String,
    flow: Flow,
    noted: Arc<Noted>,
}

struct Attempt {
    offer: Arc<Offer>,
    request: Request,
    cseq: u32,
    proofs: Proofs,
    second_sdp: Option<Vec<u8>>,
    cancel: CancellationToken,
    events: mpsc::Sender<OutboundEvent>,
    early: EarlyDialogs,
    told: bool,
}

/// How one try ended.
enum End {
    Again,
    Over,
}

pub(crate) async fn start(core: Arc<Core>, invite: OutboundInvite) -> Result<OutboundCall, SipError> {
    let flow = way_of(&core, &invite).await?;
    let offer = Arc::new(offer_of(core, &invite, flow)?);
    let request = invite_request(&offer, &invite)?;
    let (events, receiver) = mpsc::channel(32);
    let cancel = CancellationToken::new();
    let call = OutboundCall::new(offer.call_id.clone(), offer.local_tag.clone(), receiver, cancel.clone());
    let proofs = Proofs::new(invite.credentials);
    let (second_sdp, cseq) = (invite.second_sdp, first_cseq());
    let early = EarlyDialogs::default();
    let attempt = Attempt { offer, request, cseq, proofs, second_sdp, cancel, events, early, told: false };
    tokio::spawn(attempt.run());
    Ok(call)
}

async fn way_of(core: &Core, invite: &OutboundInvite) -> Result<Flow, SipError> {
    match &invite.contact {
        Some(contact) => Ok(contact.flow.clone()),
        None => {
            let name = uri_target(&invite.request_uri, invite.transport)?.host;
            core.flow_as(&target_of(invite)?, &name).await
        }
    }
}

fn target_of(invite: &OutboundInvite) -> Result<Target, SipError> {
    let target = uri_target(&invite.request_uri, invite.transport)?;
    match &invite.destination {
        Some(place) => Target::of_place(place, target.transport),
        None => Ok(target),
    }
}

/// `transport` beats the URI's parameter.
pub(crate) fn uri_target(uri: &str, transport: Option<Transport>) -> Result<Target, SipError> {
    let mut target = Target::of_uri(uri, transport.unwrap_or_default())?;
    target.transport = transport.unwrap_or(target.transport);
    Ok(target)
}

fn offer_of(core: Arc<Core>, invite: &OutboundInvite, flow: Flow) -> Result<Offer, SipError> {
    let bad = || SipError::BadAddress(invite.from.clone());
    let address = NameAddr::parse(&invite.from).ok_or_else(bad)?;
    let local_user = SipUri::parse(&address.uri).ok_or_else(bad)?.user;
    let local_tag = invite.from_tag.clone().unwrap_or_else(new_tag);
    Ok(Offer {
        core,
        call_id: invite.call_id.clone().unwrap_or_else(new_call_id),
        from: format!("{};tag={local_tag}", bracketed_address(&invite.from)),
        local_tag,
        local_user,
        flow,
        noted: Arc::default(),
    })
}

/// A tag behind a bare URI would be the URI's parameter.
fn bracketed_address(value: &str) -> String {
    if value.contains('<') { value.to_owned() } else { format!("<{}>", value.trim()) }
}

fn invite_request(offer: &Offer, invite: &OutboundInvite) -> Result<Request, SipError> {
    if SipUri::parse(&invite.request_uri).is_none() || NameAddr::parse(&invite.to).is_none() {
        return Err(SipError::BadAddress(invite.request_uri.clone()));
    }
    let mut request = offer.core.request("INVITE", &invite.request_uri, &offer.flow);
    request.headers.push("From", offer.from.clone());
    request.headers.push("To", bracketed_address(&invite.to));
    request.headers.push("Call-ID", offer.call_id.clone());
    request.headers.push("Contact", offer.core.contact(&offer.local_user, &offer.flow));
    request.headers.push("Allow", crate::guard::ALLOW);
    request.headers.extend(&session_timer::wish(session_timer::WISH, session_timer::LEAST));
    request.headers.set("Supported", SUPPORTED);
    request.headers.extend(&invite.headers);
    if let Some(sdp) = &invite.sdp {
        request.headers.push("Content-Type", "application/sdp");
        request.body = sdp.clone();
    }
    Ok(request)
}

impl Attempt {
    async fn run(self) {
        let core = self.offer.core.clone();
        let key = (self.offer.call_id.clone(), self.offer.local_tag.clone());
        core.inviting.lock().insert(key.clone());
        self.try_all().await;
        core.inviting.lock().remove(&key);
    }

    async fn try_all(mut self) {
        for _ in 0..MAX_TRIES {
            match self.try_once().await {
                Ok(End::Again) => self.cseq = self.cseq.max(self.early.last_cseq()) + 1,
                Ok(End::Over) => return,
                Err(error) => return self.fail(error.code(), &error.to_string(), Vec::new()).await,
            }
        }
        self.fail(401, ENDLESS_CHALLENGE, Vec::new()).await;
    }

    async fn try_once(&mut self) -> Result<End, SipError> {
        let offer = self.offer.clone();
        offer.core.renew(&mut self.request, &offer.flow, self.cseq);
        self.proofs.apply(&mut self.request);
        let mut listening = Listening::to(&offer.core, &offer.flow);
        let mut responses = offer.core.send(&self.request, &offer.flow).await?;
        let (mut provisional, mut cancel_sent) = (false, false);
        let mut patience = None;
        loop {
            if self.cancel.is_cancelled() {
                listening.note();
                self.fail(487, "Request Terminated", Vec::new()).await;
                if provisional && !cancel_sent {
                    cancel_sent = true;
                    patience = Some(Instant::now() + T1X64);
                    self.send_cancel().await;
                }
            }
            let response = tokio::select! {
                response = receive(&mut responses, patience) => response,
                () = self.cancel.cancelled(), if !self.told => continue,
            };
            listening.answered |= response.is_some();
            match response {
                None => {
                    self.fail(408, "Request Timeout", Vec::new()).await;
                    return Ok(End::Over);
                }
                Some(response) if response.is_provisional() => {
                    provisional = true;
                    self.progress(response).await;
                }
                Some(response) => return self.conclude(response).await,
            }
        }
    }

    async fn progress(&mut self, response: Response) {
        let open = || self.offer.dialog_of(&response, self.cseq, &self.proofs);
        if response.code > 100 && self.early.take(&response, open) && !self.told {
            let sdp = crate::body::session_of(&response.headers, &response.body).ok().flatten();
            let Response { code, reason, headers, .. } = response;
            let _ = self.events.send(OutboundEvent::Progress { code, reason, headers: headers.0, sdp }).await;
        }
    }

    async fn conclude(&mut self, response: Response) -> Result<End, SipError> {
        if response.is_success() {
            self.answered(response).await;
            return Ok(End::Over);
        }
        if !self.cancel.is_cancelled() && self.can_do_better(&response) {
            return Ok(End::Again);
        }
        self.fail(response.code, &response.reason, response.headers.0).await;
        Ok(End::Over)
    }

    /// Is there another try that this refusal does not meet?
    fn can_do_better(&mut self, response: &Response) -> bool {
        match response.code {
            422 => self.ask_for_more(response),
            488 => self.second_sdp.take().map(|sdp| self.request.body = sdp).is_some(),
            _ => self.proofs.learn(response),
        }
    }

    /// A longer session, as the phone wants it; false when it does not say how long.
    fn ask_for_more(&mut self, response: &Response) -> bool {
        let Some(wanted) = session_timer::wanted(&response.headers) else { return false };
        self.request.headers.set("Session-Expires", wanted.max(session_timer::WISH).to_string());
        self.request.headers.set("Min-SE", wanted.max(session_timer::LEAST).to_string());
        true
    }

    async fn answered(&mut self, response: Response) {
        let Some(dialog) = self.offer.dialog_of(&response, self.cseq, &self.proofs) else {
            return self.fail(502, "The answer cannot be used", Vec::new()).await;
        };
        dialog.state.lock().local_cseq = self.cseq.max(self.early.last_cseq());
        let (dialog, events) = dialog.open();
        self.offer.remember();
        if let Err(error) = dialog.acknowledge(self.cseq, &self.request).await {
            debug!(%error, "sip_ack_not_sent");
        }
        dialog.learn_methods(&response.headers);
        dialog.keep_session(session_timer::agreed_by(&response.headers));
        if self.told || self.cancel.is_cancelled() {
            self.fail(487, "Request Terminated", Vec::new()).await;
            return dialog.hang_up(TerminatedCause::LocalBye, &[]).await;
        }
        let event = OutboundEvent::Answered {
            remote_tag: dialog.id.remote_tag.clone(),
            dialog: Dialog(dialog.clone()),
            events,
            sdp: crate::body::session_of(&response.headers, &response.body).ok().flatten(),
            headers: response.headers.0,
        };
        if self.events.send(event).await.is_err() {
            dialog.hang_up(TerminatedCause::LocalBye, &[]).await;
        }
    }

    async fn fail(&mut self, code: u16, reason: &str, headers: HeaderList) {
        if !std::mem::replace(&mut self.told, true) {
            let failed = OutboundEvent::Failed { code, reason: reason.to_owned(), headers };
            let _ = self.events.send(failed).await;
        }
    }

    /// RFC 3261 section 9.1: same Via, Request-URI, From, To, Call-ID, number and routes as the INVITE.
    async fn send_cancel(&self) {
        let mut headers = crate::message::Headers::default();
        for name in ["Via", "Route", "Max-Forwards", "From", "To", "Call-ID"] {
            for value in self.request.headers.all(name) {
                headers.push(name, value);
            }
        }
        headers.push("CSeq", format!("{} CANCEL", self.cseq));
        let cancel = Request { method: "CANCEL".into(), uri: self.request.uri.clone(), headers, body: Vec::new() };
        if let Err(error) = self.offer.core.send(&cancel, &self.offer.flow).await {
            debug!(%error, "sip_cancel_not_sent");
        }
    }
}

async fn receive(responses: &mut mpsc::Receiver<Response>, patience: Option<Instant>) -> Option<Response> {
    match patience {
        None => responses.recv().await,
        Some(end) => timeout_at(end, responses.recv()).await.ok().flatten(),
    }
}

impl Offer {
    /// RFC 3261 section 12.1.2.
    fn dialog_of(&self, response: &Response, number: u32, proofs: &Proofs) -> Option<Inner> {
        let remote = response.headers.first("To")?.to_owned();
        let remote_target = NameAddr::parse(response.headers.first("Contact")?)?.uri;
        let mut routes = list(response.headers.all("Record-Route"));
        routes.reverse();
        let mut state = State::new(remote_target, routes, self.flow.clone());
        state.local_cseq = number;
        state.proofs = proofs.clone();
        Some(Inner {
            core: self.core.clone(),
            id: DialogId {
                call_id: self.call_id.clone(),
                local_tag: self.local_tag.clone(),
                remote_tag: tag_of(&remote).unwrap_or_default(),
            },
            local: self.from.clone(),
            remote,
            local_user: self.local_user.clone(),
            state: Mutex::new(state),
            events: Mutex::new(None),
            noted: self.noted.clone(),
        })
    }

    /// For as long as another branch may still answer.
    fn remember(self: &Arc<Self>) {
        let key = (self.call_id.clone(), self.local_tag.clone());
        self.core.answered.lock().insert(key.clone(), self.clone());
        let core = self.core.clone();
        tokio::spawn(async move {
            tokio::time::sleep(T1X64).await;
            core.answered.lock().remove(&key);
        });
    }

    /// A 200 of another branch: acknowledge it and hang up.
    pub async fn refuse_second(self: Arc<Self>, response: Response) {
        let Some((number, _)) = response.headers.first("CSeq").and_then(cseq) else { return };
        let Some(dialog) = self.dialog_of(&response, number, &Proofs::default()) else { return };
        self.noted.other_answers.fetch_add(1, Ordering::Relaxed);
        let (dialog, _) = dialog.open();
        let invite =
            Request { method: "INVITE".into(), uri: String::new(), headers: Default::default(), body: Vec::new() };
        if dialog.acknowledge(number, &invite).await.is_ok() {
            dialog.hang_up(TerminatedCause::LocalBye, &[]).await;
        }
    }
}
