//! How does a release get into the channel?
//!
//! Files first, metadata last, `timestamp.json` as the very last one: a box that reads meanwhile sees the old state or
//! the new one. Files of a release are never changed; their names hold their hashes.

use super::{
    PublishError, at,
    keys::{make_keys, retire_keys, sources},
    root,
};
use crate::{
    channel::target_path,
    release::{DOCUMENT, Document, File, SUMS, belongs, check_sums, releases},
    version::Version,
};
use aws_lc_rs::rand::SystemRandom;
use jiff::{SignedDuration, Timestamp};
use std::{
    fs,
    num::NonZeroU64,
    path::{Path, PathBuf},
};
use tough::{
    ExpirationEnforcement, Repository, RepositoryLoader, TargetName,
    editor::{RepositoryEditor, signed::SignedRole},
    schema::{KeyHolder, Signed, Target, Timestamp as TimestampRole},
};
use url::Url;

/// Until when the metadata hold.
#[derive(Clone, Copy, Debug)]
pub struct Expiry {
    pub targets: Timestamp,
    pub snapshot: Timestamp,
    pub timestamp: Timestamp,
}

impl Expiry {
    /// `timestamp.json` is the promise "this is still current": short, and renewed by `channel refresh`.
    pub fn from_now(now: Timestamp, days: u32, timestamp_days: u32) -> Self {
        let later = |days: u32| in_days(now, days);
        Self { targets: later(days), snapshot: later(days), timestamp: later(timestamp_days) }
    }
}

/// Whole seconds, as TUF writes them.
pub fn in_days(now: Timestamp, days: u32) -> Timestamp {
    let second = Timestamp::from_second(now.as_second()).unwrap_or(now);
    second.checked_add(SignedDuration::from_hours(24 * i64::from(days))).unwrap_or(Timestamp::MAX)
}

/// A channel's folder and the keys to sign with.
#[derive(Clone, Debug)]
pub struct Publisher {
    pub repository: PathBuf,
    pub keys: PathBuf,
}

impl Publisher {
    pub fn metadata(&self) -> PathBuf {
        self.repository.join("metadata")
    }

    /// Adds the release in `folder` and makes it the current one.
    pub async fn publish(&self, folder: &Path, document: &Document, expiry: &Expiry) -> Result<(), PublishError> {
        let mut editor = self.editor().await?;
        for (name, target, file, path) in self.release(folder, document).await? {
            self.store(&path, &file.path)?;
            editor.add_target(name, target)?;
        }
        let document = self.write_document(document).await?;
        editor.add_target(DOCUMENT, document)?;
        self.sign(editor, expiry).await
    }

    /// Makes new keys for every role and signs everything with them; the old keys vouch for the new root.
    pub async fn rotate(&self, root_expires: Timestamp, expiry: &Expiry) -> Result<(), PublishError> {
        let (path, old) = root::newest(&self.metadata())?;
        let published = self.published(&path).await?;
        let retired = retire_keys(&self.keys, old.signed.version.get())?;
        make_keys(&self.keys)?;
        let path = root::next_root(&path, &retired, &self.keys, root_expires).await?;
        self.sign(RepositoryEditor::from_repo(path, published).await?, expiry).await
    }

    /// Promises for longer that the channel is current; needs only the timestamp key.
    pub async fn refresh(&self, expires: Timestamp) -> Result<(), PublishError> {
        let (_, root) = root::newest(&self.metadata())?;
        let mut timestamp = self.timestamp()?.signed;
        timestamp.version = timestamp.version.saturating_add(1);
        timestamp.expires = expires;
        let holder = KeyHolder::Root(root.signed);
        let signed = SignedRole::new(timestamp, &holder, &sources(&self.keys)?, &SystemRandom::new()).await?;
        Ok(signed.write(self.metadata(), true).await?)
    }

