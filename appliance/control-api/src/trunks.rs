//! Carrier connections. [`http`] stores what is asked for and answers at once; [`sync`] makes LiveKit
//! and the carrier agree with it. [`probe`] tries a carrier out.

pub mod health;
pub mod http;
mod input;
pub mod numbers;
mod outcome;
mod probe;
pub mod sync;

pub use http::routes;
