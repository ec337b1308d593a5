//! How is a backup made while calls go on?
//!
//! Part by part in the order of [`PARTS`]. Files may appear, grow and go away meanwhile: what is gone
//! when its turn comes is not part of the backup. Small files, spools among them, are read whole, so
//! that one which is shortened meanwhile cannot tear the archive.

use super::{
    BackupError,
    archive::{Meta, Writer},
    database::{self, Schema},
    manifest::{FORMAT, Manifest},
    parts::{CONTROL_API, DATABASE, PARTS, Part},
    seal::Lock,
};
use crate::places::Places;
use jiff::Timestamp;
use rusqlite::Connection;
use std::{
    fs::{self, File, Metadata},
    io::{self, Read, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// Writes everything into `output` and gives it back, to be flushed and closed.
pub fn create<W: Write>(places: &Places, lock: &Lock, output: W) -> Result<(W, Manifest), BackupError> {
    let live = database::open_live(&places.database())?;
    let manifest = describe(places, database::schema(&live)?);
    let mut writer = Writer::begin(output, lock, &manifest)?;
    for part in PARTS {
        add_part(&mut writer, places, part)?;
        if part.name == CONTROL_API {
            add_database(&mut writer, places, &live)?;
        }
    }
    Ok((writer.finish()?, manifest))
}

fn describe(places: &Places, schema: Schema) -> Manifest {
    Manifest {
        format: FORMAT,
        version: places.version(),
        schema_version: schema.version,
        min_reader_version: schema.min_reader_version,
        machine_id: places.machine_id(),
        created_at: Timestamp::now(),
    }
}

/// A daemon that never ran has no folder.
fn add_part<W: Write>(writer: &mut Writer<W>, places: &Places, part: &Part) -> Result<(), BackupError> {
    let root = places.state().join(part.name);
    let Some(meta) = still_there(fs::metadata(&root), &root)? else { return Ok(()) };
    writer.folder(Path::new(part.name), meta_of(&meta))?;
    let mut folders = vec![PathBuf::new()];
    while let Some(below) = folders.pop() {
        for name in names(&root.join(&below))? {
            let below = below.join(name);
            if !part.skips(&below) && add(writer, part, &root, &below)? {
                folders.push(below);
            }
        }
    }
    Ok(())
}

/// True for a folder, whose inside is still to be added. Sockets and links are nobody's data.
fn add<W: Write>(writer: &mut Writer<W>, part: &Part, root: &Path, below: &Path) -> Result<bool, BackupError> {
    let (path, name) = (root.join(below), Path::new(part.name).join(below));
    let Some(meta) = still_there(fs::symlink_metadata(&path), &path)? else { return Ok(false) };
    if meta.is_dir() {
        writer.folder(&name, meta_of(&meta))?;
    } else if meta.is_file()
        && let Some(file) = still_there(File::open(&path), &path)?
    {
        add_file(writer, &name, &path, file)?;
    }
    Ok(meta.is_dir())
}

fn add_file<W: Write>(writer: &mut Writer<W>, name: &Path, path: &Path, mut file: File) -> Result<(), BackupError> {
    let meta = file.metadata().map_err(BackupError::io("read", path))?;
    if meta.len() > SMALL {
        return writer.file(name, file, meta.len(), meta_of(&meta));
    }
    let mut whole = Vec::new();
    file.read_to_end(&mut whole).map_err(BackupError::io("read", path))?;
    writer.file(name, &whole[..], whole.len() as u64, meta_of(&meta))
}

/// The copy lies in a folder for root alone, and is gone whatever happens.
fn add_database<W: Write>(writer: &mut Writer<W>, places: &Places, live: &Connection) -> Result<(), BackupError> {
    let state = places.state();
    let folder = tempfile::Builder::new().prefix(COPY).tempdir_in(&state).map_err(BackupError::io("write", &state))?;
    let copy = folder.path().join("copy.sqlite");
    database::copy(live, &copy)?;
    let database = places.database();
    let meta = fs::metadata(&database).map_err(BackupError::io("read", &database))?;
    let file = File::open(&copy).map_err(BackupError::io("read", &copy))?;
    let bytes = file.metadata().map_err(BackupError::io("read", &copy))?.len();
    writer.file(Path::new(DATABASE), file, bytes, meta_of(&meta))
}

/// Removes what a backup left behind that was killed.
pub fn tidy(places: &Places) -> Result<(), BackupError> {
    for name in names(&places.state())? {
        if name.to_string_lossy().starts_with(COPY) {
            let path = places.state().join(name);
            fs::remove_dir_all(&path).map_err(BackupError::io("remove", &path))?;
        }
    }
    Ok(())
}

/// In order, so that two backups of the same state list the same.
fn names(folder: &Path) -> Result<Vec<std::ffi::OsString>, BackupError> {
    let Some(entries) = still_there(fs::read_dir(folder), folder)? else { return Ok(Vec::new()) };
    let names = entries.map(|entry| entry.map(|entry| entry.file_name())).collect::<io::Result<Vec<_>>>();
    let mut names = names.map_err(BackupError::io("list", folder))?;
    names.sort();
    Ok(names)
}

fn still_there<T>(result: io::Result<T>, path: &Path) -> Result<Option<T>, BackupError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(BackupError::io("read", path)(error)),
    }
}

fn meta_of(meta: &Metadata) -> Meta {
    Meta { mode: meta.mode() & 0o7777, modified: u64::try_from(meta.mtime()).unwrap_or(0) }
}

const SMALL: u64 = 4 << 20;
const COPY: &str = "scaibox-backup-";
