//! Where does a box keep its files?
//!
//! ```text
//! DIR/config/   one file per part, written at each start     DIR/db/         SQLite
//! DIR/log/      one file per part                            DIR/spool/      events and recordings on their way
//! DIR/run/      sockets, pids.json, hold/, lock              DIR/objects/    MinIO
//! DIR/secrets.json  made at the first start
//! ```

use anyhow::{Context, bail};
use std::{
    fs::File,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};
use tempfile::TempDir;

/// A Unix socket's path must fit 108 bytes.
const LONGEST_SOCKET_FOLDER: usize = 80;

/// One box's folder, locked while it runs.
pub struct DataDir {
    root: PathBuf,
    sockets: PathBuf,
    temporary: Mutex<Option<TempDir>>,
    _sockets: Option<TempDir>,
    _lock: File,
}

impl DataDir {
    /// `wanted`, or a temporary folder that goes when this is dropped.
    pub fn open(wanted: Option<&Path>) -> anyhow::Result<Self> {
        let temporary = match wanted {
            Some(_) => None,
            None => Some(tempfile::Builder::new().prefix("scaibox-").tempdir()?),
        };
        let root = match (wanted, &temporary) {
            (Some(path), _) => std::path::absolute(path)?,
            (None, Some(folder)) => folder.path().to_owned(),
            (None, None) => bail!("no data folder"),
        };
        for part in ["config", "log", "run/hold", "db", "spool/sip-gateway", "spool/voice-worker", "objects"] {
            make_private(&root.join(part))?;
        }
        let lock = File::create(root.join("run/lock"))?;
        lock.try_lock()
            .with_context(|| format!("another box runs in {}: name another folder with --data", root.display()))?;
        let short = match root.join("run").as_os_str().len() > LONGEST_SOCKET_FOLDER {
            true => Some(tempfile::Builder::new().prefix("scaibox-run-").tempdir()?),
            false => None,
        };
        let sockets = short.as_ref().map_or_else(|| root.join("run"), |folder| folder.path().to_owned());
        Ok(Self { root, sockets, temporary: Mutex::new(temporary), _sockets: short, _lock: lock })
    }

    /// Leaves a temporary folder behind, so that its logs can be read.
    pub fn keep(&self) {
        if let Some(folder) = self.temporary().take() {
            eprintln!("box: kept {}", folder.keep().display());
        }
    }

    pub fn is_temporary(&self) -> bool {
        self.temporary().is_some()
    }

    fn temporary(&self) -> MutexGuard<'_, Option<TempDir>> {
        self.temporary.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn root(&self) -> &Path {
        &self.root
    }
    pub fn join(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }
    pub fn socket(&self, name: &str) -> PathBuf {
        self.sockets.join(format!("{name}.sock"))
    }
    pub fn log(&self, part: &str) -> PathBuf {
        self.root.join("log").join(format!("{part}.log"))
    }
    /// While this file is there the part does not run.
    pub fn hold(&self, part: &str) -> PathBuf {
        self.root.join("run/hold").join(part)
    }

    /// Writes a file that only we can read, all of it or nothing.
    pub fn write(&self, path: &str, text: &str) -> anyhow::Result<PathBuf> {
        let target = self.join(path);
        let draft = target.with_extension("new");
        let write = || -> std::io::Result<()> {
            let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
            std::io::Write::write_all(&mut file, text.as_bytes())?;
            std::fs::rename(&draft, &target)
        };
        write().with_context(|| format!("cannot write {}", target.display()))?;
        Ok(target)
    }
}

fn make_private(folder: &Path) -> anyhow::Result<()> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .with_context(|| format!("cannot make {}", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_folder_serves_one_box_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let first = DataDir::open(Some(folder.path())).unwrap();
        let error = DataDir::open(Some(folder.path())).err().expect("the folder is in use");
        assert!(error.to_string().contains("another box runs in"), "{error}");
        drop(first);
        DataDir::open(Some(folder.path())).unwrap();
    }

    #[test]
    fn a_long_path_gets_its_sockets_elsewhere() {
        let folder = tempfile::tempdir().unwrap();
        let data = DataDir::open(Some(&folder.path().join("x".repeat(90)))).unwrap();
        assert!(data.socket("notify-voice-worker").as_os_str().len() < 108);
    }

    #[test]
    fn a_temporary_folder_goes_with_the_box() {
        let data = DataDir::open(None).unwrap();
        let root = data.root().to_owned();
        assert!(root.exists());
        drop(data);
        assert!(!root.exists());
    }
}
