//! Who vouches for whom?

use super::{Side, side_with};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use sip::SipConfig;
use sip::tls::{Tls, TlsFiles};
use std::fs;
use std::path::PathBuf;
use tempfile::TempDir;

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
}
