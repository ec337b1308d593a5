//! Which kernel images lie on the ESP, and how is one taken out of the running?

use super::{Places, RootError, places::at};
use crate::boot::Entry;
use std::{
    fs::{self, File},
    path::PathBuf,
};

/// The folder with the kernel images.
pub(super) fn folder(places: &Places) -> Result<PathBuf, RootError> {
    let candidates = places.esp.iter().map(|esp| esp.join("EFI/Linux"));
    candidates.into_iter().find(|folder| folder.is_dir()).ok_or_else(|| RootError::NoEsp(places.esp.clone()))
}

pub(super) fn entries(places: &Places) -> Result<Vec<Entry>, RootError> {
    let folder = folder(places)?;
    let mut entries = Vec::new();
    for file in fs::read_dir(&folder).map_err(at(&folder))? {
        let name = file.map_err(at(&folder))?.file_name().to_string_lossy().into_owned();
        entries.extend(Entry::parse(&places.product, &name));
    }
    entries.sort_by(|a, b| a.version.cmp(&b.version));
    Ok(entries)
}

/// No tries left: systemd-boot sorts it behind all others, whatever its version.
pub(super) fn give_up(places: &Places, entry: &Entry) -> Result<(), RootError> {
    let name = format!("{}_{}+0-{}.efi", places.product, entry.version, entry.tries_done.max(1));
    let folder = folder(places)?;
    let from = folder.join(&entry.file);
    fs::rename(&from, folder.join(name)).map_err(at(&from))?;
    sync(places)
}

pub(super) fn remove(places: &Places, entry: &Entry) -> Result<(), RootError> {
    let path = folder(places)?.join(&entry.file);
    fs::remove_file(&path).map_err(at(&path))?;
    sync(places)
}

/// FAT has no journal: what was renamed has to be on the disk before anybody reboots.
fn sync(places: &Places) -> Result<(), RootError> {
    let folder = folder(places)?;
    File::open(&folder).and_then(|folder| folder.sync_all()).map_err(at(&folder))
}
