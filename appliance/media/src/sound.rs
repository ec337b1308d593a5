//! What do we play ourselves?
//!
//! A [`Sound`] is samples at 8 kHz that are handed out frame by frame, once or over and over.

use crate::codec::{FRAME, Frame, RATE};
use crate::tone::wave;
use std::sync::Arc;
use std::time::Duration;

/// The ring tone of most of Europe: 425 Hz, one second of it, four seconds of nothing (ETSI TR 101 041-2).
const RING_HZ: f64 = 425.0;
const RING: Duration = Duration::from_secs(1);
const RING_PAUSE: Duration = Duration::from_secs(4);
/// Loudness of tones, of 32767.
const TONE_LEVEL: f64 = 6_000.0;

/// Something to hear. Clones start from the beginning only when the original has not begun.
#[derive(Clone, Debug)]
pub struct Sound {
    samples: Arc<[i16]>,
    at: usize,
    repeats: bool,
}

impl Sound {
    /// Played once.
    pub fn once(samples: impl Into<Arc<[i16]>>) -> Sound {
        Sound { samples: samples.into(), at: 0, repeats: false }
    }

    /// What a caller hears while the other phone rings; has no end.
    pub fn ringing() -> Sound {
        let mut samples = tone(RING_HZ, RING);
        samples.resize(samples.len() + samples_in(RING_PAUSE), 0);
        Sound { samples: samples.into(), at: 0, repeats: true }
    }

    /// Writes the next 20 ms; false when there is nothing left.
    pub fn next_frame(&mut self, frame: &mut Frame) -> bool {
        if self.at >= self.samples.len() {
            if !self.repeats || self.samples.is_empty() {
                return false;
            }
            self.at = 0;
        }
        let left = &self.samples[self.at..];
        let length = left.len().min(FRAME);
        frame.fill(0);
        frame[..length].copy_from_slice(&left[..length]);
        self.at += length;
        true
    }
}

/// A tone at 8 kHz.
pub fn tone(hz: f64, length: Duration) -> Vec<i16> {
    wave(hz, RATE, samples_in(length), TONE_LEVEL, 0)
}

fn samples_in(length: Duration) -> usize {
    length.as_millis() as usize * RATE as usize / 1_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sound_is_over_after_its_last_piece_which_is_filled_up_with_silence() {
        let (mut sound, mut frame) = (Sound::once(vec![5; FRAME + 10]), [1; FRAME]);
        assert!(sound.next_frame(&mut frame) && frame == [5; FRAME]);
        assert!(sound.next_frame(&mut frame) && frame[..10] == [5; 10] && frame[10..] == [0; FRAME - 10]);
        assert!(!sound.next_frame(&mut frame));
    }

    #[test]
    fn the_ring_tone_is_there_for_one_second_of_five_again_and_again() {
        let (mut sound, mut frame) = (Sound::ringing(), [0; FRAME]);
        let loud: Vec<bool> = (0..500).map(|_| sound.next_frame(&mut frame) && frame != [0; FRAME]).collect();
        let expected: Vec<bool> = (0..500).map(|n| n % 250 < 50).collect();
        assert_eq!(loud, expected);
    }

    #[test]
    fn a_sound_of_nothing_has_no_frame() {
        assert!(!Sound::once(Vec::new()).next_frame(&mut [0; FRAME]));
    }
}
