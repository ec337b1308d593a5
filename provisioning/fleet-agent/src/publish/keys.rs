//! Where do signing keys lie, and how are they made?

use super::{PublishError, at};
use aws_lc_rs::{rand::SystemRandom, signature::Ed25519KeyPair};
use std::{
    fs::{self, OpenOptions},
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};
use tough::{
    key_source::{KeySource, LocalKeySource},
    schema::RoleType,
    sign::{Sign, parse_keypair},
};

/// (role, its name in file names, how many keys, of which all have to sign).
pub(super) const ROLES: [(RoleType, &str, u64); 4] = [
    (RoleType::Root, "root", 2),
    (RoleType::Targets, "targets", 2),
    (RoleType::Snapshot, "snapshot", 1),
    (RoleType::Timestamp, "timestamp", 1),
];

/// Makes the keys of all roles; an existing key is never overwritten.
pub fn make_keys(folder: &Path) -> Result<(), PublishError> {
    fs::create_dir_all(folder).map_err(at(folder))?;
    for (_, role, count) in ROLES {
        for number in 1..=count {
            make_key(&folder.join(format!("{role}-{number}.key")))?;
        }
    }
    Ok(())
}

fn make_key(path: &Path) -> Result<(), PublishError> {
    let bad = |why: &dyn std::fmt::Display| PublishError::BadKey { path: path.to_owned(), why: why.to_string() };
    let key = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|error| bad(&error))?;
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let mut file = file.map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => PublishError::Exists(path.to_owned()),
        _ => at(path)(error),
    })?;
    file.write_all(key.as_ref()).map_err(at(path))
}

/// Moves the keys away, so that new ones can be made; returns where they are now.
pub(super) fn retire_keys(folder: &Path, root_version: u64) -> Result<PathBuf, PublishError> {
    let retired = folder.join(format!("retired-{root_version}"));
    fs::create_dir(&retired).map_err(at(&retired))?;
    for path in key_files(folder, "")? {
        let name = path.file_name().unwrap_or_default();
        fs::rename(&path, retired.join(name)).map_err(at(&path))?;
    }
    Ok(retired)
}

/// All keys of a folder, for tough's editor.
pub fn sources(folder: &Path) -> Result<Vec<Box<dyn KeySource>>, PublishError> {
    let files = key_files(folder, "")?;
    Ok(files.into_iter().map(|path| Box::new(LocalKeySource { path }) as Box<dyn KeySource>).collect())
}

/// The keys of one role.
pub(super) fn signers(folder: &Path, role: &'static str) -> Result<Vec<Box<dyn Sign>>, PublishError> {
    let files = key_files(folder, role)?;
    if files.is_empty() {
        return Err(PublishError::NoKey { folder: folder.to_owned(), role });
    }
    files.into_iter().map(|path| signer(&path)).collect()
}

fn signer(path: &Path) -> Result<Box<dyn Sign>, PublishError> {
    let key = fs::read(path).map_err(at(path))?;
    let signer =
        parse_keypair(&key).map_err(|error| PublishError::BadKey { path: path.to_owned(), why: error.to_string() })?;
    Ok(Box::new(signer))
}

/// `ROLE-N.key`, in order; all of them for an empty role.
fn key_files(folder: &Path, role: &str) -> Result<Vec<PathBuf>, PublishError> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(at(folder))? {
        let name = entry.map_err(at(folder))?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".key") && (role.is_empty() || name.starts_with(&format!("{role}-"))) {
            files.push(folder.join(name));
        }
    }
    files.sort();
    Ok(files)
}
