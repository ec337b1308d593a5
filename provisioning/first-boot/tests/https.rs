//! Does a browser that trusts the box's authority trust the box?

use first_boot::{here::Here, layout::Layout, prepare::prepare};
use jiff::Timestamp;
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use std::sync::Arc;

struct Box {
    _folder: tempfile::TempDir,
    layout: Layout,
}

impl Box {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path());
        let here = Here {
            hostname: "pbx".into(),
            addresses: vec!["192.168.1.20".parse().unwrap(), "fd00::20".parse().unwrap()],
            version: "7".into(),
            boot_id: "boot".into(),
            now: Timestamp::now(),
        };
        prepare(&layout, &here).unwrap();
        Self { _folder: folder, layout }
    }

    fn certificates(&self, file: &str) -> Vec<CertificateDer<'static>> {
        CertificateDer::pem_file_iter(self.layout.secrets().join(file)).unwrap().map(Result::unwrap).collect()
    }

    fn server(&self) -> ServerConnection {
        let key = PrivateKeyDer::from_pem_file(self.layout.secrets().join("tls.key")).unwrap();
        let config =
            ServerConfig::builder().with_no_client_auth().with_single_cert(self.certificates("tls.crt"), key).unwrap();
        ServerConnection::new(Arc::new(config)).unwrap()
    }

    fn browser(&self, name: &str) -> ClientConnection {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(self.certificates("ca.crt"));
        let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        ClientConnection::new(Arc::new(config), ServerName::try_from(name.to_owned()).unwrap()).unwrap()
    }
}

/// Carries bytes to and fro until both are content or one refuses.
fn handshake(mut browser: ClientConnection, mut server: ServerConnection) -> Result<(), rustls::Error> {
    while browser.is_handshaking() || server.is_handshaking() {
        let mut bytes = vec![];
        browser.write_tls(&mut bytes).unwrap();
        server.read_tls(&mut bytes.as_slice()).unwrap();
        server.process_new_packets()?;
        let mut bytes = vec![];
        server.write_tls(&mut bytes).unwrap();
        browser.read_tls(&mut bytes.as_slice()).unwrap();
        browser.process_new_packets()?;
    }
    Ok(())
}

#[test]
fn the_box_is_trusted_by_each_of_its_names_and_addresses() {
    let ours = Box::new();
    for name in ["scaibox", "scaibox.local", "pbx", "pbx.local", "192.168.1.20", "fd00::20"] {
        handshake(ours.browser(name), ours.server()).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

#[test]
fn it_is_not_trusted_as_somebody_else_nor_by_the_authority_of_another_box() {
    let (ours, theirs) = (Box::new(), Box::new());
    assert!(handshake(ours.browser("example.com"), ours.server()).is_err());
    assert!(handshake(theirs.browser("scaibox.local"), ours.server()).is_err());
}
