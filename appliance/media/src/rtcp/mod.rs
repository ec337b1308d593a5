//! What do both sides tell each other of how they hear? (RFC 3550 section 6)
//!
//! [`Compound`] reads what came, [`Outgoing`] writes what we say, and [`Reports`] is our side of one leg: when it is
//! time, what is in it, how long the way is and back, and what the other side said of our stream.
//!
//! What we hear is counted by `rtp::Reception`. Whose packets count: `phone::FromPhone`. What it means for the
//! ear: `quality`. Encryption (SRTCP): `srtp`.

mod clock;
mod part;
mod read;
mod reports;
mod write;

pub use clock::NtpClock;
pub use part::{Block, SenderInfo};
pub use read::{Application, Compound, Goodbye, Named, Part, Report, RtcpError};
pub use reports::{FarEnd, Identity, Reports, Sent};
pub use write::Outgoing;

/// Is this datagram of the port that RTP and RTCP share RTCP? (RFC 5761 section 4)
pub fn is_rtcp(datagram: &[u8]) -> bool {
    datagram.get(1).is_some_and(|second| (192..=223).contains(second))
}

/// Packet types.
mod kind {
    pub const SENDER: u8 = 200;
    pub const RECEIVER: u8 = 201;
    pub const DESCRIPTION: u8 = 202;
    pub const GOODBYE: u8 = 203;
    pub const APPLICATION: u8 = 204;
}
