//! Which address does the internet see us at, and what lies between?
//!
//! Table of contents: what to ask whom ([`config`]), STUN messages ([`stun`]) and when to send them
//! ([`round`]), the sockets that carry them ([`ask`]), the way around STUN ([`echo`]), what the answers
//! mean ([`nat`], [`discovery`]), our own addresses ([`local`]) and when they change ([`changes`]).
//!
//! The daemon: when to look again ([`watcher`]), what survives a restart ([`cache`]), who is told
//! ([`push`], [`http`]), and all of it together ([`serve`]).

mod ask;
mod cache;
mod changes;
pub mod config;
mod discovery;
mod echo;
mod http;
mod local;
mod nat;
mod push;
mod round;
mod serve;
pub mod stun;
mod watcher;

pub use config::Config;
pub use serve::serve;
