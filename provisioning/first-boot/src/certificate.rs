//! With which certificate does this box serve HTTPS?
//!
//! A certificate authority of its own, made once, signs the server's certificate for the box's names
//! and addresses. The latter is made again when those change or it ends within a month; its key stays.
//! `tls.json` is written last and says what the other files hold, so a cut in between is noticed.
//!
//! ```text
//! ca.key ca.crt    the authority; people may install ca.crt
//! tls.key tls.crt  the server; tls.crt holds the authority's certificate too
//! ```

use crate::{files, here::Here, layout::Layout, secrets::random_hex};
use anyhow::Context;
use jiff::{ToSpan, civil::Date, tz::TimeZone};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData, SerialNumber, date_time_ymd,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{collections::BTreeSet, path::PathBuf};

/// Browsers refuse certificates that are good for much longer than a year.
const GOOD_FOR_DAYS: i32 = 395;
const RENEW_BEFORE_DAYS: i32 = 30;
const ALWAYS: [&str; 2] = ["scaibox", "scaibox.local"];

/// `tls.json`: what the server's certificate says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    pub names: BTreeSet<String>,
    pub not_after: Date,
    /// SHA-256, as browsers show it.
    pub fingerprint: String,
    /// Over all four files.
    digest: String,
}

impl Certificate {
    /// What the console shows.
    pub fn load(layout: &Layout) -> Option<Self> {
        Folder::of(layout).certificate()
    }

    /// The certificate in use; made or renewed when it has to be.
    pub fn load_or_renew(layout: &Layout, here: &Here) -> anyhow::Result<Self> {
        let folder = Folder::of(layout);
        let today = here.now.to_zoned(TimeZone::UTC).date();
        let wanted = names(here);
        let intact = folder.intact()?;
        match &intact {
            Some(found) if found.serves(&wanted, today) => Ok(found.clone()),
            _ => folder.issue(intact.is_some(), wanted, today).context("cannot make the box's certificate"),
        }
    }

    fn serves(&self, wanted: &BTreeSet<String>, today: Date) -> bool {
        self.names == *wanted && today.saturating_add(RENEW_BEFORE_DAYS.days()) < self.not_after
    }
}

/// What people may call the box by.
fn names(here: &Here) -> BTreeSet<String> {
    let host = here.hostname.to_lowercase();
    let local = format!("{}.local", host.split('.').next().unwrap_or(&host));
    let addresses = here.addresses.iter().map(ToString::to_string);
    ALWAYS.map(String::from).into_iter().chain([host, local]).chain(addresses).collect()
}

/// The secrets' folder, with our files in it.
struct Folder(PathBuf);

impl Folder {
    fn of(layout: &Layout) -> Self {
        Self(layout.secrets())
    }

    fn certificate(&self) -> Option<Certificate> {
        serde_json::from_str(&self.text("tls.json").ok()??).ok()
    }

    /// The certificate, when the files are the ones it was written for.
    fn intact(&self) -> anyhow::Result<Option<Certificate>> {
        let digest = self.digest()?;
        Ok(self.certificate().filter(|certificate| certificate.digest == digest))
    }

    fn digest(&self) -> anyhow::Result<String> {
        let mut sum = Sha256::new();
        for file in ["ca.key", "ca.crt", "tls.key", "tls.crt"] {
            sum.update(self.text(file)?.unwrap_or_default());
        }
        Ok(hex::encode(sum.finalize()))
    }

    fn issue(&self, keep_authority: bool, names: BTreeSet<String>, today: Date) -> anyhow::Result<Certificate> {
        let (authority_key, server_key) = (self.key("ca.key")?, self.key("tls.key")?);
        let authority = authority(&authority_key)?;
        let authority_pem = match self.text("ca.crt")?.filter(|_| keep_authority) {
            Some(pem) => pem,
            None => authority.self_signed(&authority_key)?.pem(),
        };
        let not_after = today.saturating_add(GOOD_FOR_DAYS.days());
        let server = server(&names, today, not_after)?
            .signed_by(&server_key, &Issuer::from_params(&authority, &authority_key))?;
        self.write("ca.crt", &authority_pem)?;
        self.write("tls.crt", &format!("{}{authority_pem}", server.pem()))?;
        let fingerprint = fingerprint(server.der());
        let certificate = Certificate { names, not_after, fingerprint, digest: self.digest()? };
        self.write("tls.json", &serde_json::to_string_pretty(&certificate)?)?;
        tracing::info!(fingerprint = certificate.fingerprint, "certificate_made");
        Ok(certificate)
    }

    /// The key in `file`, made when there is none that can be read.
    fn key(&self, file: &str) -> anyhow::Result<KeyPair> {
        if let Some(key) = self.text(file)?.and_then(|pem| KeyPair::from_pem(&pem).ok()) {
            return Ok(key);
        }
        let key = KeyPair::generate()?;
        self.write(file, &key.serialize_pem())?;
        Ok(key)
    }

