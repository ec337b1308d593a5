//! What makes a fresh box one that somebody owns?
//!
//! [`prepare`] runs as root before any daemon: secrets, certificate, claim code, configuration.
//! [`follow`] runs it again when addresses or settings change.
//! [`setup`] serves the claim to `control-api` until somebody has made it.
//! [`console`] is the screen on tty1 and the serial line.
//!
//! The claim's rules: [`claim`]. The operator's own settings: [`settings`].

pub mod certificate;
pub mod claim;
pub mod console;
mod files;
pub mod follow;
pub mod here;
pub mod layout;
mod ports;
pub mod prepare;
mod render;
mod secrets;
pub mod settings;
pub mod setup;
