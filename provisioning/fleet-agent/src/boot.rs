//! Which version runs, which others could boot, and which have failed?
//!
//! Only root can read the ESP, so `root-step look` writes a [`BootState`] to /run and the agent reads it. The proof of
//! a failed version is a file name: systemd-boot counts tries in `scaibox_V+LEFT-DONE.efi`, and a version with no tries
//! left is one that never became good. The reason was written down by `scaibox health-gate`, or by our roll-back.

use crate::version::Version;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What `root-step look` found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BootState {
    pub running: Version,
    pub bless: Bless,
    pub entries: Vec<Entry>,
    pub failures: Vec<Failure>,
}

/// What `systemd-bless-boot status` says of the running boot.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Bless {
    Good,
    /// Not counted: it was good before this boot.
    Clean,
    Indeterminate,
    Bad,
}

/// A kernel image on the ESP.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    pub file: String,
    pub version: Version,
    /// Absent: not counted any more (blessed).
    pub tries_left: Option<u32>,
    pub tries_done: u32,
}

/// Why a version was not good: `/var/lib/scaibox/health/failed-V.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    pub version: Version,
    pub at: Timestamp,
    pub step: String,
    pub reason: String,
}

impl Bless {
    pub fn parse(text: &str) -> Option<Self> {
        match text.trim() {
            "good" => Some(Self::Good),
            "clean" => Some(Self::Clean),
            "indeterminate" => Some(Self::Indeterminate),
            "bad" => Some(Self::Bad),
            _ => None,
        }
    }

    /// May this boot install another version? Only one that has proved itself may overwrite the other slot.
    pub fn is_proved(self) -> bool {
        matches!(self, Self::Good | Self::Clean)
    }
}

impl Entry {
    /// Reads `PRODUCT_V.efi`, `PRODUCT_V+LEFT.efi` or `PRODUCT_V+LEFT-DONE.efi`.
    pub fn parse(product: &str, file: &str) -> Option<Self> {
        let name = file.strip_prefix(product)?.strip_prefix('_')?.strip_suffix(".efi")?;
        let (version, counter) = name.split_once('+').map_or((name, None), |(v, counter)| (v, Some(counter)));
        let (left, done) = match counter.map(|counter| counter.split_once('-').unwrap_or((counter, "0"))) {
            Some((left, done)) => (Some(left.parse().ok()?), done.parse().ok()?),
            None => (None, 0),
        };
        Some(Self { file: file.to_owned(), version: version.parse().ok()?, tries_left: left, tries_done: done })
    }

    /// systemd-boot sorts it behind every other one.
    pub fn is_given_up(&self) -> bool {
        self.tries_left == Some(0)
    }
}

impl BootState {
    /// The version that a roll-back would start: the newest older one that is not given up.
    pub fn previous(&self) -> Option<&Entry> {
        let older = self.entries.iter().filter(|entry| entry.version < self.running && !entry.is_given_up());
        older.max_by(|a, b| a.version.cmp(&b.version))
    }

    /// A newer version that is installed and waits for its first boot.
    pub fn waiting(&self) -> Option<&Version> {
        let newer = self.entries.iter().filter(|entry| entry.version > self.running && !entry.is_given_up());
        newer.map(|entry| &entry.version).max()
    }

    /// Why `version` counts as failed, if it does. The running one does not once it has proved itself.
    pub fn failure(&self, version: &Version) -> Option<Failure> {
        if *version == self.running {
            return None;
        }
        let given_up = self.entries.iter().any(|entry| entry.version == *version && entry.is_given_up());
        let told = self.failures.iter().find(|failure| failure.version == *version).cloned();
        told.or_else(|| {
            given_up.then(|| Failure {
                version: version.clone(),
                at: Timestamp::UNIX_EPOCH,
                step: "boot".into(),
                reason: "it used up its boot tries and left no reason".into(),
            })
        })
    }

    /// All versions that count as failed.
    pub fn failed(&self) -> Vec<Failure> {
        let named = self.entries.iter().map(|entry| &entry.version);
        let mut versions: Vec<&Version> = named.chain(self.failures.iter().map(|failure| &failure.version)).collect();
        versions.sort();
        versions.dedup();
        versions.into_iter().filter_map(|version| self.failure(version)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(file: &str) -> Option<Entry> {
        Entry::parse("scaibox", file)
    }

    pub(crate) fn state(running: &str, files: &[&str]) -> BootState {
        let entries = files.iter().filter_map(|file| entry(file)).collect();
        BootState { running: running.parse().unwrap(), bless: Bless::Good, entries, failures: vec![] }
    }

    #[test]
    fn systemd_boots_counters_are_read_from_the_file_name() {
        let found = entry("scaibox_3+0-2.efi").unwrap();
        assert_eq!((found.tries_left, found.tries_done, found.is_given_up()), (Some(0), 2, true));
        assert_eq!(entry("scaibox_1.2+3.efi").unwrap().tries_left, Some(3));
        assert_eq!(entry("scaibox_2.efi").unwrap().tries_left, None);
        for other in ["scaibox_x.efi", "other_2.efi", "scaibox_2.efi.tmp", "scaibox_2+a-1.efi"] {
            assert_eq!(entry(other), None, "{other}");
        }
    }

    #[test]
    fn a_version_without_tries_left_has_failed_even_when_it_left_no_reason() {
        let state = state("2", &["scaibox_2.efi", "scaibox_3+0-2.efi"]);
        let failed: Vec<_> = state.failed().into_iter().map(|failure| failure.version.to_string()).collect();
        assert_eq!(failed, ["3"]);
    }

    #[test]
    fn the_running_version_is_not_failed_by_a_reason_from_its_first_try() {
        let mut state = state("3", &["scaibox_2.efi", "scaibox_3.efi"]);
        let at = Timestamp::UNIX_EPOCH;
        let version: Version = "3".parse().unwrap();
        state.failures.push(Failure { version, at, step: "self-call".into(), reason: "no tone".into() });
        assert_eq!(state.failed(), []);
        state.running = "2".parse().unwrap();
        assert_eq!(state.failed()[0].reason, "no tone");
    }

    #[test]
    fn a_roll_back_goes_to_the_newest_older_version_that_can_boot() {
        let back = |files: &[&str]| state("7", files).previous().map(|entry| entry.file.clone());
        assert_eq!(back(&["scaibox_6.efi", "scaibox_7.efi"]), Some("scaibox_6.efi".into()));
        assert_eq!(back(&["scaibox_6+0-3.efi", "scaibox_7.efi"]), None);
        assert_eq!(back(&["scaibox_7.efi", "scaibox_8+3-0.efi"]), None);
    }
}
