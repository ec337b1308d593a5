//! How do bytes come from a mirror or a USB stick?
//!
//! `http(s)://` from any offset (a mirror without Range support starts over), `file://` for a stick. No byte is
//! trusted here; but time is bounded: a body that falls below the minimum pace is given up.

pub use super::pace::Minimum;
use super::pace::{Pace, TooSlow};
use bytes::Bytes;
use reqwest::{StatusCode, header, redirect};
use std::{
    io::SeekFrom,
    time::{Duration, Instant},
};
use tokio::{
    fs::File,
    io::{AsyncReadExt, AsyncSeekExt},
};
use url::Url;

const CONNECT_LIMIT: Duration = Duration::from_secs(15);
const MOST_REDIRECTS: usize = 3;
const FILE_CHUNK: usize = 256 * 1024;

/// Why no (more) bytes came.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    #[error("{0} does not exist")]
    NotFound(Url),
    #[error("{url} answered {status}")]
    Refused { url: Url, status: StatusCode },
    #[error("{url} is too slow: {source}")]
    TooSlow { url: Url, source: TooSlow },
    #[error("could not read {url}: {}", causes(source))]
    Broken { url: Url, source: reqwest::Error },
    #[error("could not read {url}: {source}")]
    File { url: Url, source: std::io::Error },
    #[error("{0} is neither http(s):// nor file://")]
    Scheme(Url),
}

/// reqwest's own message leaves the interesting part to its sources.
fn causes(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut next = std::error::Error::source(error);
    while let Some(source) = next {
        text.push_str(&format!(": {source}"));
        next = source.source();
    }
    text
}

/// Opens files on mirrors; cheap to clone.
#[derive(Clone, Debug)]
pub struct Source {
    client: reqwest::Client,
    minimum: Minimum,
}

/// A file that is being read.
#[derive(Debug)]
pub struct Body {
    /// The offset of the first byte that [`Body::next`] gives.
    pub starts_at: u64,
    url: Url,
    pace: Pace,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Http(Box<reqwest::Response>),
    File(File),
}

impl Source {
    pub fn new(minimum: Minimum) -> Result<Self, reqwest::Error> {
        let client = reqwest::Client::builder()
            .no_proxy()
            .connect_timeout(CONNECT_LIMIT)
            .redirect(redirect::Policy::limited(MOST_REDIRECTS))
            .user_agent("scaibox-fleet-agent")
            .build()?;
        Ok(Self { client, minimum })
    }

    /// Opens `url` at the offset `from`, or at its start when the other side cannot skip.
    pub async fn open(&self, url: &Url, from: u64) -> Result<Body, FetchError> {
        let pace = Pace::new(self.minimum, Instant::now());
        match url.scheme() {
            "http" | "https" => self.open_http(url, from, pace).await,
            "file" => open_file(url, from, pace).await,
            _ => Err(FetchError::Scheme(url.clone())),
        }
    }

    async fn open_http(&self, url: &Url, from: u64, mut pace: Pace) -> Result<Body, FetchError> {
        let mut request = self.client.get(url.clone());
        if from > 0 {
            request = request.header(header::RANGE, format!("bytes={from}-"));
        }
        let answer = within(&mut pace, url, request.send()).await?;
        let response = answer.map_err(|source| FetchError::Broken { url: url.clone(), source })?;
        let starts_at = match response.status() {
            StatusCode::OK => 0,
            StatusCode::PARTIAL_CONTENT if first_byte(&response) == Some(from) => from,
            // S3 says 403 for a file that does not exist.
            StatusCode::NOT_FOUND | StatusCode::GONE | StatusCode::FORBIDDEN => {
                return Err(FetchError::NotFound(url.clone()));
            }
            status => return Err(FetchError::Refused { url: url.clone(), status }),
        };
        Ok(Body { starts_at, url: url.clone(), pace, kind: Kind::Http(Box::new(response)) })
    }
}

/// The offset that a 206 starts at: `Content-Range: bytes 100-199/200`.
fn first_byte(response: &reqwest::Response) -> Option<u64> {
    let range = response.headers().get(header::CONTENT_RANGE)?.to_str().ok()?;
    range.strip_prefix("bytes ")?.split_once('-')?.0.parse().ok()
}

async fn open_file(url: &Url, from: u64, pace: Pace) -> Result<Body, FetchError> {
    let failed = |source: std::io::Error| match source.kind() {
        std::io::ErrorKind::NotFound => FetchError::NotFound(url.clone()),
        _ => FetchError::File { url: url.clone(), source },
    };
    let path = url.to_file_path().map_err(|()| FetchError::Scheme(url.clone()))?;
    if !tokio::fs::metadata(&path).await.map_err(failed)?.is_file() {
        return Err(FetchError::NotFound(url.clone())); // a stick may hold a link to a device
    }
    let mut file = File::open(path).await.map_err(failed)?;
    file.seek(SeekFrom::Start(from)).await.map_err(failed)?;
    Ok(Body { starts_at: from, url: url.clone(), pace, kind: Kind::File(file) })
}

impl Body {
    /// The next bytes; nothing at the end.
    pub async fn next(&mut self) -> Result<Option<Bytes>, FetchError> {
        let chunk = match &mut self.kind {
            Kind::Http(response) => within(&mut self.pace, &self.url, response.chunk())
                .await?
                .map_err(|source| FetchError::Broken { url: self.url.clone(), source })?,
            Kind::File(file) => within(&mut self.pace, &self.url, read(file))
                .await?
                .map_err(|source| FetchError::File { url: self.url.clone(), source })?,
        };
        let Some(chunk) = chunk else { return Ok(None) };
        let recorded = self.pace.record(chunk.len(), Instant::now());
        recorded.map_err(|source| FetchError::TooSlow { url: self.url.clone(), source })?;
        Ok(Some(chunk))
    }
}

async fn read(file: &mut File) -> std::io::Result<Option<Bytes>> {
    let mut chunk = vec![0; FILE_CHUNK];
    let length = file.read(&mut chunk).await?;
    chunk.truncate(length);
    Ok((length > 0).then(|| chunk.into()))
}

/// Waits for `work`, but not past the end of a window that stays too empty.
async fn within<T>(pace: &mut Pace, url: &Url, work: impl Future<Output = T>) -> Result<T, FetchError> {
    tokio::pin!(work);
    loop {
        if let Ok(done) = tokio::time::timeout_at(pace.deadline().into(), &mut work).await {
            return Ok(done);
        }
        let passed = pace.deadline().max(Instant::now());
        pace.record(0, passed).map_err(|source| FetchError::TooSlow { url: url.clone(), source })?;
    }
}
