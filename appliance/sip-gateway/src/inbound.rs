//! May this INVITE become a call?
//!
//! LiveKit names the trunk and its credentials, `control-api` may refuse, LiveKit's dispatch rules
//! name the room, or want a PIN first. Only then is a port taken and the room joined (`leg::inbound`). Every INVITE ends
//! on the event spool, refused and dropped ones too. Desk phones of ours take another way ([`phone`]).
//!
//! Order and answers: livekit-sip's contract, section 3.

pub mod dispatch;
mod phone;

use crate::{
    gateway::Gateway,
    leg,
    legs::{Peer, TakeOver, What},
    participant,
};
use dispatch::{Found, Terms, dispatch_of, leg_of, uri_of};
use livekit::proto::io::{EvaluateSipDispatchRulesRequest, SipCall, SipDispatchResult, SipTrunkAuthenticationError};
use sip::{DigestCheck, InboundCall};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use types::{
    CorrelationId,
    control::{Admission, AdmissionRequest, Direction, Event, InboundLeg, InboundOutcome},
};

/// How long the control plane may think about an INVITE.
const ADMISSION_LIMIT: Duration = Duration::from_millis(300);

/// The realm of our challenges when the trunk has none; upstream's.
const REALM: &str = "LiveKit";

/// Takes calls until `stop`; each runs in a task of its own.
pub async fn serve(gateway: Arc<Gateway>, mut calls: mpsc::Receiver<InboundCall>, stop: CancellationToken) {
    loop {
        let call = tokio::select! {
            call = calls.recv() => call,
            _ = stop.cancelled() => return,
        };
        let Some(call) = call else { return };
        let attempt = Attempt::new(gateway.clone(), call);
        gateway.calls.spawn(attempt.run());
    }
}

/// An INVITE that is not a call yet.
struct Attempt {
    gateway: Arc<Gateway>,
    call: InboundCall,
    leg: InboundLeg,
    correlation_id: CorrelationId,
}

/// Why it will not become one, and what the caller is told.
struct Refused {
    outcome: InboundOutcome,
    answer: Answer,
    detail: String,
}

enum Answer {
    Code(u16),
    /// 407; the caller comes back with credentials.
    Challenge {
        realm: String,
    },
    /// 407 of the realm of our phones.
    ChallengePhone,
    Silence,
    /// The stack has answered already (CANCEL).
    Done,
    /// It is no call of its own: a leg of ours takes it.
    TakesOver {
        lk_call_id: String,
        by: Peer,
    },
}

impl Refused {
    fn with(outcome: InboundOutcome, code: u16, detail: impl Into<String>) -> Self {
        Self { outcome, answer: Answer::Code(code), detail: detail.into() }
    }

    fn silently(outcome: InboundOutcome, detail: impl Into<String>) -> Self {
        Self { outcome, answer: Answer::Silence, detail: detail.into() }
    }
}

impl Attempt {
    fn new(gateway: Arc<Gateway>, mut call: InboundCall) -> Self {
        let lk_call_id = participant::new_call_id();
        call.set_local_tag(&lk_call_id);
        let host = sip::uri::SipUri::parse(&call.info.to_uri).map(|uri| uri.host).unwrap_or_default();
        gateway.metrics.invited(&lk_call_id, &host, Instant::now());
        let leg = leg_of(&call.info, lk_call_id);
        Self { gateway, call, leg, correlation_id: CorrelationId::new() }
    }

    async fn run(mut self) {
        let cancelled = self.call.cancelled();
        let outcome = tokio::select! {
            outcome = self.dispatch() => outcome,
            _ = cancelled.cancelled() => Err(Refused {
                outcome: InboundOutcome::Cancelled,
                answer: Answer::Done,
                detail: "the caller gave up".into(),
            }),
        };
        match outcome {
            Ok(found) => {
                if matches!(found, Found::Room(_)) {
                    self.gateway.metrics.dispatched(&self.leg.lk_call_id, Instant::now());
                }
                leg::inbound::run(self.gateway, self.call, self.leg, self.correlation_id, found).await
            }
            Err(refused) => self.refuse(refused).await,
        }
    }

