//! May this desk phone make its call?
//!
//! It proves its extension's password; the control plane says which room the call gets. LiveKit has no
//! trunk and no rule for it, so without the control plane there is no call.

use super::{
    Answer, Attempt, Refused,
    dispatch::{Dispatch, Found, Terms},
};
use crate::{
    legs::Peer,
    participant::{self, Participant},
};
use sip::{Proof, Transport};
use std::{collections::HashMap, time::Duration};
use types::control::{Admission, AdmissionRequest, InboundOutcome};

/// How long the control plane may think about it.
const LIMIT: Duration = Duration::from_secs(5);

impl Attempt {
    pub(super) async fn dispatch_phone(&mut self) -> Result<Found, Refused> {
        match self.call.check_phone() {
            Proof::Missing => Err(Refused {
                outcome: InboundOutcome::Unauthorized,
                answer: Answer::ChallengePhone,
                detail: "a phone's password asked for".into(),
            }),
            Proof::Wrong => Err(Refused::with(InboundOutcome::Unauthorized, 403, "not the password of this phone")),
            Proof::Right(extension) => {
                self.leg.extension_id = extension.parse().ok();
                if let Some(extension) = self.leg.extension_id {
                    self.take_over(Peer::Extension(extension))?;
                }
                self.gateway.metrics.accepted(&self.leg.lk_call_id);
                self.ask_for_room().await
            }
        }
    }

    async fn ask_for_room(&self) -> Result<Found, Refused> {
        let request = AdmissionRequest { correlation_id: self.correlation_id.clone(), leg: self.leg.clone() };
        let Some(api) = &self.gateway.api else {
            return Err(Refused::with(InboundOutcome::Unavailable, 503, "there is no control plane to ask for a room"));
        };
        match api.with_limit(LIMIT).post("/internal/v1/admission", &request).await {
            Ok(Admission::Join { room, identity, name }) => {
                Ok(Found::Room(Box::new(self.dispatch_to(room, identity, name))))
            }
            Ok(Admission::Reject { code, reason }) => Err(Refused::with(InboundOutcome::NotAdmitted, code, reason)),
            Ok(Admission::Continue) => Err(Refused::with(InboundOutcome::NoTrunk, 404, "nobody knows this phone")),
            Err(error) => {
                let detail = format!("control-api did not say where a phone's call goes: {error}");
                Err(Refused::with(InboundOutcome::Unavailable, 503, detail))
            }
        }
    }

    fn terms(&self) -> Terms {
        let usual = Terms::of(None, &self.gateway.config);
        let codecs = match self.call.info.transport {
            Transport::Wss => participant::opus_first(usual.codecs),
            Transport::Udp | Transport::Tcp | Transport::Tls => usual.codecs,
        };
        Terms { encryption: participant::encryption_if_wanted(), codecs, ..usual }
    }

    fn dispatch_to(&self, room: String, identity: String, name: String) -> Dispatch {
        let attributes = HashMap::from([("sip.phoneNumber".to_owned(), self.leg.from.clone())]);
        let rule = livekit::proto::io::EvaluateSipDispatchRulesResponse {
            participant_identity: identity,
            participant_name: name,
            participant_attributes: attributes,
            ..Default::default()
        };
        Dispatch {
            participant: Participant::of_inbound(&rule, &self.leg, &self.call.info),
            room,
            rule_id: None,
            headers: Vec::new(),
            attributes_to_headers: HashMap::new(),
            ringing_timeout: None,
            unanswered: None,
            max_duration: None,
            ws_url: None,
            terms: self.terms(),
            hidden: false,
        }
    }
}
