//! When do we look again, and what do we say meanwhile?
//!
//! At start, whenever the kernel reports a change, when somebody asks, and every now and then: a
//! router's new address is announced to nobody. A change during a look starts it anew.
//!
//! While the internet is away the state says so, but the gateway keeps the last known address:
//! it is the best guess, and the carriers hear from us again the moment the internet is back.

use crate::{Config, cache::Cache, changes::Changes, discovery, discovery::Found, local, local::Local};
use jiff::Timestamp;
use std::{net::IpAddr, time::Duration};
use tokio::sync::{mpsc, oneshot, watch};
use types::network::{Addresses, Nat, NetworkState, Source};

/// Without internet we look more often.
const RETRY: Duration = Duration::from_secs(5);
/// A web page of somebody else is not asked more often.
const SPARE_PAGES: Duration = Duration::from_secs(300);

/// Somebody who waits for a fresh state.
pub type Ask = oneshot::Sender<NetworkState>;

/// What is known now: for those who ask, and for the gateway.
#[derive(Debug, Clone, PartialEq)]
pub struct Known {
    pub state: NetworkState,
    pub addresses: Addresses,
}

pub struct Watcher {
    config: Config,
    cache: Cache,
    changes: Changes,
    asks: mpsc::Receiver<Ask>,
    known: watch::Sender<Known>,
}

impl Watcher {
    /// Starts with what the cache holds for this place.
    pub fn new(config: Config, cache: Cache, changes: Changes, asks: mpsc::Receiver<Ask>) -> Self {
        let here = local::look();
        let state = cache.load(&here).unwrap_or_else(|| unchecked(&here));
        let (known, _) = watch::channel(Known { addresses: addresses(&state, None), state });
        Self { config, cache, changes, asks, known }
    }

    pub fn known(&self) -> watch::Receiver<Known> {
        self.known.subscribe()
    }

    /// Looks, for ever.
    pub async fn run(mut self) {
        let mut waiting: Vec<Ask> = Vec::new();
        loop {
            self.check().await;
            for ask in waiting.drain(..) {
                ask.send(self.known.borrow().state.clone()).ok();
            }
            let pause = self.pause();
            tokio::select! {
                () = self.changes.settled() => {}
                Some(ask) = self.asks.recv() => waiting.push(ask),
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    async fn check(&mut self) {
        loop {
            let local = local::look();
            self.publish_local(&local);
            tokio::select! {
                found = discovery::discover(&self.config, &local) => return self.publish(found, local),
                () = self.changes.settled() => {} // what is being found out may be wrong already
            }
        }
    }

    fn pause(&self) -> Duration {
        let interval = self.config.check_interval();
        match self.known.borrow().state.source {
            Source::None => interval.min(RETRY),
            Source::Http => interval.max(SPARE_PAGES),
            Source::Stun | Source::Fixed => interval,
        }
    }

    /// Our own addresses are known at once.
    fn publish_local(&self, local: &Local) {
        self.known.send_if_modified(|known| {
            let changed = known.state.local_addresses != local.addresses || known.state.networks != local.networks;
            known.state.local_addresses = local.addresses.clone();
            known.state.networks = local.networks.clone();
            known.addresses.networks = local.networks.clone();
            changed
        });
    }

    fn publish(&self, found: Found, local: Local) {
        let state = state_of(found, local);
        let before = self.known.borrow().clone();
        if differs(&before.state, &state) {
            log(&state);
        }
        if state.source != Source::None {
            self.cache.keep(&state);
        }
        self.known.send_replace(Known { addresses: addresses(&state, before.addresses.egress), state });
    }
}

fn state_of(found: Found, local: Local) -> NetworkState {
    NetworkState {
        egress_ip: found.egress_ip,
        egress_ip6: found.egress_ip6,
        source: found.source,
        checked_at: Timestamp::now(),
        local_addresses: local.addresses,
        networks: local.networks,
        nat: found.nat,
        problem: found.problem,
    }
}

/// Before the first look is over.
fn unchecked(local: &Local) -> NetworkState {
    let problem = Some("The box is finding out its public address: ask again in a moment.".to_owned());
    let found = Found { egress_ip: None, egress_ip6: None, source: Source::None, nat: Nat::Unknown, problem };
    state_of(found, local.clone())
}

/// `last` stands in for an egress address that nobody can tell now.
fn addresses(state: &NetworkState, last: Option<IpAddr>) -> Addresses {
    Addresses {
        egress: state.egress_ip.or(state.egress_ip6).or(last),
        networks: state.networks.clone(),
        online: state.source != Source::None,
    }
}

/// But for the time.
fn differs(before: &NetworkState, now: &NetworkState) -> bool {
    *before != NetworkState { checked_at: before.checked_at, ..now.clone() }
}

fn log(state: &NetworkState) {
    match &state.problem {
        Some(problem) => tracing::warn!(source = ?state.source, nat = ?state.nat, problem, "network"),
        None => tracing::info!(
            source = ?state.source, nat = ?state.nat, egress.ip = ?state.egress_ip, egress.ip6 = ?state.egress_ip6,
            "network"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(egress: Option<&str>, source: Source) -> NetworkState {
        let local = Local { addresses: Vec::new(), networks: vec!["192.168.1.0/24".parse().unwrap()] };
        NetworkState { egress_ip: egress.map(|ip| ip.parse().unwrap()), source, ..unchecked(&local) }
    }

    #[test]
    fn the_gateway_keeps_the_last_address_while_the_internet_is_away() {
        let before = addresses(&state(Some("203.0.113.7"), Source::Stun), None);
        assert!(before.online);
        let away = addresses(&state(None, Source::None), before.egress);
        assert_eq!(away, Addresses { online: false, ..before });
        let back = addresses(&state(Some("203.0.113.8"), Source::Stun), away.egress);
        assert_eq!((back.egress, back.online), (Some("203.0.113.8".parse().unwrap()), true));
    }

    #[test]
    fn time_alone_is_no_difference() {
        let first = state(Some("203.0.113.7"), Source::Stun);
        let later = NetworkState { checked_at: Timestamp::UNIX_EPOCH, ..first.clone() };
        assert!(!differs(&first, &later));
        assert!(differs(&first, &state(Some("203.0.113.8"), Source::Stun)));
    }
}
