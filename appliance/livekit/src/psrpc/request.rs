//! The client's side of a call.

use super::{
    Bus, ErrorCode, RpcError, channel,
    exchange::{self, Exchange},
    routes::Sink,
    wire,
};
use crate::proto::internal::{ClaimRequest, Request, Response};
use parking_lot::Mutex;
use prost::Message;
use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tokio::{sync::mpsc, time::timeout_at};

/// The calls of ours that wait, by request id.
#[derive(Clone, Default)]
pub struct Inbox(Arc<Mutex<HashMap<String, mpsc::UnboundedSender<Reply>>>>);

enum Reply {
    Claim(ClaimRequest),
    Response(Response),
}

/// One waiting call; leaving removes it.
struct Waiting {
    inbox: Inbox,
    request_id: String,
    replies: mpsc::UnboundedReceiver<Reply>,
}

impl Bus {
    /// Calls a method and waits for the answer, `timeout` at most. Without Redis, or without anybody
    /// who serves the method, the answer is `unavailable`.
    pub async fn request<Q: Message, R: Message + Default>(
        &self,
        service: &str,
        method: &str,
        topic: &[&str],
        request: &Q,
        timeout: Duration,
    ) -> Result<R, RpcError> {
        self.listen(service).await;
        let raw = self.call(service, method, topic, request.encode_to_vec(), timeout).await?;
        R::decode(raw.as_slice()).map_err(|error| RpcError::new(ErrorCode::MalformedResult, error.to_string()))
    }

    /// Subscribes to the answers of a service, once.
    async fn listen(&self, service: &str) {
        let claims = channel::claim_requests(service, self.client_id());
        let responses = channel::responses(service, self.client_id());
        if self.has_route(&claims) && self.has_route(&responses) {
            return self.settle(vec![claims, responses]).await;
        }
        let inbox = self.inbox();
        self.subscribe(vec![(claims, inbox.claims()), (responses, inbox.responses())]).await;
    }

    async fn call(
        &self,
        service: &str,
        method: &str,
        topic: &[&str],
        raw_request: Vec<u8>,
        timeout: Duration,
    ) -> Result<Vec<u8>, RpcError> {
        let request = new_request(self.client_id(), raw_request, timeout);
        let mut exchange = Exchange::new(request.request_id.clone(), timeout, Instant::now());
        let mut waiting = self.inbox().wait(&request.request_id);
        let heard = self.publish(&channel::requests(service, method, topic), wire::seal(&request)).await?;
        if heard == 0 {
            return Err(exchange::no_server());
        }
        loop {
            match timeout_at(exchange.deadline().into(), waiting.replies.recv()).await {
                Ok(Some(Reply::Claim(claim))) => {
                    if let Some(chosen) = exchange.claim(claim) {
                        self.publish(&channel::claim_responses(service, method, topic), wire::seal(&chosen)).await?;
                    }
                }
                Ok(Some(Reply::Response(response))) => return exchange::result_of(response),
                Ok(None) | Err(_) => return Err(exchange.timed_out()),
            }
        }
    }
}

fn new_request(client_id: &str, raw_request: Vec<u8>, timeout: Duration) -> Request {
    let now = unix_now();
    Request {
        request_id: wire::fresh_id("REQ_"),
        client_id: client_id.to_owned(),
        sent_at: now,
        expiry: now.saturating_add(i64::try_from(timeout.as_nanos()).unwrap_or(i64::MAX)),
        raw_request,
        ..Request::default()
    }
}

/// Nanoseconds since 1970, as psrpc writes times.
pub fn unix_now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

impl Inbox {
    fn wait(&self, request_id: &str) -> Waiting {
        let (sender, replies) = mpsc::unbounded_channel();
        self.0.lock().insert(request_id.to_owned(), sender);
        Waiting { inbox: self.clone(), request_id: request_id.to_owned(), replies }
    }

    fn claims(&self) -> Sink {
        let inbox = self.clone();
        Arc::new(move |payload| match wire::open::<ClaimRequest>(payload) {
            Ok(claim) => inbox.pass(&claim.request_id.clone(), Reply::Claim(claim)),
            Err(error) => tracing::debug!(%error, "dropped a claim"),
        })
    }

    fn responses(&self) -> Sink {
        let inbox = self.clone();
        Arc::new(move |payload| match wire::open::<Response>(payload) {
            Ok(response) => inbox.pass(&response.request_id.clone(), Reply::Response(response)),
            Err(error) => tracing::debug!(%error, "dropped a response"),
        })
    }

    /// Answers that come too late find nobody.
    fn pass(&self, request_id: &str, reply: Reply) {
        if let Some(waiting) = self.0.lock().get(request_id) {
            let _ = waiting.send(reply);
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.inbox.0.lock().remove(&self.request_id);
    }
}
