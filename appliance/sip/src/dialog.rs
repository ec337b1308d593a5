//! What can be done with an answered call?
//!
//! A [`Dialog`] hangs up, re-offers, refers and sends INFO; what the peer does comes as
//! [`DialogEvent`]s. This file keeps the dialog's state (RFC 3261 section 12) and sends; requests of
//! the peer are handled in [`crate::dialog_requests`].

use crate::SipError;
use crate::auth::{MAX_TRIES, Proofs};
use crate::core::{Core, DialogId};
use crate::dialog_session::Session;
use crate::header::Reason;
use crate::message::{HeaderList, Request, Response};
use crate::referral::{ReferTo, Subscription};
use crate::resolve::Target;
use crate::session_timer::agreed_by;
use crate::stack::T1X64;
use crate::transport::{Flow, Transport};
use crate::uri::SipUri;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::timeout;
use tracing::{debug, info};

/// So long `bye` waits for its answer; the transaction itself goes on.
const BYE_PATIENCE: Duration = Duration::from_secs(5);

/// What the peer of an answered call did.
#[derive(Debug)]
pub enum DialogEvent {
    /// The ACK of our 200 came; `sdp` when it carried the answer to our offer.
    Acked {
        sdp: Option<Vec<u8>>,
    },
    /// A new offer (or a request for ours). Dropping `answer` refuses it with 488.
    Reinvite {
        sdp: Option<Vec<u8>>,
        answer: oneshot::Sender<ReinviteAnswer>,
    },
    Info {
        content_type: String,
        body: Vec<u8>,
    },
    /// The peer wants to be replaced in the call. `answer` takes the code of the response: 202, or why not; dropping it is 603.
    Refer {
        to: ReferTo,
        subscription: Subscription,
        answer: oneshot::Sender<u16>,
    },
    /// The session timer wants an offer, for the peer takes no UPDATE: [`Dialog::reinvite`] with what holds now.
    RefreshDue,
    /// Always the last.
    Terminated {
        cause: TerminatedCause,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TerminatedCause {
    RemoteBye {
        reason: Option<Reason>,
    },
    LocalBye,
    /// Our 200 was never acknowledged; BYE was sent.
    NoAck,
    /// Nobody refreshed the session (RFC 4028); BYE was sent.
    SessionExpired,
}

#[derive(Debug, Clone)]
pub struct ReinviteAnswer {
    pub code: u16,
    pub sdp: Option<Vec<u8>>,
}

/// What a NOTIFY says about a REFER of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReferProgress {
    pub code: u16,
    pub reason: String,
    /// No more will come.
    pub terminated: bool,
}

/// What is out of the ordinary about how the peer of a call of ours behaves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Oddities {
    /// How often it repeated its answer after our ACK.
    pub answer_repeats: u32,
    /// Answers of other branches of a forked INVITE, each hung up.
    pub other_answers: u32,
    /// Its Contact leads nowhere; requests go to where its answer came from.
    pub contact_unusable: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Noted {
    answer_repeats: AtomicU32,
    pub other_answers: AtomicU32,
    contact_unusable: AtomicBool,
    /// An offer of the peer is answered, and its ACK is here.
    pub done_answering: Notify,
}

/// An answered call, either direction. Clones are handles to the same call.
#[derive(Clone)]
pub struct Dialog(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub core: Arc<Core>,
    pub id: DialogId,
    /// Our and the peer's From/To values, tags included.
    pub local: String,
    pub remote: String,
    pub local_user: String,
    pub state: Mutex<State>,
    pub events: Mutex<Option<mpsc::Sender<DialogEvent>>>,
    pub noted: Arc<Noted>,
}

pub(crate) struct State {
    pub remote_target: String,
    pub route_set: Vec<String>,
    pub local_cseq: u32,
    pub remote_cseq: Option<u32>,
    pub flow: Flow,
    /// Where the peer's answer came from, once nothing that we sent to its Contact arrived.
    detour: Option<Flow>,
    pub proofs: Proofs,
    /// The ACK of our latest INVITE, for its repeated 200s.
    pub last_ack: Option<(u32, Vec<u8>, Flow)>,
    pub session: Session,
    /// The peer's Allow names UPDATE.
    pub peer_updates: bool,
    pub offering: bool,
    pub answering: bool,
    pub ended: bool,
    /// The peer has sent a REFER before.
    pub referred: bool,
    pub refers: BTreeMap<u32, mpsc::Sender<ReferProgress>>,
}

impl State {
    pub fn new(remote_target: String, route_set: Vec<String>, flow: Flow) -> State {
        State {
            remote_target,
            route_set,
            local_cseq: crate::ids::first_cseq(),
            remote_cseq: None,
            flow,
            detour: None,
            proofs: Proofs::default(),
            last_ack: None,
            session: Session::default(),
            peer_updates: false,
            offering: false,
            answering: false,
            ended: false,
            referred: false,
            refers: BTreeMap::new(),
        }
    }
}

impl Dialog {
    pub fn call_id(&self) -> &str {
        &self.0.id.call_id
    }

