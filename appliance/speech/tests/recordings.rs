//! Does a recording give back what was put in, also when its writer was killed?

use proptest::prelude::*;
use speech::recording::{OggOpusWriter, ogg_opus_to_pcm, ogg_opus_to_wav, repair, trim};
use std::f64::consts::TAU;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

fn tone(hz: f64, amplitude: f64, rate: u32, seconds: f64) -> Vec<i16> {
    let count = (f64::from(rate) * seconds) as usize;
    (0..count).map(|n| (amplitude * (TAU * hz * n as f64 / f64::from(rate)).sin()) as i16).collect()
}

/// Amplitude of one frequency (Goertzel).
fn amplitude(samples: &[i16], hz: f64, rate: u32) -> f64 {
    let (mut re, mut im) = (0.0, 0.0);
    for (n, sample) in samples.iter().enumerate() {
        let angle = TAU * hz * n as f64 / f64::from(rate);
        re += f64::from(*sample) * angle.cos();
        im += f64::from(*sample) * angle.sin();
    }
    2.0 * (re * re + im * im).sqrt() / samples.len() as f64
}

fn file_in(dir: &tempfile::TempDir) -> PathBuf {
    dir.path().join("message.ogg")
}

/// Four tones of half a second, in pieces as they come off the wire.
fn record(path: &Path, rate: u32) -> Vec<f64> {
    let tones = vec![440.0, 1000.0, 697.0, 2100.0];
    let mut writer = OggOpusWriter::create(path, rate).unwrap();
    let sound: Vec<i16> = tones.iter().flat_map(|hz| tone(*hz, 8000.0, rate, 0.5)).collect();
    for piece in sound.chunks(333) {
        writer.write(piece).unwrap();
    }
    assert_eq!(writer.duration(), Duration::from_secs(2));
    assert_eq!(writer.finish().unwrap().duration, Duration::from_secs(2));
    tones
}

#[test]
fn tones_keep_their_order_level_and_length() {
    for rate in [8_000, 16_000, 48_000] {
        let dir = tempfile::tempdir().unwrap();
        let tones = record(&file_in(&dir), rate);
        let pcm = ogg_opus_to_pcm(&fs::read(file_in(&dir)).unwrap()).unwrap();
        assert_eq!((pcm.rate, pcm.samples.len()), (rate, 2 * rate as usize));
        for (part, hz) in pcm.samples.chunks(rate as usize / 2).zip(tones) {
            let middle = &part[part.len() / 5..part.len() * 4 / 5];
            let level = amplitude(middle, hz, rate);
            assert!((7200.0..8800.0).contains(&level), "{hz} Hz at {rate}: {level:.0} instead of 8000");
        }
    }
}

#[test]
fn the_wav_holds_the_same_samples() {
    let dir = tempfile::tempdir().unwrap();
    record(&file_in(&dir), 8_000);
    let file = fs::read(file_in(&dir)).unwrap();
    let wav = ogg_opus_to_wav(&file).unwrap();
    let mut reader = hound::WavReader::new(&wav[..]).unwrap();
    assert_eq!((reader.spec().sample_rate, reader.spec().channels), (8_000, 1));
    let samples: Vec<i16> = reader.samples().map(Result::unwrap).collect();
    assert_eq!(samples, ogg_opus_to_pcm(&file).unwrap().samples);
}

#[test]
fn a_file_whose_writer_was_killed_is_mended_up_to_its_last_page() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = OggOpusWriter::create(&file_in(&dir), 8_000).unwrap();
    writer.write(&tone(1000.0, 8000.0, 8_000, 1.5)).unwrap();
    drop(writer);
    let recorded = repair(&file_in(&dir)).unwrap();
    let lost = Duration::from_millis(1500) - recorded.duration;
    assert!(lost <= Duration::from_millis(300), "{lost:?}");

    let file = fs::read(file_in(&dir)).unwrap();
    assert_eq!(recorded.bytes, file.len() as u64);
    let pcm = ogg_opus_to_pcm(&file).unwrap();
    assert_eq!(Duration::from_micros(pcm.samples.len() as u64 * 125), recorded.duration);
    assert!((7200.0..8800.0).contains(&amplitude(&pcm.samples, 1000.0, 8_000)));
    assert_eq!(repair(&file_in(&dir)).unwrap(), recorded, "mending twice changes nothing");
    assert_eq!(fs::read(file_in(&dir)).unwrap(), file);
}

