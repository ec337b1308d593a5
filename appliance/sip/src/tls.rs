//! Who is at the other end of a connection, and who are we to it? (RFC 5922, RFC 8446)
//!
//! Peers that we dial must show a certificate for the name that we dialled, signed by somebody we trust. Peers that
//! dial us are asked for one when the box wants that; whether they may call is still the trunk's business.

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{CertificateError, ClientConfig, RootCertStore, ServerConfig};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// A handshake that takes longer is no peer of ours.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Where certificates lie, all PEM.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// Ours, the leaf first; shown to whoever dials us.
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// Certificate and key for peers that ask for one when we dial them; without it they get none.
    pub client: Option<(PathBuf, PathBuf)>,
    /// Whose signatures we trust when we dial.
    pub trust: PathBuf,
    /// Nobody gets in without a certificate that is signed by one of these.
    pub client_trust: Option<PathBuf>,
}

/// Both ends of TLS, ready to use.
#[derive(Clone)]
pub struct Tls {
    pub listen: SocketAddr,
    acceptor: TlsAcceptor,
    connector: TlsConnector,
}

/// Why TLS cannot be offered.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("{path} holds no usable PEM")]
    Pem { path: PathBuf, source: pem::Error },
    #[error("{path} holds no certificate")]
    Empty { path: PathBuf },
    #[error("certificate and key do not work together")]
    Pair(#[from] rustls::Error),
    #[error("client certificates cannot be checked")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
}

impl Tls {
    pub fn load(listen: SocketAddr, files: &TlsFiles) -> Result<Tls, TlsError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let client = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots(&files.trust)?);
        let client = match &files.client {
            Some((certificate, own)) => client.with_client_auth_cert(certificates(certificate)?, key(own)?)?,
            None => client.with_no_client_auth(),
        };
        let server = ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()?;
        let server = match &files.client_trust {
            Some(trust) => {
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots(trust)?), provider);
                server.with_client_cert_verifier(verifier.build()?)
            }
            None => server.with_no_client_auth(),
        };
        let server = server.with_single_cert(certificates(&files.certificate)?, key(&files.key)?)?;
        Ok(Tls {
            listen,
            acceptor: TlsAcceptor::from(Arc::new(server)),
            connector: TlsConnector::from(Arc::new(client)),
        })
    }

    pub(crate) async fn accept(
        &self,
        stream: TcpStream,
    ) -> std::io::Result<tokio_rustls::server::TlsStream<TcpStream>> {
        timeout(HANDSHAKE, self.acceptor.accept(stream))
            .await
            .unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()))
    }

    /// `name` is the host that was asked for, before any look-up.
    pub(crate) async fn connect(
        &self,
        stream: TcpStream,
        name: &str,
    ) -> std::io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
        let name = ServerName::try_from(name.to_owned()).map_err(std::io::Error::other)?;
        let work = self.connector.connect(name, stream);
        timeout(HANDSHAKE, work).await.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()))
    }
}

/// As in `TLSv1.3, TLS13_AES_256_GCM_SHA384, 2 certificates`.
pub(crate) fn words_of(stream: &tokio_rustls::client::TlsStream<TcpStream>) -> String {
    let (_, connection) = stream.get_ref();
    let protocol = connection.protocol_version().and_then(|version| version.as_str()).unwrap_or("TLS");
    let cipher = connection.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str()).unwrap_or("?");
    format!("{protocol}, {cipher}, {} certificates", connection.peer_certificates().map_or(0, <[_]>::len))
}

/// Which check a certificate did not pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertificateFault {
    Expired,
    NotYetValid,
    OtherName,
    UnknownIssuer,
    Other,
}

impl CertificateFault {
    pub(crate) fn of(error: &std::io::Error) -> Option<CertificateFault> {
        let Some(rustls::Error::InvalidCertificate(why)) = error.get_ref()?.downcast_ref() else { return None };
        Some(match why {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => CertificateFault::Expired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                CertificateFault::NotYetValid
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                CertificateFault::OtherName
            }
            CertificateError::UnknownIssuer => CertificateFault::UnknownIssuer,
            _ => CertificateFault::Other,
        })
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    let found: Vec<_> = read.map_err(unreadable(path))?;
    if found.is_empty() { Err(TlsError::Empty { path: path.to_owned() }) } else { Ok(found) }
}

fn key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_file(path).map_err(unreadable(path))
}

/// A bundle may hold one that is too odd to be used; the others count.
fn roots(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(certificates(path)?);
    if store.is_empty() { Err(TlsError::Empty { path: path.to_owned() }) } else { Ok(store) }
}

fn unreadable(path: &Path) -> impl Fn(pem::Error) -> TlsError {
    move |source| TlsError::Pem { path: path.to_owned(), source }
}
