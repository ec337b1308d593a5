//! The command line of a box, as its operator uses it.

mod backup;
mod cli;
mod s3_backup;
mod support;
