//! A vendor with keys and a channel, and thieves who have some of the keys.

use fleet_agent::{
    channel::{Identity, Reader, source::Minimum},
    publish::{Expiry, Publisher, first_root, in_days, make_keys},
    release::{Document, SUMS, SUMS_SIGNATURE},
    version::Version,
};
use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};
use tempfile::TempDir;
use tough::{
    schema::{Role, Signed},
    sign::{Sign, parse_keypair},
};

pub const UUID: &str = "d5b1c3a2d5b1c3a2d5b1c3a2d5b1c3a2";

pub struct Vendor {
    pub folder: TempDir,
    pub publisher: Publisher,
}

pub fn version(text: &str) -> Version {
    text.parse().unwrap()
}

pub fn document(text: &str) -> Document {
    Document {
        product: "scaibox".into(),
        hardware: "x86-64".into(),
        version: version(text),
        notes: format!("what is new in {text}"),
        min_version: None,
        percent: 100,
    }
}

pub fn fresh() -> Expiry {
    Expiry::from_now(Timestamp::now(), 30, 7)
}

impl Vendor {
    /// Keys and an empty channel.
    pub async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let publisher = Publisher { repository: folder.path().join("channel"), keys: folder.path().join("keys") };
        make_keys(&publisher.keys).unwrap();
        let expires = in_days(Timestamp::now(), 365);
        first_root(&publisher.keys, &publisher.metadata(), expires).await.unwrap();
        Self { folder, publisher }
    }

    pub async fn with(versions: &[&str]) -> Self {
        let vendor = Self::new().await;
        for version in versions {
            vendor.publish(version).await;
        }
        vendor
    }

    pub async fn publish(&self, version: &str) {
        self.publish_as(&document(version), &fresh()).await;
    }

    pub async fn publish_as(&self, document: &Document, expiry: &Expiry) {
        let release = release(self.folder.path(), document);
        self.publisher.publish(&release, document, expiry).await.unwrap();
    }

    pub fn repository(&self) -> &Path {
        &self.publisher.repository
    }

    /// The root that images are built with.
    pub fn first_root(&self) -> PathBuf {
        self.publisher.metadata().join("1.root.json")
    }

    /// A copy of the channel as it is now, as a mirror could keep it.
    pub fn snapshot(&self, name: &str) -> PathBuf {
        let copy = self.folder.path().join(name);
        let done = std::process::Command::new("cp").arg("-r").arg(self.repository()).arg(&copy).status().unwrap();
        assert!(done.success());
        copy
    }

    pub fn key(&self, name: &str) -> PathBuf {
        self.publisher.keys.join(name)
    }
}

/// A folder as `./box image` leaves it, other files included.
pub fn release(folder: &Path, document: &Document) -> PathBuf {
    let Document { product, version, .. } = document;
    let folder = folder.join(format!("release-{version}"));
    fs::create_dir_all(&folder).unwrap();
    let names = [
        format!("{product}_{version}.efi"),
        format!("{product}_{version}.root.{UUID}.raw.gz"),
        format!("{product}_{version}.root-verity.{UUID}.raw.gz"),
    ];
    let mut sums = String::new();
    for name in names {
        let content = format!("{name} ").repeat(20_000);
        sums.push_str(&format!("{}  {name}\n", hex::encode(Sha256::digest(&content))));
        fs::write(folder.join(name), content).unwrap();
    }
    fs::write(folder.join(SUMS), sums).unwrap();
    fs::write(folder.join(SUMS_SIGNATURE), "checked by systemd-sysupdate").unwrap();
    fs::write(folder.join("sbom.json"), "{}").unwrap();
    folder
}

/// A box that was built with this vendor's root.
pub struct Box {
    pub folder: TempDir,
    root: PathBuf,
}

impl Box {
    pub fn of(vendor: &Vendor) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root.json");
        fs::copy(vendor.first_root(), &root).unwrap();
        Self { folder, root }
    }

    /// A reader as after each start: it has only what is on the disk.
    pub fn reader(&self) -> Reader {
        self.reader_with(Minimum::default())
    }

    /// A reader that does not wait long for a silent mirror.
    pub fn impatient_reader(&self) -> Reader {
        self.reader_with(Minimum { window: Duration::from_secs(2), ..Minimum::default() })
    }

    fn reader_with(&self, minimum: Minimum) -> Reader {
        let identity = Identity { product: "scaibox".into(), hardware: "x86-64".into() };
        Reader::new(identity, self.root.clone(), self.folder.path().join("seen"), minimum).unwrap()
    }

    pub fn root(&self) -> &Path {
        &self.root
    }
}

/// Reads a metadata file, lets a thief change it, and signs it with the keys that he has.
pub async fn forge<T: Role + serde::de::DeserializeOwned>(path: &Path, keys: &[PathBuf], change: impl Fn(&mut Value)) {
    let mut value: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    change(&mut value["signed"]);
    let signed: T = serde_json::from_value(value["signed"].clone()).unwrap();
    let text = signed.canonical_form().unwrap();
    let mut signatures = Vec::new();
    for key in keys {
        let key = parse_keypair(&fs::read(key).unwrap()).unwrap();
        let sig = key.sign(&text, &aws_lc_rs::rand::SystemRandom::new()).await.unwrap();
        let keyid = key.tuf_key().key_id().unwrap();
        signatures.push(json!({"keyid": hex::encode(&*keyid), "sig": hex::encode(sig)}));
    }
    value["signatures"] = signatures.into();
    serde_json::from_value::<Signed<T>>(value.clone()).unwrap();
    fs::write(path, serde_json::to_vec(&value).unwrap()).unwrap();
}
