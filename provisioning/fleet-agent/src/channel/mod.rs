//! What does the signed channel offer?
//!
//! The channel is a TUF repository on one or more mirrors (or a USB stick): `metadata/` and `targets/`. Whoever serves
//! it is not trusted. `tough` checks signatures, thresholds, expiry and versions against what the box saw last;
//! [`source`] bounds time and size; [`download`] resumes and checks every file.

mod catalogue;
pub mod download;
mod pace;
pub mod source;
mod transport;

pub use catalogue::{Catalogue, ChannelError, Identity, Reader, Refusal, target_path};
