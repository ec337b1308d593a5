//! How does one signal become two of half the rate, and again one? (G.722 sections 3.1 and 4.4)
//!
//! A pair of quadrature mirror filters: what either lets through of the other's band cancels out when they are joined.

use super::saturate;

/// Every other tap of the symmetric filter of 24; the others are the same, backwards. 4096 is 1.
const TAPS: [i32; 12] = [3, -11, 12, 32, -210, 951, 3876, -805, 362, -156, 53, -11];

/// The last 24 values, oldest first.
type Delay = [i32; 24];

/// 16 kHz to twice 8 kHz, at half the level.
#[derive(Clone, Debug, Default)]
pub struct Split(Delay);

impl Split {
    /// The next two samples in each of the bands, 15 bits wide.
    pub fn push(&mut self, pair: [i16; 2]) -> (i32, i32) {
        shift_in(&mut self.0, pair.map(i32::from));
        let (odd, even) = filter(&self.0);
        ((even + odd) >> 14, (even - odd) >> 14)
    }
}

/// Twice 8 kHz to 16 kHz, at double the level.
#[derive(Clone, Debug, Default)]
pub struct Join(Delay);

impl Join {
    pub fn push(&mut self, low: i32, high: i32) -> [i16; 2] {
        shift_in(&mut self.0, [low + high, low - high]);
        let (second, first) = filter(&self.0);
        [first, second].map(|sum| saturate(sum >> 11) as i16)
    }
}

fn shift_in(delay: &mut Delay, pair: [i32; 2]) {
    delay.copy_within(2.., 0);
    [delay[22], delay[23]] = pair;
}

fn filter(delay: &Delay) -> (i32, i32) {
    let (pairs, _) = delay.as_chunks::<2>();
    pairs
        .iter()
        .zip(TAPS.iter().zip(TAPS.iter().rev()))
        .fold((0, 0), |sums, (pair, (tap, mirrored))| (sums.0 + pair[0] * tap, sums.1 + pair[1] * mirrored))
}
