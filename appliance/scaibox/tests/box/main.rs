//! The command line of a box, as its operator uses it.

mod backup;
mod cli;
#[path = "../../../objects/tests/support/minio.rs"]
mod minio;
mod s3_backup;
mod support;
