//! One process's place on the message bus.

use super::{
    ErrorCode, RpcError,
    link::{self, Command, Link},
    request::Inbox,
    routes::{Routes, Sink},
    wire,
};
use parking_lot::Mutex;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::{CancellationToken, DropGuard};

/// Why there is no bus at all. An absent Redis is no such reason.
#[derive(Debug, thiserror::Error)]
#[error("`{url}` is no address of a Redis server")]
pub struct BusError {
    url: String,
    source: redis::RedisError,
}

/// psrpc over Redis. Cheap to clone; the connections close with the last clone.
#[derive(Clone)]
pub struct Bus(Arc<Shared>);

struct Shared {
    client_id: String,
    server_id: String,
    routes: Arc<Mutex<Routes>>,
    inbox: Inbox,
    link: watch::Receiver<Link>,
    connected: watch::Receiver<bool>,
    commands: mpsc::UnboundedSender<Command>,
    _stop: DropGuard,
}

impl Bus {
    /// Starts connecting, and goes on trying for as long as the bus lives: an absent Redis fails
    /// requests, not the start. Returns after the first try.
    pub async fn connect(redis_url: &str) -> Result<Self, BusError> {
        let open = redis::Client::open(redis_url);
        let client = open.map_err(|source| BusError { url: without_password(redis_url), source })?;
        let routes = Arc::<Mutex<Routes>>::default();
        let (commands, commands_rx) = mpsc::unbounded_channel();
        let (link_tx, link) = watch::channel(Link::Unknown);
        let (connected_tx, connected) = watch::channel(false);
        let stop = CancellationToken::new();

        let keeper = link::Keeper::new(client, routes.clone(), link_tx, connected_tx);
        tokio::spawn(keeper.run(commands_rx, stop.clone()));
        let mut first = link.clone();
        let _ = first.wait_for(|link| !matches!(link, Link::Unknown)).await;

        Ok(Self(Arc::new(Shared {
            client_id: wire::fresh_id("CLI_"),
            server_id: wire::fresh_id("SRV_"),
            routes,
            inbox: Inbox::default(),
            link,
            connected,
            commands,
            _stop: stop.drop_guard(),
        })))
    }

    /// Whether Redis is there and all subscriptions stand; changes as it comes and goes.
    pub fn connected(&self) -> watch::Receiver<bool> {
        self.0.connected.clone()
    }

    pub(super) fn client_id(&self) -> &str {
        &self.0.client_id
    }

    pub(super) fn server_id(&self) -> &str {
        &self.0.server_id
    }

    pub(super) fn inbox(&self) -> &Inbox {
        &self.0.inbox
    }

    pub(super) fn has_route(&self, channel: &str) -> bool {
        self.0.routes.lock().wants(channel)
    }

    /// Takes channels; returns once Redis has confirmed them, or at once while it is absent.
    pub(super) async fn subscribe(&self, sinks: Vec<(String, Sink)>) -> u64 {
        let mut channels = Vec::with_capacity(sinks.len());
        let owner = {
            let mut routes = self.0.routes.lock();
            let owner = routes.new_owner();
            for (channel, sink) in sinks {
                routes.insert(channel.clone(), owner, sink);
                channels.push(channel);
            }
            owner
        };
        self.settle(channels).await;
        owner
    }

    /// Gives channels back; returns once Redis has confirmed.
    pub(super) async fn unsubscribe(&self, channels: &[String], owner: u64) {
        self.forget(channels, owner);
        self.settle(channels.to_vec()).await;
    }

    /// Gives channels back without waiting.
    pub(super) fn forget(&self, channels: &[String], owner: u64) {
        {
            let mut routes = self.0.routes.lock();
            channels.iter().for_each(|channel| routes.remove(channel, owner));
        }
        drop(self.reconcile(channels.to_vec()));
    }

    /// Returns once Redis has confirmed the subscriptions, or at once while it is absent.
    pub(super) async fn settle(&self, channels: Vec<String>) {
        let confirmed = self.reconcile(channels);
        if *self.0.connected.borrow() {
            let _ = confirmed.await;
        }
    }

    /// Asks for subscriptions that fit the routes; the receiver fails if Redis goes away.
    fn reconcile(&self, channels: Vec<String>) -> oneshot::Receiver<()> {
        let (done, confirmed) = oneshot::channel();
        let _ = self.0.commands.send(Command::Reconcile { channels, done });
        confirmed
    }

    /// Publishes a payload; says how many heard it.
    pub(super) async fn publish(&self, channel: &str, payload: Vec<u8>) -> Result<u64, RpcError> {
        let mut connection = self.connection()?;
        let publish = redis::cmd("PUBLISH").arg(channel).arg(payload).query_async(&mut connection).await;
        publish.map_err(|error| self.broken(error))
    }

    /// Tries to be the one subscriber of a queue that takes this payload.
    pub(super) async fn lock(&self, payload: &[u8]) -> Result<bool, RpcError> {
        let mut connection = self.connection()?;
        let set = redis::cmd("SET")
            .arg(wire::queue_lock(payload))
            .arg(rand::random::<u32>())
            .arg(&["NX", "EX", "5"])
            .query_async::<Option<String>>(&mut connection)
            .await;
        set.map(|done| done.is_some()).map_err(|error| self.broken(error))
    }

    fn connection(&self) -> Result<redis::aio::MultiplexedConnection, RpcError> {
        match &*self.0.link.borrow() {
            Link::Up(connection) => Ok(connection.clone()),
            _ => Err(RpcError::unavailable("not connected to Redis")),
        }
    }

    fn broken(&self, error: redis::RedisError) -> RpcError {
        if error.is_io_error() || error.is_unrecoverable_error() {
            let _ = self.0.commands.send(Command::Broken);
        }
        RpcError::new(ErrorCode::Unavailable, format!("Redis did not take it: {error}"))
    }
}

/// A URL fit for an error message.
fn without_password(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://***@{host}"),
        _ => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_stays_out_of_the_error() {
        assert_eq!(without_password("redis://user:secret@host:1"), "redis://***@host:1");
        assert_eq!(without_password("redis://host:1"), "redis://host:1");
    }

    #[tokio::test]
    async fn a_url_that_is_none_is_refused() {
        let error = Bus::connect("http://nowhere").await.err().map(|error| error.to_string());
        assert_eq!(error.as_deref(), Some("`http://nowhere` is no address of a Redis server"));
    }
}
