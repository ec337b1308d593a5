//! Where do recordings live?
//!
//! In one bucket of an S3 server: MinIO on the box, or any other that an operator names. [`Store`]
//! puts, reads and deletes whole objects and ranges of them, with plain S3 calls only.
//!
//! What is stored under which key: `control-api` chooses it (`JobMetadata::object_key`) and
//! `voice-worker` writes there.

mod config;
mod error;
mod store;

pub use config::S3Config;
pub use error::ObjectError;
pub use store::{ObjectInfo, Store};
