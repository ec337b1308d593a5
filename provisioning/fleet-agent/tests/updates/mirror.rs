//! A web server that serves a channel, honestly or not.

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use parking_lot::Mutex;
use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};
use url::Url;

/// What a mirror does with the files whose path ends in a given text.
#[derive(Clone)]
pub enum Trick {
    /// The file, and then more and more.
    Endless,
    /// So many bytes, and then silence.
    StallAfter(usize),
    /// So many bytes, and then the connection breaks; only the first time.
    BreakOnce(usize),
    /// Something else.
    Instead(Vec<u8>),
}

/// What was asked for: path and first byte.
pub type Asked = (String, usize);

#[derive(Clone)]
pub struct Mirror {
    pub url: Url,
    inner: Arc<Inner>,
}

struct Inner {
    folder: PathBuf,
    tricks: Mutex<Vec<(String, Trick)>>,
    asked: Mutex<Vec<Asked>>,
}

impl Mirror {
    pub async fn of(folder: &Path) -> Self {
        let inner = Inner { folder: folder.to_owned(), tricks: Mutex::default(), asked: Mutex::default() };
        let inner = Arc::new(inner);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
        let router = Router::new().fallback(serve).with_state(inner.clone());
        tokio::spawn(axum::serve(listener, router).into_future());
        Self { url, inner }
    }

    pub fn play(&self, end: &str, trick: Trick) {
        self.inner.tricks.lock().push((end.to_owned(), trick));
    }

    /// Asked for the files whose path contains `text`, from which byte on.
    pub fn asked(&self, text: &str) -> Vec<usize> {
        let asked = self.inner.asked.lock();
        asked.iter().filter(|(path, _)| path.contains(text)).map(|(_, from)| *from).collect()
    }
}

async fn serve(State(mirror): State<Arc<Inner>>, request: Request) -> Response {
    let path = request.uri().path().trim_start_matches('/').to_owned();
    let from = first_byte(request.headers());
    mirror.asked.lock().push((path.clone(), from));
    let trick = mirror.trick(&path);
    let content = match fs::read(mirror.folder.join(&path)) {
        Ok(content) => content,
        Err(_) if matches!(trick, Some(Trick::Endless)) => vec![],
        Err(_) => return StatusCode::NOT_FOUND.into_response(),
    };
    match trick {
        None => part(&content, from, Body::from(content[from..].to_vec())),
        Some(Trick::Instead(other)) => other.into_response(),
        Some(Trick::Endless) => {
            Body::from_stream(first(&content).chain(stream::repeat_with(|| chunk(b"x")))).into_response()
        }
        Some(Trick::StallAfter(bytes)) => {
            let rest = &content[from..];
            let some = first(&rest[..bytes.min(rest.len())]).chain(stream::pending());
            part(&content, from, Body::from_stream(some))
        }
        Some(Trick::BreakOnce(bytes)) => {
            let broken = stream::once(async {
                tokio::task::yield_now().await; // what came before is sent first
                Err(io::Error::other("cut off"))
            });
            part(&content, from, Body::from_stream(first(&content[from..from + bytes]).chain(broken)))
        }
    }
}

impl Inner {
    fn trick(&self, path: &str) -> Option<Trick> {
        let mut tricks = self.tricks.lock();
        let index = tricks.iter().position(|(end, _)| path.ends_with(end))?;
        match tricks[index].1 {
            Trick::BreakOnce(_) => Some(tricks.remove(index).1),
            _ => Some(tricks[index].1.clone()),
        }
    }
}

fn first_byte(headers: &HeaderMap) -> usize {
    let range = headers.get(header::RANGE).and_then(|range| range.to_str().ok());
    let start = range.and_then(|range| range.strip_prefix("bytes=")?.split('-').next()?.parse().ok());
    start.unwrap_or(0)
}

fn part(content: &[u8], from: usize, body: Body) -> Response {
    let range = format!("bytes {from}-{}/{}", content.len() - 1, content.len());
    match from {
        0 => body.into_response(),
        _ => (StatusCode::PARTIAL_CONTENT, [(header::CONTENT_RANGE, range)], body).into_response(),
    }
}

fn first(content: &[u8]) -> impl futures_util::Stream<Item = io::Result<Bytes>> + use<> {
    stream::iter([Ok(Bytes::copy_from_slice(content))])
}

fn chunk(content: &[u8]) -> io::Result<Bytes> {
    Ok(content.repeat(16 * 1024).into())
}
