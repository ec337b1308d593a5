//! The steps of a self-call, each with a limit of its own.

use crate::{
    call::{Call, Heard},
    control::Control,
    report::{Failure, Report, Step},
};
use media::tone_code::ToneCode;
use rand::Rng;
use std::{fmt, future::Future, time::Duration};
use tokio::time::{Instant, timeout, timeout_at};

/// How the time is shared out, in 120ths of all of it.
const PREPARE: u32 = 30;
const CALL: u32 = 30;
const GREETING: u32 = 25;
const MESSAGE: u32 = 10;
const HANG_UP: u32 = 5;
const RECORDING: u32 = 40;

/// Calls; `limit` is how long all of it may take, whatever each step has left.
pub async fn run(control: &Control, limit: Duration, report: &mut Report) -> Result<(), Failure> {
    let mut story = Story { share: limit / 120, end: Instant::now() + limit, report };
    let line = story.step(Step::Prepare, PREPARE, |limit| control.prepare(limit)).await?;
    let code = ToneCode::draw(|n| rand::rng().random_range(0..n));
    let mut call = story.step(Step::Call, CALL, |limit| Call::dial(&line, limit)).await?;
    let id = call.id().to_owned();
    let told = story.tell(&mut call, &code).await;
    let hung_up = story.step(Step::HangUp, HANG_UP, |_| hang_up(call)).await;
    told.and(hung_up)?;
    let recording = story.step(Step::Recording, RECORDING, |limit| control.recording(&id, limit)).await?;
    story.step(Step::Tone, RECORDING, |_| std::future::ready(compare(&recording, &code))).await?;
    control.forget(&id).await;
    Ok(())
}

struct Story<'a> {
    share: Duration,
    end: Instant,
    report: &'a mut Report,
}

impl Story<'_> {
    async fn tell(&mut self, call: &mut Call, code: &ToneCode) -> Result<(), Failure> {
        let mut heard = Heard::default();
        self.step(Step::Greeting, GREETING, |limit| listen(call, limit, &mut heard)).await?;
        self.step(Step::Message, MESSAGE, |_| call.leave(code)).await
    }

    /// Does one step and reports it; a failure, or a limit that has passed, ends the story.
    async fn step<T, F>(&mut self, step: Step, shares: u32, work: impl FnOnce(Duration) -> F) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, String>>,
    {
        let began = Instant::now();
        let limit = (self.share * shares).min(self.end.saturating_duration_since(began));
        // A step that watches its limit itself can say more than that it has passed.
        let outcome = timeout_at(began + limit, work(limit * 9 / 10)).await;
        let outcome = outcome.unwrap_or_else(|_| Err(format!("not done within {} s", limit.as_secs())));
        let value = outcome.map_err(|reason| Failure { step, reason })?;
        self.report.done(step, began.elapsed(), Said(step));
        Ok(value)
    }
}

async fn hang_up(call: Call) -> Result<(), String> {
    call.hang_up().await;
    Ok(())
}

async fn listen(call: &mut Call, limit: Duration, heard: &mut Heard) -> Result<(), String> {
    let listened = timeout(limit, call.hear_beep(heard)).await;
    listened.unwrap_or_else(|_| Err(format!("no beep within {} s: {heard}", limit.as_secs())))
}

/// What a step that worked has shown.
struct Said(Step);

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Step::Prepare => "livekit-server knows the box's own number",
            Step::Call => "sip-gateway took the call, voicemail answered",
            Step::Greeting => "greeting and beep heard",
            Step::Message => "message spoken",
            Step::HangUp => "hung up",
            Step::Recording => "recorded, stored and fetched again",
            Step::Tone => "the message is the one that was spoken",
        })
    }
}

fn compare(wav: &[u8], sent: &ToneCode) -> Result<(), String> {
    let unreadable = |error: hound::Error| format!("the recording is no WAV file: {error}");
    let mut file = hound::WavReader::new(wav).map_err(unreadable)?;
    let rate = file.spec().sample_rate;
    let samples: Vec<i16> = file.samples().collect::<Result<_, _>>().map_err(unreadable)?;
    let found = ToneCode::read(&samples, rate);
    let seconds = samples.len() as f64 / f64::from(rate);
    if found == *sent { Ok(()) } else { Err(format!("sent {sent}, but {seconds:.1} s of recording hold {found}")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn wav(samples: &[i16]) -> Vec<u8> {
        let (channels, sample_rate, bits_per_sample) = (1, 8_000, 16);
        let spec = hound::WavSpec { channels, sample_rate, bits_per_sample, sample_format: hound::SampleFormat::Int };
        let mut file = Cursor::new(Vec::new());
        let mut writer = hound::WavWriter::new(&mut file, spec).unwrap();
        samples.iter().for_each(|sample| writer.write_sample(*sample).unwrap());
        writer.finalize().unwrap();
        file.into_inner()
    }

    /// Tones one after the other, from this one on.
    fn code(first: usize) -> ToneCode {
        let mut next = first..;
        ToneCode::draw(move |_| next.next().unwrap())
    }

    #[test]
    fn only_the_recording_of_this_call_passes() {
        let (sent, old) = (code(0), code(3));
        assert_eq!(compare(&wav(&sent.samples()), &sent), Ok(()));
        let refused = compare(&wav(&old.samples()), &sent).unwrap_err();
        assert_eq!(refused, format!("sent {sent}, but 3.0 s of recording hold {old}"));
        assert!(compare(&wav(&[0; 800]), &sent).unwrap_err().ends_with("hold no tone"));
        assert!(compare(b"Ogg", &sent).unwrap_err().starts_with("the recording is no WAV file"));
    }

    #[tokio::test]
    async fn a_step_that_does_not_end_is_named_with_its_limit() {
        let mut report = Report::new(true);
        let end = Instant::now() + Duration::from_millis(20);
        let mut story = Story { share: Duration::from_secs(1), end, report: &mut report };
        let waiting = story.step(Step::Call, CALL, |_| std::future::pending::<Result<(), String>>()).await;
        assert_eq!(waiting.unwrap_err().to_string(), "self-call failed at call: not done within 0 s");
    }
}
