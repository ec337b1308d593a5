//! How does `tough` read metadata through our [`Source`]?
//!
//! It caps sizes and checks content; we bring bytes and give up on slow mirrors.

use super::source::{FetchError, Source};
use async_trait::async_trait;
use futures_util::stream;
use tough::{Transport, TransportError, TransportErrorKind, TransportStream};
use url::Url;

/// A [`Source`] in tough's shape.
#[derive(Clone, Debug)]
pub struct ChannelTransport(pub Source);

#[async_trait]
impl Transport for ChannelTransport {
    async fn fetch(&self, url: Url) -> Result<TransportStream, TransportError> {
        let body = match self.0.open(&url, 0).await {
            Ok(body) => body,
            Err(error @ FetchError::NotFound(_)) => return Err(told(&url, error)),
            // tough takes any failure to open the next root for "there is none" and goes on with the old one. A mirror
            // that fails must fail the refresh instead, so the error is the first thing in the stream.
            Err(error) => return Ok(Box::pin(stream::iter([Err(told(&url, error))]))),
        };
        Ok(Box::pin(stream::try_unfold(body, move |mut body| {
            let url = url.clone();
            async move {
                let chunk = body.next().await.map_err(|error| told(&url, error))?;
                Ok(chunk.map(|chunk| (chunk, body)))
            }
        })))
    }
}

fn told(url: &Url, error: FetchError) -> TransportError {
    let kind = match error {
        FetchError::NotFound(_) => TransportErrorKind::FileNotFound,
        FetchError::Scheme(_) => TransportErrorKind::UnsupportedUrlScheme,
        _ => TransportErrorKind::Other,
    };
    TransportError::new_with_cause(kind, url, error)
}
