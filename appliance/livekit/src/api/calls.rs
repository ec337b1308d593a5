//! Phones: dial one into a room, transfer one away.

use super::{Api, ApiError, twirp::Grants};
use livekit_protocol::{
    CreateSipParticipantRequest, SipParticipantInfo, TransferSipParticipantRequest, TransferSipParticipantResponse,
};
use std::{collections::HashMap, time::Duration};

/// How long livekit-server itself waits for the gateway.
const JOINED: Duration = Duration::from_secs(30);
const ANSWERED: Duration = Duration::from_secs(80);
/// Our HTTP request waits longer than livekit-server, so that its answer is the one we get.
const MARGIN: Duration = Duration::from_secs(5);

/// A blind transfer by REFER.
#[derive(Clone, Debug, Default)]
pub struct Transfer {
    pub room: String,
    pub identity: String,
    /// `tel:+31…` or `sip:…`.
    pub to: String,
    pub play_dialtone: bool,
    pub headers: HashMap<String, String>,
    pub ringing_timeout: Option<Duration>,
}

impl Api {
    /// Dials. Answers when the participant is in the room and the phone is being called, or, with
    /// `wait_until_answered`, when it was picked up; an error then has the SIP status.
    pub async fn create_sip_participant(
        &self,
        call: &CreateSipParticipantRequest,
    ) -> Result<SipParticipantInfo, ApiError> {
        let patience = if call.wait_until_answered { ANSWERED } else { JOINED } + MARGIN;
        let grants = Grants::default().with_sip_call();
        self.twirp.call("SIP/CreateSIPParticipant", grants, call, patience).await
    }

    /// Answers when the carrier has taken the call over; an error has its SIP status.
    pub async fn transfer_sip_participant(&self, transfer: &Transfer) -> Result<(), ApiError> {
        let request = TransferSipParticipantRequest {
            room_name: transfer.room.clone(),
            participant_identity: transfer.identity.clone(),
            transfer_to: transfer.to.clone(),
            play_dialtone: transfer.play_dialtone,
            headers: transfer.headers.clone(),
            ringing_timeout: transfer.ringing_timeout.map(Into::into),
        };
        let grants = Grants::room_admin(&transfer.room).with_sip_call();
        let patience = transfer.ringing_timeout.unwrap_or(JOINED) + MARGIN;
        let _: TransferSipParticipantResponse =
            self.twirp.call("SIP/TransferSIPParticipant", grants, &request, patience).await?;
        Ok(())
    }
}
