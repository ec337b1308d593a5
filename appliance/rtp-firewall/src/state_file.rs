//! What survives a restart?
//!
//! One JSON file, replaced as a whole and flushed to the disk, so that a power cut leaves the old or the new one.

use crate::desired::Desired;
use daemon::files::{PRIVATE, replace};
use std::{fs, io, path::PathBuf};

/// Where the wanted state is remembered.
#[derive(Clone, Debug)]
pub struct StateFile {
    path: PathBuf,
}

/// Why what was remembered is not known any more.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    #[error("cannot read {path}: {source}")]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("{path} is damaged ({source}) and was set aside as {aside}")]
    Damaged { path: PathBuf, aside: PathBuf, source: serde_json::Error },
}

impl StateFile {
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// What was saved last; none at the first start. A damaged file is set aside, so that the next start is clean.
    pub fn load(&self) -> Result<Option<Desired>, StateError> {
        let text = match fs::read(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(StateError::Unreadable { path: self.path.clone(), source }),
            Ok(text) => text,
        };
        serde_json::from_slice(&text).map(Some).map_err(|source| {
            let aside = self.path.with_added_extension("damaged");
            if let Err(error) = fs::rename(&self.path, &aside) {
                tracing::warn!(%error, path = %self.path.display(), "could not set the damaged state aside");
            }
            StateError::Damaged { path: self.path.clone(), aside, source }
        })
    }

    pub fn save(&self, desired: &Desired) -> io::Result<()> {
        replace(&self.path, &serde_json::to_vec_pretty(desired)?, PRIVATE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn desired() -> Desired {
        Desired::new(&["10.0.0.0/8".parse().unwrap()])
    }

    #[test]
    fn what_was_saved_comes_back_and_is_nobody_elses() {
        let folder = tempfile::tempdir().unwrap();
        let file = StateFile::new(folder.path().join("state.json"));
        assert_eq!(file.load().unwrap(), None);
        file.save(&desired()).unwrap();
        assert_eq!(file.load().unwrap(), Some(desired()));
        let mode = fs::metadata(folder.path().join("state.json")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_half_written_file_does_not_replace_the_good_one() {
        let folder = tempfile::tempdir().unwrap();
        let file = StateFile::new(folder.path().join("state.json"));
        file.save(&desired()).unwrap();
        fs::write(folder.path().join("state.json.new"), "{ \"gener").unwrap(); // the power was cut here
        assert_eq!(file.load().unwrap(), Some(desired()));
        file.save(&desired()).unwrap();
        assert!(!folder.path().join("state.json.new").exists());
    }

    #[test]
    fn a_damaged_file_is_set_aside_and_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        fs::write(&path, "{").unwrap();
        let error = StateFile::new(&path).load().unwrap_err().to_string();
        assert!(error.contains("is damaged") && error.contains("state.json.damaged"), "{error}");
        assert!(folder.path().join("state.json.damaged").exists());
        assert_eq!(StateFile::new(&path).load().unwrap(), None);
    }

    #[test]
    fn what_a_newer_version_added_is_ignored() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        let mut newer = serde_json::to_value(desired()).unwrap();
        newer["geofence"] = "nl".into();
        fs::write(&path, newer.to_string()).unwrap();
        assert_eq!(StateFile::new(&path).load().unwrap(), Some(desired()));
    }
}
