//! Does the real speech program speak, and are its failures told apart?

use speech::{Espeak, Tts, TtsError};
use std::time::Duration;

fn espeak() -> Espeak {
    Espeak::new("espeak-ng", Duration::from_secs(20))
}

/// A stand-in program, for what the real one cannot be made to do.
fn program(dir: &tempfile::TempDir, script: &str) -> String {
    use std::os::unix::fs::PermissionsExt;
    let path = dir.path().join("speaker");
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path.to_string_lossy().into_owned()
}

#[tokio::test]
async fn a_sentence_is_spoken_at_every_rate() {
    let text = "Please leave a message after the tone.";
    let mut lengths = Vec::new();
    for rate in [8_000, 16_000, 48_000] {
        let samples = espeak().speak(text, None, rate).await.unwrap();
        let loudest = samples.iter().map(|s| s.unsigned_abs()).max().unwrap();
        assert!(loudest > 3_000, "nearly silent: {loudest}");
        lengths.push(samples.len() as f64 / f64::from(rate));
    }
    assert!(lengths.iter().all(|s| (1.5..5.0).contains(s)), "{lengths:?}");
    assert!((lengths[0] - lengths[2]).abs() < 0.01, "{lengths:?}");
}

#[tokio::test]
async fn a_long_text_does_not_block_the_pipes() {
    let text = "One two three four five six seven eight nine ten. ".repeat(200);
    let samples = espeak().speak(&text, Some("en"), 8_000).await.unwrap();
    assert!(samples.len() > 8_000 * 200);
}

#[tokio::test]
async fn text_that_looks_like_an_option_or_markup_is_only_spoken() {
    let samples = espeak().speak("--help <break time='60s'/>", None, 8_000).await.unwrap();
    assert!((4_000..80_000).contains(&samples.len()), "{}", samples.len());
}

#[tokio::test]
async fn text_without_words_is_silence() {
    assert!(espeak().speak(" ... ", None, 8_000).await.unwrap().is_empty());
}

#[tokio::test]
async fn an_unknown_voice_is_named() {
    let error = espeak().speak("hello", Some("xx-nobody"), 8_000).await.unwrap_err();
    assert!(matches!(&error, TtsError::UnknownVoice { voice, .. } if voice == "xx-nobody"), "{error}");
}

#[tokio::test]
async fn a_missing_program_is_named() {
    let absent = Espeak::new("/nonexistent/espeak-ng", Duration::from_secs(1));
    let error = absent.speak("hello", None, 8_000).await.unwrap_err();
    assert!(matches!(&error, TtsError::Start { program, .. } if program == "/nonexistent/espeak-ng"), "{error}");
}

#[tokio::test]
async fn a_program_that_hangs_is_given_up_on() {
    let dir = tempfile::tempdir().unwrap();
    let hangs = Espeak::new(program(&dir, "exec sleep 600"), Duration::from_millis(300));
    assert!(matches!(hangs.speak("hello", None, 8_000).await, Err(TtsError::TooSlow { .. })));
}

#[tokio::test]
async fn a_program_that_fails_is_quoted() {
    let dir = tempfile::tempdir().unwrap();
    let fails = Espeak::new(program(&dir, "echo 'no data files' >&2; exit 3"), Duration::from_secs(5));
    let error = fails.speak("hello", None, 8_000).await.unwrap_err().to_string();
    assert!(error.contains("no data files") && error.contains("exit status: 3"), "{error}");
}

#[tokio::test]
async fn a_program_that_gives_no_wav_is_found_out() {
    let dir = tempfile::tempdir().unwrap();
    let babbles = Espeak::new(program(&dir, "cat >/dev/null; echo hello"), Duration::from_secs(5));
    assert!(matches!(babbles.speak("hello", None, 8_000).await, Err(TtsError::NoWav { .. })));
}
