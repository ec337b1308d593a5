//! What goes to the phone now, and what did it say?
//!
//! | direction | what |
//! |---|---|
//! | phone to room | [`FromPhone`] checks where a packet comes from, counts it and tells sound from keys; [`ToRoom`] makes it a frame of the room's codec |
//! | room to phone | [`ToPhone`] forwards or mixes the room's tracks, fills pauses with silence (or, without a room, a [`Comfort`] tone) and presses keys |
//!
//! In both directions a frame that already has the right codec is forwarded untouched, with
//! numbers and times kept by [`Forward`].

mod comfort;
mod forward;
mod from_phone;
mod in_order;
mod source;
mod stream_clock;
mod to_phone;
mod to_room;

pub use comfort::Comfort;
pub use forward::{Forward, Place};
pub use from_phone::{FromPhone, Heard, MediaTimeouts, PhoneAudio};
pub use in_order::InOrder;
pub use source::SourcePolicy;
use stream_clock::StreamClock;
pub use to_phone::{StreamStart, ToPhone};
pub use to_room::{RoomFrame, ToRoom};
