//! Which releases does the channel offer to this box, provably?
//!
//! Each mirror in turn has to give a complete and consistent answer; the first that does counts. All of them are held
//! against the same memory of what was seen before (`datastore`), so that none can go back in time.

use super::{
    download::read_small,
    source::{Minimum, Source},
    transport::ChannelTransport,
};
use crate::{
    release::{DOCUMENT, Document, File, Release, ReleaseError, releases},
    version::Version,
};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};
use tough::{
    Limits, Repository, RepositoryLoader,
    schema::{Root, Signed, Target},
};
use url::Url;

const REFRESH_LIMIT: Duration = Duration::from_secs(180);
const LARGEST_DOCUMENT: u64 = 64 * 1024;
const LIMITS: Limits = Limits {
    max_root_size: 256 * 1024,
    max_targets_size: 1024 * 1024,
    max_timestamp_size: 32 * 1024,
    max_snapshot_size: 64 * 1024,
    max_root_updates: 256,
};

/// What this box is.
#[derive(Clone, Debug, PartialEq)]
pub struct Identity {
    pub product: String,
    pub hardware: String,
}

/// Reads channels with one trusted root and one memory.
#[derive(Clone, Debug)]
pub struct Reader {
    pub source: Source,
    identity: Identity,
    trusted_root: PathBuf,
    datastore: PathBuf,
}

/// What the channel offers.
#[derive(Clone, Debug)]
pub struct Catalogue {
    pub document: Document,
    pub releases: BTreeMap<Version, Release>,
}

/// Why no mirror gave a usable answer.
#[derive(Debug, thiserror::Error)]
pub enum ChannelError {
    #[error("no mirror is configured; name one under [channel] mirrors, or use a USB stick")]
    NoMirrors,
    #[error("the channel is refused: {}", refusals.iter().map(|(mirror, why)| format!("{mirror} {why}")).collect::<Vec<_>>().join("; "))]
    Refused { refusals: Vec<(Url, Refusal)> },
    #[error("could not prepare {path}: {source}")]
    Folder { path: PathBuf, source: std::io::Error },
}

/// Why one mirror's answer is refused.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    #[error("did not answer within {0:?}")]
    TimedOut(Duration),
    #[error("{0}")]
    Metadata(#[from] Box<tough::error::Error>),
    #[error("offers an incomplete or strange release: {0}")]
    Release(#[from] ReleaseError),
    #[error("has no usable {DOCUMENT}: {0}")]
    Document(String),
    #[error("is for {found}, and this box is {wanted}")]
    WrongBox { found: String, wanted: String },
    #[error("names version {0} and does not offer it")]
    Absent(Version),
    #[error("cannot be held against the trusted root {path}: {source}")]
    Root { path: PathBuf, source: std::io::Error },
}

impl Reader {
    /// `trusted_root` came with the image; `datastore` is a folder of ours.
    pub fn new(
        identity: Identity,
        trusted_root: PathBuf,
        datastore: PathBuf,
        minimum: Minimum,
    ) -> Result<Self, reqwest::Error> {
        Ok(Self { source: Source::new(minimum)?, identity, trusted_root, datastore })
    }

    /// Asks the mirrors in order.
    pub async fn refresh(&self, mirrors: &[Url]) -> Result<Catalogue, ChannelError> {
        if mirrors.is_empty() {
            return Err(ChannelError::NoMirrors);
        }
        std::fs::create_dir_all(&self.datastore)
            .map_err(|source| ChannelError::Folder { path: self.datastore.clone(), source })?;
        let mut refusals = Vec::new();
        for mirror in mirrors {
            let asked = tokio::time::timeout(REFRESH_LIMIT, self.ask(mirror)).await;
            match asked.unwrap_or(Err(Refusal::TimedOut(REFRESH_LIMIT))) {
                Ok(catalogue) => return Ok(catalogue),
                Err(why) => refusals.push((mirror.clone(), why)),
            }
        }
        Err(ChannelError::Refused { refusals })
    }

    async fn ask(&self, mirror: &Url) -> Result<Catalogue, Refusal> {
        let repository = self.load(mirror).await?;
        let named: BTreeMap<String, File> = repository
            .targets()
            .signed
            .targets
            .iter()
            .map(|(name, target)| (name.raw().to_owned(), described(name.raw(), target)))
            .collect();
        let document = self.document(mirror, named.get(DOCUMENT)).await?;
        self.check(&document)?;
        let releases = releases(&self.identity.product, named)?;
        match releases.contains_key(&document.version) {
            true => Ok(Catalogue { document, releases }),
            false => Err(Refusal::Absent(document.version)),
        }
    }

    async fn load(&self, mirror: &Url) -> Result<Repository, Refusal> {
        let root = self.newest_trusted_root()?;
        RepositoryLoader::new(&root, below(mirror, "metadata/"), below(mirror, "targets/"))
            .transport(ChannelTransport(self.source.clone()))
            .datastore(&self.datastore)
            .limits(LIMITS)
            .load()
            .await
            .map_err(|error| Box::new(error).into())
    }

    /// The root that the box proved last, unless the image brought a newer one.
    fn newest_trusted_root(&self) -> Result<Vec<u8>, Refusal> {
        let shipped = std::fs::read(&self.trusted_root)
            .map_err(|source| Refusal::Root { path: self.trusted_root.clone(), source })?;
        let proved = std::fs::read(self.datastore.join("root.json")).unwrap_or_default();
        Ok(if root_version(&proved) > root_version(&shipped) { proved } else { shipped })
    }

    async fn document(&self, mirror: &Url, file: Option<&File>) -> Result<Document, Refusal> {
        let file = file.ok_or_else(|| Refusal::Document("it is not listed".into()))?;
        if file.length > LARGEST_DOCUMENT {
            return Err(Refusal::Document(format!("it is larger than {LARGEST_DOCUMENT} bytes")));
        }
        let text = read_small(&self.source, mirror, file).await.map_err(Refusal::Document)?;
        serde_json::from_slice(&text).map_err(|error| Refusal::Document(error.to_string()))
    }

    /// Is this channel meant for this box?
    fn check(&self, document: &Document) -> Result<(), Refusal> {
        let Identity { product, hardware } = &self.identity;
        if (&document.product, &document.hardware) == (product, hardware) {
            return Ok(());
        }
        Err(Refusal::WrongBox {
            found: format!("{} on {}", document.product, document.hardware),
            wanted: format!("{product} on {hardware}"),
        })
    }
}

/// 0 for what is no root.
fn root_version(json: &[u8]) -> u64 {
    serde_json::from_slice::<Signed<Root>>(json).map_or(0, |root| root.signed.version.get())
}

fn below(mirror: &Url, folder: &str) -> Url {
    let mut url = mirror.clone();
    url.set_path(&format!("{}/{folder}", mirror.path().trim_end_matches('/')));
    url
}

/// A target as we store it: with its hash before the last part of its name, as consistent snapshots want it.
fn described(name: &str, target: &Target) -> File {
    let sha256: [u8; 32] = target.hashes.sha256.to_vec().try_into().unwrap_or_default();
    let (folder, own) = name.rsplit_once('/').map_or(("", name), |(folder, own)| (folder, own));
    File { name: own.to_owned(), path: target_path(folder, own, &sha256), length: target.length, sha256 }
}

/// `V/HASH.NAME`: where a target lies below `targets/`.
pub fn target_path(folder: &str, name: &str, sha256: &[u8; 32]) -> String {
    let file = format!("{}.{name}", hex::encode(sha256));
    match folder {
        "" => file,
        folder => Path::new(folder).join(file).to_string_lossy().into_owned(),
    }
}
