//! Is this webhook from our livekit-server, and what does it say?

use super::Tokens;
use livekit_api::{access_token::TokenVerifier, webhooks::WebhookReceiver};
use livekit_protocol::WebhookEvent;

/// Why a webhook is not believed.
#[derive(Debug, thiserror::Error)]
#[error("this webhook is not from our livekit-server, or not readable")]
pub struct WebhookError(#[from] livekit_api::webhooks::WebhookError);

/// Checks webhooks.
#[derive(Clone, Debug)]
pub struct Webhooks(WebhookReceiver);

impl Webhooks {
    pub fn new(tokens: &Tokens) -> Self {
        Self(WebhookReceiver::new(TokenVerifier::with_api_key(tokens.api_key(), tokens.api_secret())))
    }

    /// `authorization` is the header's value, `body` the request's, unchanged.
    pub fn verify(&self, body: &str, authorization: &str) -> Result<WebhookEvent, WebhookError> {
        let token = authorization.strip_prefix("Bearer ").unwrap_or(authorization);
        Ok(self.0.receive(body, token)?)
    }
}
