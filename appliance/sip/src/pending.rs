//! What happens to an INVITE of the peer until it has its final answer?
//!
//! The first of "we answered" and "it was cancelled" wins; the other finds the door closed.

use crate::core::Core;
use crate::message::{Request, Response};
use crate::stack::{Heard, Responder, ServerTransaction};
use crate::transport::Flow;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio_util::sync::CancellationToken;

pub(crate) struct PendingInvite {
    pub core: Arc<Core>,
    pub request: Request,
    pub flow: Flow,
    pub cancelled: CancellationToken,
    tag: Mutex<String>,
    responder: Responder,
    done: AtomicBool,
    rung: AtomicBool,
}

impl PendingInvite {
    pub fn new(core: Arc<Core>, transaction: &ServerTransaction, tag: String) -> Arc<PendingInvite> {
        Arc::new(PendingInvite {
            core,
            request: transaction.request.clone(),
            flow: transaction.flow.clone(),
            cancelled: CancellationToken::new(),
            tag: Mutex::new(tag),
            responder: transaction.responder(),
            done: AtomicBool::new(false),
            rung: AtomicBool::new(false),
        })
    }

    pub fn provisional(&self, code: u16) {
        self.send_provisional(&self.answer(code, None));
    }

    pub fn tag(&self) -> String {
        self.tag.lock().clone()
    }

    pub fn set_tag(&self, tag: &str) {
        *self.tag.lock() = tag.to_owned();
    }

    /// A response with our tag, which a 100 has not.
    pub fn answer(&self, code: u16, reason: Option<&str>) -> Response {
        let tag = self.tag();
        self.core.answer(&self.request, code, reason, (code > 100).then_some(tag.as_str()))
    }

    pub fn send_provisional(&self, response: &Response) {
        if !self.is_done() {
            self.responder.respond(response);
        }
    }

    /// Sends the final answer; false when there is one already.
    pub fn finish(&self, response: &Response) -> bool {
        let first = self.close();
        if first {
            self.responder.respond(response);
        }
        first
    }

    /// Closes the door without an answer; false when it was closed.
    pub fn close(&self) -> bool {
        !self.done.swap(true, Ordering::SeqCst)
    }

    /// True the first time.
    pub fn rings_first(&self) -> bool {
        !self.rung.swap(true, Ordering::SeqCst)
    }

    pub fn is_done(&self) -> bool {
        self.done.load(Ordering::SeqCst)
    }

    pub fn abandon(&self) {
        self.responder.abandon();
    }

    /// Serves the transaction to its end; the ACK, if one came.
    pub async fn run(&self, transaction: &mut ServerTransaction) -> Option<Request> {
        loop {
            match transaction.receive().await? {
                Heard::Ack(ack) => return Some(ack),
                Heard::Cancel => {
                    let terminated = self.answer(487, None);
                    if self.close() {
                        transaction.respond(&terminated).await;
                        self.cancelled.cancel();
                    }
                }
            }
        }
    }
}
