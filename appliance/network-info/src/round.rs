//! Which server is to be asked (again) now, and when have we heard enough?
//!
//! Pure: one round of asking several STUN servers at once; time is an argument. Each request is
//! repeated as RFC 8489 section 6.2.1 wants. Once one server has answered, the others get
//! [`SETTLE`] to confirm it: a dead server must not hold up the news.
//!
//! The sockets: [`crate::ask`]. What the answers mean: [`crate::nat`].

use crate::stun::{self, StunError, TransactionId};
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

/// RTO: the wait after the first request, doubled after each.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// Rc: how often a request is sent.
const SENDS: u32 = 7;
/// Rm times RTO: the wait after the last one.
const LAST_WAIT: Duration = Duration::from_secs(8);
/// How long the others may take once one has answered.
const SETTLE: Duration = Duration::from_secs(2);

/// What one server saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mapping {
    pub server: SocketAddr,
    pub mapped: SocketAddr,
}

/// Several servers, asked at once.
pub struct Round {
    waiting: Vec<Waiting>,
    mappings: Vec<Mapping>,
    /// When the last one may be late no more.
    settled: Option<Instant>,
    unreachable: usize,
}

struct Waiting {
    server: SocketAddr,
    id: TransactionId,
    sends: u32,
    due: Instant,
}

impl Round {
    /// The ids must not be guessable: whoever guesses one can lie to us.
    pub fn new(servers: impl IntoIterator<Item = (SocketAddr, TransactionId)>, now: Instant) -> Self {
        let waiting = servers.into_iter().map(|(server, id)| Waiting { server, id, sends: 0, due: now }).collect();
        Self { waiting, mappings: Vec::new(), settled: None, unreachable: 0 }
    }

    /// The next request that is due; servers that were asked often enough are given up.
    pub fn poll_send(&mut self, now: Instant) -> Option<(SocketAddr, [u8; 20])> {
        self.waiting.retain(|waiting| waiting.sends < SENDS || now < waiting.due);
        let next = self.waiting.iter_mut().find(|waiting| now >= waiting.due)?;
        next.sends += 1;
        next.due = now + if next.sends == SENDS { LAST_WAIT } else { FIRST_WAIT * 2u32.pow(next.sends - 1) };
        Some((next.server, stun::request(&next.id)))
    }

    /// A datagram came. What is no answer of `from` to us changes nothing.
    pub fn handle(&mut self, from: SocketAddr, bytes: &[u8], now: Instant) {
        let answer =
            self.waiting.iter().enumerate().filter(|(_, waiting)| waiting.server == from).find_map(|(at, waiting)| {
                match stun::mapped_address(bytes, &waiting.id) {
                    Err(StunError::NotOurs | StunError::NotStun | StunError::Broken) => None,
                    outcome => Some((at, outcome)),
                }
            });
        let Some((at, outcome)) = answer else { return };
        self.waiting.remove(at);
        match outcome {
            Ok(mapped) if is_plausible(mapped) => {
                self.mappings.push(Mapping { server: from, mapped });
                self.settled.get_or_insert(now + SETTLE);
            }
            Ok(mapped) => tracing::debug!(stun.server = %from, %mapped, "a STUN server says what cannot be"),
            Err(error) => tracing::debug!(stun.server = %from, %error, "a STUN server does not help"),
        }
    }

    /// The network says that there is no way to `server`.
    pub fn no_way_to(&mut self, server: SocketAddr) {
        let before = self.waiting.len();
        self.waiting.retain(|waiting| waiting.server != server);
        self.unreachable += before - self.waiting.len();
    }

    /// When to `poll_send` next; `None` when the round is over.
    pub fn next_wakeup(&self, now: Instant) -> Option<Instant> {
        let due = self.waiting.iter().map(|waiting| waiting.due).min()?;
        match self.settled {
            Some(settled) if now >= settled => None,
            Some(settled) => Some(due.min(settled)),
            None => Some(due),
        }
    }

    /// What the servers saw, in the order of their answers.
    pub fn mappings(&self) -> &[Mapping] {
        &self.mappings
    }

    /// No packet could leave: there is no route.
    pub fn nothing_left(&self) -> bool {
        self.mappings.is_empty() && self.waiting.is_empty() && self.unreachable > 0
    }
}

/// No packet of ours can have come from such an address.
fn is_plausible(mapped: SocketAddr) -> bool {
    let ip = mapped.ip();
    mapped.port() != 0 && !ip.is_unspecified() && !ip.is_loopback() && !ip.is_multicast()
}

#[cfg(test)]
mod tests;
