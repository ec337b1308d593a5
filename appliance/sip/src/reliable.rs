//! Which provisional responses must arrive, and who says that they did? (RFC 3262, `100rel`)
//!
//! As caller we acknowledge each reliable 18x with PRACK, in the order of its RSeq ([`EarlyDialogs`]). As callee we ring
//! reliably only for a caller that requires it ([`ring`]): the 180 is repeated until its PRACK ([`acknowledge`]).

use crate::core::{Core, DialogId};
use crate::dialog::Inner;
use crate::header::{cseq, list, tag_of};
use crate::message::{Headers, Request, Response};
use crate::pending::PendingInvite;
use crate::stack::T1X64;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::debug;

/// RFC 3261 section 17.1.1.1.
const T1: Duration = Duration::from_millis(500);

/// Does the sender insist on reliable provisional responses, or is this one?
pub(crate) fn required(headers: &Headers) -> bool {
    list(headers.all("Require")).iter().any(|tag| tag.eq_ignore_ascii_case("100rel"))
}

/// The early dialogs of one INVITE of ours, by the peer's tag: each branch counts for itself.
#[derive(Default)]
pub(crate) struct EarlyDialogs(HashMap<String, Early>);

struct Early {
    dialog: Arc<Inner>,
    last: u32,
}

impl EarlyDialogs {
    /// Acknowledges a reliable response; false for one that is repeated or out of order, which is not to be used.
    pub fn take(&mut self, response: &Response, open: impl FnOnce() -> Option<Inner>) -> bool {
        if !required(&response.headers) {
            return true;
        }
        let number = response.headers.first("RSeq").and_then(|number| number.trim().parse::<u32>().ok());
        let tag = response.headers.first("To").and_then(tag_of);
        let (Some(number), Some(tag)) = (number, tag) else { return false };
        let early = match self.0.get_mut(&tag) {
            Some(early) if early.last.checked_add(1) == Some(number) => early,
            Some(_) => return false,
            None => {
                let Some(dialog) = open() else { return false };
                self.0.entry(tag).or_insert(Early { dialog: Arc::new(dialog), last: number })
            }
        };
        early.last = number;
        let asked = response.headers.first("CSeq").unwrap_or_default();
        tokio::spawn(confirm(early.dialog.clone(), format!("{number} {asked}")));
        true
    }

    /// The last CSeq that a PRACK used.
    pub fn last_cseq(&self) -> u32 {
        self.0.values().map(|early| early.dialog.state.lock().local_cseq).max().unwrap_or(0)
    }
}

async fn confirm(dialog: Arc<Inner>, rack: String) {
    match dialog.exchange("PRACK", &[("RAck".to_owned(), rack)], None).await {
        Ok(response) => debug!(sip.code = response.code, "sip_prack_answered"),
        Err(error) => debug!(%error, "sip_prack_not_sent"),
    }
}

/// A reliable response of ours that waits for its PRACK.
pub(crate) struct Waiting {
    /// `RSeq CSeq INVITE`, as RAck must say it.
    rack: (u32, u32),
    arrived: CancellationToken,
}

/// Rings reliably: repeats `response` until it is acknowledged, and gives the call up when it never is (section 3).
pub(crate) fn ring(pending: &Arc<PendingInvite>, mut response: Response) {
    let asked = pending.request.headers.first("CSeq").and_then(cseq);
    let (Some(id), Some((asked, _))) = (id_of(pending), asked) else { return };
    let number = crate::ids::first_cseq();
    response.headers.push("Require", "100rel");
    response.headers.push("RSeq", number.to_string());
    let arrived = CancellationToken::new();
    let waiting = Waiting { rack: (number, asked), arrived: arrived.clone() };
    pending.core.unacknowledged.lock().insert(id.clone(), waiting);
    let pending = pending.clone();
    tokio::spawn(async move {
        if arrived.run_until_cancelled(repeat(&pending, &response)).await.is_some() {
            pending.core.unacknowledged.lock().remove(&id);
            if pending.finish(&pending.answer(504, Some("No PRACK Came"))) {
                pending.cancelled.cancel();
            }
        }
    });
}

/// Once an answer is sent nothing is repeated, but a PRACK may still come.
async fn repeat(pending: &PendingInvite, response: &Response) {
    let (began, mut wait) = (Instant::now(), T1);
    while began.elapsed() < T1X64 {
        pending.send_provisional(response);
        sleep(wait).await;
        wait *= 2;
    }
}

/// The dialog that our answers to this INVITE name.
fn id_of(pending: &PendingInvite) -> Option<DialogId> {
    Some(DialogId {
        call_id: pending.request.headers.first("Call-ID")?.to_owned(),
        local_tag: pending.tag(),
        remote_tag: pending.request.headers.first("From").and_then(tag_of)?,
    })
}

/// The code that a PRACK gets: 200 once, for the response it names.
pub(crate) fn acknowledge(core: &Core, prack: &Request) -> u16 {
    let Some(rack) = prack.headers.first("RAck").and_then(rack_of) else { return 400 };
    let Some(id) = Inner::id_of(prack) else { return 481 };
    let mut unacknowledged = core.unacknowledged.lock();
    match unacknowledged.get(&id) {
        Some(waiting) if waiting.rack == rack => {
            waiting.arrived.cancel();
            unacknowledged.remove(&id);
            200
        }
        _ => 481,
    }
}

/// `776656 1 INVITE`
fn rack_of(value: &str) -> Option<(u32, u32)> {
    let (number, rest) = value.trim().split_once(char::is_whitespace)?;
    let (asked, method) = cseq(rest.trim())?;
    (method == "INVITE").then_some((number.parse().ok()?, asked))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rack_names_a_response_of_an_invite() {
        assert_eq!(rack_of("776656 1 INVITE"), Some((776656, 1)));
        for odd in ["776656 1 UPDATE", "776656", "x 1 INVITE", "1 INVITE", ""] {
            assert_eq!(rack_of(odd), None, "{odd}");
        }
    }

    #[test]
    fn only_a_required_extension_is_required() {
        let mut headers = Headers::default();
        headers.push("Supported", "100rel");
        assert!(!required(&headers));
        headers.push("Require", "timer, 100REL");
        assert!(required(&headers));
    }
}
