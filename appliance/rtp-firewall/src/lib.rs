//! One nftables table, `inet scaibox`, kept as the box wants it.
//!
//! Pure: what is wanted ([`desired`], with [`management`] for changes that could lock somebody out),
//! the table that follows from it ([`ruleset`]), and what the kernel says it has ([`observed`]).
//! Touching the world: [`nft`] runs the tool, [`state_file`] remembers, [`keeper`] holds all together,
//! [`http`] is the socket described in [`types::firewall`].

pub mod config;
pub mod desired;
pub mod http;
pub mod keeper;
pub mod management;
pub mod networks;
pub mod nft;
pub mod observed;
mod problem;
pub mod refused;
mod rules;
pub mod ruleset;
pub mod state_file;
