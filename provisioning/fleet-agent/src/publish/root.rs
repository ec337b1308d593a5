//! Who may sign what? The root metadata say so, and each is signed by the keys of the one before and by its own.

use super::{
    PublishError, at,
    keys::{ROLES, signers},
};
use aws_lc_rs::rand::SystemRandom;
use jiff::Timestamp;
use std::{
    collections::HashMap,
    fs,
    num::NonZeroU64,
    path::{Path, PathBuf},
};
use tough::schema::{Role, RoleKeys, Root, Signature, Signed};

/// Writes `1.root.json`, the root that images are built with, and returns its path.
pub async fn first_root(keys: &Path, metadata: &Path, expires: Timestamp) -> Result<PathBuf, PublishError> {
    let root = root(keys, NonZeroU64::MIN, expires)?;
    write(metadata, sign(root, &[keys]).await?)
}

/// Writes the root after `old`, for the keys in `new_keys`; `old_keys` signs it too, so that boxes follow.
pub(super) async fn next_root(
    old: &Path,
    old_keys: &Path,
    new_keys: &Path,
    expires: Timestamp,
) -> Result<PathBuf, PublishError> {
    let version = read(old)?.signed.version.saturating_add(1);
    let root = root(new_keys, version, expires)?;
    write(old.parent().unwrap_or(Path::new(".")), sign(root, &[old_keys, new_keys]).await?)
}

/// The newest `N.root.json` of a metadata folder.
pub(super) fn newest(metadata: &Path) -> Result<(PathBuf, Signed<Root>), PublishError> {
    let mut newest = 0;
    for entry in fs::read_dir(metadata).map_err(at(metadata))? {
        let name = entry.map_err(at(metadata))?.file_name().to_string_lossy().into_owned();
        let version = name.strip_suffix(".root.json").and_then(|version| version.parse().ok());
        newest = newest.max(version.unwrap_or(0));
    }
    let path = metadata.join(format!("{newest}.root.json"));
    let root = read(&path)?;
    Ok((path, root))
}

fn read(path: &Path) -> Result<Signed<Root>, PublishError> {
    let json = fs::read(path).map_err(at(path))?;
    serde_json::from_slice(&json).map_err(|error| PublishError::Unreadable(path.to_owned(), error))
}

fn root(keys: &Path, version: NonZeroU64, expires: Timestamp) -> Result<Root, PublishError> {
    let mut root = Root {
        spec_version: "1.0.0".into(),
        consistent_snapshot: true,
        version,
        expires,
        keys: HashMap::new(),
        roles: HashMap::new(),
        _extra: HashMap::new(),
    };
    for (kind, role, count) in ROLES {
        let mut keyids = Vec::new();
        for signer in signers(keys, role)? {
            let key = signer.tuf_key();
            let id = key.key_id()?;
            keyids.push(id.clone());
            root.keys.insert(id, key);
        }
        let threshold = NonZeroU64::new(count).unwrap_or(NonZeroU64::MIN);
        root.roles.insert(kind, RoleKeys { keyids, threshold, _extra: HashMap::new() });
    }
    Ok(root)
}

/// Signed by the root keys of every folder.
async fn sign(root: Root, folders: &[&Path]) -> Result<Signed<Root>, PublishError> {
    let text = root.canonical_form()?;
    let mut signatures: Vec<Signature> = Vec::new();
    for folder in folders {
        for signer in signers(folder, "root")? {
            let keyid = signer.tuf_key().key_id()?;
            let sig = signer.sign(&text, &SystemRandom::new()).await;
            let sig =
                sig.map_err(|error| PublishError::BadKey { path: folder.to_path_buf(), why: error.to_string() })?;
            if signatures.iter().all(|other| other.keyid != keyid) {
                signatures.push(Signature { keyid, sig: sig.into() });
            }
        }
    }
    Ok(Signed { signed: root, signatures })
}

fn write(metadata: &Path, root: Signed<Root>) -> Result<PathBuf, PublishError> {
    let path = metadata.join(format!("{}.root.json", root.signed.version));
    if path.exists() {
        return Err(PublishError::Exists(path));
    }
    let mut json = serde_json::to_vec_pretty(&root).map_err(|error| PublishError::Unreadable(path.clone(), error))?;
    json.push(b'\n');
    fs::create_dir_all(metadata).map_err(at(metadata))?;
    fs::write(&path, json).map_err(at(&path))?;
    Ok(path)
}