#[test]
fn trimming_keeps_the_beginning_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    record(&file_in(&dir), 8_000);
    let recorded = trim(&file_in(&dir), Duration::from_millis(730)).unwrap();
    assert_eq!(recorded.duration, Duration::from_millis(730));
    let pcm = ogg_opus_to_pcm(&fs::read(file_in(&dir)).unwrap()).unwrap();
    assert_eq!(pcm.samples.len(), 5840);
    assert!((7200.0..8800.0).contains(&amplitude(&pcm.samples[800..3200], 440.0, 8_000)));
    let all = trim(&file_in(&dir), Duration::from_secs(60)).unwrap();
    assert_eq!(all.duration, Duration::from_millis(730));
    assert_eq!(trim(&file_in(&dir), Duration::ZERO).unwrap().duration, Duration::ZERO);
}

#[test]
fn a_recording_without_sound_is_still_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let writer = OggOpusWriter::create(&file_in(&dir), 8_000).unwrap();
    assert_eq!(writer.finish().unwrap().duration, Duration::ZERO);
    assert!(ogg_opus_to_pcm(&fs::read(file_in(&dir)).unwrap()).unwrap().samples.is_empty());
}

#[test]
fn a_rate_that_opus_lacks_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    assert!(OggOpusWriter::create(&file_in(&dir), 44_100).is_err());
}

/// Other people's decoders are the judges, where they are installed.
#[test]
fn the_reference_tools_find_no_fault() {
    let dir = tempfile::tempdir().unwrap();
    record(&file_in(&dir), 8_000);
    let Ok(report) = Command::new("opusinfo").arg(file_in(&dir)).output() else { return };
    let text = String::from_utf8_lossy(&report.stdout).to_lowercase();
    assert!(report.status.success() && !text.contains("warning") && !text.contains("error"), "{text}");
    assert!(text.contains("0m:02.000s"), "{text}");

    trim(&file_in(&dir), Duration::from_millis(730)).unwrap();
    let report = Command::new("opusinfo").arg(file_in(&dir)).output().unwrap();
    let text = String::from_utf8_lossy(&report.stdout).to_lowercase();
    assert!(!text.contains("warning") && text.contains("0m:00.730s"), "{text}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_file_cut_anywhere_gives_a_clean_prefix(cut in 0.0..1.0f64) {
        let dir = tempfile::tempdir().unwrap();
        let path = file_in(&dir);
        record(&path, 8_000);
        let whole = fs::read(&path).unwrap();
        let pages = (whole.len() as f64 * cut) as usize;
        fs::write(&path, &whole[..pages]).unwrap();
        if let Ok(recorded) = repair(&path) {
            let pcm = ogg_opus_to_pcm(&fs::read(&path).unwrap()).unwrap();
            let length = Duration::from_micros(pcm.samples.len() as u64 * 125);
            prop_assert!(length.abs_diff(recorded.duration) < Duration::from_millis(1));
            let all = ogg_opus_to_pcm(&whole).unwrap().samples;
            prop_assert_eq!(&pcm.samples[..], &all[..pcm.samples.len()]);
        } else {
            prop_assert!(pages < 200, "only a file without its headers is beyond repair");
        }
    }

    #[test]
    fn noise_never_makes_the_reader_panic(mut noise in proptest::collection::vec(any::<u8>(), 0..400), at in 0usize..100) {
        let _ = ogg_opus_to_pcm(&noise);
        let dir = tempfile::tempdir().unwrap();
        record(&file_in(&dir), 8_000);
        let mut file = fs::read(file_in(&dir)).unwrap();
        noise.truncate(file.len() - at);
        file[at..at + noise.len()].copy_from_slice(&noise);
        let _ = ogg_opus_to_wav(&file);
    }
}
