//! The room is lost in the middle of a call: what happens to the leg?
//!
//! The phone stays connected and hears `media::phone::Comfort`. `RoomSession` first tries to resume; when that is
//! hopeless the room is joined anew, with a token and attributes of this moment. [`livekit::Rejoin`] keeps the time;
//! when it gives up, the leg ends with `LegEndCause::RoomLost`.

use super::{Leg, audience::Audience, room, room_codec};
use crate::{gateway::Gateway, leg_state::Input};
use livekit::{Rejoin, RejoinDue, RoomEvent, Stay};
use media::codec::PhoneCodec;
use std::time::{Duration, Instant};

/// As long as this gateway's settings allow.
pub fn rejoin(gateway: &Gateway) -> Rejoin {
    Rejoin::new(Duration::from_secs(gateway.config.livekit.rejoin_s.into()))
}

impl Leg {
    /// What an event means for our stay in the room.
    pub(super) fn follow_stay(&mut self, event: &RoomEvent) {
        let stay = self.rejoin.follow(event, Instant::now());
        match stay {
            Stay::Same => {}
            Stay::Lost => {
                tracing::warn!(correlation_id = %self.correlation_id, call.id = %self.lk_call_id, ?event, "the room is lost; the phone hears a comfort tone");
            }
            Stay::Back => {
                tracing::info!(correlation_id = %self.correlation_id, call.id = %self.lk_call_id, "the room is back");
            }
            Stay::Over => self.on_room_left(event),
        }
        if matches!(event, RoomEvent::Disconnected { .. }) {
            self.audience = Audience::default();
        }
        self.show_others(event);
    }

    /// The control plane may ask who is in the room.
    fn show_others(&self, event: &RoomEvent) {
        let others = match event {
            RoomEvent::Joined(_)
            | RoomEvent::Resumed
            | RoomEvent::ParticipantJoined(_)
            | RoomEvent::ParticipantLeft(_) => Some(self.audience.others()),
            RoomEvent::Resuming | RoomEvent::Disconnected { .. } => None,
            _ => return,
        };
        self.gateway.legs.update(&self.lk_call_id, |view| view.others = others);
    }

    fn on_room_left(&mut self, event: &RoomEvent) {
        tracing::info!(correlation_id = %self.correlation_id, call.id = %self.lk_call_id, ?event, "the room is left");
        let joined = !self.room.participant_sid.is_empty();
        self.input(if joined { Input::RoomClosed } else { Input::RoomLost });
    }

    /// Does what is due for a lost room.
    pub(super) async fn keep_room(&mut self) {
        match self.rejoin.handle_timeout(Instant::now()) {
            None => {}
            Some(RejoinDue::Join) => self.join_again().await,
            Some(RejoinDue::GiveUp) => self.input(Input::RoomLost),
        }
    }

    async fn join_again(&mut self) {
        self.seat.participant.attributes.clone_from(&self.attributes);
        let codecs = vec![room_codec(self.sdp.negotiated().map_or(PhoneCodec::PCMU, |agreed| agreed.codec))];
        let options = room::rejoin_options(&self.gateway, &self.seat, codecs).map_err(anyhow::Error::from);
        let socket = room::room_socket(&self.gateway).await.map_err(anyhow::Error::from);
        match options.and_then(|options| Ok((options, socket?))) {
            Ok((options, socket)) => self.media.rejoin(options, socket),
            Err(error) => {
                tracing::error!(correlation_id = %self.correlation_id, call.id = %self.lk_call_id, %error, "the room cannot be joined again");
                self.input(Input::RoomLost);
            }
        }
    }
}
