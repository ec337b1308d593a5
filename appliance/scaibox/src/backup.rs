//! How does a box's data leave it, and come back on another one?
//!
//! A backup is one file: a tar of the box's state ([`parts`]) behind a [`manifest`], compressed with
//! zstd and encrypted with age ([`seal`], [`archive`]). It is made ([`create`]) and read ([`stage`])
//! as a stream, to or from a file or an S3 object ([`place`], [`s3`]). A restore changes nothing
//! before all of it was verified, and puts everything in place by renaming ([`swap`], [`restore`]).
//!
//! What is restored is the box's identity, not only its data: secrets, the TLS key, trunk passwords.
//! Phones and browsers that trusted the old box trust the new one, and trunks register as before;
//! so the old machine must stay off. What belongs to a machine stays there: its machine id (from
//! firmware), claim code, failed versions, update state and what it found out about its network.

pub mod archive;
pub mod create;
pub mod database;
mod error;
pub mod manifest;
pub mod parts;
pub mod place;
pub mod restore;
pub mod s3;
pub mod seal;
pub mod services;
pub mod stage;
pub mod swap;

pub use error::BackupError;
