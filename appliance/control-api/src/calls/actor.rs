//! Who may change a call, and in which order?
//!
//! One task per call takes functions from a queue, runs each on the [`Live`] call, writes what
//! changed and only then answers: whoever got an answer knows that it is stored. The network is left
//! to a second task per call, so that a slow neighbour never holds up the news.

use super::{effects, live::Live};
use crate::app::App;
use std::time::Instant;
use tokio::sync::{mpsc, oneshot};
use types::{CallId, TenantId};

type Work = Box<dyn FnOnce(&mut Live) -> Answer + Send>;
type Answer = Box<dyn FnOnce() + Send>;

/// The way to a living call.
#[derive(Clone)]
pub struct Handle {
    pub id: CallId,
    pub tenant: TenantId,
    work: mpsc::UnboundedSender<Work>,
}

impl Handle {
    /// Runs `work` on the call; answers when its consequences are stored. `None`: the call is over.
    pub async fn tell<T, F>(&self, work: F) -> Option<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Live) -> T + Send + 'static,
    {
        let (answer, result) = oneshot::channel();
        let job: Work = Box::new(move |live| {
            let value = work(live);
            Box::new(move || drop(answer.send(value)))
        });
        self.work.send(job).ok()?;
        result.await.ok()
    }
}

/// Starts the tasks of a call.
pub fn spawn(app: &App, live: Live) -> Handle {
    let (work, inbox) = mpsc::unbounded_channel();
    let handle = Handle { id: live.call.id, tenant: live.call.tenant_id, work };
    app.calls.remember(&handle, &live);
    let effects = effects::spawn(app, &live, handle.clone());
    tokio::spawn(run(app.clone(), live, inbox, effects));
    handle
}

async fn run(
    app: App,
    mut live: Live,
    mut inbox: mpsc::UnboundedReceiver<Work>,
    effects: mpsc::UnboundedSender<effects::Effect>,
) {
    settle(&app, &mut live, &effects).await;
    while !live.is_over() {
        let wake = live.wake_at();
        tokio::select! {
            // Calls outlive this process; the next one resumes them.
            () = app.stop.cancelled() => return,
            work = inbox.recv() => {
                let Some(work) = work else { return };
                let answer = work(&mut live);
                settle(&app, &mut live, &effects).await;
                answer();
            }
            () = sleep_until(wake) => {
                live.wake();
                settle(&app, &mut live, &effects).await;
            }
        }
    }
    app.calls.forget(&live);
}

/// Writes first, then acts.
async fn settle(app: &App, live: &mut Live, effects: &mpsc::UnboundedSender<effects::Effect>) {
    if let Some(snapshot) = live.snapshot() {
        app.calls.remember_legs(live);
        if let Err(error) = app.db.write(move |tx| snapshot.write(tx)).await {
            // The call goes on: the next change writes all of it again.
            tracing::error!(
                correlation_id = %live.call.correlation_id, call.id = %live.call.id, %error, "scaidial_call_not_stored"
            );
        }
    }
    for effect in live.take_effects() {
        effects.send(effect).ok();
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
