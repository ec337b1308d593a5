//! What every daemon does the same way: config, log, readiness, shutdown, control sockets, event spool.

pub mod config;
pub mod files;
pub mod log;
pub mod service;
pub mod spool;
#[cfg(feature = "units")]
pub mod units;
pub mod unix_http;

pub use service::{ready, run_until_signal, stopping};
