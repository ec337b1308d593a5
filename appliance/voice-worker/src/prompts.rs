//! What do greeting, beep and end tone sound like?
//!
//! Tones are computed, text is spoken by a [`Tts`]. All clips are 8 kHz.

use crate::script::Clip;
use media::codec::RATE;
use speech::{Tts, TtsError};
use std::f64::consts::TAU;
use std::sync::Arc;

/// Everything a task may play.
#[derive(Clone, Debug)]
pub struct Prompts {
    text: Arc<[i16]>,
    beep: Arc<[i16]>,
    end_tone: Arc<[i16]>,
}

impl Prompts {
    /// `text` are samples that were spoken.
    pub fn new(text: Vec<i16>) -> Self {
        Self {
            text: framed(text),
            beep: framed(tone(1000.0, 300)),
            end_tone: framed([tone(620.0, 120), silence(60), tone(440.0, 180)].concat()),
        }
    }

    pub fn clip(&self, clip: Clip) -> Arc<[i16]> {
        match clip {
            Clip::Text => self.text.clone(),
            Clip::Beep => self.beep.clone(),
            Clip::EndTone => self.end_tone.clone(),
        }
    }
}

/// Speaks `text`; a voice that the provider lacks is replaced by its own.
pub async fn speak(tts: &dyn Tts, text: &str, voice: Option<&str>) -> Result<Vec<i16>, TtsError> {
    let samples = match tts.speak(text, voice, RATE).await {
        Err(error @ TtsError::UnknownVoice { .. }) => {
            tracing::warn!(%error, "another voice speaks instead");
            tts.speak(text, None, RATE).await?
        }
        other => other?,
    };
    Ok(soften(samples))
}

/// Leaves room above the loudest sample: a phone's loudspeaker distorts at full scale.
fn soften(mut samples: Vec<i16>) -> Vec<i16> {
    let loudest = samples.iter().map(|s| i32::from(*s).abs()).max().unwrap_or(0);
    if loudest > LOUDEST {
        for sample in &mut samples {
            *sample = (i32::from(*sample) * LOUDEST / loudest) as i16;
        }
    }
    samples
}

/// A little silence around a clip: the path to the phone opens, and its buffer empties.
fn framed(samples: Vec<i16>) -> Arc<[i16]> {
    match samples.is_empty() {
        true => Arc::new([]),
        false => [silence(LEAD_MS), samples, silence(TRAIL_MS)].concat().into(),
    }
}

/// A sine that fades in and out over 5 ms, so that it does not click.
fn tone(hz: f64, millis: u32) -> Vec<i16> {
    let count = (RATE * millis / 1000) as usize;
    let fade = (RATE / 200) as usize;
    let sample = |n: usize| {
        let edge = n.min(count - 1 - n).min(fade) as f64 / fade as f64;
        (TONE_LEVEL * edge * (TAU * hz * n as f64 / f64::from(RATE)).sin()) as i16
    };
    (0..count).map(sample).collect()
}

fn silence(millis: u32) -> Vec<i16> {
    vec![0; (RATE * millis / 1000) as usize]
}

const TONE_LEVEL: f64 = 8_000.0;
const LOUDEST: i32 = 20_000;
const LEAD_MS: u32 = 100;
const TRAIL_MS: u32 = 60;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_gave_no_sound_is_over_at_once() {
        assert!(Prompts::new(Vec::new()).clip(Clip::Text).is_empty());
    }

    #[test]
    fn speech_at_full_scale_is_softened_and_quiet_speech_is_left_alone() {
        assert_eq!(soften(vec![i16::MIN, 16_384]), [-20_000, 10_000]);
        assert_eq!(soften(vec![100, -100]), [100, -100]);
    }

    #[test]
    fn the_beep_is_a_kilohertz() {
        let beep = Prompts::new(Vec::new()).clip(Clip::Beep);
        let rising = beep.windows(2).filter(|w| w[0] <= 0 && w[1] > 0).count();
        assert!((295..=300).contains(&rising), "{rising} periods in 300 ms");
    }
}
