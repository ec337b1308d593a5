//! Where does systemd-sysupdate, running as root, get the files of a release?
//!
//! From us, on the loopback interface, already checked against the channel; it checks them again against the GPG
//! signature, so it does not have to trust us. Only the release that is being installed can be read.

use axum::{
    Router,
    body::Body,
    extract::{Path, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use parking_lot::Mutex;
use std::{path::PathBuf, sync::Arc};
use tokio_util::io::ReaderStream;

/// The folder that is served now; cheap to clone.
#[derive(Clone, Default)]
pub struct Shelf {
    folder: Arc<Mutex<Option<PathBuf>>>,
}

impl Shelf {
    pub fn lay_out(&self, folder: PathBuf) {
        *self.folder.lock() = Some(folder);
    }

    pub fn clear(&self) {
        *self.folder.lock() = None;
    }

    pub fn router(&self) -> Router {
        Router::new().route("/{name}", get(file)).with_state(self.clone())
    }
}

async fn file(State(shelf): State<Shelf>, Path(name): Path<String>) -> Result<Response, StatusCode> {
    let plain = !name.contains('/') && !name.starts_with('.') && !name.ends_with(".part");
    let folder = shelf.folder.lock().clone().filter(|_| plain).ok_or(StatusCode::NOT_FOUND)?;
    let file = tokio::fs::File::open(folder.join(name)).await.map_err(|_| StatusCode::NOT_FOUND)?;
    let length = file.metadata().await.map_err(|_| StatusCode::NOT_FOUND)?.len();
    let headers = [(header::CONTENT_LENGTH, length.to_string())];
    Ok((headers, Body::from_stream(ReaderStream::with_capacity(file, 256 * 1024))).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn serve(shelf: &Shelf) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(axum::serve(listener, shelf.router()).into_future());
        format!("http://{address}")
    }

    async fn status(url: String) -> u16 {
        reqwest::Client::builder().no_proxy().build().unwrap().get(url).send().await.unwrap().status().as_u16()
    }

    #[tokio::test]
    async fn only_whole_files_of_the_release_on_the_shelf_can_be_read() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("2")).unwrap();
        std::fs::write(folder.path().join("secret"), "no").unwrap();
        std::fs::write(folder.path().join("2/a.efi"), "kernel").unwrap();
        std::fs::write(folder.path().join("2/b.efi.part"), "ker").unwrap();
        let shelf = Shelf::default();
        let server = serve(&shelf).await;
        assert_eq!(status(format!("{server}/a.efi")).await, 404);

        shelf.lay_out(folder.path().join("2"));
        assert_eq!(status(format!("{server}/a.efi")).await, 200);
        for other in ["b.efi.part", "c.efi", "..%2Fsecret", "."] {
            assert_eq!(status(format!("{server}/{other}")).await, 404, "{other}");
        }
        shelf.clear();
        assert_eq!(status(format!("{server}/a.efi")).await, 404);
    }
}
