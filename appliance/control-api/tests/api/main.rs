//! The public API: a real router on a real SQLite file, asked the way clients ask.

mod access;
mod bed;
mod claim;
mod neighbours;
mod nouns;
mod openapi;
mod probe;
mod readiness;
mod records;
mod self_call;
mod trace;
mod validation;
