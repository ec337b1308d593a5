//! Where does the box keep what it knows?
//!
//! One SQLite file: [`Db`] owns the writer thread and the readers, [`migrations`] the schema, and one
//! module per noun the SQL. Functions take the transaction and the tenant; a write and its audit row
//! and event share one transaction, so either all of them happened or none.
//!
//! Rules about values (what is a valid trunk?) are the caller's; only what SQLite must guarantee
//! (unique names, references that exist) is checked here.

pub mod audit;
pub mod bots;
pub mod calendars;
pub mod calls;
mod db;
pub mod dialplans;
pub mod dids;
mod error;
pub mod events;
pub mod extensions;
pub mod idempotency;
pub mod keys;
pub mod legs;
pub mod migrations;
mod record;
pub mod self_calls;
pub mod sessions;
pub mod sql;
pub mod tenants;
pub mod trunk_cards;
pub mod trunks;
pub mod users;
pub mod voicemails;

pub use db::{Connection, Db, Transaction};
pub use error::StoreError;
pub use record::{Page, Record, delete, find, find_any, list, list_where};
