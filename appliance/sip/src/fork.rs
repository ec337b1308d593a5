//! How do several phones ring for one call?
//!
//! An INVITE to each of them (RFC 3261 section 16.7, seen from the caller): progress of any is
//! progress, the first answer has the call and the others are cancelled; so they are when one refuses for
//! everybody (6xx). When all have refused the best refusal counts.

use crate::message::HeaderList;
use crate::outbound::{OutboundCall, OutboundEvent};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Code, words and headers of a refusal.
type Refusal = (u16, String, HeaderList);

/// One call out of several; the first gives its Call-ID and tag.
pub(crate) fn merge(calls: Vec<OutboundCall>) -> Option<OutboundCall> {
    let first = calls.first()?;
    let (call_id, local_tag) = (first.call_id().to_owned(), first.local_tag().to_owned());
    let (events, receiver) = mpsc::channel(32);
    let cancel = CancellationToken::new();
    tokio::spawn(run(calls, events, cancel.clone()));
    Some(OutboundCall::new(call_id, local_tag, receiver, cancel))
}

/// Dropping a call cancels it.
async fn run(calls: Vec<OutboundCall>, events: mpsc::Sender<OutboundEvent>, cancel: CancellationToken) {
    let (news, mut inbox) = mpsc::channel(32);
    for call in calls {
        tokio::spawn(relay(call, news.clone(), cancel.clone()));
    }
    drop(news);
    let mut best: Option<Refusal> = None;
    while let Some(event) = inbox.recv().await {
        match event {
            OutboundEvent::Progress { .. } => take(event, &events).await,
            OutboundEvent::Failed { code, reason, headers } if code < 600 => {
                best = Some(better(best, (code, reason, headers)));
            }
            // An answer, or a refusal for everybody.
            last => {
                cancel.cancel();
                return take(last, &events).await;
            }
        }
    }
    if let Some((code, reason, headers)) = best {
        let _ = events.send(OutboundEvent::Failed { code, reason, headers }).await;
    }
}

/// Says what happens to one of them; an answer that comes too late is hung up.
async fn relay(mut call: OutboundCall, news: mpsc::Sender<OutboundEvent>, cancel: CancellationToken) {
    loop {
        let event = tokio::select! {
            event = call.next() => event,
            () = cancel.cancelled() => {
                call.cancel();
                call.next().await
            }
        };
        let Some(event) = event else { return };
        let last = !matches!(event, OutboundEvent::Progress { .. });
        take(event, &news).await;
        if last {
            return;
        }
    }
}

/// Hands an event on; an answer that nobody takes is hung up.
async fn take(event: OutboundEvent, to: &mpsc::Sender<OutboundEvent>) {
    if let Err(mpsc::error::SendError(OutboundEvent::Answered { dialog, .. })) = to.send(event).await {
        let _ = dialog.bye(None, &[]).await;
    }
}

/// The lowest class, and in it the first.
fn better(best: Option<Refusal>, new: Refusal) -> Refusal {
    match best {
        Some(best) if best.0 / 100 <= new.0 / 100 => best,
        _ => new,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_refusal_is_the_first_of_the_lowest_class() {
        let of = |codes: &[u16]| {
            let each = codes.iter().map(|code| (*code, String::new(), Vec::new()));
            each.fold(None, |best, new| Some(better(best, new))).unwrap().0
        };
        assert_eq!(of(&[503, 486, 480]), 486);
        assert_eq!(of(&[500]), 500);
    }
}
