//! Who may see every message as it is on the wire?
//!
//! Whoever the endpoint's owner names. A [`Tap`] is told of each message that the guard lets through and of each that
//! we send, repeats included, an answer after its question. Proofs of passwords and keys are still in them; what of
//! them may be kept is for the owner to decide.

use crate::Transport;
use std::net::SocketAddr;
use std::sync::Arc;

/// A message on its way.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// By us.
    pub sent: bool,
    pub transport: Transport,
    /// Ours; an unspecified address where the socket is bound to all of them.
    pub local: SocketAddr,
    pub peer: SocketAddr,
    pub bytes: &'a [u8],
}

/// Called for each message, on the path of the message: it must be quick. The default looks at nothing.
#[derive(Clone, Default)]
pub struct Tap(Option<Arc<See>>);

type See = dyn Fn(Seen<'_>) + Send + Sync;

impl Tap {
    pub fn new(see: impl Fn(Seen<'_>) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(see)))
    }

    pub(crate) fn tell(&self, seen: Seen<'_>) {
        if let Some(see) = &self.0 {
            see(seen);
        }
    }
}

impl std::fmt::Debug for Tap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tap")
    }
}
