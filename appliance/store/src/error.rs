//! Why the database did not do it.

use crate::migrations::MigrationError;
use rusqlite::ffi;

/// What went wrong in the store; `control-api` maps each to a status and a code.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("no {noun} {id}")]
    NotFound { noun: &'static str, id: String },
    #[error("a {noun} with this {field} already exists")]
    Taken { noun: &'static str, field: String },
    /// A row refers to something that is not there, or something else still refers to the row.
    #[error("the {noun} is still used by {by}")]
    InUse { noun: &'static str, by: String },
    #[error("could not use the database")]
    Sqlite(#[from] rusqlite::Error),
    #[error("could not commit: {text}")]
    Commit { text: String, disk_full: bool },
    #[error("a database function panicked")]
    Panicked,
    #[error("the database is closed")]
    Closed,
    #[error(transparent)]
    Migration(#[from] MigrationError),
}

impl StoreError {
    /// Turns a broken constraint into the sentence it means for `noun`.
    pub fn constraint(err: rusqlite::Error, noun: &'static str) -> Self {
        match (extended_code(&err), constraint_columns(&err)) {
            (Some(ffi::SQLITE_CONSTRAINT_UNIQUE), Some(field)) => Self::Taken { noun, field },
            (Some(ffi::SQLITE_CONSTRAINT_FOREIGNKEY), _) => Self::InUse { noun, by: "another object".into() },
            _ => Self::Sqlite(err),
        }
    }

    /// True when the disk, or the quota, is full.
    pub fn disk_full(&self) -> bool {
        match self {
            Self::Commit { disk_full, .. } => *disk_full,
            Self::Sqlite(err) => is_disk_full(err),
            _ => false,
        }
    }
}

pub(crate) fn is_disk_full(err: &rusqlite::Error) -> bool {
    err.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull)
}

fn extended_code(err: &rusqlite::Error) -> Option<i32> {
    match err {
        rusqlite::Error::SqliteFailure(failure, _) => Some(failure.extended_code),
        _ => None,
    }
}

/// `UNIQUE constraint failed: trunk.tenant_id, trunk.name` says `name`.
fn constraint_columns(err: &rusqlite::Error) -> Option<String> {
    match err {
        rusqlite::Error::SqliteFailure(_, Some(text)) => text.rsplit('.').next().map(str::to_owned),
        _ => None,
    }
}
