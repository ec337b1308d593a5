//! How does the appliance speak SIP?
//!
//! [`Endpoint`] binds UDP and TCP, answers what needs no call (OPTIONS, unknown methods, garbage),
//! hands out [`InboundCall`]s, starts [`OutboundCall`]s, sends one REGISTER at a time and takes those of desk phones.
//! An answered call of either direction is a [`Dialog`] with a stream of [`DialogEvent`]s.
//! Policy that needs no socket is pure: [`digest`], [`registration`], [`header`], [`uri`], [`guard`].
//!
//! A message's way in: `transport`, `framing`, [`guard`], `stack` (transactions), `endpoint`, then
//! `inbound`, `outbound` or `dialog`. Only `stack` names the library that repeats and matches messages.
//!
//! SDP and RTP: crate `media`. Rooms: crate `livekit`. Who may call whom: `sip-gateway`.

mod advertise;
mod auth;
mod body;
mod config;
mod core;
mod dialog;
mod dialog_requests;
mod dialog_session;
pub mod digest;
mod endpoint;
mod error;
mod fork;
pub mod framing;
pub mod guard;
pub mod header;
mod ids;
mod inbound;
mod knock;
mod locations;
pub mod message;
mod offenders;
mod outbound;
mod pending;
mod referral;
mod register;
mod registrar;
pub mod registration;
mod reliable;
mod resolve;
mod session_timer;
mod stack;
mod streams;
mod tap;
pub mod tls;
mod transport;
pub mod uri;
mod websocket;

pub use advertise::Advertise;
pub use auth::Credentials;
pub use config::SipConfig;
pub use dialog::{Dialog, DialogEvent, Oddities, ReferProgress, ReinviteAnswer, TerminatedCause};
pub use endpoint::Endpoint;
pub use error::SipError;
pub use header::Reason;
pub use ids::{new_call_id, new_tag};
pub use inbound::{DigestCheck, InboundCall, InviteInfo};
pub use knock::Asked;
pub use message::HeaderList;
pub use offenders::Offender;
pub use outbound::{ENDLESS_CHALLENGE, OutboundCall, OutboundEvent, OutboundInvite};
pub use referral::{ReferTo, Replaces, Subscription};
pub use register::{RegisterOutcome, RegisterRequest};
pub use registrar::{Account, Contact, Proof};
pub use registration::Registration;
pub use resolve::Records;
pub use tap::{Seen, Tap};
pub use tls::CertificateFault;
pub use transport::Transport;
