//! What is asked of `control-api`? The number to call, and what was recorded.

use daemon::unix_http::{Bytes, Client, Method, StatusCode, UnixHttpError};
use serde::Deserialize;
use std::{path::PathBuf, time::Duration};
use tokio::time::Instant;

const POLL: Duration = Duration::from_millis(300);
/// Longer than a recording takes to be read and decoded on a slow machine.
const FETCH_LIMIT: Duration = Duration::from_secs(20);

pub struct Control(Client);

/// Where to call.
#[derive(Clone, Debug, Deserialize)]
pub struct Line {
    pub number: String,
    pub host: String,
    pub port: u16,
}

/// The part of a refusal that says why.
#[derive(Deserialize)]
struct Problem {
    detail: String,
    hint: Option<String>,
}

impl Control {
    pub fn new(socket: PathBuf) -> Self {
        Self(Client::new(socket))
    }

    /// Has the box's own number made, and waits until it can be called.
    pub async fn prepare(&self, limit: Duration) -> Result<Line, String> {
        let patient = self.0.with_limit(limit + Duration::from_secs(5));
        let body = serde_json::json!({ "wait_s": limit.as_secs() });
        patient.post("/internal/v1/self-call", &body).await.map_err(why)
    }

    /// The recording as WAV, as soon as it is there.
    pub async fn recording(&self, sip_call_id: &str, limit: Duration) -> Result<Bytes, String> {
        let until = Instant::now() + limit;
        loop {
            let answer = self.ask(Method::GET, sip_call_id).await;
            let (status, body) = answer.map_err(|error| error.to_string())?;
            match status {
                StatusCode::OK => return Ok(body),
                _ if Instant::now() >= until => return Err(format!("{} after {} s", words(&body), limit.as_secs())),
                StatusCode::NOT_FOUND | StatusCode::SERVICE_UNAVAILABLE => tokio::time::sleep(POLL).await,
                _ => return Err(format!("{status}: {}", words(&body))),
            }
        }
    }

    /// Has the recording removed; the next self-call clears away what stays.
    pub async fn forget(&self, sip_call_id: &str) {
        let _ = self.ask(Method::DELETE, sip_call_id).await;
    }

    async fn ask(&self, method: Method, sip_call_id: &str) -> Result<(StatusCode, Bytes), UnixHttpError> {
        let path = format!("/internal/v1/self-call/{sip_call_id}/recording");
        let answer = self.0.with_limit(FETCH_LIMIT).request(method, &path, Bytes::new()).await?;
        Ok((answer.status(), answer.into_body()))
    }
}

fn why(error: UnixHttpError) -> String {
    match &error {
        UnixHttpError::Refused { body, .. } => words(body.as_bytes()),
        other => other.to_string(),
    }
}

/// The refusal's sentence and what to do, on one line.
fn words(body: &[u8]) -> String {
    match serde_json::from_slice::<Problem>(body) {
        Ok(Problem { detail, hint: Some(hint) }) => format!("{detail} ({hint})"),
        Ok(Problem { detail, hint: None }) => detail,
        Err(_) => String::from_utf8_lossy(body).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_in_its_own_words_on_one_line() {
        let body = br#"{"detail": "not stored yet", "hint": "ask again", "code": "x"}"#;
        assert_eq!(words(body), "not stored yet (ask again)");
        assert_eq!(words(b"out of order"), "out of order");
    }

    #[tokio::test]
    async fn an_absent_control_api_is_named() {
        let refused = Control::new("/nowhere/control.sock".into()).prepare(Duration::ZERO).await.unwrap_err();
        assert_eq!(refused, "nobody listens on /nowhere/control.sock");
    }
}
