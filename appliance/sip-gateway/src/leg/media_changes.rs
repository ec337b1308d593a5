//! What changes the audio of a leg: the answer, re-INVITEs, hold, and what the room reports.

use super::Leg;
use crate::{leg_state::Input, legs::CommandError, media_thread::LegMediaEvent, participant::attribute_headers};
use livekit::RoomEvent;
use media::sdp::{Negotiated, SdpError};
use sip::{ReinviteAnswer, SipError};
use std::{collections::HashMap, net::SocketAddr};
use tokio::sync::oneshot;
use types::control::{Event, LegEndCause, LegState as Shown};

impl Leg {
    /// 200 to an inbound caller.
    pub(super) async fn answer_caller(&mut self) {
        let sdp = match self.answer.take() {
            Some(answer) => answer,
            None => self.sdp.offer(), // the INVITE had no description: ours is the offer
        };
        let mut headers = std::mem::take(&mut self.answer_headers);
        headers.extend(attribute_headers(&self.attributes_to_headers, &self.attributes));
        if !self.phone.accept(sdp, &headers).await {
            return self.input(Input::PeerHungUp);
        }
        if let Some(agreed) = self.sdp.negotiated().cloned() {
            self.start_audio(agreed);
        }
        self.input(Input::Connected);
        self.at_the_door();
    }

    /// 200 from a phone that we dialled.
    pub(super) fn on_answered(&mut self, sdp: Option<Vec<u8>>, headers: &[(String, String)], remote_tag: String) {
        self.map_headers(headers);
        self.remote_headers = headers.to_vec();
        self.attributes.insert("sip.callTag".into(), remote_tag.clone());
        self.media.set_attributes([("sip.callTag".to_owned(), remote_tag)].into());
        // After a reliable answer the 200 may come without one (RFC 3262 section 5).
        let sdp = sdp.or(self.early_answer.take()).unwrap_or_default();
        self.gateway.metrics.answer(&sdp);
        match self.sdp.apply_answer(&sdp) {
            Ok(agreed) => {
                self.start_audio(agreed);
                self.input(Input::Connected);
            }
            Err(error) => {
                tracing::warn!(correlation_id = %self.correlation_id, call.id = %self.lk_call_id, %error, "the answer is not usable");
                self.input(Input::Connected); // so that the end is a BYE
                self.input(Input::HangUp);
            }
        }
    }

    /// Announcements and ring-back of the other network, heard in the room before the answer. Of several branches of a
    /// forked call the one that spoke last is heard, until one has answered.
    pub(super) fn on_early_media(&mut self, sdp: Vec<u8>) {
        if self.early_answer.as_ref() == Some(&sdp) {
            return; // said again, as every minute
        }
        match self.sdp.apply_early_answer(&sdp) {
            Ok(agreed) => {
                tracing::debug!(correlation_id = %self.correlation_id, call.id = %self.lk_call_id, "early media");
                self.start_audio(agreed);
                self.early_answer = Some(sdp);
            }
            Err(error) => {
                tracing::info!(correlation_id = %self.correlation_id, call.id = %self.lk_call_id, %error, "early media is not usable");
            }
        }
    }

    /// The ACK brought the answer to the offer in our 200.
    pub(super) fn on_late_answer(&mut self, sdp: &[u8]) {
        match self.sdp.apply_answer(sdp) {
            Ok(agreed) => self.start_audio(agreed),
            Err(error) => {
                tracing::warn!(correlation_id = %self.correlation_id, call.id = %self.lk_call_id, %error, "the answer in ACK is not usable");
                self.input(Input::HangUp);
            }
        }
    }

    pub(super) fn start_audio(&mut self, agreed: Negotiated) {
        self.codec = agreed.codec.name().to_owned();
        self.media.negotiated(agreed);
    }

    /// A re-INVITE: address, codec or hold may have changed (RFC 3264 section 8).
    pub(super) fn on_reinvite(&mut self, sdp: Option<Vec<u8>>, answer: oneshot::Sender<ReinviteAnswer>) {
        let Some(offer) = sdp else {
            let sdp = Some(self.sdp.offer());
            answer.send(ReinviteAnswer { code: 200, sdp }).ok();
            return;
        };
        match self.sdp.answer(&offer) {
            Ok((agreed, sdp)) => {
                let held = agreed.held_by_peer() && !self.sdp.holding();
                self.start_audio(agreed);
                answer.send(ReinviteAnswer { code: 200, sdp: Some(sdp) }).ok();
                self.input(Input::PeerHolds(held));
            }
            Err(error) => {
                tracing::info!(correlation_id = %self.correlation_id, call.id = %self.lk_call_id, %error, "re-INVITE refused");
                answer.send(ReinviteAnswer { code: refusal_code(&error), sdp: None }).ok();
            }
        }
    }

    /// Our re-INVITE: the phone shall wait, or speak again.
    pub(super) async fn hold(&mut self, held: bool) -> Result<(), CommandError> {
        let before = self.sdp.holding();
        self.sdp.hold(held);
        match self.offer_again().await {
            Ok(()) => {
                self.input(Input::WeHold(held));
                Ok(())
            }
            Err(error) => {
                self.sdp.hold(before);
                Err(error)
            }
        }
    }

