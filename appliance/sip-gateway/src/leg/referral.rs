//! A phone wants somebody else to take its place in the call.
//!
//! The control plane decides, as it does on what a desk phone dials, and tells how it goes; the phone hears that by
//! NOTIFY. Without a control plane nobody is listened to: we would call somebody at our cost.

use super::Leg;
use crate::{leg_state::Input, legs::CommandError};
use sip::{ReferTo, Subscription};
use std::time::Duration;
use tokio::sync::oneshot;
use types::control::{ReferralAnswer, ReferralRequest};

/// How long the control plane may think about it.
const LIMIT: Duration = Duration::from_secs(3);
/// How long what happened before may take to be known there.
const NEWS_LIMIT: Duration = Duration::from_secs(1);

impl Leg {
    pub(super) async fn on_referral(&mut self, to: ReferTo, subscription: Subscription, answer: oneshot::Sender<u16>) {
        let code = self.ask_about(to).await;
        tracing::info!(correlation_id = %self.correlation_id, call.id = %self.lk_call_id, sip.code = code, "REFER answered");
        if code == 202 {
            self.referral = Some(subscription);
        }
        answer.send(code).ok();
    }

    async fn ask_about(&self, to: ReferTo) -> u16 {
        let Some(api) = &self.gateway.api else { return 603 };
        if self.referral.is_some() {
            return 491;
        }
        let replaces = match &to.replaces {
            None => None,
            Some(named) if self.gateway.endpoint.has_dialog(named) => Some(named.to_tag.clone()), // our tags are LiveKit's ids
            Some(_) => return 481,
        };
        let request = ReferralRequest {
            lk_call_id: self.lk_call_id.clone(),
            extension_id: self.extension_id,
            to: to.user,
            replaces,
        };
        self.gateway.spool.told(NEWS_LIMIT).await;
        match api.with_limit(LIMIT).post("/internal/v1/referral", &request).await {
            Ok(ReferralAnswer::Accepted) => 202,
            Ok(ReferralAnswer::Refused { code }) => code,
            Err(error) => {
                tracing::warn!(correlation_id = %self.correlation_id, %error, "no word on a REFER");
                503
            }
        }
    }

    /// How it goes with whoever takes the phone's place. Once somebody has, the phone may leave.
    pub(super) fn on_report(&mut self, code: u16) -> Result<(), CommandError> {
        if let Some(subscription) = self.referral.clone() {
            tokio::spawn(async move { subscription.notify(code).await });
        }
        if code >= 200 {
            self.referral = None;
        }
        if (200..300).contains(&code) {
            self.input(Input::HandedOver);
        }
        Ok(())
    }

    /// A phone that does not wait for the outcome has handed over all the same.
    pub(super) fn on_hung_up(&mut self) {
        if self.referral.take().is_some() {
            self.input(Input::HandedOver);
        }
        self.input(Input::PeerHungUp);
    }
}
