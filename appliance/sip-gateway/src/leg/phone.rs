//! The SIP side of a leg, whichever way it was dialled.

use sip::{
    Dialog, DialogEvent, InboundCall, OutboundCall, OutboundEvent, ReferTo, ReinviteAnswer, Subscription,
    TerminatedCause,
};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

/// The phone, from INVITE to BYE.
pub enum Phone {
    Caller(Box<InboundCall>),
    Callee(OutboundCall),
    Connected {
        dialog: Dialog,
        events: mpsc::Receiver<DialogEvent>,
    },
    /// We hang up or cancel; the peer's answer is awaited in the background.
    Ending(JoinHandle<()>),
    Gone,
}

/// What the phone did.
pub enum PhoneEvent {
    Cancelled,
    Rings {
        headers: Vec<(String, String)>,
        /// What may be heard before the answer.
        sdp: Option<Vec<u8>>,
    },
    Answered {
        sdp: Option<Vec<u8>>,
        headers: Vec<(String, String)>,
        remote_tag: String,
    },
    Refused {
        code: u16,
        reason: String,
    },
    /// The answer to our offer came in the ACK.
    LateAnswer {
        sdp: Vec<u8>,
    },
    Reinvite {
        sdp: Option<Vec<u8>>,
        answer: oneshot::Sender<ReinviteAnswer>,
    },
    Info {
        content_type: String,
        body: Vec<u8>,
    },
    /// The phone wants to be replaced.
    Refer {
        to: ReferTo,
        subscription: Subscription,
        answer: oneshot::Sender<u16>,
    },
    /// The session timer wants our offer again.
    RefreshDue,
    /// Nobody refreshed the session: the phone is gone without a word.
    Lost,
    HungUp,
}

impl Phone {
    pub async fn next(&mut self) -> PhoneEvent {
        loop {
            let event = match self {
                Self::Caller(call) => {
                    call.cancelled().cancelled_owned().await;
                    Some(PhoneEvent::Cancelled)
                }
                Self::Callee(call) => {
                    let event = call.next().await;
                    self.on_outbound(event)
                }
                Self::Connected { events, .. } => dialog_event(events.recv().await),
                Self::Ending(_) | Self::Gone => std::future::pending().await,
            };
            if let Some(event) = event {
                if matches!(event, PhoneEvent::Cancelled | PhoneEvent::HungUp | PhoneEvent::Refused { .. }) {
                    *self = Self::Gone;
                }
                return event;
            }
        }
    }

    fn on_outbound(&mut self, event: Option<OutboundEvent>) -> Option<PhoneEvent> {
        Some(match event {
            Some(OutboundEvent::Progress { code, headers, sdp, .. }) if code >= 180 => {
                PhoneEvent::Rings { headers, sdp }
            }
            Some(OutboundEvent::Progress { .. }) => return None,
            Some(OutboundEvent::Answered { dialog, events, headers, sdp, remote_tag }) => {
                *self = Self::Connected { dialog, events };
                PhoneEvent::Answered { sdp, headers, remote_tag }
            }
            Some(OutboundEvent::Failed { code, reason, .. }) => PhoneEvent::Refused { code, reason },
            None => PhoneEvent::Refused { code: 408, reason: "no answer".into() },
        })
    }

    pub async fn ringing(&self) {
        if let Self::Caller(call) = self {
            call.ringing().await;
        }
    }

    /// 200 with our description; true when the caller took it.
    pub async fn accept(&mut self, sdp: Vec<u8>, headers: &[(String, String)]) -> bool {
        let Self::Caller(call) = self else { return false };
        match call.accept(sdp, headers).await {
            Ok((dialog, events)) => {
                *self = Self::Connected { dialog, events };
                true
            }
            Err(error) => {
                tracing::info!(%error, "the caller was gone when we answered");
                *self = Self::Gone;
                false
            }
        }
    }

    pub async fn reject(&mut self, code: u16, reason: Option<&str>) {
        if let Self::Caller(call) = std::mem::replace(self, Self::Gone) {
            let retry = (code == 503).then(|| ("Retry-After".to_owned(), "5".to_owned()));
            call.reject(code, reason, retry.as_slice()).await;
        }
    }

    /// CANCEL; what the phone says to it is awaited in the background.
    pub fn cancel(&mut self) {
        if let Self::Callee(mut call) = std::mem::replace(self, Self::Gone) {
            call.cancel();
            *self = Self::Ending(tokio::spawn(async move {
                while let Some(OutboundEvent::Progress { .. }) = call.next().await {}
            }));
        }
    }

    /// BYE; the answer is awaited in the background.
    pub fn hang_up(&mut self, reason: Option<&'static str>, headers: Vec<(String, String)>) {
        if let Self::Connected { dialog, events } = std::mem::replace(self, Self::Gone) {
            *self = Self::Ending(tokio::spawn(async move {
                dialog.bye(reason, &headers).await;
                drop(events);
            }));
        }
    }

    pub fn dialog(&self) -> Option<&Dialog> {
        match self {
            Self::Connected { dialog, .. } => Some(dialog),
            _ => None,
        }
    }

    /// Waits until the phone has answered our BYE or CANCEL, or the stack gave up.
    pub async fn finished(&mut self) {
        if let Self::Ending(task) = self
            && let Err(error) = task.await
        {
            tracing::error!(%error, "hanging up failed");
        }
    }
}

fn dialog_event(event: Option<DialogEvent>) -> Option<PhoneEvent> {
    Some(match event {
        Some(DialogEvent::Acked { sdp: Some(sdp) }) => PhoneEvent::LateAnswer { sdp },
        Some(DialogEvent::Acked { sdp: None }) => return None,
        Some(DialogEvent::Reinvite { sdp, answer }) => PhoneEvent::Reinvite { sdp, answer },
        Some(DialogEvent::Info { content_type, body }) => PhoneEvent::Info { content_type, body },
        Some(DialogEvent::Refer { to, subscription, answer }) => PhoneEvent::Refer { to, subscription, answer },
        Some(DialogEvent::RefreshDue) => PhoneEvent::RefreshDue,
        Some(DialogEvent::Terminated { cause: TerminatedCause::SessionExpired }) => PhoneEvent::Lost,
        Some(DialogEvent::Terminated { .. }) | None => PhoneEvent::HungUp,
    })
}
