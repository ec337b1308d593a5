//! Which key was pressed, and how do we press one? (RFC 4733, events 0 to 15)
//!
//! [`Keys`] reads events and [`Presses`] makes them. Both work on payloads; the RTP header around
//! them belongs to the audio stream, whose sequence numbers, timestamps and SSRC events share.
//! [`digit_of_info`] reads what some phones tell by SIP INFO instead, [`InBand`] hears the tones of those that tell nothing.

mod in_band;
mod info;
mod keys;
mod presses;

pub use in_band::InBand;
pub use info::digit_of_info;
pub use keys::Keys;
pub use presses::{Press, Presses};

/// The digits in the order of their event numbers.
const DIGITS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '*', '#', 'A', 'B', 'C', 'D'];

/// The digit of an event number.
pub fn digit_of(event: u8) -> Option<char> {
    DIGITS.get(usize::from(event)).copied()
}

/// The event number of a digit, `a` to `d` included.
pub fn event_of(digit: char) -> Option<u8> {
    let digit = digit.to_ascii_uppercase();
    DIGITS.iter().position(|known| *known == digit).map(|event| event as u8)
}

/// The four bytes of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    pub event: u8,
    pub end: bool,
    /// Power below 0 dBm0, 0 to 63.
    pub volume: u8,
    /// In ticks of its clock, from the timestamp of its packet.
    pub duration: u16,
}

impl Event {
    pub fn parse(payload: &[u8]) -> Option<Event> {
        let [event, flags, high, low] = *payload.first_chunk::<4>()?;
        Some(Event { event, end: flags & 0x80 != 0, volume: flags & 0x3F, duration: u16::from_be_bytes([high, low]) })
    }

    pub fn to_bytes(self) -> [u8; 4] {
        let [high, low] = self.duration.to_be_bytes();
        [self.event, self.volume & 0x3F | if self.end { 0x80 } else { 0 }, high, low]
    }
}
