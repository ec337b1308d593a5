//! Is somebody speaking?
//!
//! [`Loudness`] compares each 20 ms with the noise of the line, which it follows slowly. What is
//! loud is always a voice, what is hardly audible never; in between the noise decides. It tells a
//! pause from speech for the end of a message, not more.

use media::codec::Frame;

/// Follows one line. All levels are in dB below full scale.
#[derive(Clone, Debug)]
pub struct Loudness {
    noise: f64,
}

impl Default for Loudness {
    fn default() -> Self {
        Self { noise: QUIETEST_VOICE - ABOVE_NOISE }
    }
}

impl Loudness {
    /// True when there is a voice in this frame.
    pub fn is_voice(&mut self, frame: &Frame) -> bool {
        let level = level_of(frame);
        self.noise = level.min(self.noise + RISE);
        level >= (self.noise + ABOVE_NOISE).clamp(QUIETEST_VOICE, LOUDEST_NOISE)
    }
}

fn level_of(frame: &Frame) -> f64 {
    let power = frame.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>() / frame.len() as f64;
    10.0 * (power / (32_768.0 * 32_768.0)).max(1e-10).log10()
}

/// A voice is at least this much louder than the line.
const ABOVE_NOISE: f64 = 9.0;
/// Below this nobody hears anything.
const QUIETEST_VOICE: f64 = -50.0;
/// Above this it is never taken for noise, however steady.
const LOUDEST_NOISE: f64 = -34.0;
/// How fast the noise may rise, per frame: 1 dB a second.
const RISE: f64 = 0.02;

#[cfg(test)]
mod tests {
    use super::*;
    use media::codec::FRAME;

    fn frame(amplitude: i16) -> Frame {
        std::array::from_fn(|n| if n % 8 < 4 { amplitude } else { -amplitude })
    }

    #[test]
    fn silence_and_line_noise_are_no_voice() {
        let mut loudness = Loudness::default();
        assert!(!loudness.is_voice(&[0; FRAME]));
        assert!((0..500).all(|_| !loudness.is_voice(&frame(30))));
    }

    #[test]
    fn a_loud_tone_is_a_voice_however_long_it_lasts() {
        let mut loudness = Loudness::default();
        assert!((0..50 * 120).all(|_| loudness.is_voice(&frame(3000))));
    }

    #[test]
    fn a_hum_stops_counting_after_a_while_and_speech_over_it_still_does() {
        let mut loudness = Loudness::default();
        let hum = frame(200); // -44 dB
        let counted = (0..50 * 60).filter(|_| loudness.is_voice(&hum)).count();
        assert!(counted < 50 * 10, "{counted} frames of hum were taken for a voice");
        assert!(loudness.is_voice(&frame(2000)));
    }
}
