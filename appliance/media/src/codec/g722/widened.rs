//! How is a sound of 8 kHz heard among those of 16 kHz? As a lower band without an upper one.

use super::qmf::Join;
use crate::codec::{CodecError, Decoder, LONGEST_PACKET};

/// 8 kHz to 16 kHz.
#[derive(Clone, Debug, Default)]
pub struct Widener(Join);

impl Widener {
    /// Two samples for each, as many as there is room for; returns how many.
    pub fn widen(&mut self, narrow: &[i16], wide: &mut [i16]) -> usize {
        let (pairs, _) = wide.as_chunks_mut::<2>();
        for (sample, pair) in narrow.iter().zip(pairs.iter_mut()) {
            *pair = self.0.push(i32::from(*sample) >> 1, 0);
        }
        2 * narrow.len().min(pairs.len())
    }
}

/// A decoder to 8 kHz that gives 16 kHz.
pub struct Widened<D> {
    narrow: D,
    pcm: [i16; LONGEST_PACKET],
    widener: Widener,
}

impl<D> Widened<D> {
    pub fn new(narrow: D) -> Widened<D> {
        Widened { narrow, pcm: [0; LONGEST_PACKET], widener: Widener::default() }
    }
}

impl<D: Decoder> Decoder for Widened<D> {
    fn decode(&mut self, packet: &[u8], pcm: &mut [i16]) -> Result<usize, CodecError> {
        let length = self.narrow.decode(packet, &mut self.pcm)?;
        Ok(self.widener.widen(&self.pcm[..length], pcm))
    }

    fn conceal(&mut self, next: Option<&[u8]>, pcm: &mut [i16]) {
        let length = (pcm.len() / 2).min(LONGEST_PACKET);
        self.narrow.conceal(next, &mut self.pcm[..length]);
        self.widener.widen(&self.pcm[..length], pcm);
    }
}
