//! How do bytes become samples, and samples bytes?
//!
//! Phones speak G.711, G.722 or Opus ([`PhoneCodec`]); rooms speak G.711 or Opus ([`Codec`]). A leg has the [`Rate`] of
//! its phone, and so has its Opus: libopus decodes any stream straight to that rate.
//! The coders sit behind [`Decoder`] and [`Encoder`] so that another Opus can take libopus' place.

mod g711;
mod g722;
mod opus;
mod phone_codec;

pub use g711::{G711, G711Decoder};
pub use g722::{G722Decoder, G722Encoder, Widened, Widener};
pub use opus::{OpusDecoder, OpusEncoder, opus_lost};
pub use phone_codec::PhoneCodec;

use std::time::Duration;

/// Samples per second where nothing else is said, and the ticks per second that we count times in.
pub const RATE: u32 = 8_000;
/// Samples, or ticks, in one frame at that rate.
pub const FRAME: usize = 160;
/// How long one frame lasts.
pub const FRAME_TIME: Duration = Duration::from_millis(20);
/// Samples at 8 kHz in the longest packet that Opus allows (120 ms).
pub const LONGEST_PACKET: usize = 960;
/// The same at 16 kHz.
pub const LONGEST_WIDE: usize = 2 * LONGEST_PACKET;

/// Bytes of the longest packet that an encoder of ours makes.
pub const MOST_BYTES: usize = 400;

/// 20 ms of sound at 8 kHz.
pub type Frame = [i16; FRAME];

/// How many samples a sound has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rate {
    /// 8 kHz
    #[default]
    Narrow,
    /// 16 kHz
    Wide,
}

impl Rate {
    pub const fn hertz(self) -> u32 {
        RATE * self.per_tick() as u32
    }

    /// Samples in one tick of an 8 kHz clock.
    pub const fn per_tick(self) -> usize {
        match self {
            Rate::Narrow => 1,
            Rate::Wide => 2,
        }
    }

    /// Samples in one frame.
    pub const fn frame(self) -> usize {
        FRAME * self.per_tick()
    }
}

/// A codec of a room's track.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    G711(G711),
    Opus,
}

impl Codec {
    /// Ticks of the RTP clock for one tick at 8 kHz.
    pub fn clock_factor(self) -> u32 {
        match self {
            Codec::G711(_) => 1,
            Codec::Opus => 6,
        }
    }

    /// A decoder to mono.
    pub fn decoder(self, rate: Rate) -> Result<Box<dyn Decoder>, CodecError> {
        Ok(match (self, rate) {
            (Codec::G711(law), Rate::Narrow) => Box::new(G711Decoder::new(law)),
            (Codec::G711(law), Rate::Wide) => Box::new(Widened::new(G711Decoder::new(law))),
            (Codec::Opus, rate) => Box::new(OpusDecoder::new(rate)?),
        })
    }
}

/// Why sound could not be coded.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    #[error("could not {action} Opus")]
    Opus { action: &'static str, source: ::opus::Error },
}

/// Packets to samples. All lengths are in samples at the decoder's rate.
pub trait Decoder: Send {
    /// Decodes one packet to the front of `pcm` (at least [`LONGEST_PACKET`] or [`LONGEST_WIDE`]); returns its length.
    fn decode(&mut self, packet: &[u8], pcm: &mut [i16]) -> Result<usize, CodecError>;

    /// Fills `pcm` with a guess at what a lost packet said; `next` is the packet after it, if known.
    fn conceal(&mut self, next: Option<&[u8]>, pcm: &mut [i16]);
}

/// Samples to packets.
pub trait Encoder: Send {
    /// Encodes one frame at the encoder's rate to the front of `out`; returns the packet's length.
    fn encode(&mut self, pcm: &[i16], out: &mut [u8]) -> Result<usize, CodecError>;
}

/// Adds `frame` to `sum`; what is too loud is cut off, not wrapped around.
pub fn mix_into(sum: &mut [i16], frame: &[i16]) {
    for (total, sample) in sum.iter_mut().zip(frame) {
        *total = total.saturating_add(*sample);
    }
}

/// How loud it is, in dB below full scale: 0 is loudest, 127 silence (RFC 6464).
pub fn level(pcm: &[i16]) -> u8 {
    decibels(pcm.iter().map(|sample| square(*sample)).sum(), pcm.len())
}

fn square(sample: i16) -> u64 {
    let sample = i64::from(sample);
    (sample * sample) as u64
}

fn decibels(energy: u64, samples: usize) -> u8 {
    if energy == 0 {
        return 127;
    }
    let mean = energy as f32 / samples as f32;
    (-10.0 * (mean / (32_768.0 * 32_768.0)).log10()).clamp(0.0, 127.0) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_loud_speakers_clip_instead_of_wrapping() {
        let mut sum = [20_000; FRAME];
        mix_into(&mut sum, &[20_000; FRAME]);
        assert_eq!(sum, [i16::MAX; FRAME]);
        let mut sum = [-20_000; FRAME];
        mix_into(&mut sum, &[-20_000; FRAME]);
        assert_eq!(sum, [i16::MIN; FRAME]);
    }

    #[test]
    fn quiet_speakers_add_up() {
        let mut sum = [100; FRAME];
        mix_into(&mut sum, &[-30; FRAME]);
        assert_eq!(sum, [70; FRAME]);
    }
}
