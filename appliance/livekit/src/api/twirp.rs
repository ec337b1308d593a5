//! One call of LiveKit's HTTP API.

use super::{TokenError, Tokens};
use livekit_api::access_token::{SIPGrants, VideoGrants};
use prost::Message;
use reqwest::{Response, StatusCode, header};
use serde::Deserialize;
use std::{collections::HashMap, time::Duration};

/// For calls that do not wait for a phone.
pub const TIMEOUT: Duration = Duration::from_secs(10);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Why a call of the API failed.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    #[error("could not reach livekit-server")]
    Unreachable(#[source] reqwest::Error),
    #[error("livekit-server did not answer in time")]
    TimedOut(#[source] reqwest::Error),
    #[error("livekit-server refused: {0}")]
    Refused(Refusal),
    #[error("livekit-server's answer makes no sense")]
    Malformed(#[from] prost::DecodeError),
    #[error("could not sign a token")]
    Token(#[from] TokenError),
}

/// An error as Twirp states it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, thiserror::Error)]
#[error("{message} ({code})")]
pub struct Refusal {
    /// `not_found`, `invalid_argument`, `unavailable`, …
    pub code: String,
    #[serde(rename = "msg", default)]
    pub message: String,
    /// For a failed SIP call, among others, `sip_status_code` and `sip_status`.
    #[serde(default)]
    pub meta: HashMap<String, String>,
}

impl Refusal {
    /// What the far end of a SIP call answered.
    pub fn sip_status(&self) -> Option<(u16, &str)> {
        let code = self.meta.get("sip_status_code")?.parse().ok()?;
        Some((code, self.meta.get("sip_status").map_or("", String::as_str)))
    }
}

impl ApiError {
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            _ => None,
        }
    }

    pub fn sip_status(&self) -> Option<(u16, &str)> {
        self.refusal().and_then(Refusal::sip_status)
    }

    pub fn is_not_found(&self) -> bool {
        self.refusal().is_some_and(|refusal| refusal.code == "not_found")
    }

    fn from_transport(error: reqwest::Error) -> Self {
        if error.is_timeout() && !error.is_connect() { Self::TimedOut(error) } else { Self::Unreachable(error) }
    }
}

/// What a call may do, signed into its token.
#[derive(Clone, Debug, Default)]
pub struct Grants {
    pub video: VideoGrants,
    pub sip: SIPGrants,
}

impl Grants {
    pub fn sip_admin() -> Self {
        Self { sip: SIPGrants { admin: true, call: false }, ..Self::default() }
    }

    pub fn room_admin(room: &str) -> Self {
        let video = VideoGrants { room_admin: true, room: room.to_owned(), ..VideoGrants::default() };
        Self { video, ..Self::default() }
    }

    pub fn with_sip_call(mut self) -> Self {
        self.sip.call = true;
        self
    }
}

/// The HTTP side of the API.
#[derive(Clone, Debug)]
pub struct Twirp {
    http: reqwest::Client,
    base: String,
    tokens: Tokens,
}

impl Twirp {
    pub fn new(url: &str, tokens: Tokens) -> Result<Self, ApiError> {
        let http = reqwest::Client::builder().connect_timeout(CONNECT_TIMEOUT).no_proxy().build();
        Ok(Self { http: http.map_err(ApiError::Unreachable)?, base: http_url(url), tokens })
    }

    pub fn tokens(&self) -> &Tokens {
        &self.tokens
    }

    /// `method` is `Service/Method`.
    pub async fn call<Q: Message, R: Message + Default>(
        &self,
        method: &str,
        grants: Grants,
        request: &Q,
        timeout: Duration,
    ) -> Result<R, ApiError> {
        let post = self.http.post(format!("{}/twirp/livekit.{method}", self.base));
        let post = post.bearer_auth(self.tokens.api(grants)?).header(header::CONTENT_TYPE, "application/protobuf");
        let response = post.body(request.encode_to_vec()).timeout(timeout).send().await;
        let response = response.map_err(ApiError::from_transport)?;
        if response.status() != StatusCode::OK {
            return Err(refused(response).await);
        }
        let body = response.bytes().await.map_err(ApiError::from_transport)?;
        Ok(R::decode(body)?)
    }
}

async fn refused(response: Response) -> ApiError {
    let status = response.status();
    match response.text().await {
        Ok(body) => ApiError::Refused(refusal(status, &body)),
        Err(error) => ApiError::from_transport(error),
    }
}

/// Twirp's JSON, or whatever stood in front of it said in plain text.
fn refusal(status: StatusCode, body: &str) -> Refusal {
    serde_json::from_str(body).unwrap_or_else(|_| {
        let code = match status {
            StatusCode::UNAUTHORIZED => "unauthenticated",
            StatusCode::FORBIDDEN => "permission_denied",
            StatusCode::NOT_FOUND => "bad_route",
            StatusCode::SERVICE_UNAVAILABLE => "unavailable",
            _ => "unknown",
        };
        Refusal { code: code.to_owned(), message: format!("{status}: {}", body.trim()), meta: HashMap::new() }
    })
}

/// The API answers at the WebSocket's address.
fn http_url(url: &str) -> String {
    let url = url.trim_end_matches('/');
    match url.split_once("://") {
        Some(("ws", rest)) => format!("http://{rest}"),
        Some(("wss", rest)) => format!("https://{rest}"),
        _ => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_api_answers_where_the_websocket_does() {
        assert_eq!(http_url("ws://127.0.0.1:7880/"), "http://127.0.0.1:7880");
        assert_eq!(http_url("http://127.0.0.1:7880"), "http://127.0.0.1:7880");
    }

    #[test]
    fn a_failed_call_tells_the_sip_status() {
        let body = r#"{"code":"resource_exhausted","msg":"sip status 486: Busy Here","meta":{"sip_status":"Busy Here","sip_status_code":"486"}}"#;
        let refusal = refusal(StatusCode::TOO_MANY_REQUESTS, body);
        assert_eq!(refusal.sip_status(), Some((486, "Busy Here")));
        assert_eq!(refusal.to_string(), "sip status 486: Busy Here (resource_exhausted)");
    }

    #[test]
    fn a_refusal_in_plain_text_keeps_its_words() {
        let refusal = refusal(StatusCode::UNAUTHORIZED, "invalid API key: devkey\n");
        assert_eq!(refusal.code, "unauthenticated");
        assert_eq!(refusal.message, "401 Unauthorized: invalid API key: devkey");
        assert_eq!(refusal.sip_status(), None);
    }
}
