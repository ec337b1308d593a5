//! What do both sides agree to send? Audio only.
//!
//! [`SessionDescription`] is the text (RFC 8866), [`MediaSession`] the agreement (RFC 3264): it
//! offers and answers for one leg, knows hold, and counts the version of what it said.

mod body;
mod crypto;
mod description;
mod direction;
mod formats;
mod local;
mod negotiation;
mod parse;

pub use crypto::Crypto;
pub use description::{Address, Format, MediaDescription, Origin, SessionDescription, Setup};
pub use direction::Direction;
pub use formats::EventFormat;
pub use local::{Encryption, LocalMedia};
pub use negotiation::{MediaSession, NOISE, Negotiated, RtcpPath};

/// Why a description cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SdpError {
    #[error("line {line} of the session description is not valid")]
    Line { line: usize },
    #[error("the session description is too long")]
    TooLong,
    #[error("the session description has no `v=0`, `o=` or `m=` line")]
    Incomplete,
    #[error("no audio over RTP/AVP is offered")]
    NoAudio,
    #[error("no codec in common; offered: {offered}")]
    NoCommonCodec { offered: String },
    #[error("the audio must be encrypted, and there is no key for it that both sides know")]
    NotEncrypted,
    #[error("the audio has no usable address")]
    NoAddress,
    #[error("the other side refused the audio")]
    Refused,
    #[error("this is an answer to an offer that was never made")]
    NothingOffered,
}