    async fn dispatch(&mut self) -> Result<Found, Refused> {
        if self.gateway.is_stopping() {
            return Err(Refused::with(InboundOutcome::Unavailable, 503, "the gateway is stopping"));
        }
        if self.call.comes_from_a_phone() {
            return self.dispatch_phone().await;
        }
        let known = self.authenticate().await;
        self.gateway.metrics.checked(&self.leg.lk_call_id, Instant::now());
        if self.is_stranger(&known) && self.call.may_be_a_phone() {
            return self.dispatch_phone().await;
        }
        known?;
        if let Some(trunk) = self.leg.lk_trunk_id.clone() {
            self.take_over(Peer::Trunk(trunk))?;
        }
        self.gateway.metrics.accepted(&self.leg.lk_call_id);
        self.ask_control_plane().await?;
        self.find_room().await
    }

    /// A call that names one of ours becomes that one's phone.
    fn take_over(&self, by: Peer) -> Result<(), Refused> {
        let Some(named) = &self.call.info.replaces else { return Ok(()) };
        if !self.gateway.endpoint.has_dialog(named) || !self.gateway.legs.has(&named.to_tag) {
            return Err(Refused::with(InboundOutcome::Rejected, 481, "Replaces names no call of ours"));
        }
        let answer = Answer::TakesOver { lk_call_id: named.to_tag.clone(), by }; // our tags are LiveKit's ids
        Err(Refused { outcome: InboundOutcome::Cancelled, answer, detail: "takes another phone's place".into() })
    }

    /// No trunk of LiveKit's has let it in; without any trunk it lets in everybody.
    fn is_stranger(&self, known: &Result<(), Refused>) -> bool {
        match known {
            Ok(()) => self.leg.lk_trunk_id.is_none(),
            Err(refused) => matches!(refused.outcome, InboundOutcome::NoTrunk | InboundOutcome::Dropped),
        }
    }

    /// GetSIPTrunkAuthentication and, if the trunk has credentials, digest.
    async fn authenticate(&mut self) -> Result<(), Refused> {
        let asked = self.gateway.metrics.stage(Direction::Inbound, "get-auth");
        let trunk = self.gateway.io.trunk_authentication(self.sip_call()).await.map_err(|error| {
            Refused::with(InboundOutcome::Unavailable, 503, format!("livekit-server did not name a trunk: {error}"))
        })?;
        drop(asked);
        match trunk.error_code() {
            _ if trunk.drop => {
                return Err(Refused::silently(InboundOutcome::Dropped, "livekit-server drops this trunk"));
            }
            SipTrunkAuthenticationError::None => {}
            SipTrunkAuthenticationError::QuotaExceeded => {
                return Err(Refused::with(InboundOutcome::LimitReached, 503, "the trunk's quota is used up"));
            }
            other => return Err(Refused::with(InboundOutcome::NoTrunk, 404, format!("no trunk: {other:?}"))),
        }
        self.leg.lk_trunk_id = Some(trunk.sip_trunk_id).filter(|id| !id.is_empty());
        if trunk.username.is_empty() || trunk.password.is_empty() {
            return Ok(());
        }
        let realm = if trunk.realm.is_empty() { REALM.to_owned() } else { trunk.realm };
        match self.call.check_digest(&trunk.username, &trunk.password) {
            DigestCheck::Right => Ok(()),
            DigestCheck::Missing => Err(Refused {
                outcome: InboundOutcome::Unauthorized,
                answer: Answer::Challenge { realm },
                detail: "credentials asked for".into(),
            }),
            DigestCheck::Wrong => Err(Refused::with(InboundOutcome::Unauthorized, 401, "wrong credentials")),
        }
    }

    /// The control plane may refuse before a room costs anything; silence lets the call in.
    async fn ask_control_plane(&self) -> Result<(), Refused> {
        let request = AdmissionRequest { correlation_id: self.correlation_id.clone(), leg: self.leg.clone() };
        let Some(api) = &self.gateway.api else { return Ok(()) };
        match api.with_limit(ADMISSION_LIMIT).post("/internal/v1/admission", &request).await {
            Ok(Admission::Continue | Admission::Join { .. }) => Ok(()),
            Ok(Admission::Reject { code, reason }) => Err(Refused::with(InboundOutcome::NotAdmitted, code, reason)),
            Err(error) => {
                tracing::warn!(correlation_id = %self.correlation_id, %error, "no word on admission; the call goes on");
                Ok(())
            }
        }
    }

