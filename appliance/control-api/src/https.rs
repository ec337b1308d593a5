//! How does somebody outside of the box reach the API? By HTTPS, TLS 1.2 and newer.
//!
//! The certificate's files are looked at again every ten seconds: a renewed one serves the next
//! connection, and those that are open stay. A pair that cannot be used is left and the old one kept.

use crate::config::HttpsConfig;
use anyhow::Context;
use axum::{
    Router,
    http::{HeaderName, HeaderValue, header},
    middleware,
    response::Response,
};
use axum_server::{
    Handle, Server,
    tls_rustls::{RustlsAcceptor, RustlsConfig, from_tcp_rustls},
};
use std::{
    net::{SocketAddr, TcpListener},
    time::Duration,
};
use tokio_util::sync::CancellationToken;

const LOOK_EVERY: Duration = Duration::from_secs(10);
/// How long requests may go on once the daemon stops.
const DRAIN: Duration = Duration::from_secs(10);
/// How long a client may say nothing after connecting.
const FIRST_REQUEST: Duration = Duration::from_secs(30);
const HEADERS: [(HeaderName, &str); 2] =
    [(header::STRICT_TRANSPORT_SECURITY, "max-age=31536000"), (header::X_CONTENT_TYPE_OPTIONS, "nosniff")];

/// A bound listener with a certificate that works.
pub struct Https {
    pub address: SocketAddr,
    server: Server<SocketAddr, RustlsAcceptor>,
    certificate: Certificate,
}

impl Https {
    /// Binds; says which file or address is the trouble.
    pub async fn bind(config: HttpsConfig) -> anyhow::Result<Self> {
        let listen = config.listen;
        let certificate = Certificate::load(config).await?;
        let listener = TcpListener::bind(listen).with_context(|| format!("https.listen: cannot bind {listen}"))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let server = from_tcp_rustls(listener, certificate.tls.clone())?.first_request_timeout(FIRST_REQUEST);
        Ok(Self { address, server, certificate })
    }

    /// Serves until `stop`, then lets requests end.
    pub async fn serve(self, router: Router, stop: CancellationToken) -> anyhow::Result<()> {
        let handle = Handle::new();
        let watch = tokio::spawn(self.certificate.keep(stop.clone()));
        tokio::spawn({
            let (handle, stop) = (handle.clone(), stop.clone());
            async move {
                stop.cancelled().await;
                handle.graceful_shutdown(Some(DRAIN));
            }
        });
        let service = router.layer(middleware::map_response(harden)).into_make_service();
        let served = self.server.handle(handle).serve(service).await.context("HTTPS ended");
        stop.cancel(); // without HTTPS the daemon is of no use: systemd starts it again
        watch.await?;
        served
    }
}

async fn harden(mut response: Response) -> Response {
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// The pair in use and where it came from.
pub struct Certificate {
    files: HttpsConfig,
    pem: Pem,
    tls: RustlsConfig,
}

#[derive(PartialEq)]
struct Pem {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl Certificate {
    async fn load(files: HttpsConfig) -> anyhow::Result<Self> {
        let pem = read(&files).await?;
        let tls = RustlsConfig::from_pem(pem.certificate.clone(), pem.key.clone()).await;
        let tls = tls.with_context(|| unusable(&files))?;
        Ok(Self { files, pem, tls })
    }

    async fn keep(mut self, stop: CancellationToken) {
        let mut tick = tokio::time::interval(LOOK_EVERY);
        while stop.run_until_cancelled(tick.tick()).await.is_some() {
            match self.renew().await {
                Ok(true) => tracing::info!("https_certificate_renewed"),
                Ok(false) => {}
                Err(error) => tracing::warn!(error = format!("{error:#}"), "https_certificate_not_renewed"),
            }
        }
    }

    /// Takes what is in the files now; true when it is another pair.
    async fn renew(&mut self) -> anyhow::Result<bool> {
        let pem = read(&self.files).await?;
        if pem == self.pem {
            return Ok(false);
        }
        let renewed = self.tls.reload_from_pem(pem.certificate.clone(), pem.key.clone()).await;
        renewed.with_context(|| unusable(&self.files))?;
        self.pem = pem;
        Ok(true)
    }
}

async fn read(files: &HttpsConfig) -> anyhow::Result<Pem> {
    let one = async |field: &str, path: &std::path::Path| {
        tokio::fs::read(path).await.with_context(|| format!("{field}: cannot read {}", path.display()))
    };
    let (certificate, key) = (one("https.certificate", &files.certificate).await?, one("https.key", &files.key).await?);
    Ok(Pem { certificate, key })
}

fn unusable(files: &HttpsConfig) -> String {
    let (certificate, key) = (files.certificate.display(), files.key.display());
    format!("https.certificate and https.key: {certificate} and {key} are no PEM certificate with its key")
}

#[cfg(test)]
mod tests;
