//! How do we tell livekit-server what to do?
//!
//! [`Api`] speaks Twirp, LiveKit's HTTP API, over loopback. Trunks and rules are kept by what they
//! should be (`ensure_…`), calls and rooms are commands. [`Tokens`] signs whatever needs a token, and
//! [`Webhooks`] checks what livekit-server sends us.
//!
//! LiveKit objects that are ours carry our trunk's id in their metadata (`ours`); no others are
//! changed or deleted.

mod calls;
mod dispatch;
mod object;
mod ours;
mod rooms;
mod tokens;
mod trunks;
mod twirp;
mod webhook;

pub use calls::Transfer;
pub use ours::METADATA_KEY;
pub use tokens::{Join, SipJoin, TokenError, Tokens};
pub use trunks::{DispatchRule, InboundTrunk, OutboundTrunk, TrunkMedia};
pub use twirp::{ApiError, Refusal};
pub use webhook::{WebhookError, Webhooks};

/// livekit-server's API. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Api {
    twirp: twirp::Twirp,
}

impl Api {
    /// `url` is livekit-server's, `ws://…` or `http://…`; TLS is not built in.
    pub fn new(url: &str, tokens: Tokens) -> Result<Self, ApiError> {
        Ok(Self { twirp: twirp::Twirp::new(url, tokens)? })
    }

    pub fn tokens(&self) -> &Tokens {
        self.twirp.tokens()
    }
}
