//! What does the peer of an answered call want?
//!
//! BYE, re-INVITE, UPDATE, INFO, OPTIONS and the NOTIFYs of a REFER. Anything older than what we already
//! heard is refused (RFC 3261 section 12.2.2).

use crate::body::session_of;
use crate::core::DialogId;
use crate::dialog::{DialogEvent, Inner, ReferProgress, ReinviteAnswer, TerminatedCause};
use crate::header::{Reason, cseq, sipfrag};
use crate::message::{Request, Response};
use crate::pending::PendingInvite;
use crate::session_timer::{self, Agreed};
use crate::stack::ServerTransaction;
use crate::transport::{Flow, Transport};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tracing::debug;

/// The owner of the call must answer an offer within this time.
const ANSWER_PATIENCE: Duration = Duration::from_secs(20);
/// So long an offer waits for the one before it, whose ACK came just ahead of it.
const ACK_ON_ITS_WAY: Duration = Duration::from_millis(100);

impl Inner {
    /// The dialog that a request with these tags belongs to.
    pub fn id_of(request: &Request) -> Option<DialogId> {
        let tag = |name: &str| request.headers.first(name).and_then(crate::header::tag_of);
        Some(DialogId {
            call_id: request.headers.first("Call-ID")?.to_owned(),
            local_tag: tag("To")?,
            remote_tag: tag("From")?,
        })
    }

    pub async fn handle(self: Arc<Self>, mut transaction: ServerTransaction) {
        if let Some(code) = self.out_of_order(&transaction.request) {
            let answer = self.core.answer(&transaction.request, code, None, None);
            return transaction.respond(&answer).await;
        }
        self.follow(&transaction);
        match transaction.request.method.as_str() {
            "INVITE" => self.handle_reinvite(transaction).await,
            "UPDATE" => self.handle_update(transaction).await,
            "BYE" => self.handle_bye(transaction).await,
            "NOTIFY" => self.handle_notify(transaction).await,
            "INFO" => self.handle_info(transaction).await,
            "REFER" => self.handle_refer(transaction).await,
            _ => self.reply(&mut transaction, 200).await,
        }
    }

    pub(crate) async fn reply(&self, transaction: &mut ServerTransaction, code: u16) {
        let mut answer = self.core.answer(&transaction.request, code, None, None);
        if transaction.request.method == "OPTIONS" {
            answer.headers.push("Allow", crate::guard::ALLOW);
            answer.headers.push("Accept", "application/sdp");
        }
        transaction.respond(&answer).await;
    }

    /// A CSeq that runs backwards, or a call that is over.
    fn out_of_order(&self, request: &Request) -> Option<u16> {
        let (number, _) = request.headers.first("CSeq").and_then(cseq)?;
        let mut state = self.state.lock();
        if state.ended {
            // Both hung up at once.
            return (request.method != "BYE").then_some(481);
        }
        if state.remote_cseq.is_some_and(|last| number <= last) {
            return Some(500);
        }
        state.remote_cseq = Some(number);
        None
    }

    /// A peer whose connection broke comes back on another, one whose NAT forgot it from another port; our requests take
    /// that way, too.
    fn follow(&self, transaction: &ServerTransaction) {
        let mut state = self.state.lock();
        let (old, new) = (&state.flow, &transaction.flow);
        let as_safe = !old.transport().is_secret() || new.transport().is_secret();
        let by_udp = old.transport() == Transport::Udp && new.transport() == Transport::Udp;
        if (by_udp || !old.is_alive()) && old.peer.ip() == new.peer.ip() && as_safe {
            state.flow = transaction.flow.clone();
        }
    }

    async fn handle_bye(self: Arc<Self>, mut transaction: ServerTransaction) {
        let first = self.mark_ended();
        self.reply(&mut transaction, 200).await;
        if first {
            let reason = transaction.request.headers.first("Reason").and_then(Reason::parse);
            self.finish(TerminatedCause::RemoteBye { reason }).await;
        }
    }

    async fn handle_info(&self, mut transaction: ServerTransaction) {
        self.reply(&mut transaction, 200).await;
        let request = &transaction.request;
        let event = DialogEvent::Info {
            content_type: request.headers.first("Content-Type").unwrap_or_default().to_owned(),
            body: request.body.clone(),
        };
        // A peer that floods us with INFO loses them, not the call.
        let events = self.events.lock().clone();
        if events.is_none_or(|events| events.try_send(event).is_err()) {
            debug!("sip_info_dropped");
        }
    }

    async fn handle_notify(&self, mut transaction: ServerTransaction) {
        let event = transaction.request.headers.first("Event").unwrap_or_default().to_owned();
        let mut parts = event.split(';').map(str::trim);
        let package = parts.next().unwrap_or_default();
        let id = parts.find_map(|part| part.strip_prefix("id=")).and_then(|id| id.parse::<u32>().ok());
        if !package.eq_ignore_ascii_case("refer") {
            return self.reply(&mut transaction, 489).await;
        }
        let listener = {
            let state = self.state.lock();
            match id {
                Some(id) => state.refers.get(&id).cloned(),
                None => state.refers.last_key_value().map(|(_, listener)| listener.clone()),
            }
        };
        let Some(listener) = listener else { return self.reply(&mut transaction, 481).await };
        self.reply(&mut transaction, 200).await;
        if let Some(progress) = progress_of(&transaction.request) {
            let _ = listener.try_send(progress);
        }
    }

