//! How does G.722 sound? Two bands of 4 kHz each, ADPCM, 64 kbit/s (ITU-T G.722 mode 1; RFC 3551 section 4.5.2).
//!
//! 16 kHz in 8 bits per pair of samples, so a frame has as many bytes as one of G.711 and RTP counts both at 8 kHz.
//! [`qmf`] splits and joins the bands, [`band`] codes one of them. All arithmetic is the 16-bit one of the
//! recommendation; nothing allocates, and no input can make it overflow.

mod band;
mod qmf;
mod widened;

use super::{CodecError, Encoder};
use band::{HighBand, LowBand};
use qmf::{Join, Split};
pub use widened::{Widened, Widener};

/// 16 kHz to G.722.
#[derive(Clone, Debug, Default)]
pub struct G722Encoder {
    split: Split,
    low: LowBand,
    high: HighBand,
}

impl G722Encoder {
    fn byte(&mut self, pair: [i16; 2]) -> u8 {
        let (low, high) = self.split.push(pair);
        self.high.encode(high) << 6 | self.low.encode(low)
    }
}

impl Encoder for G722Encoder {
    fn encode(&mut self, pcm: &[i16], out: &mut [u8]) -> Result<usize, CodecError> {
        let (pairs, _) = pcm.as_chunks::<2>();
        for (pair, byte) in pairs.iter().zip(out.iter_mut()) {
            *byte = self.byte(*pair);
        }
        Ok(pairs.len().min(out.len()))
    }
}

/// G.722 to 16 kHz, or to 8 kHz where nobody can hear more.
#[derive(Clone, Debug, Default)]
pub struct G722Decoder {
    low: LowBand,
    high: HighBand,
    join: Join,
}

impl G722Decoder {
    /// Two samples per byte, as many as both slices have room for; returns how many samples.
    pub fn decode(&mut self, bytes: &[u8], pcm: &mut [i16]) -> usize {
        let (pairs, _) = pcm.as_chunks_mut::<2>();
        for (byte, pair) in bytes.iter().zip(pairs.iter_mut()) {
            *pair = self.join.push(self.low.decode(*byte & 63), self.high.decode(*byte >> 6));
        }
        2 * bytes.len().min(pairs.len())
    }

    /// The lower band alone: one sample per byte, at 8 kHz.
    pub fn decode_narrow(&mut self, bytes: &[u8], pcm: &mut [i16]) -> usize {
        for (byte, sample) in bytes.iter().zip(pcm.iter_mut()) {
            *sample = (self.low.decode(*byte & 63) << 1) as i16;
        }
        bytes.len().min(pcm.len())
    }
}

/// As the 16-bit additions of the recommendation end.
fn saturate(value: i32) -> i32 {
    value.clamp(i16::MIN.into(), i16::MAX.into())
}

#[cfg(test)]
mod tests;
