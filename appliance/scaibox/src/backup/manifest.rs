//! What does a backup say about itself?
//!
//! `manifest.json` is the first entry: enough to refuse early what cannot be restored.
//! `checksums.json` is the last one: every file that must have come before it.

use super::BackupError;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub const MANIFEST: &str = "manifest.json";
pub const CHECKSUMS: &str = "checksums.json";

/// The layout of the archive; a reader refuses one that it does not know.
pub const FORMAT: u32 = 1;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    pub format: u32,
    /// Of the image that made it.
    pub version: String,
    pub schema_version: u32,
    /// The oldest schema whose program can use the database (see `store::migrations`).
    pub min_reader_version: u32,
    /// Of the machine that made it; for people, it is not restored.
    pub machine_id: Option<String>,
    pub created_at: Timestamp,
}

impl Manifest {
    /// May a program that knows `known` schema versions restore this?
    pub fn check(&self, known: u32) -> Result<(), BackupError> {
        if self.format != FORMAT {
            return Err(BackupError::damaged(format!("its format {} is unknown to this version", self.format)));
        }
        if self.min_reader_version > known {
            let (version, needed) = (self.version.clone(), self.min_reader_version);
            return Err(BackupError::Newer { version, needed, known });
        }
        Ok(())
    }
}

/// One file of the archive.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Checksum {
    pub path: String,
    pub bytes: u64,
    pub sha256: String,
}

/// The schema versions that this program knows.
pub fn known_schema() -> u32 {
    u32::try_from(store::migrations::ALL.len()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(format: u32, min_reader_version: u32) -> Manifest {
        Manifest {
            format,
            version: "9".into(),
            schema_version: 7,
            min_reader_version,
            machine_id: None,
            created_at: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn a_newer_backup_is_taken_as_long_as_it_declares_us_as_readers() {
        assert!(manifest(FORMAT, 5).check(5).is_ok());
        let refused = manifest(FORMAT, 6).check(5).unwrap_err();
        assert!(matches!(refused, BackupError::Newer { needed: 6, known: 5, .. }), "{refused}");
    }

    #[test]
    fn an_unknown_layout_is_refused() {
        assert!(matches!(manifest(FORMAT + 1, 1).check(5), Err(BackupError::Damaged { .. })));
    }
}
