//! Where does everything lie on the box?
//!
//! `root` is `/` on a box and a temporary folder in tests. What is rendered for the daemons names the
//! real places, whatever the root.

use std::path::{Path, PathBuf};

#[derive(Clone, Debug)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    fn at(&self, place: &str) -> PathBuf {
        self.root.join(place)
    }

    /// For root alone.
    pub fn secrets(&self) -> PathBuf {
        self.at("var/lib/scaibox/secrets")
    }

    /// The claim code in plain text, until the box is claimed.
    pub fn plain_code(&self) -> PathBuf {
        self.secrets().join("claim.json")
    }

    /// What the operator wrote.
    pub fn settings(&self) -> PathBuf {
        self.at("var/lib/scaibox/box.toml")
    }

    /// The settings that were right the last time.
    pub fn good_settings(&self) -> PathBuf {
        self.at("var/lib/scaibox/box.toml.good")
    }

    /// Rendered configuration, one file per daemon.
    pub fn config(&self) -> PathBuf {
        self.at("run/scaibox/config")
    }

    /// Why the settings in use are not the ones in `box.toml`, for the console.
    pub fn settings_problem(&self) -> PathBuf {
        self.at("run/scaibox/settings-problem")
    }

    /// Written by `first-boot serve`, which is not root.
    pub fn claim_state(&self) -> PathBuf {
        self.at("var/lib/first-boot/claim.json")
    }

    /// What the health gate found.
    pub fn health(&self) -> PathBuf {
        self.at("var/lib/scaibox/health")
    }

    pub fn os_release(&self) -> PathBuf {
        self.at("usr/lib/os-release")
    }

    pub fn root(&self) -> &Path {
        &self.root
    }
}
