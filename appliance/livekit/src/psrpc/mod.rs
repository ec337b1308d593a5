//! How do livekit-server and a SIP gateway call each other?
//!
//! Through psrpc: request and response over Redis pub/sub. A client publishes a request, servers
//! that could take it say so with a claim, the client picks one, and that one answers. [`Bus`] does
//! both sides; [`IoInfo`] and [`SipInternal`] put the two services of a SIP gateway on top.
//!
//! Without I/O, and tested alone: names of channels (`channel`), the envelope (`wire`), who may go
//! on with a request (`exchange`), error codes ([`RpcError`]). `link` owns the connections.

mod bus;
mod channel;
mod error;
mod exchange;
mod io_info;
mod link;
mod request;
mod routes;
mod serve;
mod sip_internal;
pub mod wire;

pub use bus::{Bus, BusError};
pub use error::{ErrorCode, RpcError};
pub use io_info::IoInfo;
pub use serve::Registration;
pub use sip_internal::SipInternal;