    pub fn local_tag(&self) -> &str {
        &self.0.id.local_tag
    }

    pub fn remote_tag(&self) -> &str {
        &self.0.id.remote_tag
    }

    pub fn is_ended(&self) -> bool {
        self.0.state.lock().ended
    }

    /// Of a call of ours, up to now.
    pub fn oddities(&self) -> Oddities {
        let noted = &self.0.noted;
        Oddities {
            answer_repeats: noted.answer_repeats.load(Ordering::Relaxed),
            other_answers: noted.other_answers.load(Ordering::Relaxed),
            contact_unusable: noted.contact_unusable.load(Ordering::Relaxed),
        }
    }

    /// Hangs up. `reason` is a whole Reason value (`Q.850;cause=16`). Waits a little for the answer.
    pub async fn bye(&self, reason: Option<&str>, headers: &[(String, String)]) {
        let mut more = headers.to_vec();
        more.extend(reason.map(|reason| ("Reason".to_owned(), reason.to_owned())));
        self.0.hang_up(TerminatedCause::LocalBye, &more).await;
    }

    /// Offers `sdp`; gives the answer. 491 means that the peer offered at the same time.
    pub async fn reinvite(&self, sdp: Vec<u8>) -> Result<Vec<u8>, SipError> {
        self.0.start_offer()?;
        let outcome = timeout(T1X64, self.0.reoffer(sdp)).await;
        self.0.state.lock().offering = false;
        outcome.unwrap_or_else(|_| Err(SipError::Refused { code: 408, reason: "Request Timeout".into() }))
    }

    /// Asks the peer to call `refer_to` (verbatim). Ok once it took the REFER; what becomes of it comes
    /// through the channel, which closes when the call ends.
    pub async fn refer(
        &self,
        refer_to: &str,
        headers: &[(String, String)],
    ) -> Result<mpsc::Receiver<ReferProgress>, SipError> {
        self.0.refer(refer_to, headers).await
    }

    pub async fn info(&self, content_type: &str, body: Vec<u8>) -> Result<(), SipError> {
        let response = self.0.exchange("INFO", &[], Some((content_type, body))).await?;
        accepted(response).map(|_| ())
    }
}

fn accepted(response: Response) -> Result<Response, SipError> {
    match response.is_success() {
        true => Ok(response),
        false => Err(SipError::Refused { code: response.code, reason: response.reason }),
    }
}

impl Inner {
    /// Puts the dialog into the table and gives the events' other end.
    pub fn open(self) -> (Arc<Inner>, mpsc::Receiver<DialogEvent>) {
        let (sender, receiver) = mpsc::channel(64);
        *self.events.lock() = Some(sender);
        let inner = Arc::new(self);
        inner.core.dialogs.lock().insert(inner.id.clone(), inner.clone());
        (inner, receiver)
    }

    /// A request inside the dialog; the CSeq comes with [`Core::renew`].
    pub fn request(&self, method: &str, flow: &Flow) -> Request {
        let (target, routes) = {
            let state = self.state.lock();
            (state.remote_target.clone(), state.route_set.clone())
        };
        let mut request = self.core.request(method, &target, flow);
        request.headers.push("From", self.local.clone());
        request.headers.push("To", self.remote.clone());
        request.headers.push("Call-ID", self.id.call_id.clone());
        request.headers.push("Contact", self.core.contact(&self.local_user, flow));
        for route in routes {
            request.headers.push("Route", route);
        }
        request
    }

    fn next_cseq(&self) -> u32 {
        let mut state = self.state.lock();
        state.local_cseq += 1;
        state.local_cseq
    }

