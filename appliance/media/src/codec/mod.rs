//! How do bytes become samples, and samples bytes?
//!
//! Phones speak [`G711`]; rooms speak G.711 or Opus ([`Codec`]). Opus runs at 8 kHz on both legs:
//! libopus decodes any stream straight to that rate, so nothing here resamples.
//! The coders sit behind [`Decoder`] and [`Encoder`] so that another Opus can take libopus' place.

mod g711;
mod opus;

pub use g711::{G711, G711Decoder};
pub use opus::{OpusDecoder, OpusEncoder};

use std::time::Duration;

/// Samples per second of everything that is decoded.
pub const RATE: u32 = 8_000;
/// Samples in one frame.
pub const FRAME: usize = 160;
/// How long one frame lasts.
pub const FRAME_TIME: Duration = Duration::from_millis(20);
/// Samples in the longest packet that Opus allows (120 ms).
pub const LONGEST_PACKET: usize = 960;

/// 20 ms of sound.
pub type Frame = [i16; FRAME];

/// A codec of a room's track.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    G711(G711),
    Opus,
}

impl Codec {
    /// Ticks of the RTP clock for one sample at 8 kHz.
    pub fn clock_factor(self) -> u32 {
        match self {
            Codec::G711(_) => 1,
            Codec::Opus => 6,
        }
    }

    /// A decoder to 8 kHz mono.
    pub fn decoder(self) -> Result<Box<dyn Decoder>, CodecError> {
        Ok(match self {
            Codec::G711(law) => Box::new(G711Decoder::new(law)),
            Codec::Opus => Box::new(OpusDecoder::new()?),
        })
    }
}

/// Why sound could not be coded.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    #[error("could not {action} Opus")]
    Opus { action: &'static str, source: ::opus::Error },
}

/// Packets to samples. All lengths are in samples at 8 kHz.
pub trait Decoder: Send {
    /// Decodes one packet to the front of `pcm` (at least [`LONGEST_PACKET`] long); returns its length.
    fn decode(&mut self, packet: &[u8], pcm: &mut [i16]) -> Result<usize, CodecError>;

    /// Fills `pcm` with a guess at what a lost packet said; `next` is the packet after it, if known.
    fn conceal(&mut self, next: Option<&[u8]>, pcm: &mut [i16]);
}

/// Samples to packets.
pub trait Encoder: Send {
    /// Encodes one frame to the front of `out`; returns the packet's length.
    fn encode(&mut self, pcm: &Frame, out: &mut [u8]) -> Result<usize, CodecError>;
}

/// Adds `frame` to `sum`; what is too loud is cut off, not wrapped around.
pub fn mix_into(sum: &mut Frame, frame: &Frame) {
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
