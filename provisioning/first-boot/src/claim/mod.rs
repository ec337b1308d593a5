//! Who may take a box that belongs to nobody?
//!
//! Whoever reads the code on its screen. [`code`] makes and checks it, [`offer`] keeps it for the
//! screen while the box is unclaimed, [`desk`] decides about each try.

pub mod code;
pub mod desk;
pub mod offer;
