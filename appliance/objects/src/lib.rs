//! Where do recordings live?
//!
//! In one bucket of an S3 server: MinIO on the box, or any other that an operator names. [`Store`]
//! puts, reads and deletes whole objects and ranges of them, with plain S3 calls only.
//!
//! What is stored under which key: `control-api` chooses it (`JobMetadata::object_key`) and
//! `voice-worker` writes there.

mod config;
mod error;
mod server;
mod store;

pub use config::{S3Config, default_region};
pub use error::ObjectError;
pub use server::Server;
pub use store::{ObjectInfo, Store};
