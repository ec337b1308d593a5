//! How does a file of a release get onto the disk, whole and unchanged?
//!
//! Mirrors are tried in order. What arrived stays in `NAME.part` and the next try, also after a restart, goes on from
//! there. Only a file with exactly the signed length and hash gets its name. When the parts of several mirrors do not
//! fit together, one of them lied: then each mirror has to deliver the whole file.

use super::source::{Body, FetchError, Source};
use crate::release::File;
use sha2::{Digest, Sha256};
use std::{
    io,
    path::{Path, PathBuf},
};
use tokio::{fs, io::AsyncWriteExt};
use url::Url;

/// How often one mirror may break off in the middle of one file.
const MOST_BREAKS: usize = 5;

/// Why a file could not be had.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    #[error("no mirror delivered {name}: {}", reasons.join("; "))]
    NoMirror { name: String, reasons: Vec<String> },
    #[error("could not write {path}: {source}")]
    Disk { path: PathBuf, source: io::Error },
}

/// Why one mirror did not deliver.
#[derive(Debug, thiserror::Error)]
enum MirrorError {
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error("{0} ended early")]
    Short(Url),
    #[error("{0} is longer than was signed")]
    TooLong(Url),
    #[error("{0} is not the file that was signed")]
    Different(Url),
    #[error("could not write {path}: {source}")]
    Disk { path: PathBuf, source: io::Error },
}

/// Puts `file` into `folder`; `progress` hears how many bytes of it are there.
pub async fn download(
    source: &Source,
    mirrors: &[Url],
    file: &File,
    folder: &Path,
    progress: &(dyn Fn(u64) + Send + Sync),
) -> Result<PathBuf, DownloadError> {
    let whole = folder.join(&file.name);
    if is_right(&whole, file).await {
        progress(file.length);
        return Ok(whole);
    }
    let job = Job { source, file, part: folder.join(format!("{}.part", file.name)), progress };
    let mut reasons = Vec::new();
    for mirror in mirrors {
        match job.fetch_from(mirror).await {
            Ok(()) => return finish(&job.part, whole).await,
            Err(MirrorError::Disk { path, source }) => return Err(DownloadError::Disk { path, source }),
            Err(error) => reasons.push(error.to_string()),
        }
    }
    Err(DownloadError::NoMirror { name: file.name.clone(), reasons })
}

/// The whole of a small file, into memory.
pub async fn read_small(source: &Source, mirror: &Url, file: &File) -> Result<Vec<u8>, String> {
    let url = place(mirror, file);
    let mut body = source.open(&url, 0).await.map_err(|error| error.to_string())?;
    let mut all = Vec::new();
    while let Some(chunk) = body.next().await.map_err(|error| error.to_string())? {
        all.extend_from_slice(&chunk);
        if all.len() as u64 > file.length {
            return Err(MirrorError::TooLong(url).to_string());
        }
    }
    if Sha256::digest(&all)[..] != file.sha256 {
        return Err(MirrorError::Different(url).to_string());
    }
    Ok(all)
}

async fn finish(part: &Path, whole: PathBuf) -> Result<PathBuf, DownloadError> {
    fs::rename(part, &whole).await.map_err(|source| DownloadError::Disk { path: whole.clone(), source })?;
    Ok(whole)
}

fn place(mirror: &Url, file: &File) -> Url {
    let mut url = mirror.clone();
    url.set_path(&format!("{}/targets/{}", mirror.path().trim_end_matches('/'), file.path));
    url
}

struct Job<'a> {
    source: &'a Source,
    file: &'a File,
    part: PathBuf,
    progress: &'a (dyn Fn(u64) + Send + Sync),
}

impl Job<'_> {
    /// Until the file is whole, or this mirror is given up.
    async fn fetch_from(&self, mirror: &Url) -> Result<(), MirrorError> {
        let url = place(mirror, self.file);
        let mut breaks = 0;
        loop {
            let had = self.length().await;
            match self.go_on(&url, had).await {
                Ok(()) if is_right(&self.part, self.file).await => return Ok(()),
                // The part came from elsewhere, perhaps: this mirror alone gets one fair try.
                Ok(()) => {
                    self.discard().await?;
                    if had == 0 {
                        return Err(MirrorError::Different(url));
                    }
                }
                Err(error) if breaks < MOST_BREAKS && self.length().await > had => {
                    tracing::debug!(%error, "download goes on where it broke off");
                    breaks += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn go_on(&self, url: &Url, had: u64) -> Result<(), MirrorError> {
        if had >= self.file.length {
            return Ok(());
        }
        let body = self.source.open(url, had).await?;
        let mut out = self.open_part(body.starts_at).await.map_err(|source| self.disk(source))?;
        let copied = self.copy(url, body, &mut out).await;
        out.sync_all().await.map_err(|source| self.disk(source))?;
        if let Err(MirrorError::TooLong(_)) = copied {
            self.discard().await?;
        }
        copied
    }

    async fn copy(&self, url: &Url, mut body: Body, out: &mut fs::File) -> Result<(), MirrorError> {
        let mut length = body.starts_at;
        while let Some(chunk) = body.next().await? {
            length += chunk.len() as u64;
            if length > self.file.length {
                return Err(MirrorError::TooLong(url.clone()));
            }
            out.write_all(&chunk).await.map_err(|source| self.disk(source))?;
            (self.progress)(length);
        }
        if length < self.file.length { Err(MirrorError::Short(url.clone())) } else { Ok(()) }
    }

    /// The part, cut to `length` and ready for more.
    async fn open_part(&self, length: u64) -> io::Result<fs::File> {
        let file = fs::OpenOptions::new().create(true).append(true).open(&self.part).await?;
        file.set_len(length).await?;
        Ok(file)
    }

    async fn length(&self) -> u64 {
        fs::metadata(&self.part).await.map_or(0, |file| file.len())
    }

    async fn discard(&self) -> Result<(), MirrorError> {
        match fs::remove_file(&self.part).await {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(self.disk(source)),
            _ => Ok(()),
        }
    }

    fn disk(&self, source: io::Error) -> MirrorError {
        MirrorError::Disk { path: self.part.clone(), source }
    }
}

/// Has the file at `path` the signed length and hash?
async fn is_right(path: &Path, file: &File) -> bool {
    let (path, length, sha256) = (path.to_owned(), file.length, file.sha256);
    let check = move || -> io::Result<bool> {
        let mut file = std::fs::File::open(path)?;
        if file.metadata()?.len() != length {
            return Ok(false);
        }
        let mut hash = Sha256::new();
        io::copy(&mut file, &mut hash)?;
        Ok(hash.finalize()[..] == sha256)
    };
    tokio::task::spawn_blocking(check).await.is_ok_and(|right| right.unwrap_or(false))
}
