//! How does a box become as new?
//!
//! The EFI variable `FactoryReset` asks systemd-repart, in the initrd of the next start, to delete and
//! make anew every partition marked `FactoryReset=yes`, which is `/var`; repart then removes the
//! variable (systemd-repart(8) of systemd 257). It is set first: from then on a power cut changes
//! nothing. Then secrets and the database are overwritten in place. On flash the old cells may
//! outlive that; the partition is discarded when it is made anew, and backups are encrypted.

use crate::{efivar, health, places::Places, report::Done};
use anyhow::{Context, bail};
use daemon::units::Systemd;
use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

/// Everything up to the restart, and the restart.
pub async fn reset(places: &Places, yes: bool) -> anyhow::Result<Done> {
    if !yes {
        bail!("this erases all accounts, trunks, recordings and keys of the box: add --yes if that is what you want");
    }
    request(places)?;
    // A daemon that still writes would bring back what is being overwritten.
    Systemd::connect().await?.stop("control-api.service").await?;
    overwrite_all(places)?;
    health::reboot().await?;
    Ok(Done::new("the box restarts and is as new then"))
}

/// The next start will wipe; nothing is lost yet.
pub fn request(places: &Places) -> anyhow::Result<()> {
    efivar::set_text(&places.efivars(), "FactoryReset", efivar::SYSTEMD, "yes")
}

/// Secrets and the database with its journals hold nothing but zeros afterwards.
pub fn overwrite_all(places: &Places) -> anyhow::Result<()> {
    let database = places.database();
    let mut files: Vec<PathBuf> = ["", "-wal", "-shm"]
        .iter()
        .map(|suffix| PathBuf::from(format!("{}{suffix}", database.display())))
        .filter(|path| path.exists())
        .collect();
    collect(&places.secrets(), &mut files).context("could not list the secrets")?;
    for path in files {
        overwrite(&path).with_context(|| format!("could not overwrite {}", path.display()))?;
    }
    Ok(())
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        match entry.file_type()? {
            kind if kind.is_dir() => collect(&entry.path(), files)?,
            kind if kind.is_file() => files.push(entry.path()),
            _ => {}
        }
    }
    Ok(())
}

/// The same blocks, so no truncation.
fn overwrite(path: &Path) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).open(path)?;
    let mut left = file.metadata()?.len();
    let zeros = vec![0; 1 << 20];
    while left > 0 {
        let piece = left.min(zeros.len() as u64);
        file.write_all(&zeros[..usize::try_from(piece).unwrap_or(zeros.len())])?;
        left -= piece;
    }
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places() -> (tempfile::TempDir, Places) {
        let root = tempfile::tempdir().unwrap();
        let places = Places::under(root.path());
        (root, places)
    }

    #[test]
    fn secrets_and_database_hold_only_zeros_afterwards() {
        let (_root, places) = places();
        let files = [places.secrets().join("tls.key"), places.secrets().join("more/key"), places.database()];
        for file in &files {
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, "secret".repeat(300_000)).unwrap();
        }
        overwrite_all(&places).unwrap();
        for file in &files {
            assert_eq!(fs::read(file).unwrap(), vec![0; 1_800_000], "{}", file.display());
        }
    }

    #[tokio::test]
    async fn without_yes_nothing_is_asked_of_the_firmware() {
        let (_root, places) = places();
        fs::create_dir_all(places.efivars()).unwrap();
        let text = reset(&places, false).await.unwrap_err().to_string();
        assert!(text.ends_with("add --yes if that is what you want"), "{text}");
        assert_eq!(fs::read_dir(places.efivars()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn on_a_machine_that_cannot_be_reset_nothing_is_lost() {
        let (_root, places) = places();
        fs::create_dir_all(places.secrets()).unwrap();
        fs::write(places.secrets().join("tls.key"), "secret").unwrap();
        assert!(reset(&places, true).await.is_err());
        assert_eq!(fs::read(places.secrets().join("tls.key")).unwrap(), b"secret");
    }

    #[test]
    fn the_request_is_the_variable_that_systemd_repart_looks_for() {
        let (_root, places) = places();
        fs::create_dir_all(places.efivars()).unwrap();
        request(&places).unwrap();
        let variable = places.efivars().join("FactoryReset-8cf2644b-4b0b-428f-9387-6d876050dc67");
        assert!(variable.exists());
    }
}
