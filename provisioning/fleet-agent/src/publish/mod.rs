//! How is a channel made? For the vendor's machine: the program `channel`, and tests.
//!
//! Keys are files `ROLE-N.key` (Ed25519, PKCS #8 DER) in one folder: two each for `root` and `targets`, of which both
//! have to sign, one each for `snapshot` and `timestamp`. Root and targets keys belong on a machine without a network.

mod keys;
mod repository;
mod root;

pub use keys::{make_keys, sources};
pub use repository::{Expiry, Publisher, in_days};
pub use root::first_root;

use std::path::PathBuf;

/// Why the channel could not be made.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    #[error("could not use {path}: {source}")]
    File { path: PathBuf, source: std::io::Error },
    #[error("{0} exists already; it is never overwritten")]
    Exists(PathBuf),
    #[error("{folder} holds no key for the role {role} ({role}-1.key …)")]
    NoKey { folder: PathBuf, role: &'static str },
    #[error("the key {path} cannot be used: {why}")]
    BadKey { path: PathBuf, why: String },
    #[error("{0} is no readable metadata: {1}")]
    Unreadable(PathBuf, serde_json::Error),
    #[error("the release is refused: {0}")]
    Release(#[from] crate::release::ReleaseError),
    #[error("SHA256SUMS is refused: {0}")]
    Sums(#[from] crate::release::SumsError),
    #[error("{0}")]
    Tuf(#[from] Box<tough::error::Error>),
    #[error("{0}")]
    Schema(#[from] tough::schema::Error),
}

impl From<tough::error::Error> for PublishError {
    fn from(error: tough::error::Error) -> Self {
        Self::Tuf(Box::new(error))
    }
}

fn at(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> PublishError {
    let path = path.into();
    move |source| PublishError::File { path, source }
}
