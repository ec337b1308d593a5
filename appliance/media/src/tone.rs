//! How much of a sound is one pure tone? (Goertzel)

use std::f64::consts::TAU;

/// Quieter than this, as a mean of squares, is no tone: 40 dB below full scale.
const QUIET: f64 = 107_374.0;

/// The part of the power that lies at `hz`: 1 for a pure tone, 0 for silence.
pub fn share(samples: &[i16], rate: u32, hz: f64) -> f64 {
    let power: f64 = samples.iter().map(|sample| f64::from(*sample).powi(2)).sum();
    let length = samples.len() as f64;
    if power <= QUIET * length {
        return 0.0;
    }
    let turn = 2.0 * (TAU * hz / f64::from(rate)).cos();
    let (mut last, mut before) = (0.0, 0.0);
    for sample in samples {
        (last, before) = (f64::from(*sample) + turn * last - before, last);
    }
    2.0 * (last * last + before * before - turn * last * before) / (length * power)
}

/// A loud tone that fades in and out over 5 ms, so that it does not click.
pub fn sine(hz: f64, rate: u32, count: usize) -> Vec<i16> {
    wave(hz, rate, count, 10_000.0, (rate / 200) as usize)
}

/// A tone with this peak that swells and fades over `edge` samples.
pub fn wave(hz: f64, rate: u32, count: usize, peak: f64, edge: usize) -> Vec<i16> {
    let sample = |n: usize| {
        let near = n.min(count - 1 - n).min(edge);
        let swell = if edge == 0 { 1.0 } else { near as f64 / edge as f64 };
        (peak * swell * (TAU * hz * n as f64 / f64::from(rate)).sin()) as i16
    };
    (0..count).map(sample).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tone_is_all_at_its_own_frequency_and_nearly_nothing_beside_it() {
        for rate in [8_000, 48_000] {
            let tone = sine(850.0, rate, rate as usize / 10);
            assert!(share(&tone, rate, 850.0) > 0.95, "{rate}");
            assert!(share(&tone, rate, 1_000.0) < 0.05, "{rate}");
        }
    }

    #[test]
    fn silence_and_whispers_are_no_tone() {
        assert_eq!(share(&[0; 400], 8_000, 850.0), 0.0);
        let whisper: Vec<i16> = sine(850.0, 8_000, 400).iter().map(|sample| sample / 100).collect();
        assert_eq!(share(&whisper, 8_000, 850.0), 0.0);
        assert_eq!(share(&[], 8_000, 850.0), 0.0);
    }
}
