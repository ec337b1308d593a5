//! What the daemons say to each other over Unix sockets (HTTP/1.1, JSON, version 1).
//!
//! `control-api` listens on `run/control.sock`:
//! - `POST /internal/v1/admission` ([`AdmissionRequest`] -> [`Admission`]), asked by `sip-gateway`
//! - `POST /internal/v1/events` ([`EventBatch`] -> [`EventsAccepted`]), from `sip-gateway` and `voice-worker`
//! - `POST /internal/v1/referral` ([`ReferralRequest`] -> [`ReferralAnswer`]), asked by `sip-gateway`
//!
//! `sip-gateway` listens on `run/gateway.sock`:
//! - `GET  /v1/health` -> [`GatewayHealth`], `GET /v1/legs` -> `[`[`LegView`]`]`
//! - `PUT  /v1/registrations` ([`RegistrationSet`]: all of them, the desired state) and `GET` -> `[`[`RegistrationView`]`]`
//! - `POST /v1/registrations/{trunk_id}/refresh`: register now
//! - `PUT  /v1/phones` ([`PhoneSet`]: all that may register, -> how many) and `GET /v1/phones/{extension_id}` -> `[`[`PhoneContact`]`]`
//! - `POST /v1/options` ([`OptionsRequest`] -> [`OptionsAnswer`]): is anybody there?
//! - `POST /v1/look-up` ([`LookUp`] -> [`LookedUp`]): where do requests for a server go?
//! - `POST /v1/probe` ([`crate::probe::ProbeRequest`] -> [`crate::probe::ProbeReport`]): what is this carrier able to do?
//! - `POST /v1/legs/{lk_call_id}/answer`, `/reject` ([`Reject`]), `/hangup`, `/hold`, `/unhold`, `/dtmf` ([`Dtmf`]),
//!   `/report` ([`Report`]), `/ring-back` ([`RingBack`]), `/move` ([`Move`]) -> 204,
//!   or [`Refusal`] with 404 (`leg_not_found`) or 409 (`leg_already_ended`, `leg_already_answered`, `leg_not_answered`)
//! - `GET  /v1/legs/{lk_call_id}/trace` -> [`crate::trace::LegTrace`]: what was said, also of legs that have ended
//! - whatever another SIP engine than the gateway's own cannot do: [`Refusal`] with 501 ([`NOT_AVAILABLE`])
//!
//! Events carry a sequence number per `instance` (one start of a daemon's spool directory is one
//! instance); the sender repeats a batch until [`EventsAccepted::through`] covers it, so a receiver
//! must take the same event twice without harm.

mod admission;
mod ends;
mod events;
mod jobs;
mod legs;
mod phones;
mod trunks;

pub use admission::*;
pub use ends::*;
pub use events::*;
pub use jobs::*;
pub use legs::*;
pub use phones::*;
pub use trunks::*;