    /// The way to the peer now: the call's own connection while it lives, else the first route or the
    /// remote target.
    pub async fn next_hop(&self) -> Result<Flow, SipError> {
        let (flow, routes, target, detour) = {
            let state = self.state.lock();
            (state.flow.clone(), state.route_set.clone(), state.remote_target.clone(), state.detour.clone())
        };
        if let Some(detour) = detour {
            return Ok(detour);
        }
        if flow.transport() != Transport::Udp && flow.is_alive() {
            return Ok(flow);
        }
        let route = routes.first().and_then(|route| crate::header::NameAddr::parse(route)).map(|route| route.uri);
        let mut next = Target::of_uri(route.as_deref().unwrap_or(&target), flow.transport())?;
        if flow.transport() == Transport::Udp && is_hidden(&next, flow.peer.ip()) {
            self.noted.contact_unusable.store(true, Ordering::Relaxed);
            return Ok(flow);
        }
        if flow.transport().is_secret() {
            next.transport = flow.transport(); // what began encrypted never goes on in the clear
        }
        // The old peer by its address alone: it proved its name before, and has to prove the same one.
        let same_place = next.host.parse::<IpAddr>().is_ok_and(|ip| ip == flow.peer.ip());
        let name = flow.name().filter(|_| same_place).unwrap_or(&next.host).to_owned();
        let fresh = self.core.flow_as(&next, &name).await?;
        self.state.lock().flow = fresh.clone();
        Ok(fresh)
    }

    pub async fn exchange(
        &self,
        method: &str,
        headers: &[(String, String)],
        body: Option<(&str, Vec<u8>)>,
    ) -> Result<Response, SipError> {
        let flow = self.next_hop().await?;
        let mut request = self.request(method, &flow);
        request.headers.extend(headers);
        if let Some((content_type, body)) = body {
            request.headers.push("Content-Type", content_type);
            request.body = body;
        }
        let mut proofs = self.state.lock().proofs.clone();
        let response = self.core.exchange_proven(request, &flow, &mut proofs, || self.next_cseq()).await;
        self.state.lock().proofs = proofs;
        response
    }

    /// Ends the call from our side; the second time nothing happens.
    pub async fn hang_up(self: &Arc<Self>, cause: TerminatedCause, headers: &[(String, String)]) {
        if !self.mark_ended() {
            return;
        }
        let (dialog, headers) = (self.clone(), headers.to_vec());
        let work = tokio::spawn(async move {
            match dialog.exchange("BYE", &headers, None).await {
                Ok(response) => debug!(sip.code = response.code, "sip_bye_answered"),
                Err(error) => info!(%error, call.sip_id = dialog.id.call_id, "sip_bye_not_sent"),
            }
        });
        self.finish(cause).await;
        let _ = timeout(BYE_PATIENCE, work).await;
    }

    /// True for whoever ends it first.
    pub fn mark_ended(&self) -> bool {
        !std::mem::replace(&mut self.state.lock().ended, true)
    }

