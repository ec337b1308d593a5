//! How does sound get another sample rate?
//!
//! [`convert`] takes a whole clip through a windowed-sinc low-pass, one filter phase per output
//! position, so speech at 22 050 Hz comes out at 8 000 Hz without folding its sibilants down.
//! It is meant for prompts; live audio needs no resampler, for the codecs run at the wanted rate.

use std::f64::consts::PI;

/// `samples` at `from` per second, as they are at `to` per second.
pub fn convert(samples: &[i16], from: u32, to: u32) -> Vec<i16> {
    if from == to || samples.is_empty() || from == 0 || to == 0 {
        return samples.to_vec();
    }
    let filter = Filter::new(from, to);
    let length = (samples.len() as u64 * u64::from(to)).div_ceil(u64::from(from));
    (0..length).map(|n| filter.output(samples, n)).collect()
}

/// One set of taps for each place an output sample can have between two input samples.
struct Filter {
    /// Output sample `n` lies at input position `n * step / phases.len()`.
    step: u64,
    phases: Vec<Vec<f64>>,
    half: i64,
}

impl Filter {
    fn new(from: u32, to: u32) -> Self {
        let common = greatest_common_divisor(from, to);
        let count = to / common;
        let cutoff = PASS * (f64::from(to) / f64::from(from)).min(1.0);
        let half = (ZERO_CROSSINGS / cutoff).ceil() as i64;
        let phases = (0..count).map(|p| taps(f64::from(p) / f64::from(count), half, cutoff)).collect();
        Self { step: u64::from(from / common), phases, half }
    }

    fn output(&self, samples: &[i16], n: u64) -> i16 {
        let count = self.phases.len() as u64;
        let centre = (n * self.step / count) as i64;
        let taps = &self.phases[(n * self.step % count) as usize];
        let first = centre - self.half + 1;
        let sum: f64 = taps
            .iter()
            .zip(first..)
            .filter_map(|(tap, at)| Some(tap * f64::from(*samples.get(usize::try_from(at).ok()?)?)))
            .sum();
        sum.round().clamp(f64::from(i16::MIN), f64::from(i16::MAX)) as i16
    }
}

/// A sinc under a Blackman window around `offset`, scaled so that silence and level are kept.
fn taps(offset: f64, half: i64, cutoff: f64) -> Vec<f64> {
    let raw: Vec<f64> = (1 - half..=half).map(|k| windowed_sinc(k as f64 - offset, half as f64, cutoff)).collect();
    let sum: f64 = raw.iter().sum();
    raw.into_iter().map(|tap| tap / sum).collect()
}

fn windowed_sinc(x: f64, half: f64, cutoff: f64) -> f64 {
    let place = x / half;
    if place.abs() >= 1.0 {
        return 0.0;
    }
    let window = 0.42 + 0.5 * (PI * place).cos() + 0.08 * (2.0 * PI * place).cos();
    let angle = PI * x * cutoff;
    let sinc = if angle.abs() < 1e-9 { 1.0 } else { angle.sin() / angle };
    cutoff * sinc * window
}

fn greatest_common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

/// How much of the band below half the lower rate is kept.
const PASS: f64 = 0.92;
/// Length of the filter on each side, in zero crossings of the sinc.
const ZERO_CROSSINGS: f64 = 12.0;

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(hz: f64, rate: u32, seconds: f64) -> Vec<i16> {
        let count = (f64::from(rate) * seconds) as usize;
        (0..count).map(|n| (10_000.0 * (2.0 * PI * hz * n as f64 / f64::from(rate)).sin()) as i16).collect()
    }

    fn level(samples: &[i16]) -> f64 {
        let middle = &samples[samples.len() / 4..samples.len() * 3 / 4];
        (middle.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>() / middle.len() as f64).sqrt()
    }

    #[test]
    fn a_second_stays_a_second() {
        for (from, to) in [(22_050, 8_000), (22_050, 48_000), (48_000, 8_000), (8_000, 16_000)] {
            let out = convert(&tone(440.0, from, 1.0), from, to);
            assert!(out.len().abs_diff(to as usize) <= 1, "{from} -> {to}: {}", out.len());
        }
    }

    #[test]
    fn a_tone_in_the_band_keeps_its_level() {
        for hz in [300.0, 1000.0, 3000.0] {
            let out = convert(&tone(hz, 22_050, 1.0), 22_050, 8_000);
            let gain = level(&out) / (10_000.0 / 2f64.sqrt());
            assert!((0.97..1.03).contains(&gain), "{hz} Hz came out at {gain:.3} of its level");
        }
    }

    #[test]
    fn a_tone_above_the_band_does_not_fold_down_into_it() {
        let out = convert(&tone(6_000.0, 22_050, 1.0), 22_050, 8_000);
        assert!(level(&out) < 20.0, "{}", level(&out));
    }
}
