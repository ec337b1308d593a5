//! The command line on the box.
//!
//! [`cli`] says what can be asked and [`commands`] who answers. Most commands ask a daemon over its
//! socket ([`neighbours`]); [`health`], [`backup`] and [`factory_reset`] do their work themselves.

pub mod backup;
pub mod claim;
pub mod cli;
pub mod commands;
pub mod efivar;
pub mod factory_reset;
pub mod firewall;
pub mod health;
pub mod neighbours;
pub mod operator;
pub mod places;
pub mod report;
pub mod ssh;
pub mod status;
pub mod update;