    async fn handle_reinvite(self: Arc<Self>, mut transaction: ServerTransaction) {
        if let Some(refusal) = self.refuse_offer(&transaction.request).await {
            return transaction.respond(&refusal).await;
        }
        self.retarget(&transaction.request.headers);
        let pending = PendingInvite::new(self.core.clone(), &transaction, self.id.local_tag.clone());
        pending.provisional(100);
        let answering = tokio::spawn(self.clone().answer_offer(pending.clone()));
        let ack = pending.run(&mut transaction).await;
        let answered = answering.await.unwrap_or(false);
        self.done_answering();
        match ack {
            Some(ack) if answered => {
                let sdp = session_of(&ack.headers, &ack.body).ok().flatten();
                self.emit(DialogEvent::Acked { sdp }).await;
            }
            None if answered => self.hang_up(TerminatedCause::NoAck, &[]).await,
            _ => {}
        }
    }

    /// Both at once: 491. A second one before the first is done: 500 (RFC 3261 section 14.2).
    async fn refuse_offer(&self, request: &Request) -> Option<Response> {
        let done = self.noted.done_answering.notified();
        let mut refused = self.begin_to_answer();
        if refused == Err(500) && timeout(ACK_ON_ITS_WAY, done).await.is_ok() {
            refused = self.begin_to_answer();
        }
        let code = refused.err()?;
        let mut refusal = self.core.answer(request, code, None, None);
        if code == 500 {
            refusal.headers.push("Retry-After", "3");
        }
        Some(refusal)
    }

    /// Or the code that says why not.
    fn begin_to_answer(&self) -> Result<(), u16> {
        let mut state = self.state.lock();
        match (state.offering, state.answering) {
            (true, _) => Err(491),
            (false, true) => Err(500),
            (false, false) => {
                state.answering = true;
                Ok(())
            }
        }
    }

    fn done_answering(&self) {
        self.state.lock().answering = false;
        self.noted.done_answering.notify_waiters();
    }

    /// RFC 3311: a refresh of the session, or an offer that is answered at once.
    async fn handle_update(self: Arc<Self>, mut transaction: ServerTransaction) {
        let request = transaction.request.clone();
        let given = match session_of(&request.headers, &request.body) {
            Err(_) => ReinviteAnswer { code: 415, sdp: None },
            Ok(None) => ReinviteAnswer { code: 200, sdp: None },
            Ok(sdp) => {
                if let Some(refusal) = self.refuse_offer(&request).await {
                    return transaction.respond(&refusal).await;
                }
                let given = self.ask_owner(sdp).await;
                self.done_answering();
                given
            }
        };
        let (response, session) = self.offer_answer(&request, &transaction.flow, given);
        transaction.respond(&response).await;
        if response.is_success() {
            self.retarget(&request.headers);
            self.keep_session(session);
        }
    }

    /// Asks the owner and sends what it says; true when that was a 200.
    async fn answer_offer(self: Arc<Self>, pending: Arc<PendingInvite>) -> bool {
        let Ok(sdp) = session_of(&pending.request.headers, &pending.request.body) else {
            pending.finish(&self.core.answer(&pending.request, 415, None, None));
            return false;
        };
        let given = self.ask_owner(sdp).await;
        let (response, session) = self.offer_answer(&pending.request, &pending.flow, given);
        // A refusal leaves nothing open; a 200 does until its ACK.
        if !response.is_success() {
            self.done_answering();
        }
        let answered = pending.finish(&response) && response.is_success();
        if answered {
            self.keep_session(session);
        }
        answered
    }

    async fn ask_owner(&self, sdp: Option<Vec<u8>>) -> ReinviteAnswer {
        let (answer, answered) = oneshot::channel();
        self.emit(DialogEvent::Reinvite { sdp, answer }).await;
        let refusal = ReinviteAnswer { code: 488, sdp: None };
        match timeout(ANSWER_PATIENCE, answered).await {
            Ok(given) => given.unwrap_or(refusal),
            Err(_) => refusal,
        }
    }

    /// The response, and what it agrees to about refreshing.
    fn offer_answer(&self, request: &Request, flow: &Flow, given: ReinviteAnswer) -> (Response, Option<Agreed>) {
        let mut response = self.core.answer(request, given.code, None, None);
        if !response.is_success() {
            return (response, None);
        }
        response.headers.push("Contact", self.core.contact(&self.local_user, flow));
        response.headers.push("Allow", crate::guard::ALLOW);
        let session = session_timer::answer_to(&request.headers);
        if let Some((_, headers)) = &session {
            response.headers.extend(headers);
        }
        if let Some(sdp) = given.sdp {
            response.headers.push("Content-Type", "application/sdp");
            response.body = sdp;
        }
        (response, session.map(|(agreed, _)| agreed))
    }
}

fn progress_of(notify: &Request) -> Option<ReferProgress> {
    let (code, reason) = sipfrag(&notify.body)?;
    let state = notify.headers.first("Subscription-State").unwrap_or_default();
    let terminated = state.trim_start().to_ascii_lowercase().starts_with("terminated") || code >= 200;
    Some(ReferProgress { code, reason, terminated })
}
