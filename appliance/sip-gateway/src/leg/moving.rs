//! A leg goes into another room: two calls become one, and the phone notices nothing.
//!
//! The audio thread leaves the old room and joins the new one for the same phone. The control plane says when
//! (attended transfer).

use super::{
    Leg,
    audience::Audience,
    room::{self, Seat},
};
use crate::{legs::CommandError, participant::Participant};

impl Leg {
    pub(super) async fn move_to(&mut self, room: String, identity: String) -> Result<(), CommandError> {
        let seat = Seat { participant: self.participant_as(&identity), room: room.clone(), ws_url: None };
        let codecs = self.sdp.negotiated().map(|agreed| super::room_codec(agreed.codec)).into_iter().collect();
        let options = room::join_options(&self.gateway, &seat, codecs).map_err(not_now)?;
        let socket = room::room_socket(&self.gateway).await.map_err(not_now)?;
        self.media.move_to(options, socket).await.map_err(not_now)?;
        (self.seat, self.audience) = (seat, Audience::default());
        tracing::info!(correlation_id = %self.correlation_id, call.id = %self.lk_call_id, room, "leg moves to another room");
        self.gateway.legs.update(&self.lk_call_id, |view| (view.room, view.identity) = (room, identity));
        Ok(())
    }

    fn participant_as(&self, identity: &str) -> Participant {
        Participant {
            identity: identity.to_owned(),
            name: self.attributes.get("sip.phoneNumber").cloned().unwrap_or_default(),
            attributes: self.attributes.clone(),
            ..Participant::default()
        }
    }
}

fn not_now(error: impl std::error::Error) -> CommandError {
    CommandError::Invalid(format!("the other room cannot be joined: {error}"))
}
