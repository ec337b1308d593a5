//! What does the room hear while the phone has nothing to say yet?
//!
//! Frames of a sound of ours, every 20 ms, in the form of the phone's own.

use media::codec::{FRAME, FRAME_TIME, Frame, G711, PhoneCodec};
use media::phone::PhoneAudio;
use media::sound::Sound;
use std::time::Instant;

/// A sound on its way into the room.
pub struct RoomTone {
    sound: Sound,
    /// Tells its frames from the phone's.
    ssrc: u32,
    sequence: u64,
    due: Instant,
    payload: [u8; FRAME],
}

impl RoomTone {
    pub fn new(sound: Sound, now: Instant) -> RoomTone {
        RoomTone { sound, ssrc: rand::random(), sequence: 0, due: now, payload: [0; FRAME] }
    }

    /// The next frame once it is due. A thread that was late does not catch up.
    pub fn next(&mut self, now: Instant) -> Option<PhoneAudio<'_>> {
        if now < self.due {
            return None;
        }
        let mut frame: Frame = [0; FRAME];
        if !self.sound.next_frame(&mut frame) {
            return None;
        }
        G711::Pcmu.encode(&frame, &mut self.payload);
        self.sequence += 1;
        self.due = (self.due + FRAME_TIME).max(now);
        let timestamp = (self.sequence as u32).wrapping_mul(FRAME as u32);
        Some(PhoneAudio {
            codec: PhoneCodec::PCMU,
            ssrc: self.ssrc,
            sequence: self.sequence,
            timestamp,
            payload: &self.payload,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_frame_is_due_every_20_ms() {
        let t0 = Instant::now();
        let mut tone = RoomTone::new(Sound::ringing(), t0);
        let at = |ms| t0 + Duration::from_millis(ms);
        let heard: Vec<Option<(u64, u32)>> =
            [0, 5, 20, 24, 40].map(|ms| tone.next(at(ms)).map(|audio| (audio.sequence, audio.timestamp))).into();
        assert_eq!(heard, [Some((1, 160)), None, Some((2, 320)), None, Some((3, 480))]);
    }
}