    /// EvaluateSIPDispatchRules.
    async fn find_room(&self) -> Result<Found, Refused> {
        let trunk = self.leg.lk_trunk_id.clone().unwrap_or_default();
        let request = EvaluateSipDispatchRulesRequest::new(self.sip_call(), trunk);
        let asked = self.gateway.metrics.stage(Direction::Inbound, "eval-dispatch");
        let answer = self.gateway.io.evaluate_dispatch_rules(&request).await.map_err(|error| {
            Refused::with(InboundOutcome::Unavailable, 503, format!("livekit-server did not name a room: {error}"))
        })?;
        drop(asked);
        match answer.outcome() {
            SipDispatchResult::Accept => {
                let dispatch = dispatch_of(answer, &self.leg, &self.call.info, &self.gateway.config);
                Ok(Found::Room(Box::new(dispatch)))
            }
            SipDispatchResult::RequestPin => {
                let terms = Terms::of(answer.media.as_ref(), &self.gateway.config);
                Ok(Found::Door { request: Box::new(request), terms })
            }
            SipDispatchResult::Drop => {
                Err(Refused::silently(InboundOutcome::Dropped, "no dispatch rule of livekit-server matches"))
            }
            _ => Err(Refused::with(InboundOutcome::Rejected, 404, "a dispatch rule rejects the call")),
        }
    }

    fn sip_call(&self) -> SipCall {
        let info = &self.call.info;
        SipCall {
            lk_call_id: self.leg.lk_call_id.clone(),
            source_ip: info.source.ip().to_string(),
            address: uri_of(&info.request_uri),
            from: uri_of(&info.from_uri),
            to: uri_of(&info.to_uri),
            via: Vec::new(),
            sip_call_id: info.call_id.clone(),
            features: Default::default(),
        }
    }

    async fn refuse(self, refused: Refused) {
        let Refused { outcome, answer, detail } = refused;
        let mut report = true;
        let sip_code = match answer {
            Answer::Code(code) => {
                self.call.reject(code, None, &retry_after(code)).await;
                Some(code)
            }
            Answer::Challenge { realm } => {
                self.call.challenge(&realm).await;
                report = false; // the next INVITE of this caller is the one that counts
                None
            }
            Answer::ChallengePhone => {
                self.call.challenge_phone().await;
                report = false;
                None
            }
            Answer::Silence if self.gateway.config.sip.hide_inbound_port => {
                self.call.ignore();
                None
            }
            // A caller who can see us anyway is better served with an answer than with a dead line.
            Answer::Silence => {
                self.call.reject(404, None, &[]).await;
                Some(404)
            }
            Answer::Done => Some(487),
            Answer::TakesOver { lk_call_id, by } => {
                self.gateway.metrics.took_over(&self.leg.lk_call_id, Instant::now());
                let wish = What::TakeOver(Box::new(TakeOver { call: self.call, by }));
                if let Err(error) = self.gateway.legs.command(&lk_call_id, wish).await {
                    tracing::info!(correlation_id = %self.correlation_id, call.id = %lk_call_id, %error, "not taken over");
                }
                return;
            }
        };
        if report {
            tracing::info!(
                correlation_id = %self.correlation_id, call.id = %self.leg.lk_call_id, sip.code = sip_code,
                outcome = ?outcome, detail, "inbound call refused"
            );
            let event = Event::InboundRefused { leg: self.leg, outcome, sip_code, detail };
            self.gateway.spool.append(Some(&self.correlation_id), event);
        } else {
            self.gateway.metrics.challenged(&self.leg.lk_call_id, Instant::now());
        }
    }
}

/// When to come again, for those who are refused for now.
pub fn retry_after(code: u16) -> Vec<(String, String)> {
    match code {
        503 => vec![("Retry-After".into(), "5".into())],
        _ => Vec::new(),
    }
}
