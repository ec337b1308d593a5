//! Is the greeting over? A voicemail says so with a beep of 1000 Hz.

use media::codec::RATE;
use media::tone::share;

const HZ: f64 = 1_000.0;
/// 20 ms each: speech does not hold one pure tone for so long.
const LONG_ENOUGH: u32 = 6;
const OVER: u32 = 8;

/// Listens frame by frame.
#[derive(Debug, Default)]
pub struct Beep {
    beeping: u32,
    heard: bool,
    quiet: u32,
}

impl Beep {
    /// Takes the next 20 ms; true once a beep was heard and has ended.
    pub fn over(&mut self, frame: &[i16]) -> bool {
        if share(frame, RATE, HZ) > 0.8 {
            self.beeping += 1;
            self.quiet = 0;
            self.heard |= self.beeping >= LONG_ENOUGH;
        } else {
            self.beeping = 0;
            self.quiet += 1;
        }
        self.heard && self.quiet >= OVER
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use media::codec::FRAME;
    use media::tone::sine;

    /// After how many frames the beep was over.
    fn over_after(sound: &[i16]) -> Option<usize> {
        let mut beep = Beep::default();
        sound.chunks(FRAME).position(|frame| beep.over(frame))
    }

    #[test]
    fn a_beep_is_over_160_ms_after_it_was_heard() {
        let greeting = [sine(300.0, RATE, 4_000), vec![0; 800]].concat();
        let sound = [greeting.clone(), sine(HZ, RATE, 2_400), vec![0; 4_000]].concat();
        let end = (greeting.len() + 2_400) / FRAME;
        let over = over_after(&sound).unwrap();
        assert!((end + 7..=end + 9).contains(&over), "{over} of {end}");
    }

    #[test]
    fn speech_and_a_blip_are_no_beep() {
        let chirp: Vec<i16> = (0..20).flat_map(|n| sine(400.0 + 60.0 * f64::from(n), RATE, 320)).collect();
        assert_eq!(over_after(&[chirp, vec![0; 8_000]].concat()), None);
        assert_eq!(over_after(&[sine(HZ, RATE, 480), vec![0; 8_000]].concat()), None);
    }

    #[test]
    fn a_beep_that_goes_on_is_not_over() {
        assert_eq!(over_after(&sine(HZ, RATE, 16_000)), None);
    }
}
