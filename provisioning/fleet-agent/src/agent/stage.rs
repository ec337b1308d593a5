//! How is a release brought to this box, whole and checked?

use super::{Agent, State};
use crate::{
    channel::download::{DownloadError, download},
    release::{Release, SUMS, SumsError, check_sums},
    version::Version,
};
use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};
use url::Url;

/// Slow lines are fine, but not for ever: `source` bounds the pace, this the whole.
const STAGE_LIMIT: Duration = Duration::from_secs(24 * 3600);

#[derive(Debug, thiserror::Error)]
pub(super) enum StageError {
    #[error(transparent)]
    Download(#[from] DownloadError),
    #[error("the release contradicts itself: {0}")]
    Sums(#[from] SumsError),
    #[error("{path} could not be used: {source}")]
    File { path: PathBuf, source: io::Error },
    #[error("the download took longer than {0:?}")]
    TookTooLong(Duration),
}

impl Agent {
    /// Where the files of `version` are collected.
    pub(super) fn staging(&self, version: &Version) -> PathBuf {
        self.state_dir.join("staging").join(version.to_string())
    }

    /// Downloads what is missing and checks that all fits together.
    pub(super) async fn stage(&self, release: &Release, mirrors: &[Url]) -> Result<(), StageError> {
        let folder = self.staging(&release.version);
        only(&folder).map_err(|source| StageError::File { path: folder.clone(), source })?;
        let work = self.fetch_all(release, mirrors, &folder);
        tokio::time::timeout(STAGE_LIMIT, work).await.unwrap_or(Err(StageError::TookTooLong(STAGE_LIMIT)))?;
        let sums = folder.join(SUMS);
        let text = fs::read_to_string(&sums).map_err(|source| StageError::File { path: sums, source })?;
        Ok(check_sums(release, &text)?)
    }

    async fn fetch_all(&self, release: &Release, mirrors: &[Url], folder: &Path) -> Result<(), StageError> {
        let total: u64 = release.files.iter().map(|file| file.length).sum();
        let before = AtomicU64::new(0);
        let progress = |bytes: u64| {
            let percent = 100 * (before.load(Ordering::Relaxed) + bytes) / total.max(1);
            let percent = Some(percent.min(100) as u8);
            self.status.send_if_modified(|status| {
                let changed = (status.state, status.progress) != (State::Downloading, percent);
                (status.state, status.progress) = (State::Downloading, percent);
                changed
            });
        };
        for file in &release.files {
            download(&self.reader.source, mirrors, file, folder, &progress).await?;
            before.fetch_add(file.length, Ordering::Relaxed);
        }
        Ok(())
    }
}

/// Makes the folder and removes those of other versions.
fn only(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    for other in fs::read_dir(folder.parent().unwrap_or(folder))? {
        let other = other?.path();
        if other != folder {
            fs::remove_dir_all(other)?;
        }
    }
    Ok(())
}
