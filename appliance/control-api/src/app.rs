//! What do all handlers and reconcilers share?

use crate::{
    auth::Guard,
    config::{Config, LiveKitAccess},
    ready::Readiness,
};
use daemon::unix_http::Client;
use livekit::api::{Api, Tokens};
use std::sync::Arc;
use store::Db;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// The one value that axum hands to every handler.
pub type App = Arc<AppState>;

pub struct AppState {
    pub config: Config,
    pub db: Db,
    /// None without LiveKit settings; `livekit_missing` says which.
    pub livekit: Option<LiveKit>,
    pub livekit_missing: Option<String>,
    pub gateway: Client,
    pub network_info: Option<Client>,
    pub firewall: Option<Client>,
    pub setup: Option<Client>,
    pub fleet: Option<Client>,
    pub operator: Option<Client>,
    pub objects: objects::Store,
    pub readiness: Readiness,
    /// Wakes the trunk reconciler.
    pub trunks_changed: Notify,
    /// Wakes whoever asks the carriers whether they are there.
    pub health_due: Notify,
    /// Wakes whoever tells the gateway who may register.
    pub phones_changed: Notify,
    /// Wakes whoever tells the firewall.
    pub peers_changed: Notify,
    pub guard: Guard,
    pub calls: crate::calls::Calls,
    pub stop: CancellationToken,
}

/// livekit-server: how to reach it, and what we tell browsers.
#[derive(Clone, Debug)]
pub struct LiveKit {
    pub access: LiveKitAccess,
    pub api: Api,
}

impl AppState {
    /// Opens what the configuration names. Nothing has to answer yet.
    pub fn open(config: Config, stop: CancellationToken) -> anyhow::Result<App> {
        let livekit = config.livekit.access(|name| std::env::var(name).ok());
        let livekit_missing = livekit.as_ref().err().cloned();
        Ok(Arc::new(Self {
            db: Db::open(&config.database)?,
            livekit: livekit.ok().map(LiveKit::new).transpose()?,
            livekit_missing,
            gateway: Client::new(&config.gateway_socket),
            network_info: config.network_info_socket.as_ref().map(Client::new),
            firewall: config.firewall_socket.as_ref().map(Client::new),
            setup: config.setup_socket.as_ref().map(Client::new),
            fleet: config.fleet_socket.as_ref().map(Client::new),
            operator: config.operator_socket.as_ref().map(Client::new),
            objects: objects::Store::connect(&config.s3)?,
            readiness: Readiness::default(),
            trunks_changed: Notify::new(),
            health_due: Notify::new(),
            phones_changed: Notify::new(),
            peers_changed: Notify::new(),
            guard: Guard::default(),
            calls: crate::calls::Calls::default(),
            stop,
            config,
        }))
    }
}

impl LiveKit {
    fn new(access: LiveKitAccess) -> anyhow::Result<Self> {
        let tokens = Tokens::new(&access.api_key, access.api_secret.expose());
        Ok(Self { api: Api::new(&access.url, tokens)?, access })
    }
}
