//! Does a whole task do what the caller expects, in virtual time?

mod support;

use speech::recording::ogg_opus_to_pcm;
use std::time::Duration;
use support::*;
use tokio_util::sync::CancellationToken;
use types::control::{Event, JobMetadata, JobTask};
use voice_worker::job::{Desk, JobError};
use voice_worker::shelf::Message;

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Runs the job while the caller does its part; gives back what is on the shelf.
async fn take(desk: &Desk, job: &JobMetadata, caller: &mut Caller) -> (Result<(), JobError>, Vec<Message>) {
    let result = desk.work(job, &mut caller.room(), CancellationToken::new()).await;
    (result, desk.shelf.recover().unwrap())
}

fn sound_of(desk: &Desk, message: &Message) -> Vec<i16> {
    let file = std::fs::read(desk.shelf.sound(message.voicemail_id)).unwrap();
    ogg_opus_to_pcm(&file).unwrap().samples
}

/// The greeting takes 1.16 s and the beep 0.46 s: from here on the recording runs.
const BEEPED: u64 = 1800;

#[tokio::test]
async fn a_message_is_as_long_and_as_loud_as_it_was_spoken_and_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let (desk, job) = (desk(&dir), voicemail("Please leave a message."));
    let tones = [440.0, 1000.0, 660.0];
    let spoken = tones.map(|hz| tone(hz, 1000)).concat();
    let mut caller = Caller::new();
    caller.let_in(0);
    caller.answers(0);
    caller.says(0, &vec![0; 1800 * 8]);
    caller.says(BEEPED, &spoken);
    caller.hangs_up(BEEPED + 3020);
    let (result, shelf) = take(&desk, &job, &mut caller).await;
    result.unwrap();

    let finished = shelf[0].finished.unwrap();
    assert_eq!(finished.ended_by.as_str(), "hangup");
    let sound = sound_of(&desk, &shelf[0]);
    assert!(finished.duration_ms.abs_diff(sound.len() as u64 / 8) <= 1);
    assert!((3000..3300).contains(&finished.duration_ms), "{}", finished.duration_ms);
    let loud = loud_part(&sound);
    assert!(loud.len().abs_diff(24_000) < 400, "{loud:?}");
    for (n, hz) in tones.into_iter().enumerate() {
        let level = amplitude(&sound[loud.start + n * 8000 + 800..][..6400], hz);
        assert!((7200.0..8800.0).contains(&level), "{hz} Hz: {level:.0} instead of 8000");
    }
    let (said, times) = caller.heard();
    assert!(amplitude(&said[1600..8000], 300.0) > 7000.0, "the greeting");
    let beep = (1160 + 120) * 8;
    assert!(amplitude(&said[beep..beep + 2000], 1000.0) > 7000.0, "the beep");
    assert!(times.windows(2).all(|w| w[1] - w[0] == ms(20)), "frames leave every 20 ms");
    assert!(matches!(&events(&dir)[..], [Event::JobStarted { task, .. }] if task == "voicemail"));
}

#[tokio::test]
async fn the_greeting_waits_for_the_phone_to_be_answered() {
    let dir = tempfile::tempdir().unwrap();
    let (desk, job) = (desk(&dir), voicemail("Please leave a message."));
    let mut caller = Caller::new();
    caller.let_in(0);
    caller.answers(1000);
    caller.hangs_up(2000);
    take(&desk, &job, &mut caller).await.0.unwrap();
    let (said, times) = caller.heard();
    let first = said.iter().position(|s| s.unsigned_abs() > 1000).unwrap() / 160;
    assert!((ms(1000)..ms(1200)).contains(&times[first]), "{:?}", times[first]);
}

#[tokio::test]
async fn a_caller_who_falls_silent_is_thanked_and_the_silence_is_not_kept() {
    let dir = tempfile::tempdir().unwrap();
    let (desk, job) = (desk(&dir), voicemail(""));
    let mut caller = Caller::new();
    caller.let_in(0);
    caller.answers(0);
    caller.says(1000, &tone(500.0, 2000));
    caller.says(3000, &vec![0; 12_000 * 8]);
    let (result, shelf) = take(&desk, &job, &mut caller).await;
    result.unwrap();
    let finished = shelf[0].finished.unwrap();
    assert_eq!(finished.ended_by.as_str(), "silence");
    assert!((2400..2800).contains(&finished.duration_ms), "{}", finished.duration_ms);
    let (said, times) = caller.heard();
    let end_tone = said.iter().rposition(|s| s.unsigned_abs() > 1000).unwrap() / 160;
    assert!((ms(13_000)..ms(13_700)).contains(&times[end_tone]), "{:?}", times[end_tone]);
}

