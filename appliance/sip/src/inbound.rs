//! What can be done with a call that comes in?
//!
//! Ring, challenge, refuse, answer, or say nothing; each only until the caller cancels. 100 Trying,
//! repetitions, CANCEL with its 487 and the ACK are seen to here and in [`crate::pending`].

use crate::SipError;
use crate::body::session_of;
use crate::core::{Core, DialogId};
use crate::dialog::{Dialog, DialogEvent, Inner, State, TerminatedCause};
use crate::digest::{Answer, unix_seconds};
use crate::header::{NameAddr, cseq, list};
use crate::ids::new_cnonce;
use crate::message::{HeaderList, Request, Response};
use crate::pending::PendingInvite;
use crate::referral::Replaces;
use crate::registrar::Proof;
use crate::session_timer;
use crate::stack::{ServerTransaction, T1X64};
use crate::transport::Transport;
use crate::uri::SipUri;
use parking_lot::Mutex;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// What the INVITE says.
#[derive(Debug, Clone)]
pub struct InviteInfo {
    pub call_id: String,
    pub from_tag: String,
    pub from_user: String,
    pub from_uri: String,
    pub from_display: Option<String>,
    pub to_user: String,
    pub to_uri: String,
    pub request_uri: String,
    pub request_user: String,
    pub source: SocketAddr,
    pub transport: Transport,
    /// Topmost first, as received, ours to answer along.
    pub via: Vec<String>,
    /// Every header in wire order.
    pub headers: HeaderList,
    /// The offer; `None` asks us to make one.
    pub sdp: Option<Vec<u8>>,
    pub max_forwards: u32,
    /// It wants the place of another in a call of ours (RFC 3891).
    pub replaces: Option<Replaces>,
}

/// What an Authorization header proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DigestCheck {
    /// None there, or for a nonce that is not (any more) ours: challenge.
    Missing,
    Wrong,
    Right,
}

/// An INVITE that waits for our decision. Dropped undecided, it is answered 500.
pub struct InboundCall {
    pub info: InviteInfo,
    pending: Arc<PendingInvite>,
    /// The dialog once accepted, for whoever waits for the ACK.
    dialog: Arc<Mutex<Option<Arc<Inner>>>>,
}

