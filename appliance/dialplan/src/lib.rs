//! Which rule answers this call?
//!
//! A dialplan is a list of rules; each has a [`Match`] and an [`Action`]. [`evaluate`] tries them,
//! lowest priority first, and stops at the first match. Everything here is pure: the moment and the
//! facts of the call are arguments, so tests need no database, no clock and no SIP.
//!
//! [`parse_rules`] turns JSON from outside into rules, or says everything that is wrong with it.
//! Loading rules: `store::dialplans`. Acting on the decision: `call::Call`.

mod destination;
mod evaluate;
mod fields;
mod parse;
mod rule;
mod window;

pub use destination::{Destination, DestinationError};
pub use evaluate::{Calendar, Decision, Facts, Outcome, Reason, Trace, TraceEntry, evaluate};
pub use fields::FieldError;
pub use parse::{parse_rule, parse_rules};
pub use rule::{Action, Dialplan, Match, NewRule, Reference, Rule};
pub use window::{TimeWindow, WindowError};
