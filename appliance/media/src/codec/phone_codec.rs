//! What do phones speak?

use super::{Codec, CodecError, Encoder, G711, G722Encoder, OpusEncoder, Rate, opus};

/// A codec of a phone, by its RTP name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PhoneCodec {
    G711(G711),
    G722,
    Opus,
}

impl From<G711> for PhoneCodec {
    fn from(law: G711) -> Self {
        PhoneCodec::G711(law)
    }
}

impl PhoneCodec {
    pub const PCMU: PhoneCodec = PhoneCodec::G711(G711::Pcmu);
    pub const PCMA: PhoneCodec = PhoneCodec::G711(G711::Pcma);

    /// All of them. What costs a room least goes first, then what most phones have.
    pub const ALL: [PhoneCodec; 4] = [PhoneCodec::PCMU, PhoneCodec::PCMA, PhoneCodec::G722, PhoneCodec::Opus];

    /// Its name in `a=rtpmap`.
    pub fn name(self) -> &'static str {
        match self {
            PhoneCodec::G711(law) => law.name(),
            PhoneCodec::G722 => "G722",
            PhoneCodec::Opus => "opus",
        }
    }

    /// Name and clock in hertz, as `a=rtpmap` joins them. (G.722 has 16 kHz and counts at 8, RFC 3551 section 4.5.2.)
    pub fn encoding(self) -> &'static str {
        match self {
            PhoneCodec::G711(G711::Pcmu) => "PCMU/8000",
            PhoneCodec::G711(G711::Pcma) => "PCMA/8000",
            PhoneCodec::G722 => "G722/8000",
            PhoneCodec::Opus => "opus/48000",
        }
    }

    /// The codec of that name, in any case.
    pub fn named(name: &str) -> Option<PhoneCodec> {
        PhoneCodec::ALL.into_iter().find(|codec| codec.name().eq_ignore_ascii_case(name))
    }

    /// Its static payload type (RFC 3551), if it has one.
    pub fn payload_type(self) -> Option<u8> {
        match self {
            PhoneCodec::G711(law) => Some(law.payload_type()),
            PhoneCodec::G722 => Some(9),
            PhoneCodec::Opus => None,
        }
    }

    /// The codec with that static payload type.
    pub fn of_payload_type(payload_type: u8) -> Option<PhoneCodec> {
        PhoneCodec::ALL.into_iter().find(|codec| codec.payload_type() == Some(payload_type))
    }

    /// Do its frames look the same in a room?
    pub fn is(self, room: Codec) -> bool {
        match (self, room) {
            (PhoneCodec::G711(ours), Codec::G711(theirs)) => ours == theirs,
            (PhoneCodec::Opus, Codec::Opus) => true,
            _ => false,
        }
    }

    /// How much of a sound it carries, or (of Opus) how much of it we code.
    pub fn rate(self) -> Rate {
        match self {
            PhoneCodec::G711(_) => Rate::Narrow,
            PhoneCodec::G722 | PhoneCodec::Opus => Rate::Wide,
        }
    }

    /// Ticks of the RTP clock for one tick at 8 kHz.
    pub fn clock_factor(self) -> u32 {
        match self {
            PhoneCodec::G711(_) | PhoneCodec::G722 => 1,
            PhoneCodec::Opus => Codec::Opus.clock_factor(),
        }
    }

    /// How long a packet lasts, in ticks of 8 kHz; none for what is no packet of this codec.
    pub fn ticks(self, payload: &[u8]) -> Option<u32> {
        match self {
            PhoneCodec::G711(_) | PhoneCodec::G722 => Some(payload.len() as u32),
            PhoneCodec::Opus => opus::ticks(payload),
        }
    }

    /// From frames of its rate.
    pub fn encoder(self) -> Result<Box<dyn Encoder>, CodecError> {
        Ok(match self {
            PhoneCodec::G711(law) => Box::new(law),
            PhoneCodec::G722 => Box::new(G722Encoder::default()),
            PhoneCodec::Opus => Box::new(OpusEncoder::new(self.rate())?),
        })
    }
}