    /// The files of the release that are worth publishing, checked: (target name, target, as stored, where it lies).
    async fn release(
        &self,
        folder: &Path,
        document: &Document,
    ) -> Result<Vec<(TargetName, Target, File, PathBuf)>, PublishError> {
        let mut parts = Vec::new();
        for entry in fs::read_dir(folder).map_err(at(folder))? {
            let path = entry.map_err(at(folder))?.path();
            let own = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if !belongs(&document.product, &document.version, &own) {
                continue;
            }
            let target = Target::from_path(&path).await?;
            let file = described(&document.version.to_string(), &own, &target);
            parts.push((TargetName::new(format!("{}/{own}", document.version))?, target, file, path));
        }
        parts.sort_by(|a, b| a.0.cmp(&b.0));
        let named = parts.iter().map(|(name, _, file, _)| (name.raw().to_owned(), file.clone()));
        self.check(folder, &document.product, &document.version, named)?;
        Ok(parts)
    }

    fn check(
        &self,
        folder: &Path,
        product: &str,
        version: &Version,
        named: impl Iterator<Item = (String, File)>,
    ) -> Result<(), PublishError> {
        let found = releases(product, named)?;
        let release = found
            .get(version)
            .ok_or(crate::release::ReleaseError::Incomplete { version: version.clone(), missing: "every file" })?;
        let sums = folder.join(SUMS);
        Ok(check_sums(release, &fs::read_to_string(&sums).map_err(at(&sums))?)?)
    }

    async fn write_document(&self, document: &Document) -> Result<Target, PublishError> {
        let draft = self.repository.join("channel.json.draft");
        let json = serde_json::to_vec_pretty(document).map_err(|e| PublishError::Unreadable(draft.clone(), e))?;
        fs::write(&draft, json).map_err(at(&draft))?;
        let target = Target::from_path(&draft).await?;
        self.store(&draft, &described("", DOCUMENT, &target).path)?;
        fs::remove_file(&draft).map_err(at(&draft))?;
        Ok(target)
    }

    fn store(&self, from: &Path, path: &str) -> Result<(), PublishError> {
        let to = self.repository.join("targets").join(path);
        let folder = to.parent().unwrap_or(&self.repository);
        fs::create_dir_all(folder).map_err(at(folder))?;
        if !to.exists() {
            fs::copy(from, &to).map_err(at(&to))?;
        }
        Ok(())
    }

    /// An editor that goes on from what is published, if anything is.
    async fn editor(&self) -> Result<RepositoryEditor, PublishError> {
        let (path, _) = root::newest(&self.metadata())?;
        if !self.metadata().join("timestamp.json").exists() {
            return Ok(RepositoryEditor::new(path).await?);
        }
        let published = self.published(&path).await?;
        Ok(RepositoryEditor::from_repo(path, published).await?)
    }

    async fn sign(&self, mut editor: RepositoryEditor, expiry: &Expiry) -> Result<(), PublishError> {
        let next = match self.timestamp() {
            Ok(timestamp) => timestamp.signed.version.saturating_add(1),
            Err(_) => NonZeroU64::MIN,
        };
        // One number for all three: whatever was published before is lower.
        editor.targets_version(next)?.targets_expires(expiry.targets)?;
        editor.snapshot_version(next).snapshot_expires(expiry.snapshot);
        editor.timestamp_version(next).timestamp_expires(expiry.timestamp);
        let signed = editor.sign(&sources(&self.keys)?).await?;
        Ok(signed.write(self.metadata()).await?)
    }

    /// What is published now, also when it has expired.
    async fn published(&self, root: &Path) -> Result<Repository, PublishError> {
        let root = fs::read(root).map_err(at(root))?;
        let url = |folder: &str| {
            let path = fs::canonicalize(self.repository.join(folder)).map_err(at(folder))?;
            Url::from_directory_path(&path).map_err(|()| PublishError::Exists(path))
        };
        let loader = RepositoryLoader::new(&root, url("metadata")?, url("targets")?)
            .expiration_enforcement(ExpirationEnforcement::Unsafe);
        Ok(loader.load().await?)
    }

    fn timestamp(&self) -> Result<Signed<TimestampRole>, PublishError> {
        let path = self.metadata().join("timestamp.json");
        let json = fs::read(&path).map_err(at(&path))?;
        serde_json::from_slice(&json).map_err(|error| PublishError::Unreadable(path, error))
    }
}

fn described(folder: &str, name: &str, target: &Target) -> File {
    let sha256: [u8; 32] = target.hashes.sha256.to_vec().try_into().unwrap_or_default();
    File { name: name.to_owned(), path: target_path(folder, name, &sha256), length: target.length, sha256 }
}
