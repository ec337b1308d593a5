//! What reaches the box, asked with real packets?
//!
//! The real daemon guards one network namespace, and hosts in another one knock ([`lab`], [`knock`]).
//! Needs root, nft and ip.

mod knock;
mod lab;

mod bans;
mod daemon;
mod management;
mod ports;
mod swap;
