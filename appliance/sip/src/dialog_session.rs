//! When is a refresh due, and when is a call given up that nobody refreshes? (RFC 4028)
//!
//! The clock of [`crate::session_timer`]. Each agreement starts a new one, and the one before stops by itself.

use crate::dialog::{DialogEvent, Inner, TerminatedCause};
use crate::message::HeaderList;
use crate::session_timer::{Agreed, LEAST, agreed_by, wish};
use std::sync::{Arc, Weak};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::info;

/// The agreement and its clock.
#[derive(Debug, Default)]
pub(crate) struct Session {
    agreed: Option<Agreed>,
    clock: CancellationToken,
}

impl Session {
    /// No clock runs any more.
    pub fn stop(&mut self) {
        self.clock.cancel();
    }
}

impl Inner {
    /// A refresh went through, or the first agreement was made: the clock starts over, or stops.
    pub fn keep_session(self: &Arc<Self>, agreed: Option<Agreed>) {
        let clock = CancellationToken::new();
        let ended = {
            let mut state = self.state.lock();
            state.session.stop();
            state.session = Session { agreed, clock: clock.clone() };
            state.ended
        };
        if let Some(agreed) = agreed.filter(|_| !ended) {
            tokio::spawn(watch(Arc::downgrade(self), agreed, clock));
        }
    }

    /// What a request of ours that refreshes says.
    pub fn session_headers(&self) -> HeaderList {
        let Some(agreed) = self.state.lock().session.agreed else { return HeaderList::new() };
        let mut headers = wish(u32::try_from(agreed.interval.as_secs()).unwrap_or(u32::MAX), LEAST);
        let who = if agreed.we_refresh { "uac" } else { "uas" };
        for (_, value) in headers.iter_mut().filter(|(name, _)| name == "Session-Expires") {
            value.push_str(";refresher=");
            value.push_str(who);
        }
        headers
    }

    /// True when this clock has done its work: the next one runs, or the call is over.
    async fn refresh(self: &Arc<Self>) -> bool {
        if !self.state.lock().peer_updates {
            self.emit(DialogEvent::RefreshDue).await;
            return false;
        }
        let Ok(response) = self.exchange("UPDATE", &self.session_headers(), None).await else { return false };
        match response.code {
            200..300 => self.keep_session(agreed_by(&response.headers)),
            408 | 481 => self.expire().await,
            405 | 501 => {
                self.state.lock().peer_updates = false;
                return false;
            }
            _ => return false,
        }
        true
    }

    async fn expire(self: &Arc<Self>) {
        info!(call.sip_id = self.id.call_id, "sip_session_expired");
        let reason = ("Reason".to_owned(), "SIP;cause=408;text=\"Session expired\"".to_owned());
        self.hang_up(TerminatedCause::SessionExpired, &[reason]).await;
    }
}

async fn watch(dialog: Weak<Inner>, agreed: Agreed, clock: CancellationToken) {
    let began = Instant::now();
    let end = began + agreed.end_after();
    let mut next = if agreed.we_refresh { began + agreed.refresh_after() } else { end };
    while next < end {
        let Some(dialog) = awake(&dialog, next, &clock).await else { return };
        if dialog.refresh().await {
            return;
        }
        next = Instant::now() + agreed.interval / 10;
    }
    if let Some(dialog) = awake(&dialog, end, &clock).await {
        dialog.expire().await;
    }
}

/// The call at that time, if it still lives and nothing newer was agreed on. Only the sleep can be stopped: a refresh
/// that is under way starts the next clock itself.
async fn awake(dialog: &Weak<Inner>, at: Instant, clock: &CancellationToken) -> Option<Arc<Inner>> {
    clock.run_until_cancelled(sleep_until(at)).await?;
    dialog.upgrade().filter(|dialog| !dialog.state.lock().ended)
}
