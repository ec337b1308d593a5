//! The server's side of a call.

use super::{
    Bus, ErrorCode, RpcError, channel,
    exchange::{response_to, time_left},
    request::unix_now,
    routes::Sink,
    wire,
};
use crate::proto::internal::{ClaimRequest, ClaimResponse, Request};
use parking_lot::Mutex;
use prost::Message;
use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

/// Requests that wait for a free hand; more than these are dropped, and their callers time out.
const BACKLOG: usize = 256;

/// A method we serve. Dropping it, or [`close`](Self::close), ends that; calls being handled go on
/// and are answered.
#[must_use = "dropping it stops serving the method"]
pub struct Registration {
    bus: Bus,
    channels: [String; 2],
    owner: u64,
}

impl Registration {
    /// Stops serving; returns once no new request can come.
    pub async fn close(self) {
        self.bus.unsubscribe(&self.channels, self.owner).await;
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.bus.forget(&self.channels, self.owner);
    }
}

impl Bus {
    /// Serves a method on a topic. The handler gets the request and the moment after which nobody
    /// waits for its answer; it is not cancelled then. Returns once Redis has confirmed, or at once
    /// while it is absent (the method is served when it comes).
    pub async fn serve<Q, R, F, Fut>(&self, service: &str, method: &str, topic: &[&str], handler: F) -> Registration
    where
        Q: Message + Default + 'static,
        R: Message + 'static,
        F: Fn(Q, Instant) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R, RpcError>> + Send + 'static,
    {
        let channels = [channel::requests(service, method, topic), channel::claim_responses(service, method, topic)];
        let claims = Claims::default();
        let (queue, requests) = mpsc::channel(BACKLOG);
        let sinks = vec![(channels[0].clone(), queue_sink(queue)), (channels[1].clone(), claims.sink())];
        let server = Server { bus: self.clone(), service: service.to_owned(), claims, handler };
        tokio::spawn(Arc::new(server).run(requests));
        let owner = self.subscribe(sinks).await;
        Registration { bus: self.clone(), channels, owner }
    }
}

fn queue_sink(queue: mpsc::Sender<Vec<u8>>) -> Sink {
    Arc::new(move |payload| {
        if queue.try_send(payload.to_vec()).is_err() {
            tracing::warn!("too many requests at once, one was dropped");
        }
    })
}

/// Who waits for a client's choice, by request id.
#[derive(Clone, Default)]
struct Claims(Arc<Mutex<HashMap<String, oneshot::Sender<String>>>>);

impl Claims {
    fn sink(&self) -> Sink {
        let claims = self.clone();
        Arc::new(move |payload| {
            let Ok(choice) = wire::open::<ClaimResponse>(payload) else { return };
            let waiting = claims.0.lock().remove(&choice.request_id);
            if let Some(waiting) = waiting {
                let _ = waiting.send(choice.server_id);
            }
        })
    }
}

struct Server<F> {
    bus: Bus,
    service: String,
    claims: Claims,
    handler: F,
}

impl<F> Server<F> {
    async fn run<Q, R, Fut>(self: Arc<Self>, mut requests: mpsc::Receiver<Vec<u8>>)
    where
        Q: Message + Default + 'static,
        R: Message + 'static,
        F: Fn(Q, Instant) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R, RpcError>> + Send + 'static,
    {
        while let Some(payload) = requests.recv().await {
            let server = self.clone();
            tokio::spawn(async move {
                if let Err(error) = server.take(&payload).await {
                    tracing::warn!(rpc.service = server.service, %error, "a request got no answer");
                }
            });
        }
    }

    /// Takes a request if it falls to us, and answers it.
    async fn take<Q, R, Fut>(&self, payload: &[u8]) -> Result<(), RpcError>
    where
        Q: Message + Default,
        R: Message,
        F: Fn(Q, Instant) -> Fut,
        Fut: Future<Output = Result<R, RpcError>>,
    {
        let malformed = |error: &dyn std::error::Error| RpcError::new(ErrorCode::MalformedRequest, error.to_string());
        let request: Request = wire::open(payload).map_err(|error| malformed(&error))?;
        let Some(left) = time_left(&request, unix_now()) else { return Ok(()) };
        let deadline = Instant::now() + left;
        if !self.bus.lock(payload).await? {
            return Ok(());
        }
        let result = match Q::decode(request.raw_request.as_slice()) {
            Err(error) => Err(malformed(&error)),
            Ok(_) if !self.is_ours(&request, left).await? => return Ok(()),
            Ok(query) => (self.handler)(query, deadline).await.map(|answer| answer.encode_to_vec()),
        };
        self.answer(&request, result).await
    }

    /// Offers ourselves to the client and waits for its choice.
    async fn is_ours(&self, request: &Request, left: Duration) -> Result<bool, RpcError> {
        let id = request.request_id.clone();
        let (sender, choice) = oneshot::channel();
        self.claims.0.lock().insert(id.clone(), sender);
        let server_id = self.bus.server_id().to_owned();
        let offer = ClaimRequest { request_id: id.clone(), server_id, affinity: 1.0 };
        let channel = channel::claim_requests(&self.service, &request.client_id);
        let published = self.bus.publish(&channel, wire::seal(&offer)).await;
        let chosen = match published {
            Ok(_) => timeout(left, choice).await.ok().and_then(Result::ok),
            Err(_) => None,
        };
        self.claims.0.lock().remove(&id);
        published?;
        Ok(chosen.as_deref() == Some(self.bus.server_id()))
    }

    async fn answer(&self, request: &Request, result: Result<Vec<u8>, RpcError>) -> Result<(), RpcError> {
        let response = response_to(&request.request_id, self.bus.server_id(), result, unix_now());
        let channel = channel::responses(&self.service, &request.client_id);
        self.bus.publish(&channel, wire::seal(&response)).await.map(drop)
    }
}
