//! What do all calls of this process share?

use crate::{
    addresses::AddressBook,
    config::Config,
    cpu::CpuLoad,
    events::Events,
    health::Health,
    legs::Legs,
    media_thread::{MediaPool, PhoneSockets},
    metrics::Metrics,
    registrations::Registrations,
    trace::Traces,
};
use daemon::unix_http;
use livekit::{
    Certificate,
    api::Tokens,
    psrpc::{Bus, IoInfo, SipInternal},
};
use media::ports::{Exhausted, PortPool};
use parking_lot::Mutex;
use std::{
    net::{SocketAddr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;
use types::control::GatewayHealth;

/// Everything a call needs; one per process.
pub struct Gateway {
    pub config: Config,
    pub addresses: Arc<AddressBook>,
    pub endpoint: sip::Endpoint,
    pub bus: Bus,
    pub io: IoInfo,
    pub rpc: SipInternal,
    pub media: MediaPool,
    pub certificate: Certificate,
    /// Towards phones.
    pub identity: media::dtls::Identity,
    pub tokens: Tokens,
    pub legs: Legs,
    pub registrations: Registrations,
    pub spool: Events,
    pub traces: Arc<Traces>,
    pub metrics: Arc<Metrics>,
    pub cpu: Arc<CpuLoad>,
    /// `control-api`, if there is a control plane.
    pub api: Option<unix_http::Client>,
    pub ports: Arc<Mutex<PortPool>>,
    /// Everything that serves a call, from its INVITE to its last event.
    pub calls: TaskTracker,
    pub stopping: AtomicBool,
    /// Places for carriers that are tried out.
    pub probes: Semaphore,
}

/// Why no RTP socket could be had.
#[derive(Debug, thiserror::Error)]
pub enum PortError {
    #[error(transparent)]
    Exhausted(#[from] Exhausted),
    #[error("could not bind RTP port {0}")]
    Bind(SocketAddr, #[source] std::io::Error),
}

/// An RTP port out of the pool, and the odd one above it; dropping it gives both back.
pub struct Port {
    pub number: u16,
    pool: Arc<Mutex<PortPool>>,
}

impl Drop for Port {
    fn drop(&mut self) {
        self.pool.lock().give_back(self.number);
    }
}

impl Gateway {
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// Bound sockets for RTP and RTCP. A pair of which somebody else holds a port is passed over.
    pub fn phone_sockets(&self) -> Result<(PhoneSockets, Port), PortError> {
        let tries = self.ports.lock().total();
        let mut last = None;
        for _ in 0..tries {
            let port = Port { number: self.ports.lock().take()?, pool: self.ports.clone() };
            let bind = |port| {
                let address = SocketAddr::new(self.config.rtp.ip, port);
                UdpSocket::bind(address).map_err(|error| PortError::Bind(address, error))
            };
            match bind(port.number).and_then(|rtp| Ok(PhoneSockets { rtp, rtcp: bind(port.number + 1)? })) {
                Ok(sockets) => return Ok((sockets, port)),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or(PortError::Exhausted(Exhausted(tries))))
    }

    /// What load balancers are told.
    pub fn fitness(&self) -> Health {
        Health::of(self.is_stopping(), self.cpu.now(), self.config.observe.max_cpu_utilization)
    }

    /// Fit, and livekit-server can be asked about new calls.
    pub fn is_available(&self) -> bool {
        self.fitness() == Health::Ok && *self.bus.connected().borrow()
    }

    pub fn health(&self) -> GatewayHealth {
        GatewayHealth {
            instance: self.spool.instance().to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            legs: self.legs.len(),
            rtp_ports_free: self.ports.lock().free(),
            bus_connected: *self.bus.connected().borrow(),
            trouble: None,
        }
    }
}
