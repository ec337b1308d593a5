//! How does a leg go to somebody else?
//!
//! REFER, and then what NOTIFY says about it (RFC 3515). Whoever asks for the same target while a transfer runs
//! waits for it, too (livekit-sip's contract, section 5).

use super::{Leg, media_changes::refused};
use crate::{
    leg_state::Input,
    legs::{CommandError, Transferred},
};
use media::sound::Sound;
use sip::ReferProgress;
use tokio::sync::{mpsc, oneshot};
use types::control::LegEndCause;

/// A transfer under way.
pub struct Transfer {
    to: String,
    waiting: Vec<Waiting>,
    progress: mpsc::Receiver<ReferProgress>,
    /// The phone hears ringing.
    rings: bool,
}

/// Somebody who wants to know how it goes.
pub struct Waiting {
    pub done: oneshot::Sender<Result<(), CommandError>>,
    pub heard: oneshot::Sender<Transferred>,
}

impl Waiting {
    fn tell(self, outcome: Result<Transferred, CommandError>) {
        let outcome = outcome.map(|how| {
            self.heard.send(how).ok();
        });
        self.done.send(outcome).ok();
    }
}

impl Leg {
    /// REFER; the outcome is told when NOTIFY brings it.
    pub(super) async fn start_transfer(
        &mut self,
        to: String,
        headers: Vec<(String, String)>,
        dialtone: bool,
        waiting: Waiting,
    ) {
        match &mut self.transfer {
            Some(running) if running.to == to => return running.waiting.push(waiting),
            Some(_) => {
                let refusal = "this call is being transferred to somebody else; wait until that is over";
                return waiting.tell(Err(CommandError::Invalid(refusal.into())));
            }
            None => {}
        }
        let Some(dialog) = self.phone.dialog().cloned() else { return waiting.tell(Err(CommandError::Ended)) };
        match dialog.refer(&to, &headers).await {
            Ok(progress) => {
                if dialtone {
                    self.media.play(Some(Sound::ringing()));
                }
                self.transfer = Some(Transfer { to, waiting: vec![waiting], progress, rings: dialtone });
            }
            Err(error) => waiting.tell(Err(refused(error))),
        }
    }

    pub(super) fn on_refer(&mut self, progress: Option<ReferProgress>) {
        let outcome = match progress {
            Some(progress) if progress.code < 200 && !progress.terminated => return,
            Some(progress) if (200..300).contains(&progress.code) => Ok(Transferred::Completed),
            Some(progress) if progress.code >= 300 => {
                Err(CommandError::Refused { code: progress.code, reason: progress.reason })
            }
            // No word but 100, and the subscription or the call is over: RFC 3515 leaves it open, upstream says success.
            _ => Ok(Transferred::Unheard),
        };
        let done = outcome.is_ok();
        self.end_transfer(outcome);
        if done {
            self.input(Input::Transferred);
        }
    }

    /// Nobody waits any longer. What the other side makes of the REFER is its own affair.
    pub(super) fn give_up_transfer(&mut self) {
        self.end_transfer(Err(CommandError::Refused { code: 408, reason: "Request Timeout".into() }));
    }

    /// The leg is over, and its transfer with it.
    pub(super) fn end_transfer_with_leg(&mut self, cause: LegEndCause) {
        self.end_transfer(match cause {
            LegEndCause::PeerHangup => Ok(Transferred::CallEnded),
            _ => Err(CommandError::Ended),
        });
    }

    fn end_transfer(&mut self, outcome: Result<Transferred, CommandError>) {
        let Some(transfer) = self.transfer.take() else { return };
        if transfer.rings {
            self.media.play(None);
        }
        for waiting in transfer.waiting {
            waiting.tell(outcome.clone());
        }
    }
}

/// Pends for ever while no transfer runs.
pub async fn next_progress(transfer: &mut Option<Transfer>) -> Option<ReferProgress> {
    match transfer {
        Some(transfer) => transfer.progress.recv().await,
        None => std::future::pending().await,
    }
}