    fn text(&self, file: &str) -> anyhow::Result<Option<String>> {
        files::read(&self.0.join(file)).with_context(|| format!("cannot read {file}"))
    }

    fn write(&self, file: &str, text: &str) -> anyhow::Result<()> {
        files::write(&self.0.join(file), text).with_context(|| format!("cannot write {file}")).map(drop)
    }
}

/// Named after its key, so that two boxes in one browser are told apart.
fn authority(key: &KeyPair) -> anyhow::Result<CertificateParams> {
    let id = hex::encode(&Sha256::digest(key.der_bytes())[..4]);
    let mut params = CertificateParams::new(vec![])?;
    params.distinguished_name = called(&format!("ScaiBox {id} certificate authority"));
    params.not_before = date_time_ymd(2025, 1, 1);
    params.not_after = date_time_ymd(2055, 1, 1);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.serial_number = Some(serial()?);
    Ok(params)
}

/// From the day before, for browsers whose clock is behind.
fn server(names: &BTreeSet<String>, today: Date, not_after: Date) -> anyhow::Result<CertificateParams> {
    let day = |date: Date| date_time_ymd(date.year().into(), date.month().unsigned_abs(), date.day().unsigned_abs());
    let mut params = CertificateParams::new(names.iter().cloned().collect::<Vec<_>>())?;
    params.distinguished_name = called(ALWAYS[1]);
    params.not_before = day(today.saturating_sub(1.day()));
    params.not_after = day(not_after);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    params.serial_number = Some(serial()?);
    Ok(params)
}

fn called(name: &str) -> DistinguishedName {
    let mut called = DistinguishedName::new();
    called.push(DnType::CommonName, name);
    called
}

/// Browsers refuse a second certificate with the same number.
fn serial() -> anyhow::Result<SerialNumber> {
    Ok(SerialNumber::from(hex::decode(random_hex(16))?))
}

fn fingerprint(der: &[u8]) -> String {
    let bytes: Vec<String> = Sha256::digest(der).iter().map(|byte| format!("{byte:02X}")).collect();
    bytes.join(":")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    struct Bed {
        _folder: tempfile::TempDir,
        layout: Layout,
        here: Here,
    }

    impl Bed {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let layout = Layout::new(folder.path());
            files::private_folder(&layout.secrets()).unwrap();
            let here = Here {
                hostname: "pbx.example".into(),
                addresses: vec!["192.168.1.20".parse().unwrap(), "fd00::20".parse().unwrap()],
                version: "1".into(),
                boot_id: "boot".into(),
                now: "2026-03-01T12:00:00Z".parse().unwrap(),
            };
            Self { _folder: folder, layout, here }
        }

        fn certificate(&self) -> Certificate {
            Certificate::load_or_renew(&self.layout, &self.here).unwrap()
        }

        fn text(&self, file: &str) -> String {
            fs::read_to_string(self.layout.secrets().join(file)).unwrap()
        }

        fn later(&mut self, days: i64) {
            self.here.now += (24 * days).hours();
        }
    }

    #[test]
    fn it_carries_every_name_and_address_of_the_box() {
        let names: Vec<String> = Bed::new().certificate().names.into_iter().collect();
        assert_eq!(names, ["192.168.1.20", "fd00::20", "pbx.example", "pbx.local", "scaibox", "scaibox.local"]);
    }

    #[test]
    fn a_certificate_that_serves_is_kept_and_one_close_to_its_end_is_renewed_under_the_same_keys() {
        let mut bed = Bed::new();
        let (first, key, authority) = (bed.certificate(), bed.text("tls.key"), bed.text("ca.crt"));
        bed.later(364);
        assert_eq!(bed.certificate(), first);
        bed.later(1);
        let second = bed.certificate();
        assert_ne!(second.fingerprint, first.fingerprint);
        assert_eq!((bed.text("tls.key"), bed.text("ca.crt")), (key, authority));
    }

    #[test]
    fn a_new_address_means_a_new_certificate() {
        let mut bed = Bed::new();
        let first = bed.certificate();
        bed.here.addresses = vec!["10.0.0.9".parse().unwrap()];
        let second = bed.certificate();
        assert!(second.names.contains("10.0.0.9") && !second.names.contains("192.168.1.20"));
        assert_ne!(second.fingerprint, first.fingerprint);
    }

    #[test]
    fn whatever_file_is_lost_or_torn_the_next_start_has_a_whole_set() {
        for file in ["ca.key", "ca.crt", "tls.key", "tls.crt", "tls.json"] {
            let bed = Bed::new();
            let first = bed.certificate();
            fs::write(bed.layout.secrets().join(file), "torn").unwrap();
            let second = bed.certificate();
            assert_ne!(second.fingerprint, first.fingerprint, "{file}");
            assert_eq!(bed.certificate(), second, "{file}");
            assert!(bed.text("tls.crt").ends_with(&bed.text("ca.crt")), "{file}");
        }
    }
}
