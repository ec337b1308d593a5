//! Another call takes the phone's place: INVITE with Replaces (RFC 3891).
//!
//! A carrier's exchange whose user transferred, or another handset of the same extension. The room notices nothing: the
//! leg goes on with the new phone, and the old one gets BYE.

use super::{Leg, media_changes::refusal_code, phone::Phone};
use crate::{
    leg_state::Input,
    legs::{CommandError, Peer, TakeOver},
};
use media::sdp::{Negotiated, SdpError};
use sip::{InboundCall, InviteInfo};
use std::collections::HashMap;
use types::control::Event;

impl Leg {
    /// Answers the call in any case.
    pub(super) async fn be_taken_over(&mut self, wish: TakeOver) -> Result<(), CommandError> {
        let TakeOver { mut call, by } = wish;
        let refused = |code| Err(CommandError::Refused { code, reason: String::new() });
        if let Some(code) = self.objection(&call, &by) {
            call.reject(code, None, &[]).await;
            return refused(code);
        }
        call.set_local_tag(&self.lk_call_id); // of all dialogs of this leg
        match self.description_for(&call) {
            Ok((agreed, sdp)) => self.exchange_phone(call, agreed, sdp).await,
            Err(error) => {
                let code = refusal_code(&error);
                call.reject(code, None, &[]).await;
                refused(code)
            }
        }
    }

    /// The SIP code of why not.
    fn objection(&self, call: &InboundCall, by: &Peer) -> Option<u16> {
        match &call.info.replaces {
            _ if self.state.is_ended() => Some(603),
            _ if !self.state.is_active() || self.peer().as_ref() != Some(by) => Some(481),
            Some(named) if named.early_only => Some(486),
            _ if self.transfer.is_some() => Some(491), // the phone that is there is being sent elsewhere
            _ => None,
        }
    }

    fn peer(&self) -> Option<Peer> {
        let trunk = || self.attributes.get("sip.trunkID").filter(|id| !id.is_empty());
        self.extension_id.map(Peer::Extension).or_else(|| trunk().cloned().map(Peer::Trunk))
    }

    /// An answer to what it offers, or an offer of ours.
    fn description_for(&mut self, call: &InboundCall) -> Result<(Option<Negotiated>, Vec<u8>), SdpError> {
        match &call.info.sdp {
            Some(offer) => self.sdp.answer(offer).map(|(agreed, sdp)| (Some(agreed), sdp)),
            None => Ok((None, self.sdp.offer())),
        }
    }

    async fn exchange_phone(
        &mut self,
        call: InboundCall,
        agreed: Option<Negotiated>,
        sdp: Vec<u8>,
    ) -> Result<(), CommandError> {
        let (dialog, events) = call.accept(sdp, &[]).await.map_err(|_| CommandError::Ended)?;
        let mut before = std::mem::replace(&mut self.phone, Phone::Connected { dialog, events });
        before.hang_up(None, Vec::new());
        self.referral = None; // of the phone that is gone
        if let Some(agreed) = agreed {
            let held = agreed.held_by_peer() && !self.sdp.holding();
            self.start_audio(agreed);
            self.input(Input::PeerHolds(held));
        }
        self.introduce(&call.info);
        Ok(())
    }

    /// To the room, the control plane and whoever asks. A number that was hidden stays so.
    fn introduce(&mut self, phone: &InviteInfo) {
        let (sip_call_id, from) = (phone.call_id.clone(), phone.from_user.clone());
        tracing::info!(correlation_id = %self.correlation_id, call.id = %self.lk_call_id, sip.call_id = %sip_call_id, from, "another phone took over");
        let shows_number = self.attributes.contains_key("sip.phoneNumber");
        let told = [("sip.callIDFull", &sip_call_id), ("sip.callTag", &phone.from_tag), ("sip.phoneNumber", &from)];
        let told = told.into_iter().filter(|(name, _)| shows_number || *name != "sip.phoneNumber");
        let told: HashMap<_, _> = told.map(|(name, value)| (name.to_owned(), value.clone())).collect();
        self.attributes.extend(told.clone());
        self.media.set_attributes(told);
        self.remote_headers = phone.headers.clone();
        self.hide_numbers(!shows_number);
        self.gateway.legs.update(&self.lk_call_id, |view| view.sip_call_id = sip_call_id.clone());
        self.report(Event::LegTakenOver { lk_call_id: self.lk_call_id.clone(), sip_call_id, from });
    }
}
