//! LiveKit, seen from our daemons.
//!
//! - [`psrpc`]: how `sip-gateway` and livekit-server call each other (over Redis)
//! - [`agent`]: how `voice-worker` gets its jobs
//! - [`api`]: how `control-api` sets up trunks and steers rooms; also all tokens
//! - [`proto`]: the messages that `livekit-protocol` lacks
//! - [`room`]: one participant's signalling and media, sans I/O; [`room_client`] gives it sockets
pub mod agent;
pub mod api;
pub mod proto;
pub mod psrpc;
pub mod room;
pub mod room_client;
pub mod signal_socket;

pub use room::*;

pub use livekit_protocol as protocol;