#[tokio::test]
async fn a_key_skips_the_greeting_and_the_hash_key_ends_the_message() {
    let dir = tempfile::tempdir().unwrap();
    let (desk, job) = (desk(&dir), voicemail("Please leave a message."));
    let mut caller = Caller::new();
    caller.let_in(0);
    caller.answers(0);
    caller.presses(200, '1');
    caller.says(800, &tone(500.0, 1500));
    caller.presses(2300, '#');
    let (result, shelf) = take(&desk, &job, &mut caller).await;
    result.unwrap();
    let finished = shelf[0].finished.unwrap();
    assert_eq!(finished.ended_by.as_str(), "digit");
    assert!((1480..1700).contains(&finished.duration_ms), "{}", finished.duration_ms);
}

#[tokio::test]
async fn a_caller_who_hangs_up_during_the_greeting_leaves_no_trace_but_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let (desk, job) = (desk(&dir), voicemail("Please leave a message."));
    let mut caller = Caller::new();
    caller.let_in(0);
    caller.answers(0);
    caller.hangs_up(700);
    let (result, shelf) = take(&desk, &job, &mut caller).await;
    result.unwrap();
    assert!(shelf.is_empty());
    assert!(matches!(&events(&dir)[..], [Event::JobStarted { .. }]));
}

#[tokio::test]
async fn a_caller_of_whom_nothing_arrives_is_a_failure_and_not_a_message() {
    let dir = tempfile::tempdir().unwrap();
    let (desk, job) = (desk(&dir), voicemail(""));
    let mut caller = Caller::new();
    caller.let_in(0);
    caller.answers(0);
    let (result, shelf) = take(&desk, &job, &mut caller).await;
    assert!(matches!(result, Err(JobError::NothingHeard)));
    assert!(shelf.is_empty());
    assert!(matches!(&events(&dir)[..], [Event::JobStarted { .. }, Event::JobFailed { .. }]));
}

#[tokio::test]
async fn stopping_the_worker_keeps_what_was_said_so_far() {
    let dir = tempfile::tempdir().unwrap();
    let (desk, job) = (desk(&dir), voicemail(""));
    let stop = CancellationToken::new();
    let mut caller = Caller::new();
    caller.let_in(0);
    caller.answers(0);
    caller.says(1000, &tone(500.0, 2000));
    caller.stops(3000, &stop);
    desk.work(&job, &mut caller.room(), stop).await.unwrap();
    let finished = desk.shelf.recover().unwrap()[0].finished.unwrap();
    assert_eq!(finished.ended_by.as_str(), "recovered");
    assert!((2000..2600).contains(&finished.duration_ms), "{}", finished.duration_ms);
}

#[tokio::test]
async fn a_room_that_is_lost_while_recording_still_gives_a_message() {
    let dir = tempfile::tempdir().unwrap();
    let (desk, job) = (desk(&dir), voicemail(""));
    let mut caller = Caller::new();
    caller.let_in(0);
    caller.answers(0);
    caller.says(1000, &tone(500.0, 1000));
    caller.event(2000, lost());
    let (result, shelf) = take(&desk, &job, &mut caller).await;
    result.unwrap();
    assert_eq!(shelf[0].finished.unwrap().ended_by.as_str(), "hangup");
}

#[tokio::test]
async fn a_room_that_cannot_be_joined_is_reported_with_its_cause() {
    let dir = tempfile::tempdir().unwrap();
    let (desk, job) = (desk(&dir), voicemail(""));
    let mut caller = Caller::new();
    caller.event(0, lost());
    let (result, _) = take(&desk, &job, &mut caller).await;
    assert!(result.is_err());
    let all = events(&dir);
    let [Event::JobFailed { detail, .. }] = &all[..] else { panic!("{all:?}") };
    assert!(detail.contains("could not join the room") && detail.contains("gone"), "{detail}");
}

#[tokio::test]
async fn an_announcement_is_spoken_to_its_end_and_reported() {
    let dir = tempfile::tempdir().unwrap();
    let desk = desk(&dir);
    let job = metadata(JobTask::PlayMessage { text: "We are closed.".to_owned(), voice: None });
    let mut caller = Caller::new();
    caller.let_in(0);
    caller.answers(0);
    let (result, _) = take(&desk, &job, &mut caller).await;
    result.unwrap();
    let (said, _) = caller.heard();
    assert!(loud_part(&said).len().abs_diff(8000) < 200);
    assert!(
        matches!(&events(&dir)[..], [Event::JobStarted { .. }, Event::MessagePlayed { call_id }] if *call_id == job.call_id)
    );
}

#[tokio::test]
async fn an_announcement_that_nobody_heard_to_its_end_is_not_reported_as_played() {
    let dir = tempfile::tempdir().unwrap();
    let desk = desk(&dir);
    let job = metadata(JobTask::PlayMessage { text: "We are closed.".to_owned(), voice: None });
    let mut caller = Caller::new();
    caller.let_in(0);
    caller.answers(0);
    caller.hangs_up(500);
    let (result, _) = take(&desk, &job, &mut caller).await;
    result.unwrap();
    assert!(matches!(&events(&dir)[..], [Event::JobStarted { .. }]));
}
