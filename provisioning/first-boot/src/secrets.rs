//! Which keys do the parts of this box know each other by?
//!
//! Made on the box at its first start and never shown. None of them is known to a person: losing the
//! file costs a restart, so a file that cannot be read is put aside and new keys are made.

use crate::{files, layout::Layout};
use anyhow::Context;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::{fs, path::Path};

/// `secrets.json`. A key that an older version did not make is made now.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Secrets {
    pub livekit_key: String,
    pub livekit_secret: String,
    pub s3_access_key: String,
    pub s3_secret_key: String,
    pub redis_password: String,
    /// What a newer version keeps here; a roll-back must not lose it.
    #[serde(flatten)]
    rest: Map<String, Value>,
}

impl Default for Secrets {
    fn default() -> Self {
        Self {
            livekit_key: format!("box{}", random_hex(6)),
            livekit_secret: random_hex(32),
            s3_access_key: format!("box{}", random_hex(6)),
            s3_secret_key: random_hex(20),
            redis_password: random_hex(24),
            rest: Map::new(),
        }
    }
}

impl Secrets {
    pub fn load_or_make(layout: &Layout) -> anyhow::Result<Self> {
        let path = layout.secrets().join("secrets.json");
        let found = files::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let secrets = match found.map(|text| serde_json::from_str(&text)) {
            Some(Ok(secrets)) => secrets,
            Some(Err(error)) => put_aside(&path, &error)?,
            None => Self::default(),
        };
        let text = serde_json::to_string_pretty(&secrets)?;
        files::write(&path, &text).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(secrets)
    }
}

fn put_aside(path: &Path, error: &serde_json::Error) -> anyhow::Result<Secrets> {
    let aside = path.with_added_extension("broken");
    tracing::error!(%error, path = %path.display(), kept = %aside.display(), "secrets_unreadable: new ones are made");
    fs::rename(path, &aside).with_context(|| format!("cannot rename {}", path.display()))?;
    Ok(Secrets::default())
}

pub fn random_hex(bytes: usize) -> String {
    hex::encode((0..bytes).map(|_| rand::random()).collect::<Vec<u8>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout() -> (tempfile::TempDir, Layout) {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path());
        files::private_folder(&layout.secrets()).unwrap();
        (folder, layout)
    }

    #[test]
    fn two_boxes_share_no_secret_and_one_box_keeps_its_own() {
        let (_one, one) = layout();
        let (_two, two) = layout();
        let first = Secrets::load_or_make(&one).unwrap();
        assert!(first == Secrets::load_or_make(&one).unwrap());
        assert_ne!(first.livekit_secret, Secrets::load_or_make(&two).unwrap().livekit_secret);
    }

    #[test]
    fn a_key_that_is_missing_is_made_and_a_newer_versions_key_is_kept() {
        let (_folder, layout) = layout();
        let path = layout.secrets().join("secrets.json");
        fs::write(&path, r#"{"livekit_key": "k", "of_tomorrow": "t"}"#).unwrap();
        let secrets = Secrets::load_or_make(&layout).unwrap();
        assert_eq!((secrets.livekit_key.as_str(), secrets.redis_password.len()), ("k", 48));
        assert!(fs::read_to_string(&path).unwrap().contains("of_tomorrow"));
        assert!(secrets == Secrets::load_or_make(&layout).unwrap());
    }

    #[test]
    fn an_unreadable_file_is_put_aside() {
        let (_folder, layout) = layout();
        let path = layout.secrets().join("secrets.json");
        fs::write(&path, "{").unwrap();
        Secrets::load_or_make(&layout).unwrap();
        assert_eq!(fs::read_to_string(path.with_added_extension("broken")).unwrap(), "{");
    }
}
