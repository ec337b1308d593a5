//! One WebSocket to livekit-server, from the registration to its end.

use super::{
    desk::{self, Desk, Place},
    job::{self, AgentError, Answer, Job, JobOffer, Reports},
    worker::WorkerConfig,
};
use crate::api::TokenError;
use futures_util::{SinkExt, StreamExt};
use livekit_protocol::{
    self as proto, JobType, ServerMessage, UpdateJobStatus, WorkerMessage, server_message, worker_message::Message,
};
use prost::Message as _;
use std::{
    collections::HashMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::{
    net::TcpStream,
    sync::{mpsc, oneshot},
    time::{Instant, interval, timeout, timeout_at},
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async_with_config,
    tungstenite::{self, client::IntoClientRequest, http::HeaderValue, protocol::WebSocketConfig},
};
use tokio_util::sync::CancellationToken;

const HANDSHAKE: Duration = Duration::from_secs(5);
const ASSIGNMENT: Duration = Duration::from_secs(10);
const PING_EVERY: Duration = Duration::from_secs(10);
/// livekit-server pings every 10 s and answers ours: silence means it is gone.
const SILENCE: Duration = Duration::from_secs(30);

/// Why we have no connection (any more).
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    #[error("could not talk to livekit-server")]
    Socket(#[source] Box<tungstenite::Error>),
    #[error("`{0}` is no WebSocket address")]
    BadUrl(String),
    #[error("could not sign a token")]
    Token(#[from] TokenError),
    #[error("livekit-server did not answer the registration")]
    NotRegistered,
    #[error("livekit-server closed the connection")]
    Closed,
    #[error("livekit-server fell silent")]
    Silent,
}

impl From<tungstenite::Error> for ConnectionError {
    fn from(error: tungstenite::Error) -> Self {
        Self::Socket(Box::new(error))
    }
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A registered connection.
pub struct Connection {
    socket: Socket,
    url: String,
    worker_id: String,
    desk: Desk,
    reports: mpsc::UnboundedSender<UpdateJobStatus>,
    /// Accepted, and waiting for the assignment.
    accepted: HashMap<String, Accepted>,
    /// The running jobs that came over this connection.
    running: HashMap<String, CancellationToken>,
}

struct Accepted {
    place: Place,
    identity: String,
    assigned: oneshot::Sender<Result<Job, AgentError>>,
    until: Instant,
}

/// A handler's answer; none: refused.
type Decision = (Place, Option<Answer>);

impl Connection {
    /// Connects and registers.
    pub async fn open(
        config: &WorkerConfig,
        desk: Desk,
        reports: mpsc::UnboundedSender<UpdateJobStatus>,
    ) -> Result<Self, ConnectionError> {
        let request = request(config)?;
        let limits =
            WebSocketConfig::default().read_buffer_size(4096).write_buffer_size(4096).max_write_buffer_size(1 << 20);
        let connect = timeout(HANDSHAKE, connect_async_with_config(request, Some(limits), true)).await;
        let (socket, _) = connect.map_err(|_| ConnectionError::Silent)??;
        let (accepted, running) = (HashMap::new(), HashMap::new());
        let (url, worker_id) = (config.url.clone(), String::new());
        let mut connection = Self { socket, url, worker_id, desk, reports, accepted, running };
        timeout(HANDSHAKE, connection.register(config)).await.map_err(|_| ConnectionError::NotRegistered)??;
        Ok(connection)
    }

    pub fn worker_id(&self) -> &str {
        &self.worker_id
    }

    async fn register(&mut self, config: &WorkerConfig) -> Result<(), ConnectionError> {
        let register = proto::RegisterWorkerRequest {
            r#type: JobType::JtRoom.into(),
            agent_name: config.agent_name.clone(),
            version: config.version.clone(),
            ping_interval: PING_EVERY.as_secs() as u32,
            ..Default::default()
        };
        self.send(Message::Register(register)).await?;
        loop {
            if let Some(server_message::Message::Register(response)) = self.receive().await? {
                self.worker_id = response.worker_id;
                return self.send_status().await;
            }
        }
    }

    /// Serves until the connection is lost; says why it was.
    pub async fn serve<F, Fut>(
        mut self,
        handler: &F,
        reported: &mut mpsc::UnboundedReceiver<UpdateJobStatus>,
    ) -> ConnectionError
    where
        F: Fn(JobOffer) -> Fut,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let (decide, mut decisions) = mpsc::unbounded_channel::<Decision>();
        let mut ping = interval(PING_EVERY);
        let mut silent_at = Instant::now() + SILENCE;
        loop {
            let step = tokio::select! {
                received = timeout_at(silent_at, self.receive()) => {
                    silent_at = Instant::now() + SILENCE;
                    match received {
                        Ok(Ok(message)) => self.handle(message, handler, &decide).await,
                        Ok(Err(error)) => Err(error),
                        Err(_) => Err(ConnectionError::Silent),
                    }
                }
                Some((place, answer)) = decisions.recv() => self.answer(place, answer).await,
                Some(report) = reported.recv() => self.report(report).await,
                _ = ping.tick() => self.tick().await,
            };
            if let Err(error) = step {
                return error;
            }
        }
    }

    async fn handle<F, Fut>(
        &mut self,
        message: Option<server_message::Message>,
        handler: &F,
        decide: &mpsc::UnboundedSender<Decision>,
    ) -> Result<(), ConnectionError>
    where
        F: Fn(JobOffer) -> Fut,
        Fut: Future<Output = ()> + Send + 'static,
    {
        use server_message::Message::*;
        match message {
            Some(Availability(request)) => self.offer(request.job.unwrap_or_default(), handler, decide).await?,
            Some(Assignment(assignment)) => self.assign(assignment),
            Some(Termination(termination)) => {
                if let Some(job) = self.running.get(&termination.job_id) {
                    job.cancel();
                }
            }
            Some(Register(_) | Pong(_) | GoAway(_)) | None => (),
        }
        Ok(())
    }

    /// Asks the handler, in a task of its own, if there is a place for one more job.
    async fn offer<F, Fut>(
        &mut self,
        job: proto::Job,
        handler: &F,
        decide: &mpsc::UnboundedSender<Decision>,
    ) -> Result<(), ConnectionError>
    where
        F: Fn(JobOffer) -> Fut,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let Some(place) = self.desk.take(&job.id) else {
            return self.send(job::availability(&job.id, None)).await;
        };
        let (answer, answered) = oneshot::channel();
        let decide = decide.clone();
        tokio::spawn(async move {
            let _ = decide.send((place, answered.await.ok()));
        });
        tokio::spawn(handler(offer(job, answer)));
        self.send_status().await
    }

    async fn answer(&mut self, place: Place, answer: Option<Answer>) -> Result<(), ConnectionError> {
        let job_id = place.job_id().to_owned();
        let Some(Answer { participant, assigned }) = answer else {
            drop(place);
            self.send(job::availability(&job_id, None)).await?;
            return self.send_status().await;
        };
        let identity = participant.identity.clone();
        let until = Instant::now() + ASSIGNMENT;
        self.accepted.insert(job_id.clone(), Accepted { place, identity, assigned, until });
        self.send(job::availability(&job_id, Some(participant))).await
    }

    fn assign(&mut self, assignment: proto::JobAssignment) {
        let job_id = assignment.job.as_ref().map(|job| job.id.clone()).unwrap_or_default();
        let Some(accepted) = self.accepted.remove(&job_id) else {
            return tracing::warn!(job.id = job_id, "livekit-server assigned a job that we did not accept");
        };
        let terminated = CancellationToken::new();
        self.running.insert(job_id, terminated.clone());
        let assignment = desk::assignment(assignment, &self.url, &accepted.identity);
        let reports = Reports { place: Some(accepted.place), sender: self.reports.clone() };
        // If the handler is gone, dropping the job reports it as failed.
        let _ = accepted.assigned.send(Ok(Job { assignment, terminated, reports }));
    }

    async fn report(&mut self, report: UpdateJobStatus) -> Result<(), ConnectionError> {
        self.running.remove(&report.job_id);
        self.send(Message::UpdateJob(report)).await?;
        self.send_status().await
    }

    /// A ping, a fresh status, and an end to what waits in vain.
    async fn tick(&mut self) -> Result<(), ConnectionError> {
        let now = Instant::now();
        let late = self.accepted.extract_if(|_, accepted| accepted.until <= now);
        for (_, accepted) in late {
            let _ = accepted.assigned.send(Err(AgentError::NotAssigned));
        }
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.send(Message::Ping(proto::WorkerPing { timestamp: since.as_millis() as i64 })).await?;
        self.send_status().await
    }

    async fn send_status(&mut self) -> Result<(), ConnectionError> {
        let status = self.desk.status();
        self.send(status).await
    }

    async fn send(&mut self, message: Message) -> Result<(), ConnectionError> {
        let bytes = WorkerMessage { message: Some(message) }.encode_to_vec();
        Ok(self.socket.send(tungstenite::Message::binary(bytes)).await?)
    }

    /// The next message; none for one that we do not understand or that is not for us.
    async fn receive(&mut self) -> Result<Option<server_message::Message>, ConnectionError> {
        match self.socket.next().await {
            None | Some(Ok(tungstenite::Message::Close(_))) => Err(ConnectionError::Closed),
            Some(Ok(tungstenite::Message::Binary(bytes))) => {
                Ok(ServerMessage::decode(bytes).ok().and_then(|message| message.message))
            }
            Some(Ok(_)) => Ok(None),
            Some(Err(error)) => Err(error.into()),
        }
    }
}

impl Drop for Connection {
    /// Jobs that were accepted but never assigned will not be, now.
    fn drop(&mut self) {
        for (_, accepted) in self.accepted.drain() {
            let _ = accepted.assigned.send(Err(AgentError::Disconnected));
        }
    }
}

fn request(config: &WorkerConfig) -> Result<tungstenite::handshake::client::Request, ConnectionError> {
    let url = format!("{}/agent?protocol=1", config.url.trim_end_matches('/'));
    let mut request = url.into_client_request().map_err(|_| ConnectionError::BadUrl(config.url.clone()))?;
    let bearer = format!("Bearer {}", config.tokens.agent_worker()?);
    let bearer = HeaderValue::from_str(&bearer).map_err(|_| ConnectionError::BadUrl(config.url.clone()))?;
    request.headers_mut().insert("Authorization", bearer);
    Ok(request)
}

fn offer(job: proto::Job, answer: oneshot::Sender<Answer>) -> JobOffer {
    JobOffer {
        job_id: job.id,
        dispatch_id: job.dispatch_id,
        agent_name: job.agent_name,
        room: job.room.unwrap_or_default().name,
        metadata: job.metadata,
        attributes: job.attributes,
        answer: Some(answer),
    }
}