    /// Tells the owner, and leaves the table once late repetitions have died out.
    pub async fn finish(self: &Arc<Self>, cause: TerminatedCause) {
        {
            let mut state = self.state.lock();
            state.refers.clear();
            state.session.stop();
        }
        let events = self.events.lock().take();
        let dialog = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(T1X64).await;
            dialog.core.dialogs.lock().remove(&dialog.id);
        });
        if let Some(events) = events {
            let _ = events.send(DialogEvent::Terminated { cause }).await;
        }
    }

    pub async fn emit(&self, event: DialogEvent) -> bool {
        let events = self.events.lock().clone();
        match events {
            Some(events) => events.send(event).await.is_ok(),
            None => false,
        }
    }

    fn start_offer(&self) -> Result<(), SipError> {
        let mut state = self.state.lock();
        if state.ended {
            return Err(SipError::Ended);
        }
        if state.offering || state.answering {
            return Err(SipError::Refused { code: 491, reason: "Request Pending".into() });
        }
        state.offering = true;
        Ok(())
    }

    async fn reoffer(self: &Arc<Self>, sdp: Vec<u8>) -> Result<Vec<u8>, SipError> {
        let flow = self.next_hop().await?;
        let mut request = self.request("INVITE", &flow);
        request.headers.push("Content-Type", "application/sdp");
        request.headers.push("Allow", crate::guard::ALLOW);
        let session = self.session_headers();
        request.headers.extend(&session);
        request.body = sdp;
        for _ in 0..MAX_TRIES {
            let cseq = self.next_cseq();
            self.core.renew(&mut request, &flow, cseq);
            self.state.lock().proofs.apply(&mut request);
            let response = self.core.exchange(&request, &flow).await?;
            if response.is_success() {
                self.retarget(&response.headers);
                if !session.is_empty() {
                    self.keep_session(agreed_by(&response.headers));
                }
                self.acknowledge(cseq, &request).await?;
                return Ok(response.body);
            }
            if !self.state.lock().proofs.learn(&response) {
                return Err(SipError::Refused { code: response.code, reason: response.reason });
            }
        }
        Err(SipError::Refused { code: 401, reason: "Unauthorized".into() })
    }

    /// Does the peer take UPDATE? Said by its INVITE or its answer to ours.
    pub fn learn_methods(&self, headers: &crate::message::Headers) {
        let methods = crate::header::list(headers.all("Allow"));
        self.state.lock().peer_updates = methods.iter().any(|method| method.eq_ignore_ascii_case("UPDATE"));
    }

    /// The Contact of an INVITE or its answer is where the peer is from now on.
    pub fn retarget(&self, headers: &crate::message::Headers) {
        let contact = headers.first("Contact").and_then(crate::header::NameAddr::parse);
        if let Some(contact) = contact.filter(|contact| SipUri::parse(&contact.uri).is_some()) {
            self.state.lock().remote_target = contact.uri;
        }
    }

    /// ACK for the 200 to `invite`, with its credentials; kept to be repeated.
    pub async fn acknowledge(&self, cseq: u32, invite: &Request) -> Result<(), SipError> {
        let flow = self.next_hop().await?;
        let mut ack = self.request("ACK", &flow);
        ack.headers.push("CSeq", format!("{cseq} ACK"));
        for field in ["Authorization", "Proxy-Authorization"] {
            if let Some(value) = invite.headers.first(field) {
                ack.headers.push(field, value);
            }
        }
        let bytes = ack.to_bytes();
        let sent = flow.send(&bytes).await;
        self.state.lock().last_ack = Some((cseq, bytes, flow.clone()));
        sent.map_err(|source| SipError::Unreachable { addr: flow.peer, source })
    }

    /// Repeats the ACK for a repeated 200; false when that 200 is not the one acknowledged.
    pub async fn repeat_ack(&self, cseq: u32, answered_from: &Flow) -> bool {
        let last = self.state.lock().last_ack.clone();
        let Some((_, bytes, flow)) = last.filter(|(acked, ..)| *acked == cseq) else { return false };
        let _ = flow.send(&bytes).await;
        let before = self.noted.answer_repeats.fetch_add(1, Ordering::Relaxed);
        if before > 0 && flow.peer != answered_from.peer {
            // Two went to its Contact in vain.
            let _ = answered_from.send(&bytes).await;
            self.noted.contact_unusable.store(true, Ordering::Relaxed);
            self.state.lock().detour = Some(answered_from.clone());
        }
        true
    }

    async fn refer(
        &self,
        refer_to: &str,
        headers: &[(String, String)],
    ) -> Result<mpsc::Receiver<ReferProgress>, SipError> {
        if self.state.lock().ended {
            return Err(SipError::Ended);
        }
        let (progress, receiver) = mpsc::channel(32);
        let flow = self.next_hop().await?;
        let mut request = self.request("REFER", &flow);
        request.headers.push("Refer-To", as_refer_to(refer_to));
        request.headers.extend(&without_refer_to(headers));
        let mut proofs = self.state.lock().proofs.clone();
        // Listed before it is sent: the first NOTIFY may overtake the 202.
        let next_cseq = || {
            let cseq = self.next_cseq();
            self.state.lock().refers.insert(cseq, progress.clone());
            cseq
        };
        let response = self.core.exchange_proven(request, &flow, &mut proofs, next_cseq).await;
        self.state.lock().proofs = proofs;
        match response.and_then(accepted) {
            Ok(_) => Ok(receiver),
            Err(error) => {
                self.state.lock().refers.retain(|_, listed| !listed.same_channel(&progress));
                Err(error)
            }
        }
    }
}

/// Verbatim, in brackets where a bare URI would lose its parameters to the header.
fn as_refer_to(refer_to: &str) -> String {
    let bare = !refer_to.contains('<') && refer_to.contains([';', '?', ',']);
    let text: String = refer_to.chars().filter(|c| !c.is_control()).collect();
    if bare { format!("<{text}>") } else { text }
}

fn without_refer_to(headers: &[(String, String)]) -> HeaderList {
    headers.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("refer-to")).cloned().collect()
}

/// A Contact with a private address behind a public source: only the source can be reached.
fn is_hidden(next: &Target, source: IpAddr) -> bool {
    let Ok(IpAddr::V4(contact)) = next.host.parse() else { return false };
    let IpAddr::V4(source) = source else { return false };
    let private =
        |ip: std::net::Ipv4Addr| ip.is_private() || ip.is_loopback() || ip.is_link_local() || ip.is_unspecified();
    private(contact) && !private(source)
}
