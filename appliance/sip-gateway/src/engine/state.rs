//! What do the keeper, the rooms' watcher and the control socket know of each other?

use super::{legs::Ledger, pulse::Condition};
use crate::config::Config;
use daemon::spool::Spool;
use livekit::api::{Api, ApiError, Tokens};
use parking_lot::Mutex;
use std::net::IpAddr;
use tokio::sync::{Notify, watch};
use types::{control::GatewayHealth, network::Addresses};

/// One per process.
pub struct Shared {
    pub config: Config,
    pub spool: Spool,
    pub livekit: Api,
    pub ledger: Mutex<Ledger>,
    /// Held by whoever looks who is there.
    pub looking: tokio::sync::Mutex<()>,
    /// Somebody looked out of turn.
    pub looked: Notify,
    /// How livekit-sip is.
    pub condition: watch::Sender<Condition>,
    told: watch::Sender<Addresses>,
}

impl Shared {
    pub fn new(config: Config, spool: Spool) -> Result<Self, ApiError> {
        let tokens = Tokens::new(&config.livekit.api_key, &config.livekit.api_secret);
        Ok(Self {
            livekit: Api::new(&config.livekit.ws_url, tokens)?,
            config,
            spool,
            ledger: Mutex::default(),
            looking: tokio::sync::Mutex::default(),
            looked: Notify::new(),
            condition: watch::Sender::default(),
            told: watch::Sender::default(),
        })
    }

    pub fn addresses(&self) -> Addresses {
        self.told.borrow().clone()
    }

    /// What `network-info` found.
    pub fn learn(&self, addresses: Addresses) {
        self.told.send_replace(addresses);
    }

    /// The address that livekit-sip tells everybody, if it is not configured.
    pub fn egress(&self) -> Option<IpAddr> {
        self.told.borrow().egress
    }

    /// Returns once livekit-sip tells another address than it should.
    pub async fn moved(&self, from: Option<IpAddr>) {
        let elsewhere = |told: &Addresses| told.online && told.egress != from;
        // An error would say that nobody can tell any more: we hold the other end ourselves.
        self.told.subscribe().wait_for(elsewhere).await.ok();
    }

    pub fn health(&self) -> GatewayHealth {
        let (legs, condition) = (self.ledger.lock().len(), self.condition.borrow().clone());
        let ports = usize::from(self.config.rtp.end.abs_diff(self.config.rtp.start)).div_ceil(2);
        GatewayHealth {
            instance: self.spool.instance().to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            legs,
            rtp_ports_free: ports.saturating_sub(legs),
            bus_connected: condition.serves(),
            trouble: condition.trouble(),
        }
    }
}