    /// The session timer wants to know whether the phone is still there: the same offer again (RFC 4028).
    pub(super) async fn refresh(&mut self) {
        if let Err(error) = self.offer_again().await {
            tracing::info!(correlation_id = %self.correlation_id, call.id = %self.lk_call_id, ?error, "the session was not refreshed");
        }
    }

    async fn offer_again(&mut self) -> Result<(), CommandError> {
        let Some(dialog) = self.phone.dialog().cloned() else { return Err(CommandError::Ended) };
        let answer = dialog.reinvite(self.sdp.offer()).await.map_err(refused)?;
        let agreed = self.sdp.apply_answer(&answer).map_err(|error| CommandError::Invalid(error.to_string()))?;
        self.start_audio(agreed);
        Ok(())
    }

    pub(super) fn on_media(&mut self, event: LegMediaEvent) {
        match event {
            LegMediaEvent::Connect(connect) => self.room.connect(connect, &self.media),
            LegMediaEvent::Signal(frame) => self.room.send(frame),
            LegMediaEvent::CloseSignal => self.room.close(),
            LegMediaEvent::Room(event) => self.on_room(event),
            LegMediaEvent::MediaTimeout => self.input(Input::MediaTimedOut),
            LegMediaEvent::Stats(_) | LegMediaEvent::Packets(_) | LegMediaEvent::Heads(_) => self.on_figures(event),
            LegMediaEvent::PhoneDigit(digit) => self.on_key(digit),
            LegMediaEvent::DigitsPressed if std::mem::take(&mut self.automation) => self.set_status("active"),
            LegMediaEvent::FirstRtp | LegMediaEvent::DigitsPressed => {}
            LegMediaEvent::Closed => self.input(Input::RoomLost),
        }
    }

    /// What the audio thread has counted and seen.
    pub(super) fn on_figures(&mut self, event: LegMediaEvent) {
        match event {
            LegMediaEvent::Stats(stats) => {
                self.gateway.traces.figures(&self.lk_call_id, &stats);
                self.stats = stats;
            }
            LegMediaEvent::Packets(counts) => self.gateway.metrics.packets(&self.lk_call_id, &counts),
            LegMediaEvent::Heads(heads) => {
                let local = SocketAddr::new(self.gateway.config.rtp.ip, self.port.number);
                self.gateway.traces.heads(&self.lk_call_id, &heads, local);
            }
            _ => {}
        }
    }

    fn on_room(&mut self, event: RoomEvent) {
        let somebody = self.audience.follow(&event);
        self.follow_stay(&event);
        self.on_room_event(event);
        if somebody {
            self.input(Input::SomebodySpeaks);
        }
    }

    fn on_room_event(&mut self, event: RoomEvent) {
        match event {
            RoomEvent::Packet(packet) => self.on_packet(*packet),
            RoomEvent::OwnAttributes(attributes) => self.learn_attributes(attributes),
            RoomEvent::Joined(joined) => {
                self.room.participant_sid = joined.participant_sid;
                if let Some(waiting) = self.on_joined.take() {
                    waiting.send(Ok(self.room.participant_sid.clone())).ok();
                }
                self.tell_answered();
                self.input(Input::Joined);
            }
            RoomEvent::SubscriptionFailed { track_sid, reason } => {
                tracing::warn!(call.id = %self.lk_call_id, track_sid, ?reason, "a track of the room cannot be heard");
            }
            _ => {}
        }
    }

    /// Somebody may have set some of them; the status is ours alone.
    fn learn_attributes(&mut self, mut attributes: HashMap<String, String>) {
        if let Some(status) = self.attributes.remove("sip.callStatus") {
            attributes.insert("sip.callStatus".into(), status);
        }
        self.attributes = attributes;
    }

    pub(super) fn report_hold(&mut self, held: bool, by_peer: bool) {
        let state = if self.state.is_held() { Shown::Held } else { Shown::Active };
        self.gateway.legs.update(&self.lk_call_id, |view| view.state = state);
        let lk_call_id = self.lk_call_id.clone();
        self.report(if held {
            Event::LegHeld { lk_call_id, by_peer }
        } else {
            Event::LegUnheld { lk_call_id, by_peer }
        });
    }

    /// Whoever still waits for this leg learns that it is over.
    pub(super) fn tell_waiting(&mut self, cause: LegEndCause, sip_code: Option<u16>) {
        self.end_transfer_with_leg(cause);
        for waiting in [self.on_joined.take(), self.on_answered.take()].into_iter().flatten() {
            waiting.send(Err((cause, sip_code))).ok();
        }
        while let Ok(command) = self.commands.try_recv() {
            command.done.send(Err(CommandError::Ended)).ok();
        }
    }
}

pub(super) fn refused(error: SipError) -> CommandError {
    match error {
        SipError::Refused { code, reason } => CommandError::Refused { code, reason },
        SipError::Ended => CommandError::Ended,
        other => CommandError::Invalid(other.to_string()),
    }
}

/// 488 when the offer is fine but not for us, 400 when it is broken.
pub(super) fn refusal_code(error: &SdpError) -> u16 {
    match error {
        SdpError::NoCommonCodec { .. } | SdpError::NoAudio | SdpError::NotEncrypted | SdpError::Refused => 488,
        _ => 400,
    }
}
