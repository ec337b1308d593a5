//! What is remembered of a health check?
//!
//! `last.json` always, and `failed-<version>.json` for a version that failed, which `fleet-agent`
//! reports with its reason. A version that passes after all is no longer a failed one. Both are on
//! the disk before a reboot is asked for.

use super::decide::{Blessing, Decision, Outcome, Step};
use anyhow::Context;
use daemon::files;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::{fs, path::Path};

/// `last.json`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Last {
    pub version: String,
    pub at: Timestamp,
    pub healthy: bool,
    pub blessing: Blessing,
    pub checks: Vec<Outcome>,
}

/// `failed-<version>.json`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Failed {
    pub version: String,
    pub at: Timestamp,
    pub step: Step,
    pub reason: String,
}

/// Writes what was decided about `last.version` into `folder`.
pub fn write(folder: &Path, last: &Last, decision: &Decision) -> anyhow::Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("could not make {}", folder.display()))?;
    replace(&folder.join("last.json"), last)?;
    let failed = folder.join(format!("failed-{}.json", last.version));
    match &decision.failure {
        None => remove(&failed),
        Some((step, reason)) => {
            let (version, reason) = (last.version.clone(), reason.clone());
            replace(&failed, &Failed { version, at: last.at, step: *step, reason })
        }
    }
}

/// The last check, if there was one.
pub fn read_last(folder: &Path) -> Option<Last> {
    serde_json::from_slice(&fs::read(folder.join("last.json")).ok()?).ok()
}

fn replace<T: Serialize>(path: &Path, value: &T) -> anyhow::Result<()> {
    let json = serde_json::to_vec_pretty(value)?;
    files::replace(path, &json, files::PRIVATE).with_context(|| format!("could not write {}", path.display()))
}

fn remove(path: &Path) -> anyhow::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("could not remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn last(healthy: bool) -> Last {
        let checks = vec![];
        let (version, at) = ("7".to_owned(), Timestamp::UNIX_EPOCH);
        Last { version, at, healthy, blessing: Blessing::Indeterminate, checks }
    }

    fn failed() -> Decision {
        Decision { failure: Some((Step::SelfCall, "nobody answered".into())), reboot: true }
    }

    #[test]
    fn a_failed_version_is_remembered_with_its_reason() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &last(false), &failed()).unwrap();
        let text = fs::read_to_string(folder.path().join("failed-7.json")).unwrap();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        let expected = serde_json::json!({
            "version": "7", "at": "1970-01-01T00:00:00Z", "step": "self_call", "reason": "nobody answered"
        });
        assert_eq!(value, expected);
        assert_eq!(read_last(folder.path()), Some(last(false)));
    }

    #[test]
    fn a_version_that_passes_at_its_second_try_is_no_failed_one() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &last(false), &failed()).unwrap();
        write(folder.path(), &last(true), &Decision { failure: None, reboot: false }).unwrap();
        assert!(!folder.path().join("failed-7.json").exists());
        assert!(read_last(folder.path()).unwrap().healthy);
    }
}
