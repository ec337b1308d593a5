//! How is a backup unpacked so that nothing of the box changes until all of it is proven?
//!
//! Into `scaibox-restore/new`, on the same file system as the state itself. Names that lead anywhere
//! else, links and devices are refused; every file is compared with the checksums, the database is
//! opened. On an error the folder is left for the caller to throw away.

use super::{
    BackupError,
    archive::{self, Hashing},
    database,
    manifest::{CHECKSUMS, Checksum, MANIFEST, Manifest, known_schema},
    parts::{DATABASE, PARTS, part_of},
    seal::Key,
};
use serde::de::DeserializeOwned;
use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions},
    io::{self, BufRead, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Component, Path, PathBuf},
    time::{Duration, SystemTime},
};
use tar::EntryType;

/// Unpacks and verifies `input` into `folder`, which is made.
pub fn stage<R: BufRead>(input: R, key: &Key, folder: &Path) -> Result<Manifest, BackupError> {
    let reader = archive::open(input, key)?;
    remove(folder)?;
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(BackupError::io("make", folder))?;
    let manifest = unpack(reader, folder)?;
    database::verify(&folder.join(DATABASE))?;
    own(folder)?;
    Ok(manifest)
}

fn unpack<R: BufRead>(mut reader: archive::Reader<R>, folder: &Path) -> Result<Manifest, BackupError> {
    let mut manifest = None;
    let mut found = Vec::new();
    let mut wanted = None;
    for entry in reader.entries().map_err(BackupError::damaged)? {
        let mut entry = entry.map_err(BackupError::damaged)?;
        let path = entry.path().map_err(BackupError::damaged)?.into_owned();
        match (path.to_str(), &manifest) {
            (_, None) => manifest = Some(read_manifest(&path, entry)?),
            (Some(CHECKSUMS), _) => wanted = Some(json::<Vec<Checksum>>(entry)?),
            _ => found.extend(unpack_entry(&mut entry, &path, folder)?),
        }
    }
    archive::drain(reader)?;
    compare(found, wanted)?;
    manifest.ok_or(BackupError::NotABackup)
}

fn read_manifest(path: &Path, entry: impl Read) -> Result<Manifest, BackupError> {
    if path != Path::new(MANIFEST) {
        return Err(BackupError::NotABackup);
    }
    let manifest: Manifest = json(entry)?;
    manifest.check(known_schema())?;
    Ok(manifest)
}

fn unpack_entry<R: Read>(
    entry: &mut tar::Entry<'_, R>,
    path: &Path,
    folder: &Path,
) -> Result<Option<Checksum>, BackupError> {
    let target = folder.join(safe(path)?);
    let header = entry.header();
    let mode = Permissions::from_mode(header.mode().map_err(BackupError::damaged)? & 0o7777);
    let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(header.mtime().map_err(BackupError::damaged)?);
    match header.entry_type() {
        EntryType::Directory => make_folder(&target, mode).map(|()| None),
        EntryType::Regular => {
            let mut source = Hashing::new(entry);
            write_file(&mut source, &target, mode, modified)?;
            Ok(Some(source.checksum(path)))
        }
        other => Err(BackupError::damaged(format!("{} is a {other:?}, which no backup holds", path.display()))),
    }
}

/// Inside one of our parts, and nowhere else.
fn safe(path: &Path) -> Result<&Path, BackupError> {
    let plain = path.components().all(|step| matches!(step, Component::Normal(_)));
    if plain && part_of(path).is_some() {
        return Ok(path);
    }
    Err(BackupError::damaged(format!("{} is no place of the box's state", path.display())))
}

fn make_folder(target: &Path, mode: Permissions) -> Result<(), BackupError> {
    DirBuilder::new().mode(0o700).create(target).map_err(BackupError::io("make", target))?;
    fs::set_permissions(target, mode).map_err(BackupError::io("make", target))
}

/// An error of the source is a damaged backup, one of the target is a disk that is full.
fn write_file(
    source: &mut impl Read,
    target: &Path,
    mode: Permissions,
    modified: SystemTime,
) -> Result<(), BackupError> {
    let unwritten = || BackupError::io("write", target);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(target).map_err(unwritten())?;
    let mut piece = vec![0; PIECE];
    loop {
        let read = source.read(&mut piece).map_err(BackupError::damaged)?;
        if read == 0 {
            break;
        }
        file.write_all(&piece[..read]).map_err(unwritten())?;
    }
    file.set_permissions(mode).and_then(|()| file.set_modified(modified)).map_err(unwritten())
}

