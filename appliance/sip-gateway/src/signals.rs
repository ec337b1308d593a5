//! When does the gateway stop, and what becomes of its calls?
//!
//! As livekit-sip does: SIGTERM and SIGQUIT take no new calls and let those that are up end by themselves, SIGINT ends
//! them. A second SIGINT ends the process at once with status 130.

use std::{future::pending, io, process, time::Duration};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// What was asked for so far.
#[derive(Clone, Default)]
pub struct Stop {
    /// No new calls.
    pub soon: CancellationToken,
    /// No calls at all; `soon` is said with it.
    pub now: CancellationToken,
}

struct Signals {
    term: Signal,
    quit: Signal,
    int: Signal,
}

impl Stop {
    /// Listens for signals from now on.
    pub fn on_signals() -> io::Result<Self> {
        let stop = Self::default();
        let signals = Signals {
            term: signal(SignalKind::terminate())?,
            quit: signal(SignalKind::quit())?,
            int: signal(SignalKind::interrupt())?,
        };
        tokio::spawn(signals.follow(stop.clone()));
        Ok(stop)
    }

    /// Waits for calls to end by themselves, at most `limit` and not after SIGINT.
    pub async fn let_end(&self, calls: &TaskTracker, limit: Option<Duration>) {
        let too_long = async {
            match limit {
                Some(limit) => tokio::time::sleep(limit).await,
                None => pending().await,
            }
        };
        calls.close(); // so that it can be waited for; calls that are being refused still enter
        tokio::select! {
            _ = calls.wait() => {}
            _ = too_long => {}
            _ = self.now.cancelled() => {}
        }
    }
}

impl Signals {
    async fn follow(mut self, stop: Stop) {
        loop {
            tokio::select! {
                _ = self.term.recv() => {}
                _ = self.quit.recv() => {}
                _ = self.int.recv() => {
                    if stop.now.is_cancelled() {
                        process::exit(130);
                    }
                    stop.now.cancel();
                }
            }
            if !stop.soon.is_cancelled() {
                daemon::stopping();
                stop.soon.cancel();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::oneshot;

    #[tokio::test]
    async fn without_a_limit_the_last_call_is_waited_for() {
        let (stop, calls) = (Stop::default(), TaskTracker::new());
        let (hang_up, hung_up) = oneshot::channel::<()>();
        calls.spawn(hung_up);
        let mut waiting = Box::pin(stop.let_end(&calls, None));
        tokio::select! {
            biased;
            _ = &mut waiting => panic!("a call was up"),
            _ = tokio::task::yield_now() => {}
        }
        hang_up.send(()).unwrap();
        waiting.await;
        assert!(calls.is_empty());
    }

    #[tokio::test]
    async fn a_limit_or_an_interrupt_leaves_calls_behind() {
        let (stop, calls) = (Stop::default(), TaskTracker::new());
        calls.spawn(pending::<()>());
        stop.let_end(&calls, Some(Duration::ZERO)).await;
        assert_eq!(calls.len(), 1);
        stop.now.cancel();
        stop.let_end(&calls, None).await;
        assert_eq!(calls.len(), 1);
    }
}
