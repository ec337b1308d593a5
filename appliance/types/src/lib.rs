//! The words every daemon shares: ids, numbers, end reasons and the control-socket messages.
//!
//! Nothing here does I/O. [`control`] is the one description of what `sip-gateway`, `voice-worker`
//! and `control-api` say to each other; change it only in ways an older peer can read.

pub mod control;
mod correlation;
mod e164;
mod end_reason;
pub mod firewall;
mod ids;
pub mod network;
pub mod probe;
mod redacted;
pub mod ssh;
pub mod trace;
pub mod units;

pub use correlation::CorrelationId;
pub use e164::{E164, NumberError};
pub use end_reason::EndReason;
pub use ids::*;
pub use redacted::Redacted;
