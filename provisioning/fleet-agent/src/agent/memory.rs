//! What must the agent still know after a restart or a reboot?

use super::decide::Wish;
use crate::{boot::BootState, version::Version};
use daemon::files::{PRIVATE, replace};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    fs, io,
    path::Path,
};

const FILE: &str = "memory.json";

/// One JSON file in the state folder.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Memory {
    /// Versions that this box does not take again by itself.
    pub failed: BTreeMap<Version, FailedVersion>,
    /// Installed and not booted when root looked last; whether it was a success shows only after its boot.
    pub pending: Option<Version>,
    pub wish: Option<Wish>,
    /// The version that waits for calls to end, and since when.
    pub waiting: Option<(Version, Timestamp)>,
    pub last_check: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FailedVersion {
    pub at: Timestamp,
    pub reason: String,
}

/// What the fleet should hear.
#[derive(Clone, Debug, PartialEq)]
pub enum Report {
    Succeeded { version: Version },
    Failed { version: Version, reason: String },
    ChannelRefused { reason: String },
}

impl Memory {
    /// An unreadable file is an empty memory: the proof of failures is on the ESP, and the rest can be found out again.
    pub fn load(folder: &Path) -> Self {
        let Ok(json) = fs::read(folder.join(FILE)) else { return Self::default() };
        serde_json::from_slice(&json).unwrap_or_else(|error| {
            tracing::warn!(%error, "what was remembered about updates cannot be read and is forgotten");
            Self::default()
        })
    }

    pub fn save(&self, folder: &Path) -> io::Result<()> {
        replace(&folder.join(FILE), &serde_json::to_vec(self)?, PRIVATE)
    }

    pub fn failed_versions(&self) -> BTreeSet<Version> {
        self.failed.keys().cloned().collect()
    }

    /// Learns from what root saw of the boot. Success is only told when the new version has proved itself.
    pub fn learn(&mut self, boot: &BootState, now: Timestamp) -> Vec<Report> {
        let mut reports = Vec::new();
        for failure in boot.failed() {
            let reason = format!("{}: {}", failure.step, failure.reason);
            let at = if failure.at == Timestamp::UNIX_EPOCH { now } else { failure.at };
            if let Entry::Vacant(unknown) = self.failed.entry(failure.version) {
                reports.push(Report::Failed { version: unknown.key().clone(), reason: reason.clone() });
                unknown.insert(FailedVersion { at, reason });
            }
        }
        if let Some(pending) = self.pending.clone() {
            reports.extend(self.settle(pending, boot, now));
        }
        if let Some(waiting) = boot.waiting() {
            self.pending = Some(waiting.clone()); // its boot is still to come
        }
        reports
    }

    fn settle(&mut self, pending: Version, boot: &BootState, now: Timestamp) -> Option<Report> {
        if pending == boot.running {
            return boot.bless.is_proved().then(|| self.succeeded(pending));
        }
        if boot.waiting().is_some() {
            return None;
        }
        (self.pending, self.waiting, self.wish) = (None, None, None);
        if self.failed.contains_key(&pending) {
            return None; // told already
        }
        let reason = "boot: it is not there any more and left no reason".to_owned();
        self.failed.insert(pending.clone(), FailedVersion { at: now, reason: reason.clone() });
        Some(Report::Failed { version: pending, reason })
    }

    fn succeeded(&mut self, version: Version) -> Report {
        (self.pending, self.waiting, self.wish) = (None, None, None);
        self.failed.remove(&version);
        Report::Succeeded { version }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boot::{Bless, Entry, Failure};

    fn version(text: &str) -> Version {
        text.parse().unwrap()
    }

    fn boot(running: &str, bless: Bless, files: &[&str]) -> BootState {
        let entries = files.iter().filter_map(|file| Entry::parse("scaibox", file)).collect();
        BootState { running: version(running), bless, entries, failures: vec![] }
    }

    fn pending(text: &str) -> Memory {
        Memory { pending: Some(version(text)), ..Memory::default() }
    }

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    #[test]
    fn success_is_told_once_and_only_after_the_new_version_has_proved_itself() {
        let mut memory = pending("7");
        let files = ["scaibox_6.efi", "scaibox_7+2-1.efi"];
        assert_eq!(memory.learn(&boot("7", Bless::Indeterminate, &files), NOW), []);
        let proved = boot("7", Bless::Good, &["scaibox_6.efi", "scaibox_7.efi"]);
        assert_eq!(memory.learn(&proved, NOW), [Report::Succeeded { version: version("7") }]);
        assert_eq!(memory.learn(&proved, NOW), []);
    }

    #[test]
    fn a_version_that_fell_back_is_told_and_remembered_with_the_gates_reason() {
        let mut memory = pending("7");
        let mut state = boot("6", Bless::Clean, &["scaibox_6.efi", "scaibox_7+0-3.efi"]);
        let (version, step, reason) = (version("7"), "self-call".to_owned(), "no tone".to_owned());
        state.failures.push(Failure { version: version.clone(), at: NOW, step, reason });
        let reason = "self-call: no tone".to_owned();
        assert_eq!(memory.learn(&state, NOW), [Report::Failed { version: version.clone(), reason }]);
        assert_eq!(memory.learn(&state, NOW), []);
        assert!(memory.failed_versions().contains(&version) && memory.pending.is_none());
    }

    #[test]
    fn a_failure_is_remembered_when_the_next_update_has_taken_its_traces_away() {
        let mut memory = Memory::default();
        memory.learn(&boot("6", Bless::Clean, &["scaibox_6.efi", "scaibox_7+0-3.efi"]), NOW);
        memory.learn(&boot("8", Bless::Good, &["scaibox_6.efi", "scaibox_8.efi"]), NOW);
        assert!(memory.failed_versions().contains(&version("7")));
    }

    #[test]
    fn nothing_is_told_while_the_first_boot_is_still_to_come() {
        let mut memory = pending("7");
        let files = ["scaibox_6.efi", "scaibox_7+3-0.efi"];
        assert_eq!(memory.learn(&boot("6", Bless::Clean, &files), NOW), []);
        assert_eq!(memory.pending, Some(version("7")));
    }

    #[test]
    fn memory_survives_a_restart_and_a_torn_file_is_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let memory = pending("7");
        memory.save(folder.path()).unwrap();
        assert_eq!(Memory::load(folder.path()), memory);
        fs::write(folder.path().join(FILE), "{\"pend").unwrap();
        assert_eq!(Memory::load(folder.path()), Memory::default());
    }
}
