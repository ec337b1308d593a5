//! Which tones does this call leave, and do they come back?
//!
//! Five tones out of eight, no two neighbours alike, drawn anew for every call: one of 19208 codes, so
//! that an old recording, or somebody else's, does not pass for this one.

use crate::codec::RATE;
use crate::tone::{share, sine};
use std::fmt;

/// None is a multiple of another or near the beep.
const HZ: [u16; 8] = [450, 560, 700, 850, 1150, 1350, 1600, 1900];
const TONES: usize = 5;
/// 600 ms at 8 kHz.
const LENGTH: usize = 4_800;
/// A tone must be heard for three windows of 50 ms; gaps do not matter.
const WINDOWS_PER_SECOND: u32 = 20;
const FEWEST: usize = 3;

/// The tones in their order.
#[derive(Clone, PartialEq, Eq)]
pub struct ToneCode(Vec<u16>);

impl ToneCode {
    /// `below(n)` gives a random number from 0 to n - 1.
    pub fn draw(mut below: impl FnMut(usize) -> usize) -> Self {
        let mut tones: Vec<u16> = Vec::with_capacity(TONES);
        while tones.len() < TONES {
            let hz = HZ[below(HZ.len()) % HZ.len()];
            if tones.last() != Some(&hz) {
                tones.push(hz);
            }
        }
        Self(tones)
    }

    /// As it is played, at 8 kHz.
    pub fn samples(&self) -> Vec<i16> {
        self.0.iter().flat_map(|hz| sine(f64::from(*hz), RATE, LENGTH)).collect()
    }

    /// What a recording holds.
    pub fn read(samples: &[i16], rate: u32) -> Self {
        let window = (rate / WINDOWS_PER_SECOND).max(1) as usize;
        let mut runs: Vec<(u16, usize)> = Vec::new();
        for hz in samples.chunks_exact(window).filter_map(|window| loudest(window, rate)) {
            match runs.last_mut() {
                Some((same, count)) if *same == hz => *count += 1,
                _ => runs.push((hz, 1)),
            }
        }
        let mut tones: Vec<u16> = runs.into_iter().filter(|(_, count)| *count >= FEWEST).map(|(hz, _)| hz).collect();
        tones.dedup();
        Self(tones)
    }
}

/// The tone that this window mostly is, if any.
fn loudest(window: &[i16], rate: u32) -> Option<u16> {
    HZ.into_iter().find(|hz| share(window, rate, f64::from(*hz)) > 0.5)
}

impl fmt::Display for ToneCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("no tone");
        }
        let tones: Vec<_> = self.0.iter().map(u16::to_string).collect();
        write!(f, "{} Hz", tones.join(" "))
    }
}

impl fmt::Debug for ToneCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::G711;

    /// Numbers that look drawn and are the same in every run.
    fn dice() -> impl FnMut(usize) -> usize {
        let mut state: u64 = 7;
        move |n| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % n
        }
    }

    fn through_a_phone(samples: &[i16]) -> Vec<i16> {
        let (mut bytes, mut back) = (vec![0; samples.len()], vec![0; samples.len()]);
        G711::Pcmu.encode(samples, &mut bytes);
        G711::Pcmu.decode(&bytes, &mut back);
        back
    }

    #[test]
    fn every_code_reads_back_through_a_phones_codec_wherever_it_begins() {
        let mut dice = dice();
        for lead in 0..200 {
            let code = ToneCode::draw(&mut dice);
            let heard = [vec![0; lead * 37], through_a_phone(&code.samples()), vec![0; 900]].concat();
            assert_eq!(ToneCode::read(&heard, RATE), code);
        }
    }

    #[test]
    fn two_calls_hardly_ever_have_the_same_code() {
        let mut dice = dice();
        let mut codes: Vec<_> = (0..100).map(|_| ToneCode::draw(&mut dice).0).collect();
        codes.sort();
        codes.dedup();
        assert!(codes.len() >= 98, "{}", codes.len());
    }

    #[test]
    fn lost_packets_leave_the_code_readable() {
        let code = ToneCode::draw(dice());
        let mut heard = code.samples();
        for lost in heard.chunks_mut(160).skip(3).step_by(11) {
            lost.fill(0);
        }
        assert_eq!(ToneCode::read(&heard, RATE), code);
    }

    #[test]
    fn another_order_a_missing_tone_or_none_is_another_code() {
        let sent = ToneCode(vec![450, 700, 850, 450, 1900]);
        for other in [vec![700, 450, 850, 450, 1900], vec![450, 700, 850, 450], vec![450, 700, 450, 1900], vec![]] {
            assert_ne!(ToneCode::read(&ToneCode(other).samples(), RATE), sent);
        }
        assert_eq!(ToneCode::read(&[0; 8_000], RATE).to_string(), "no tone");
    }
}
