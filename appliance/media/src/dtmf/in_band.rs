//! Which key is heard in the sound itself? Two tones at once, one of either group (ITU-T Q.23, Q.24).
//!
//! For phones that have neither events nor INFO. Every 10 ms the last 20 ms are looked at; a key is one that was heard
//! twice in a row, and it must be gone twice before another one counts. So 40 ms of tone and of pause are enough.

use crate::codec::{FRAME, RATE};
use crate::tone::share;

const LOW: [f64; 4] = [697.0, 770.0, 852.0, 941.0];
const HIGH: [f64; 4] = [1209.0, 1336.0, 1477.0, 1633.0];
/// By their low tone, then their high one.
const PAD: [[char; 4]; 4] = [['1', '2', '3', 'A'], ['4', '5', '6', 'B'], ['7', '8', '9', 'C'], ['*', '0', '#', 'D']];

/// From one look to the next.
const STEP: usize = FRAME / 2;
/// The two tones have so much of the power; one that is off by 1.5 % (which must count) loses half of its own.
const CLEAR: f64 = 0.55;
/// And so much more than any other tone of their group.
const DOMINANT: f64 = 5.0;
/// Neither is so much stronger than the other (8 dB).
const TWIST: f64 = 6.3;

/// Listens to one phone.
#[derive(Clone, Debug, Default)]
pub struct InBand {
    pcm: Vec<i16>,
    /// What the last look found.
    last: Option<char>,
    /// What is pressed.
    down: Option<char>,
}

impl InBand {
    /// Takes the next samples at 8 kHz; tells the keys that went down, each once.
    pub fn hear(&mut self, pcm: &[i16], pressed: &mut impl FnMut(char)) {
        self.pcm.extend_from_slice(pcm);
        let mut at = 0;
        while let Some(window) = self.pcm.get(at..at + FRAME) {
            let found = key_in(window);
            if found == self.last && found != self.down {
                self.down = found;
                found.into_iter().for_each(&mut *pressed);
            }
            self.last = found;
            at += STEP;
        }
        self.pcm.drain(..at);
    }
}

fn key_in(window: &[i16]) -> Option<char> {
    let (row, low) = strongest(window, LOW)?;
    let (column, high) = strongest(window, HIGH)?;
    let even = low < TWIST * high && high < TWIST * low;
    (even && low + high > CLEAR).then(|| PAD[row][column])
}

/// The tone of a group that stands out, and its share of the power.
fn strongest(window: &[i16], group: [f64; 4]) -> Option<(usize, f64)> {
    let shares = group.map(|hz| share(window, RATE, hz));
    let (at, most) = shares.into_iter().enumerate().max_by(|one, other| one.1.total_cmp(&other.1))?;
    let others = shares.iter().enumerate().filter(|(other, _)| *other != at);
    others.into_iter().all(|(_, share)| most > DOMINANT * share).then_some((at, most))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::f64::consts::TAU;

    const MS: usize = RATE as usize / 1000;

    fn tones(low: f64, high: f64, levels: [f64; 2], ms: usize) -> Vec<i16> {
        let wave = |hz: f64, n: usize| (TAU * hz * n as f64 / f64::from(RATE)).sin();
        (0..ms * MS).map(|n| (levels[0] * wave(low, n) + levels[1] * wave(high, n)) as i16).collect()
    }

    fn key(digit: char, ms: usize) -> Vec<i16> {
        let row = PAD.iter().position(|row| row.contains(&digit)).unwrap();
        let column = PAD[row].iter().position(|known| *known == digit).unwrap();
        tones(LOW[row], HIGH[column], [6000.0, 6000.0], ms)
    }

    /// In packets of 20 ms, as phones send.
    fn heard(pcm: &[i16]) -> String {
        let (mut ear, mut keys) = (InBand::default(), String::new());
        pcm.chunks(FRAME).for_each(|frame| ear.hear(frame, &mut |key| keys.push(key)));
        keys
    }

    #[test]
    fn every_key_is_heard_once_however_long_it_is_pressed() {
        for ms in [40, 50, 100, 1000] {
            let pcm = PAD.iter().flatten().flat_map(|digit| [key(*digit, ms), vec![0; 50 * MS]].concat());
            assert_eq!(heard(&pcm.collect::<Vec<_>>()), "123A456B789C*0#D", "{ms} ms");
        }
    }

    #[test]
    fn it_does_not_matter_where_in_a_packet_a_key_begins() {
        for offset in 0..FRAME {
            let pcm = [vec![0; offset], key('5', 45), vec![0; 45 * MS], key('5', 45), vec![0; 45 * MS]].concat();
            assert_eq!(heard(&pcm), "55", "{offset}");
        }
    }

    #[test]
    fn tones_that_are_a_little_off_count_and_those_between_two_keys_do_not() {
        for off in [0.985, 1.0, 1.015] {
            for (row, low) in LOW.into_iter().enumerate() {
                for (column, high) in HIGH.into_iter().enumerate() {
                    let pcm = tones(low * off, high * off, [6000.0, 6000.0], 100);
                    assert_eq!(heard(&pcm), PAD[row][column].to_string(), "{low} {high} {off}");
                }
            }
        }
        assert_eq!(heard(&tones(733.0, 1336.0, [6000.0, 6000.0], 100)), "");
    }

    #[test]
    fn one_tone_may_be_louder_but_not_alone() {
        assert_eq!(heard(&tones(770.0, 1336.0, [9000.0, 4500.0], 100)), "5");
        assert_eq!(heard(&tones(770.0, 1336.0, [4500.0, 9000.0], 100)), "5");
        for alone in [[9000.0, 0.0], [0.0, 9000.0], [9000.0, 1000.0]] {
            assert_eq!(heard(&tones(770.0, 1336.0, alone, 100)), "", "{alone:?}");
        }
    }

    #[test]
    fn whispers_clicks_and_other_tones_are_no_keys() {
        assert_eq!(heard(&tones(770.0, 1336.0, [60.0, 60.0], 200)), "");
        assert_eq!(heard(&key('5', 15)), "");
        for (low, high) in [(350.0, 440.0), (425.0, 850.0), (1100.0, 2100.0), (400.0, 1336.0)] {
            assert_eq!(heard(&tones(low, high, [6000.0, 6000.0], 300)), "", "{low} {high}");
        }
    }

    proptest! {
        #[test]
        fn noise_is_no_key(noise in proptest::collection::vec(-20_000i16..20_000, 1600)) {
            prop_assert_eq!(heard(&noise), "");
        }

        #[test]
        fn a_key_is_heard_through_noise(noise in proptest::collection::vec(-1000i16..1000, 100 * MS)) {
            let noisy: Vec<i16> = key('7', 100).iter().zip(&noise).map(|(tone, noise)| tone + noise).collect();
            prop_assert_eq!(heard(&noisy), "7");
        }
    }
}
