//! The control plane: what the box should do, for whom, and what became of it.
//!
//! A folder or file per noun; [`router`] lists them all. A request checks permission and body, writes
//! once (row, audit and event in one transaction), answers, and wakes a reconciler if there is one:
//! [`trunks::sync`] for LiveKit and carriers, [`calls`] for calls. [`ready`] says whether calls can be
//! acted on yet.

pub mod app;
mod audit;
pub mod auth;
pub mod bans;
mod bots;
mod calendars;
pub mod calls;
mod claim;
pub mod config;
mod correlation;
mod dialplans;
mod dids;
mod error;
mod events;
mod extensions;
mod extract;
mod fields;
pub mod firewall;
pub mod first_start;
mod health;
pub mod https;
mod idempotency;
pub mod internal;
mod keep_told;
mod keys;
mod my;
mod neighbour;
mod network_info;
mod nouns;
mod openapi;
mod pages;
pub mod phones;
pub mod ready;
pub mod router;
mod self_call;
mod setup;
mod ssh;
mod tenants;
pub mod trunks;
mod update;
pub mod upkeep;
mod users;
mod voicemails;
