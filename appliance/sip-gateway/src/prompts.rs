//! What does a caller hear who has to type a PIN?
//!
//! Sentences that `prompts/make.py` spoke, each followed by a tone that says whether it is the caller's turn.

use media::codec::G711;
use media::sound::{Sound, tone};
use std::time::Duration;

/// Your turn.
const HIGH_HZ: f64 = 1_000.0;
/// It is over.
const LOW_HZ: f64 = 400.0;
const TONE: Duration = Duration::from_millis(300);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prompt {
    Enter,
    Wrong,
    /// Wrong for the last time.
    Refused,
    /// Nothing was typed.
    Late,
}

impl Prompt {
    pub fn sound(self) -> Sound {
        let spoken = self.spoken();
        let mut samples = vec![0; spoken.len()];
        G711::Pcmu.decode(spoken, &mut samples);
        samples.extend(tone(self.tone_hz(), TONE));
        Sound::once(samples)
    }

    /// How long it takes to play.
    pub fn length(self) -> Duration {
        Duration::from_millis(self.spoken().len() as u64 / 8) + TONE
    }

    fn spoken(self) -> &'static [u8] {
        match self {
            Self::Enter => include_bytes!("../prompts/enter.ulaw"),
            Self::Wrong => include_bytes!("../prompts/wrong.ulaw"),
            Self::Refused => include_bytes!("../prompts/refused.ulaw"),
            Self::Late => include_bytes!("../prompts/late.ulaw"),
        }
    }

    fn tone_hz(self) -> f64 {
        match self {
            Self::Enter | Self::Wrong => HIGH_HZ,
            Self::Refused | Self::Late => LOW_HZ,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use media::codec::{FRAME, level};

    #[test]
    fn every_prompt_is_a_sentence_of_a_few_seconds_and_a_tone() {
        for prompt in [Prompt::Enter, Prompt::Wrong, Prompt::Refused, Prompt::Late] {
            let (mut sound, mut frame, mut frames, mut audible) = (prompt.sound(), [0; FRAME], 0, 0);
            while sound.next_frame(&mut frame) {
                frames += 1;
                audible += u32::from(level(&frame) < 40);
            }
            let length = Duration::from_millis(20) * frames;
            assert!(length >= prompt.length() && length < prompt.length() + Duration::from_millis(20), "{prompt:?}");
            assert!(length > Duration::from_secs(2) && length < Duration::from_secs(6), "{prompt:?}: {length:?}");
            assert!(audible * 2 > frames, "{prompt:?}: only {audible} of {frames} frames can be heard");
        }
    }
}
