//! Why could a backup not be made or restored?

use std::{io, path::Path};

#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error("there is nothing to back up: {database} does not exist")]
    Nothing { database: String },
    #[error("{key}: {problem}")]
    BadKey { key: String, problem: String },
    #[error("this is no backup of a box")]
    NotABackup,
    #[error("the passphrase or the identity does not open this backup")]
    WrongKey,
    #[error("the backup is damaged or cut short, nothing was changed: {cause}")]
    Damaged { cause: String },
    #[error(
        "the backup was made by version {version} and needs a program that knows schema {needed}, this one knows up to \
         {known}: update this box first, nothing was changed"
    )]
    Newer { version: String, needed: u32, known: u32 },
    #[error("this box is claimed, a restore would replace all its data: add --force if that is what you want")]
    Claimed,
    #[error("could not {verb} {what}")]
    Io { verb: &'static str, what: String, source: io::Error },
    #[error("could not read the database")]
    Database(#[from] rusqlite::Error),
    #[error("the database in the backup cannot be used, nothing was changed")]
    Unusable(#[source] store::StoreError),
    #[error("could not {verb} s3://{object}: {cause}")]
    S3 { verb: &'static str, object: String, cause: String },
    #[error("the restored box does not become ready: {0}")]
    NotReady(String),
}

impl BackupError {
    /// For `map_err`: what we tried with which file.
    pub fn io(verb: &'static str, what: &Path) -> impl FnOnce(io::Error) -> Self {
        let what = what.display().to_string();
        move |source| Self::Io { verb, what, source }
    }

    pub fn damaged(cause: impl ToString) -> Self {
        Self::Damaged { cause: cause.to_string() }
    }
}
