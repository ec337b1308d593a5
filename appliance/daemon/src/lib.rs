//! What every daemon does the same way: config, log, readiness, shutdown, control sockets, event spool.

pub mod config;
pub mod log;
pub mod service;
pub mod spool;
pub mod unix_http;

pub use service::{ready, run_until_signal, stopping};