fn compare(mut found: Vec<Checksum>, wanted: Option<Vec<Checksum>>) -> Result<(), BackupError> {
    let mut wanted = wanted.ok_or_else(|| BackupError::damaged("it has no checksums"))?;
    found.sort();
    wanted.sort();
    if found == wanted {
        return Ok(());
    }
    let differs = |sum: &&Checksum| wanted.binary_search(sum).is_err();
    let first = found.iter().find(differs).or_else(|| wanted.iter().find(|sum| found.binary_search(sum).is_err()));
    let path = first.map_or("a file", |sum| sum.path.as_str());
    Err(BackupError::damaged(format!("the checksum of {path} is wrong")))
}

/// Gives each part to the user of its name. Where there is no such user, or we are not root, the
/// files stay ours: systemd hands a StateDirectory over when the daemon starts.
fn own(folder: &Path) -> Result<(), BackupError> {
    for part in PARTS {
        let root = folder.join(part.name);
        let user = nix::unistd::User::from_name(part.owner).ok().flatten();
        if let Some(user) = user.filter(|_| nix::unistd::geteuid().is_root() && root.exists()) {
            give(&root, user.uid.as_raw(), user.gid.as_raw()).map_err(BackupError::io("hand over", &root))?;
        }
    }
    Ok(())
}

fn give(path: &Path, uid: u32, gid: u32) -> io::Result<()> {
    std::os::unix::fs::lchown(path, Some(uid), Some(gid))?;
    if path.is_dir() {
        for entry in fs::read_dir(path)? {
            give(&entry?.path(), uid, gid)?;
        }
    }
    Ok(())
}

fn json<T: DeserializeOwned>(entry: impl Read) -> Result<T, BackupError> {
    serde_json::from_reader(io::BufReader::new(entry)).map_err(BackupError::damaged)
}

pub(super) fn remove(folder: &Path) -> Result<(), BackupError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(BackupError::io("remove", folder)(error)),
        _ => Ok(()),
    }
}

/// Everything below `folder` is on the disk when this returns.
pub(super) fn sync(folder: &Path) -> Result<(), BackupError> {
    let opened = File::open(folder).map_err(BackupError::io("read", folder))?;
    rustix::fs::syncfs(&opened).map_err(|error| BackupError::io("write", folder)(error.into()))
}

/// The folders of the parts that were unpacked.
pub(super) fn parts_in(folder: &Path) -> Vec<String> {
    let there = |part: &&super::parts::Part| -> bool { PathBuf::from(folder).join(part.name).exists() };
    PARTS.iter().filter(there).map(|part| part.name.to_owned()).collect()
}

const PIECE: usize = 128 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_leads_out_of_the_state_is_refused() {
        for path in ["/etc/passwd", "minio/../../etc/passwd", "../x", "etc/passwd", "scaibox-restore/new", ""] {
            assert!(safe(Path::new(path)).is_err(), "{path}");
        }
        assert!(safe(Path::new("minio/recordings/a.ogg/xl.meta")).is_ok());
    }

    #[test]
    fn a_file_that_is_missing_changed_or_too_many_is_named() {
        let sum = |path: &str, sha256: &str| Checksum { path: path.into(), bytes: 1, sha256: sha256.into() };
        let wanted = || Some(vec![sum("a", "1"), sum("b", "2")]);
        assert!(compare(vec![sum("b", "2"), sum("a", "1")], wanted()).is_ok());
        for found in [vec![sum("a", "1")], vec![sum("a", "1"), sum("b", "3")]] {
            let text = compare(found, wanted()).unwrap_err().to_string();
            assert!(text.ends_with("the checksum of b is wrong"), "{text}");
        }
        let text = compare(vec![sum("a", "1"), sum("b", "2"), sum("c", "4")], wanted()).unwrap_err().to_string();
        assert!(text.ends_with("the checksum of c is wrong"), "{text}");
        assert!(compare(vec![], None).is_err());
    }
}
