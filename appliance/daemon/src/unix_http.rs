//! HTTP with JSON over Unix sockets: the control plane between our daemons.
//!
//! One connection per request: these sockets see a few requests per call, and a peer that restarts
//! must never leave us with a dead pooled connection.

use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper_util::rt::TokioIo;
use serde::{Serialize, de::DeserializeOwned};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::net::UnixStream;

pub use bytes::Bytes;
pub use hyper::{Method, Response, StatusCode};

/// Why a request to a neighbour brought no usable answer.
#[derive(Debug, thiserror::Error)]
pub enum UnixHttpError {
    #[error("nobody listens on {socket}")]
    Unreachable { socket: PathBuf, source: std::io::Error },
    #[error("{socket} did not answer in {limit:?}")]
    TimedOut { socket: PathBuf, limit: Duration },
    #[error("the connection to {socket} broke")]
    Broken { socket: PathBuf, source: hyper::Error },
    #[error("{path} answered {status}: {body}")]
    Refused { path: String, status: StatusCode, body: String },
    #[error("{path} answered something else than expected: {body}")]
    Unreadable { path: String, body: String, source: serde_json::Error },
    #[error("could not write the request")]
    Unwritable(#[from] serde_json::Error),
}

impl UnixHttpError {
    /// The peer's JSON body when it refused, read as `T`.
    pub fn refusal<T: DeserializeOwned>(&self) -> Option<(StatusCode, T)> {
        match self {
            Self::Refused { status, body, .. } => serde_json::from_str(body).ok().map(|body| (*status, body)),
            _ => None,
        }
    }
}

/// A neighbour's socket.
#[derive(Clone, Debug)]
pub struct Client {
    socket: PathBuf,
    limit: Duration,
}

impl Client {
    /// Requests time out after 5 s; see [`Client::with_limit`].
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self { socket: socket.into(), limit: Duration::from_secs(5) }
    }

    pub fn with_limit(&self, limit: Duration) -> Self {
        Self { socket: self.socket.clone(), limit }
    }

    pub fn socket(&self) -> &Path {
        &self.socket
    }

    pub async fn get<R: DeserializeOwned>(&self, path: &str) -> Result<R, UnixHttpError> {
        self.json(Method::GET, path, Bytes::new()).await
    }

    pub async fn post<Q: Serialize + ?Sized, R: DeserializeOwned>(
        &self,
        path: &str,
        body: &Q,
    ) -> Result<R, UnixHttpError> {
        self.json(Method::POST, path, serde_json::to_vec(body)?.into()).await
    }

    pub async fn put<Q: Serialize + ?Sized, R: DeserializeOwned>(
        &self,
        path: &str,
        body: &Q,
    ) -> Result<R, UnixHttpError> {
        self.json(Method::PUT, path, serde_json::to_vec(body)?.into()).await
    }

    /// POST without a body; the answer's body is ignored.
    pub async fn act(&self, path: &str) -> Result<(), UnixHttpError> {
        self.send(Method::POST, path, Bytes::new()).await.map(drop)
    }

    /// POST with a body; the answer's body is ignored.
    pub async fn act_with<Q: Serialize + ?Sized>(&self, path: &str, body: &Q) -> Result<(), UnixHttpError> {
        self.send(Method::POST, path, serde_json::to_vec(body)?.into()).await.map(drop)
    }

    /// DELETE; the answer's body is ignored.
    pub async fn delete(&self, path: &str) -> Result<(), UnixHttpError> {
        self.send(Method::DELETE, path, Bytes::new()).await.map(drop)
    }

    async fn json<R: DeserializeOwned>(&self, method: Method, path: &str, body: Bytes) -> Result<R, UnixHttpError> {
        let answer = self.send(method, path, body).await?;
        serde_json::from_slice(&answer).map_err(|source| UnixHttpError::Unreadable {
            path: path.to_owned(),
            body: String::from_utf8_lossy(&answer).into_owned(),
            source,
        })
    }

    async fn send(&self, method: Method, path: &str, body: Bytes) -> Result<Bytes, UnixHttpError> {
        let answer = self.request(method, path, body).await?;
        let (status, body) = (answer.status(), answer.into_body());
        if status.is_success() {
            return Ok(body);
        }
        let body = String::from_utf8_lossy(&body).into_owned();
        Err(UnixHttpError::Refused { path: path.to_owned(), status, body })
    }

    /// Any request; the answer as it came, whatever its status.
    pub async fn request(&self, method: Method, path: &str, body: Bytes) -> Result<Response<Bytes>, UnixHttpError> {
        tokio::time::timeout(self.limit, self.exchange(method, path, body))
            .await
            .unwrap_or_else(|_| Err(UnixHttpError::TimedOut { socket: self.socket.clone(), limit: self.limit }))
    }

    async fn exchange(&self, method: Method, path: &str, body: Bytes) -> Result<Response<Bytes>, UnixHttpError> {
        let broken = |source| UnixHttpError::Broken { socket: self.socket.clone(), source };
        let stream = UnixStream::connect(&self.socket)
            .await
            .map_err(|source| UnixHttpError::Unreachable { socket: self.socket.clone(), source })?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        let connection = tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "localhost")
            .header("content-type", "application/json")
            .body(Full::new(body))
            .map_err(|error| UnixHttpError::Refused {
                path: path.to_owned(),
                status: StatusCode::BAD_REQUEST,
                body: error.to_string(),
            })?;
        let answer = sender.send_request(request).await.map_err(broken)?;
        let (head, body) = answer.into_parts();
        let body = body.collect().await.map_err(broken)?.to_bytes();
        connection.abort();
        Ok(Response::from_parts(head, body))
    }
}

/// Binds a Unix socket, taking the place of a dead predecessor; readable and writable by owner and group only.
pub fn bind(path: &Path) -> std::io::Result<tokio::net::UnixListener> {
    use std::os::unix::fs::PermissionsExt;
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = tokio::net::UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660))?;
    Ok(listener)
}
