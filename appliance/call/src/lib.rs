//! What happens next in a call?
//!
//! [`Call`] is a pure state machine: inputs and the time go in, outputs come out, and the program
//! around it rings, dials, records and hangs up. Time is a [`std::time::Duration`] since the call
//! began, so that a call can be stored as JSON and go on after a restart, timers included.
//!
//! Which rule matched: `dialplan::evaluate`. Who feeds and drains it: `control-api::calls`.

mod extension;
mod hand_over;
mod machine;
mod message;
mod step;

pub use extension::{Extension, Kind, Onward, Ring, TimeoutAction};
pub use machine::Call;
pub use message::{Failure, Heir, Input, Output, Party, State};