/// Why an INVITE does not become a call.
pub(crate) struct Unfit(pub u16, pub &'static str);

pub(crate) fn read_invite(transaction: &ServerTransaction) -> Result<InviteInfo, Unfit> {
    let request = &transaction.request;
    let address = |name: &str| request.headers.first(name).and_then(NameAddr::parse);
    let (Some(from), Some(to)) = (address("From"), address("To")) else {
        return Err(Unfit(400, "From or To is missing"));
    };
    if address("Contact").and_then(|contact| SipUri::parse(&contact.uri)).is_none() {
        return Err(Unfit(400, "Contact is missing or not a SIP address"));
    }
    let user = |uri: &str| SipUri::parse(uri).map(|uri| uri.user).unwrap_or_default();
    let sdp = session_of(&request.headers, &request.body).map_err(|_| Unfit(415, "Unsupported Media Type"))?;
    let replaces = Replaces::of(&request.headers).map_err(|words| Unfit(400, words))?;
    Ok(InviteInfo {
        replaces,
        call_id: request.headers.first("Call-ID").unwrap_or_default().to_owned(),
        from_tag: from.tag().unwrap_or_default().to_owned(),
        from_user: user(&from.uri),
        from_display: from.display.clone(),
        to_user: user(&to.uri),
        request_user: user(&request.uri),
        request_uri: request.uri.clone(),
        from_uri: from.uri,
        to_uri: to.uri,
        source: transaction.flow.peer,
        transport: transaction.flow.transport(),
        via: list(request.headers.all("Via")),
        headers: request.headers.0.clone(),
        sdp,
        max_forwards: request.headers.first("Max-Forwards").and_then(|hops| hops.parse().ok()).unwrap_or(70),
    })
}

impl InboundCall {
    /// Sends 100 at once and serves the transaction until it is over.
    pub(crate) fn open(core: Arc<Core>, mut transaction: ServerTransaction, info: InviteInfo) -> InboundCall {
        let pending = PendingInvite::new(core, &transaction, crate::ids::new_tag());
        if !pending.core.config.hide {
            pending.provisional(100);
        }
        let dialog = Arc::new(Mutex::new(None));
        let (serving, accepted) = (pending.clone(), dialog.clone());
        tokio::spawn(async move {
            let ack = serving.run(&mut transaction).await;
            forget(&serving);
            let accepted: Option<Arc<Inner>> = accepted.lock().take();
            if let Some(dialog) = accepted {
                confirm(dialog, ack).await;
            }
        });
        InboundCall { info, pending, dialog }
    }

    /// Our To-tag, to be chosen before the first 18x or final answer; random by default.
    pub fn set_local_tag(&mut self, tag: &str) {
        self.pending.set_tag(tag);
    }

    pub fn local_tag(&self) -> String {
        self.pending.tag()
    }

    /// 180; may be repeated. For a caller that requires it, once and reliably (RFC 3262).
    pub async fn ringing(&self) {
        let mut response = self.pending.answer(180, None);
        self.add_dialog_headers(&mut response);
        match crate::reliable::required(&self.pending.request.headers) {
            true if self.pending.rings_first() => crate::reliable::ring(&self.pending, response),
            true => {}
            false => self.pending.send_provisional(&response),
        }
    }

    /// Asks who is calling: 407 with an MD5 challenge. The retry is a new `InboundCall`.
    pub async fn challenge(self, realm: &str) {
        let nonce = self.pending.core.nonces.nonce(&self.info.call_id, &new_cnonce(), unix_seconds());
        self.ask(crate::digest::challenge(realm, &nonce, false, self.authorization().is_some()));
    }

    /// Does Proxy-Authorization prove this user and password? MD5 or SHA-256, with or without qop.
    pub fn check_digest(&self, user: &str, password: &str) -> DigestCheck {
        let Some(value) = self.authorization() else { return DigestCheck::Missing };
        let Some(answer) = Answer::parse(value) else { return DigestCheck::Wrong };
        if !self.pending.core.nonces.is_ours(&answer.nonce, &self.info.call_id, unix_seconds()) {
            return DigestCheck::Missing;
        }
        let right = answer.proves(user, password, "INVITE");
        self.pending.core.tried(self.info.source.ip(), right);
        if right { DigestCheck::Right } else { DigestCheck::Wrong }
    }

    /// Is it from a network of phones, in the name of one?
    pub fn may_be_a_phone(&self) -> bool {
        let registrar = &self.pending.core.registrar;
        registrar.listens_to(self.info.source.ip()) && registrar.is_user(&self.info.from_user)
    }

    /// Did a phone register the way that this INVITE came?
    pub fn comes_from_a_phone(&self) -> bool {
        self.may_be_a_phone() && self.pending.core.registrar.knows(&self.pending.flow)
    }

    /// Does Proxy-Authorization prove that the phone of From's user calls?
    pub fn check_phone(&self) -> Proof {
        let registrar = &self.pending.core.registrar;
        let proof = registrar.check(self.authorization(), &self.info.from_user, "INVITE", &self.info.call_id);
        if proof != Proof::Missing {
            self.pending.core.tried(self.info.source.ip(), proof != Proof::Wrong);
        }
        proof
    }

    /// As [`InboundCall::challenge`], for a phone's password.
    pub async fn challenge_phone(self) {
        let again = self.authorization().is_some();
        self.ask(self.pending.core.registrar.challenge(&self.info.call_id, again));
    }

    fn ask(&self, challenge: String) {
        let mut response = self.pending.answer(407, None);
        response.headers.push("Proxy-Authenticate", challenge);
        self.pending.finish(&response);
    }

    fn authorization(&self) -> Option<&str> {
        self.pending.request.headers.first("Proxy-Authorization")
    }

    pub async fn reject(self, code: u16, reason: Option<&str>, headers: &[(String, String)]) {
        let mut response = self.pending.answer(code.clamp(300, 699), reason);
        response.headers.extend(headers);
        self.pending.finish(&response);
    }

    /// Never answers; repetitions are swallowed until the caller gives up.
    pub fn ignore(self) {
        if self.pending.close() {
            let pending = self.pending.clone();
            tokio::spawn(async move {
                tokio::time::sleep(T1X64).await;
                pending.abandon();
            });
        }
    }

    /// 200 with our answer (or offer). It is repeated until the ACK; without one the call ends after 32 s.
    pub async fn accept(
        &self,
        sdp: Vec<u8>,
        headers: &[(String, String)],
    ) -> Result<(Dialog, mpsc::Receiver<DialogEvent>), SipError> {
        let mut response = self.pending.answer(200, None);
        self.add_dialog_headers(&mut response);
        response.headers.push("Allow", crate::guard::ALLOW);
        let session = session_timer::answer_to(&self.pending.request.headers);
        if let Some((_, headers)) = &session {
            response.headers.extend(headers);
        }
        response.headers.extend(headers);
        response.headers.push("Content-Type", "application/sdp");
        response.body = sdp;
        let (dialog, events) = self.dialog_of(&response).ok_or(SipError::Ended)?.open();
        *self.dialog.lock() = Some(dialog.clone());
        if !self.pending.finish(&response) {
            self.dialog.lock().take();
            dialog.core.dialogs.lock().remove(&dialog.id);
            return Err(SipError::Ended);
        }
        dialog.learn_methods(&self.pending.request.headers);
        dialog.keep_session(session.map(|(agreed, _)| agreed));
        Ok((Dialog(dialog), events))
    }

    /// Fires when the caller gave up; it has its 487 by then.
    pub fn cancelled(&self) -> CancellationToken {
        self.pending.cancelled.clone()
    }

    fn add_dialog_headers(&self, response: &mut Response) {
        for route in self.pending.request.headers.all("Record-Route") {
            response.headers.push("Record-Route", route);
        }
        let contact = self.pending.core.contact(&self.info.request_user, &self.pending.flow);
        response.headers.push("Contact", contact);
    }

    /// RFC 3261 section 12.1.1.
    fn dialog_of(&self, response: &Response) -> Option<Inner> {
        let request: &Request = &self.pending.request;
        let remote_target = NameAddr::parse(request.headers.first("Contact")?)?.uri;
        let mut state = State::new(remote_target, list(request.headers.all("Record-Route")), self.pending.flow.clone());
        state.remote_cseq = request.headers.first("CSeq").and_then(cseq).map(|(number, _)| number);
        Some(Inner {
            core: self.pending.core.clone(),
            id: DialogId {
                call_id: self.info.call_id.clone(),
                local_tag: self.pending.tag(),
                remote_tag: self.info.from_tag.clone(),
            },
            local: response.headers.first("To")?.to_owned(),
            remote: request.headers.first("From")?.to_owned(),
            local_user: self.info.request_user.clone(),
            state: Mutex::new(state),
            events: Mutex::new(None),
            noted: Arc::default(),
        })
    }
}

impl Drop for InboundCall {
    fn drop(&mut self) {
        self.pending.finish(&self.pending.answer(500, None));
    }
}

async fn confirm(dialog: Arc<Inner>, ack: Option<Request>) {
    match ack {
        Some(ack) => {
            let sdp = session_of(&ack.headers, &ack.body).ok().flatten();
            dialog.emit(DialogEvent::Acked { sdp }).await;
        }
        None => dialog.hang_up(TerminatedCause::NoAck, &[]).await,
    }
}

/// What makes two INVITEs the same one on two ways (RFC 3261 section 8.2.2.2).
pub(crate) fn merge_key(request: &Request) -> Option<(String, String, u32)> {
    let call_id = request.headers.first("Call-ID")?.to_owned();
    let tag = request.headers.first("From").and_then(crate::header::tag_of)?;
    let (number, _) = request.headers.first("CSeq").and_then(cseq)?;
    Some((call_id, tag, number))
}

fn forget(pending: &PendingInvite) {
    if let Some(key) = merge_key(&pending.request) {
        pending.core.serving.lock().remove(&key);
    }
}
