//! How does the bus stay connected?
//!
//! One task per bus keeps two connections to Redis, one that publishes and one that subscribes,
//! makes both anew when either breaks, and subscribes to whatever stands in the routes.

use super::routes::Routes;
use futures_util::StreamExt;
use parking_lot::Mutex;
use redis::{
    AsyncConnectionConfig, RedisResult,
    aio::{MultiplexedConnection, PubSubSink, PubSubStream},
};
use std::{collections::HashSet, sync::Arc, time::Duration};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, interval, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(3);
const PING_EVERY: Duration = Duration::from_secs(10);
const FIRST_RETRY: Duration = Duration::from_millis(100);
const LAST_RETRY: Duration = Duration::from_secs(2);

/// What the bus asks of its link.
pub enum Command {
    /// Make the subscriptions to these channels fit the routes.
    Reconcile { channels: Vec<String>, done: oneshot::Sender<()> },
    /// The publishing connection failed.
    Broken,
}

/// The publishing connection, if there is one.
pub enum Link {
    /// Not tried yet.
    Unknown,
    Down,
    Up(MultiplexedConnection),
}

struct Connection {
    publisher: MultiplexedConnection,
    sink: PubSubSink,
    messages: PubSubStream,
    /// What we are subscribed to.
    current: HashSet<String>,
}

/// Keeps the link up.
pub struct Keeper {
    client: redis::Client,
    routes: Arc<Mutex<Routes>>,
    link: watch::Sender<Link>,
    connected: watch::Sender<bool>,
    retry: Duration,
}

impl Keeper {
    pub fn new(
        client: redis::Client,
        routes: Arc<Mutex<Routes>>,
        link: watch::Sender<Link>,
        connected: watch::Sender<bool>,
    ) -> Self {
        Self { client, routes, link, connected, retry: FIRST_RETRY }
    }

    /// Connects, serves, connects again, until `stop`.
    pub async fn run(mut self, mut commands: mpsc::UnboundedReceiver<Command>, stop: CancellationToken) {
        let work = async {
            loop {
                let lost = match self.open().await {
                    Ok(mut connection) => {
                        self.up(&connection);
                        self.serve(&mut connection, &mut commands).await
                    }
                    Err(error) => error,
                };
                self.down(&lost);
                self.pause(&mut commands).await;
            }
        };
        stop.run_until_cancelled(work).await;
    }

    async fn open(&self) -> Result<Connection, String> {
        let open = async {
            let config = AsyncConnectionConfig::new().set_response_timeout(Some(PATIENCE));
            let publisher = self.client.get_multiplexed_async_connection_with_config(&config).await?;
            let (sink, messages) = self.client.get_async_pubsub().await?.split();
            let mut connection = Connection { publisher, sink, messages, current: HashSet::new() };
            let wanted = self.routes.lock().channels();
            connection.reconcile(&self.routes, wanted).await?;
            Ok(connection)
        };
        patiently(open).await
    }

    /// Serves one connection until it breaks; says how.
    async fn serve(&self, connection: &mut Connection, commands: &mut mpsc::UnboundedReceiver<Command>) -> String {
        let mut ping = interval(PING_EVERY);
        loop {
            tokio::select! {
                message = connection.messages.next() => match message {
                    Some(message) => self.deliver(&message),
                    None => return "the connection was closed".to_owned(),
                },
                command = commands.recv() => match command {
                    Some(Command::Reconcile { channels, done }) => {
                        if let Err(error) = patiently(connection.reconcile(&self.routes, channels)).await {
                            return error;
                        }
                        let _ = done.send(());
                    }
                    Some(Command::Broken) | None => return "publishing failed".to_owned(),
                },
                _ = ping.tick() => {
                    if let Err(error) = patiently(connection.ping()).await {
                        return error;
                    }
                }
            }
        }
    }

    fn deliver(&self, message: &redis::Msg) {
        let sink = self.routes.lock().sink(message.get_channel_name());
        if let Some(sink) = sink {
            sink(message.get_payload_bytes());
        }
    }

    fn up(&mut self, connection: &Connection) {
        tracing::info!(redis.channels = connection.current.len(), "connected to Redis");
        self.retry = FIRST_RETRY;
        self.link.send_replace(Link::Up(connection.publisher.clone()));
        self.connected.send_replace(true);
    }

    /// Logs a change of state once, not every try.
    fn down(&mut self, why: &str) {
        let before = self.link.send_replace(Link::Down);
        self.connected.send_replace(false);
        match before {
            Link::Unknown => tracing::warn!(error = why, "Redis is not there, trying on"),
            Link::Up(_) => tracing::warn!(error = why, "lost Redis, trying again"),
            Link::Down => tracing::debug!(error = why, "Redis is still not there"),
        }
    }

    /// Waits before the next try. Nothing is subscribed meanwhile: whoever asks goes on at once, and
    /// the next connection starts from the routes.
    async fn pause(&mut self, commands: &mut mpsc::UnboundedReceiver<Command>) {
        let until = Instant::now() + self.retry;
        self.retry = (self.retry * 2).min(LAST_RETRY);
        loop {
            tokio::select! {
                () = sleep_until(until) => return,
                Some(command) = commands.recv() => drop(command),
            }
        }
    }
}

impl Connection {
    async fn reconcile(&mut self, routes: &Mutex<Routes>, channels: Vec<String>) -> RedisResult<()> {
        let (wanted, unwanted): (Vec<_>, Vec<_>) = {
            let routes = routes.lock();
            channels.into_iter().partition(|channel| routes.wants(channel))
        };
        let missing: Vec<_> = wanted.into_iter().filter(|channel| !self.current.contains(channel)).collect();
        if !missing.is_empty() {
            self.sink.subscribe(&missing).await?;
            self.current.extend(missing);
        }
        let surplus: Vec<_> = unwanted.into_iter().filter(|channel| self.current.remove(channel)).collect();
        if !surplus.is_empty() {
            self.sink.unsubscribe(&surplus).await?;
        }
        Ok(())
    }

    /// Finds out that a connection is dead when nothing else would.
    async fn ping(&mut self) -> RedisResult<()> {
        self.sink.ping::<redis::Value>().await?;
        redis::cmd("PING").query_async(&mut self.publisher).await
    }
}

async fn patiently<T>(work: impl Future<Output = RedisResult<T>>) -> Result<T, String> {
    match timeout(PATIENCE, work).await {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(_) => Err("Redis does not answer".to_owned()),
    }
}
