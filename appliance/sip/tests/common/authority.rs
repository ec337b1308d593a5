//! Who vouches for whom, and who speaks through what that secures?

use super::{Side, side_with};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use rustls::{ClientConfig, RootCertStore};
use sip::SipConfig;
use sip::tls::{Tls, TlsFiles};
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_tungstenite::tungstenite::{self, client::IntoClientRequest};
use tokio_tungstenite::{WebSocketStream, client_async};

pub type WebSocket = WebSocketStream<TlsStream<TcpStream>>;

/// Certificates of one authority that both sides trust, and of one that nobody does.
pub struct Authority {
    folder: TempDir,
    params: CertificateParams,
    key: KeyPair,
}

impl Authority {
    pub fn new() -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("trust.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
        Authority { folder, params, key }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A side by TLS whose certificate is for `name` (or more of them, with commas between), trusting `trust`.
    pub async fn side(&self, name: &str, trust: &Authority, require_client_certificate: bool) -> Side {
        let tls = self.tls(name, trust, require_client_certificate);
        side_with(|config: &mut SipConfig| config.tls = Some(tls)).await
    }

    /// The TLS of such a side.
    pub fn tls(&self, name: &str, trust: &Authority, require_client_certificate: bool) -> Tls {
        let key = KeyPair::generate().unwrap();
        let issuer = Issuer::from_params(&self.params, &self.key);
        let leaf = CertificateParams::new(name.split(',').map(str::to_owned).collect::<Vec<_>>())
            .unwrap()
            .signed_by(&key, &issuer)
            .unwrap();
        fs::write(self.path(&format!("{name}.pem")), leaf.pem()).unwrap();
        fs::write(self.path(&format!("{name}.key")), key.serialize_pem()).unwrap();
        let files = TlsFiles {
            certificate: self.path(&format!("{name}.pem")),
            key: self.path(&format!("{name}.key")),
            trust: trust.path("trust.pem"),
            client: Some((self.path(&format!("{name}.pem")), self.path(&format!("{name}.key")))),
            client_trust: require_client_certificate.then(|| trust.path("trust.pem")),
        };
        Tls::load("127.0.0.1:0".parse().unwrap(), &files).unwrap()
    }

    /// A bare connection by TLS to whom this authority knows as `name`.
    pub async fn connect(&self, to: SocketAddr, name: &'static str) -> TlsStream<TcpStream> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.path("trust.pem")).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let connector = TlsConnector::from(Arc::new(config.with_root_certificates(roots).with_no_client_auth()));
        let stream = TcpStream::connect(to).await.unwrap();
        connector.connect(ServerName::try_from(name).unwrap(), stream).await.unwrap()
    }

    /// A WebSocket in it, for these protocols.
    pub async fn web_socket(
        &self,
        to: SocketAddr,
        name: &'static str,
        protocols: &'static str,
    ) -> Result<WebSocket, tungstenite::Error> {
        let mut request = format!("wss://{name}/").into_client_request()?;
        request.headers_mut().insert("Sec-WebSocket-Protocol", protocols.parse().unwrap());
        client_async(request, self.connect(to, name).await).await.map(|(socket, _)| socket)
    }
}
