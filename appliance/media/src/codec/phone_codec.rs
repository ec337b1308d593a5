//! What do phones speak?

use super::{Codec, Encoder, G711, G722Encoder, Rate};

/// A codec of a phone, by its RTP name. RTP counts all of them at 8 kHz.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PhoneCodec {
    G711(G711),
    G722,
}

impl From<G711> for PhoneCodec {
    fn from(law: G711) -> Self {
        PhoneCodec::G711(law)
    }
}

impl PhoneCodec {
    pub const PCMU: PhoneCodec = PhoneCodec::G711(G711::Pcmu);
    pub const PCMA: PhoneCodec = PhoneCodec::G711(G711::Pcma);

    /// All of them. What a room carries as it is goes first, and G.722 with whoever has nothing else.
    pub const ALL: [PhoneCodec; 3] = [PhoneCodec::PCMU, PhoneCodec::PCMA, PhoneCodec::G722];

    /// Its name in `a=rtpmap`.
    pub fn name(self) -> &'static str {
        match self {
            PhoneCodec::G711(law) => law.name(),
            PhoneCodec::G722 => "G722",
        }
    }

    /// The codec of that name, in any case.
    pub fn named(name: &str) -> Option<PhoneCodec> {
        PhoneCodec::ALL.into_iter().find(|codec| codec.name().eq_ignore_ascii_case(name))
    }

    /// Its static payload type (RFC 3551).
    pub fn payload_type(self) -> u8 {
        match self {
            PhoneCodec::G711(law) => law.payload_type(),
            PhoneCodec::G722 => 9,
        }
    }

    /// The codec with that static payload type.
    pub fn of_payload_type(payload_type: u8) -> Option<PhoneCodec> {
        PhoneCodec::ALL.into_iter().find(|codec| codec.payload_type() == payload_type)
    }

    /// Do its frames look the same in a room?
    pub fn is(self, room: Codec) -> bool {
        matches!((self, room), (PhoneCodec::G711(ours), Codec::G711(theirs)) if ours == theirs)
    }

    /// How much of a sound it carries.
    pub fn rate(self) -> Rate {
        match self {
            PhoneCodec::G711(_) => Rate::Narrow,
            PhoneCodec::G722 => Rate::Wide,
        }
    }

    /// From frames of its rate; a frame of 20 ms is always 160 bytes.
    pub fn encoder(self) -> Box<dyn Encoder> {
        match self {
            PhoneCodec::G711(law) => Box::new(law),
            PhoneCodec::G722 => Box::new(G722Encoder::default()),
        }
    }
}
