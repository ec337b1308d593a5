//! What does a phone hear while its room is away?
//!
//! A quiet beep every three seconds. Noise alone would sound like a party that says nothing; a beep
//! says that the line is up and that waiting is worth it. The first one comes after a second, so
//! that a short interruption passes without one.

use crate::codec::{FRAME, Frame, RATE};
use crate::tone::wave;
use std::sync::LazyLock;

/// Frames from the loss, or from one beep, to the next.
const FIRST: u32 = 50;
const PERIOD: u32 = 150;
/// Frames that a beep lasts.
const LENGTH: u32 = 10;
/// 27 dB below full scale, and without a click at either end.
static BEEP: LazyLock<Vec<i16>> = LazyLock::new(|| wave(425.0, RATE, LENGTH as usize * FRAME, 1400.0, 80));

/// Counts the frames of an interruption.
#[derive(Debug, Default)]
pub struct Comfort {
    frames: Option<u32>,
}

impl Comfort {
    /// The room is lost; that it is lost still is no news.
    pub fn begin(&mut self) {
        self.frames.get_or_insert(0);
    }

    /// The room is back.
    pub fn end(&mut self) {
        self.frames = None;
    }

    /// The next 20 ms; false for silence, which leaves `frame` alone.
    pub fn next_frame(&mut self, frame: &mut Frame) -> bool {
        let Some(frames) = &mut self.frames else { return false };
        let now = *frames;
        *frames = if now + 1 == FIRST + PERIOD { FIRST } else { now + 1 };
        let Some(place) = now.checked_sub(FIRST).filter(|place| *place < LENGTH) else { return false };
        let first = place as usize * FRAME;
        frame.copy_from_slice(&BEEP[first..first + FRAME]);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which of the next frames sound.
    fn sounding(comfort: &mut Comfort, frames: u32) -> Vec<u32> {
        (0..frames).filter(|_| comfort.next_frame(&mut [0; FRAME])).collect()
    }

    #[test]
    fn a_beep_of_200_ms_comes_after_a_second_and_then_every_three() {
        let mut comfort = Comfort::default();
        comfort.begin();
        let wanted: Vec<u32> = [50, 200, 350].into_iter().flat_map(|first| first..first + LENGTH).collect();
        assert_eq!(sounding(&mut comfort, 400), wanted);
    }

    #[test]
    fn a_room_that_is_not_lost_or_back_again_has_none() {
        let mut comfort = Comfort::default();
        assert!(sounding(&mut comfort, 500).is_empty());
        comfort.begin();
        assert!(sounding(&mut comfort, 49).is_empty());
        comfort.end();
        comfort.begin();
        comfort.begin();
        assert_eq!(sounding(&mut comfort, 51), [50], "the second begins anew");
    }

    #[test]
    fn a_beep_is_quiet_and_begins_and_ends_softly() {
        let loudest = BEEP.iter().map(|sample| sample.unsigned_abs()).max().unwrap();
        assert!((1000..1500).contains(&loudest), "{loudest}");
        for edge in [&BEEP[..8], &BEEP[BEEP.len() - 8..]] {
            assert!(edge.iter().all(|sample| sample.unsigned_abs() < 150), "{edge:?}");
        }
    }
}
