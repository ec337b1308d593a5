//! How does the box get its next version, and only a good one?
//!
//! [`channel`] reads the signed channel (TUF) and downloads a release; [`agent`] decides when to install it and asks
//! systemd for the root part, [`root`], which trusts nothing that the unprivileged agent says: it gives the work to
//! systemd-sysupdate, which checks the release's GPG signature. [`publish`] makes the channel and is not on the box.
//!
//! Which boot is good is decided elsewhere: `scaibox health-gate`, systemd-bless-boot and systemd-boot's counting.

pub mod agent;
pub mod api;
pub mod artefacts;
pub mod boot;
pub mod calls;
pub mod channel;
pub mod config;
pub mod publish;
pub mod release;
pub mod root;
pub mod units;
pub mod version;
