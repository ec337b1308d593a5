//! What does the peer of an answered call want?
//!
//! BYE, re-INVITE, INFO, OPTIONS and the NOTIFYs of a REFER. Anything older than what we already
//! heard is refused (RFC 3261 section 12.2.2).

use crate::body::session_of;
use crate::core::DialogId;
use crate::dialog::{DialogEvent, Inner, ReferProgress, ReinviteAnswer, TerminatedCause};
use crate::header::{Reason, cseq, sipfrag};
use crate::message::Request;
use crate::pending::PendingInvite;
use crate::stack::ServerTransaction;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tracing::debug;

/// The owner of the call must answer an offer within this time.
const ANSWER_PATIENCE: Duration = Duration::from_secs(20);

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
        self.follow_stream(&transaction);
        match transaction.request.method.as_str() {
            "INVITE" => self.handle_reinvite(transaction).await,
            "BYE" => self.handle_bye(transaction).await,
            "NOTIFY" => self.handle_notify(transaction).await,
            "INFO" => self.handle_info(transaction).await,
            _ => self.reply(&mut transaction, 200).await,
        }
    }

    async fn reply(&self, transaction: &mut ServerTransaction, code: u16) {
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

    /// A peer whose connection broke comes back on another; our requests take that one too.
    fn follow_stream(&self, transaction: &ServerTransaction) {
        let mut state = self.state.lock();
        if !state.flow.is_alive() && state.flow.peer.ip() == transaction.flow.peer.ip() {
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
        if let Some(code) = self.refuse_offer() {
            let mut answer = self.core.answer(&transaction.request, code, None, None);
            if code == 500 {
                answer.headers.push("Retry-After", "3");
            }
            return transaction.respond(&answer).await;
        }
        self.retarget(&transaction.request.headers);
        let pending = PendingInvite::new(self.core.clone(), &transaction, self.id.local_tag.clone());
        pending.provisional(100);
        let answering = tokio::spawn(self.clone().answer_offer(pending.clone()));
        let ack = pending.run(&mut transaction).await;
        let answered = answering.await.unwrap_or(false);
        self.state.lock().answering = false;
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
    fn refuse_offer(&self) -> Option<u16> {
        let mut state = self.state.lock();
        if state.offering {
            return Some(491);
        }
        if state.answering {
            return Some(500);
        }
        state.answering = true;
        None
    }

    /// Asks the owner and sends what it says; true when that was a 200.
    async fn answer_offer(self: Arc<Self>, pending: Arc<PendingInvite>) -> bool {
        let Ok(sdp) = session_of(&pending.request.headers, &pending.request.body) else {
            pending.finish(&self.core.answer(&pending.request, 415, None, None));
            return false;
        };
        let (answer, answered) = oneshot::channel();
        self.emit(DialogEvent::Reinvite { sdp, answer }).await;
        let refusal = ReinviteAnswer { code: 488, sdp: None };
        let given = match timeout(ANSWER_PATIENCE, answered).await {
            Ok(given) => given.unwrap_or(refusal),
            Err(_) => refusal,
        };
        let response = self.offer_answer(&pending, given);
        // A refusal leaves nothing open; a 200 does until its ACK.
        if !response.is_success() {
            self.state.lock().answering = false;
        }
        pending.finish(&response) && response.is_success()
    }

    fn offer_answer(&self, pending: &PendingInvite, given: ReinviteAnswer) -> crate::message::Response {
        let mut response = self.core.answer(&pending.request, given.code, None, None);
        if response.is_success() {
            let contact = self.core.contact(&self.local_user, &pending.flow);
            response.headers.push("Contact", contact);
            response.headers.push("Allow", crate::guard::ALLOW);
            if let Some(sdp) = given.sdp {
                response.headers.push("Content-Type", "application/sdp");
                response.body = sdp;
            }
        }
        response
    }
}

fn progress_of(notify: &Request) -> Option<ReferProgress> {
    let (code, reason) = sipfrag(&notify.body)?;
    let state = notify.headers.first("Subscription-State").unwrap_or_default();
    let terminated = state.trim_start().to_ascii_lowercase().starts_with("terminated") || code >= 200;
    Some(ReferProgress { code, reason, terminated })
}
