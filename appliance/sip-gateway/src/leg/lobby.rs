//! Who may come in from the door?
//!
//! A caller whose dispatch rule wants a PIN is answered, hears a prompt and types; livekit-server is asked again with
//! what was typed, and the right PIN brings the room (livekit-sip's contract, section 3 step 8). What is said and
//! when it is enough: [`PinEntry`]. No room costs anything until then.

use super::{
    Leg, MAX_DURATION, RINGING_TIMEOUT,
    room::{self, Seat},
};
use crate::{
    inbound::dispatch::{Dispatch, dispatch_of},
    leg_state::{Input, Limits, UNANSWERED},
    pin::{Failure, Output, PinEntry},
};
use livekit::{
    proto::io::{EvaluateSipDispatchRulesRequest, EvaluateSipDispatchRulesResponse, SipDispatchResult},
    psrpc::{ErrorCode, RpcError},
};
use sip::InviteInfo;
use std::time::Instant;
use tokio::sync::oneshot;
use types::control::{Event, InboundLeg, InboundOutcome, LegEndCause};

/// What livekit-server says to a PIN.
pub type Verdict = Result<Box<EvaluateSipDispatchRulesResponse>, RpcError>;

/// A caller at the door.
pub struct Lobby {
    pub pin: PinEntry,
    leg: InboundLeg,
    invite: Box<InviteInfo>,
    request: EvaluateSipDispatchRulesRequest,
    verdict: Option<oneshot::Receiver<Verdict>>,
    failure: Option<Failure>,
}

impl Lobby {
    /// `request` is the one that was answered with the wish for a PIN.
    pub fn new(leg: InboundLeg, invite: &InviteInfo, request: EvaluateSipDispatchRulesRequest) -> Self {
        let pin = PinEntry::new(Instant::now());
        Self { pin, leg, invite: Box::new(invite.clone()), request, verdict: None, failure: None }
    }

    /// What livekit-server says, while it is asked; pends for ever otherwise.
    pub async fn verdict(&mut self) -> Option<Verdict> {
        match &mut self.verdict {
            Some(verdict) => {
                let said = verdict.await.ok();
                self.verdict = None;
                said
            }
            None => std::future::pending().await,
        }
    }
}

impl Leg {
    pub(super) fn on_key(&mut self, digit: char) {
        if let Some(lobby) = &mut self.lobby {
            lobby.pin.digit(digit, Instant::now());
            self.at_the_door();
        }
    }

    /// Does what the caller's typing, or the lack of it, leads to.
    pub(super) fn at_the_door(&mut self) {
        while let Some(output) = self.lobby.as_mut().and_then(|lobby| lobby.pin.poll_output()) {
            match output {
                Output::Say(prompt) => self.media.play(Some(prompt.sound())),
                Output::BeQuiet => self.media.play(None),
                Output::Check(pin) => self.check(pin),
                Output::GiveUp(why) => self.turn_away(why),
            }
        }
    }

    fn check(&mut self, pin: String) {
        let Some(lobby) = &mut self.lobby else { return };
        let (say, verdict) = oneshot::channel();
        let no_pin = pin.is_empty();
        let request = EvaluateSipDispatchRulesRequest { pin, no_pin, ..lobby.request.clone() };
        let gateway = self.gateway.clone();
        tokio::spawn(async move { say.send(gateway.io.evaluate_dispatch_rules(&request).await.map(Box::new)) });
        lobby.verdict = Some(verdict);
    }

    pub(super) fn on_verdict(&mut self, verdict: Option<Verdict>) {
        let now = Instant::now();
        match verdict {
            Some(Ok(answer)) if answer.outcome() == SipDispatchResult::Accept => self.let_in(*answer),
            Some(Err(error)) if error.code != ErrorCode::PermissionDenied => {
                tracing::warn!(correlation_id = %self.correlation_id, call.id = %self.lk_call_id, %error, "a PIN could not be checked");
                self.input(Input::RoomLost);
            }
            Some(_) => self.lobby.iter_mut().for_each(|lobby| lobby.pin.wrong(now)),
            None => self.input(Input::RoomLost),
        }
        self.at_the_door();
    }

    fn turn_away(&mut self, why: Failure) {
        if let Some(lobby) = &mut self.lobby {
            lobby.failure = Some(why);
        }
        let reason = format!("SIP;cause={};text=\"{}\"", why.code(), why.words());
        self.bye_headers.push(("Reason".into(), reason));
        self.input(Input::TurnedAway);
    }

    fn let_in(&mut self, answer: EvaluateSipDispatchRulesResponse) {
        let Some(Lobby { leg, invite, .. }) = self.lobby.take() else { return };
        self.gateway.metrics.dispatched(&self.lk_call_id, Instant::now());
        let mut dispatch = dispatch_of(answer, &leg, &invite, &self.gateway.config);
        let codecs = self.sdp.negotiated().map(|agreed| super::room_codec(agreed.codec)).into_iter().collect();
        let (participant, room) = (std::mem::take(&mut dispatch.participant), dispatch.room.clone());
        self.seat = Seat { participant, room, ws_url: dispatch.ws_url.take() };
        match room::join_options(&self.gateway, &self.seat, codecs) {
            Ok(options) => {
                self.media.join(options);
                self.enter(leg, dispatch);
            }
            Err(error) => {
                tracing::error!(correlation_id = %self.correlation_id, call.id = %self.lk_call_id, %error, "the room cannot be joined");
                self.input(Input::RoomLost);
            }
        }
    }

    fn enter(&mut self, leg: InboundLeg, dispatch: Dispatch) {
        tracing::info!(correlation_id = %self.correlation_id, call.id = %self.lk_call_id, room = %dispatch.room, "the PIN is right");
        let identity = self.seat.participant.identity.clone();
        self.gateway.legs.update(&self.lk_call_id, |view| {
            (view.room, view.identity) = (dispatch.room.clone(), identity.clone());
        });
        let limits = limits_of(&dispatch);
        self.attributes_to_headers = dispatch.attributes_to_headers;
        self.hide_numbers(dispatch.hidden);
        self.ringing_event =
            Some(Event::InboundRinging { leg, room: dispatch.room, identity, dispatch_rule_id: dispatch.rule_id });
        self.attributes = self.seat.participant.attributes.clone();
        self.input(Input::LetIn(limits));
    }

    /// The event of a caller who never came in.
    pub(super) fn refused_at_the_door(&mut self, cause: LegEndCause) -> Option<Event> {
        let Lobby { leg, failure, .. } = self.lobby.take()?;
        let (outcome, detail) = match (failure, cause) {
            (Some(failure), _) => (InboundOutcome::Rejected, failure.words()),
            (None, LegEndCause::PeerHangup | LegEndCause::Cancelled) => {
                (InboundOutcome::Cancelled, "the caller hung up before the PIN")
            }
            (None, LegEndCause::LocalHangup) => (InboundOutcome::Rejected, "hung up before the PIN"),
            (None, _) => (InboundOutcome::Unavailable, "the call ended before the PIN could be checked"),
        };
        Some(Event::InboundRefused { leg, outcome, sip_code: None, detail: detail.into() })
    }
}

/// Of a call that a dispatch rule lets in.
pub fn limits_of(dispatch: &Dispatch) -> Limits {
    Limits {
        ringing: dispatch.ringing_timeout.unwrap_or(RINGING_TIMEOUT),
        duration: dispatch.max_duration.unwrap_or(MAX_DURATION).min(MAX_DURATION),
        unanswered: dispatch.unanswered.unwrap_or(UNANSWERED),
    }
}
