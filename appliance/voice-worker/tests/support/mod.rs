//! A room with a caller in it, for tests of whole tasks. Time is virtual.
#![allow(dead_code)]

use async_trait::async_trait;
use daemon::spool::Spool;
use livekit::{AudioCodec, AudioPacket, Disconnect, DisconnectReason, Joined, Participant, ParticipantKind, RoomEvent};
use media::codec::{FRAME, FRAME_TIME, G711};
use objects::{S3Config, Store};
use parking_lot::Mutex;
use speech::{Tts, TtsError};
use std::collections::VecDeque;
use std::f64::consts::TAU;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use types::control::{Envelope, Event, JobMetadata, JobTask};
use types::{CallId, CorrelationId, Redacted, TenantId, VoicemailId};
use voice_worker::job::Desk;
use voice_worker::room::{Moment, Outgoing, Room};
use voice_worker::shelf::Shelf;
use voice_worker::upload::Uploads;

pub const CALLER: &str = "sip_+31201234567";

/// Frames with the time they left at.
type Said = Arc<Mutex<Vec<(Duration, Vec<i16>)>>>;

/// The worker's end of a room: what happens in it is known beforehand.
pub struct TestRoom {
    start: Instant,
    at: Duration,
    frames: u32,
    to_come: VecDeque<(Duration, Happening)>,
    said: Said,
}

enum Happening {
    Event(RoomEvent),
    Stop(CancellationToken),
}

/// The caller's end: a list of what happens when. Times go up.
pub struct Caller {
    start: Instant,
    events: VecDeque<(Duration, Happening)>,
    said: Said,
}

#[async_trait]
impl Room for TestRoom {
    async fn next(&mut self) -> Moment {
        let frame_at = FRAME_TIME * self.frames;
        match self.to_come.front() {
            Some((at, _)) if *at <= frame_at => self.happen(),
            _ => {
                assert!(frame_at < Duration::from_secs(600), "the task never ends");
                self.at = frame_at;
                self.frames += 1;
                Moment::Frame
            }
        }
    }

    fn now(&self) -> Instant {
        self.start + self.at
    }

    fn send(&mut self, frame: Outgoing<'_>) {
        let mut pcm = vec![0; frame.payload.len()];
        assert_eq!(frame.codec, AudioCodec::Pcmu);
        G711::Pcmu.decode(frame.payload, &mut pcm);
        let mut said = self.said.lock();
        assert_eq!((frame.rtp_time, frame.marker), (said.len() as u32 * 160, said.is_empty()));
        said.push((self.at, pcm));
    }

    async fn leave(&mut self) {}
}

impl TestRoom {
    fn happen(&mut self) -> Moment {
        let (at, what) = self.to_come.pop_front().unwrap();
        self.at = at;
        match what {
            Happening::Event(event) => Moment::Event(event),
            Happening::Stop(token) => {
                token.cancel();
                Moment::Event(RoomEvent::Resumed)
            }
        }
    }
}

impl Caller {
    pub fn new() -> Self {
        Self { start: Instant::now(), events: VecDeque::new(), said: Said::default() }
    }

    /// The room in which all this happens.
    pub fn room(&mut self) -> TestRoom {
        TestRoom {
            start: self.start,
            at: Duration::ZERO,
            frames: 0,
            to_come: std::mem::take(&mut self.events),
            said: self.said.clone(),
        }
    }

    pub fn event(&mut self, at: u64, event: RoomEvent) {
        self.happening(at, Happening::Event(event));
    }

    pub fn stops(&mut self, at: u64, token: &CancellationToken) {
        self.happening(at, Happening::Stop(token.clone()));
    }

    fn happening(&mut self, at: u64, what: Happening) {
        let at = Duration::from_millis(at);
        assert!(self.events.back().is_none_or(|(last, _)| *last <= at), "times go up");
        self.events.push_back((at, what));
    }

    /// We are let in; the caller's phone still rings.
    pub fn let_in(&mut self, at: u64) {
        let joined = Joined {
            participant_sid: "PA_us".into(),
            identity: "agent".into(),
            room_name: "room".into(),
            room_sid: "RM_1".into(),
            others: vec![participant("ringing")],
        };
        self.event(at, RoomEvent::Joined(joined));
        self.event(at, RoomEvent::TrackPublished { track_sid: "TR_us".into(), codec: AudioCodec::Pcmu });
        self.event(at, RoomEvent::MediaConnected);
        self.event(at, RoomEvent::TrackSubscribed { track_sid: "TR_c".into(), participant_identity: CALLER.into() });
    }

    pub fn answers(&mut self, at: u64) {
        self.event(at, RoomEvent::ParticipantUpdated(participant("active")));
    }

    pub fn presses(&mut self, at: u64, key: char) {
        self.event(at, RoomEvent::Dtmf { code: 0, digit: key.to_string(), from: CALLER.into() });
    }

    pub fn hangs_up(&mut self, at: u64) {
        self.event(at, RoomEvent::ParticipantLeft(participant("hangup")));
    }

    /// Sends sound from `at` on, 20 ms at a time, each at its own time.
    pub fn says(&mut self, at: u64, sound: &[i16]) {
        for (n, frame) in sound.chunks(FRAME).enumerate() {
            let due = at + 20 * n as u64;
            let number = (due / 20) as u32;
            let mut payload = vec![0; frame.len()];
            G711::Pcmu.encode(frame, &mut payload);
            let packet = AudioPacket {
                track_sid: "TR_c".into(),
                codec: AudioCodec::Pcmu,
                payload: payload.into(),
                seq: 65_000 + u64::from(number),
                rtp_time: 4_294_960_000u32.wrapping_add(number * 160),
                marker: false,
                received_at: self.start + Duration::from_millis(due),
            };
            self.event(due, RoomEvent::Audio(packet));
        }
    }

    /// Everything the worker said, and when each frame left.
    pub fn heard(&self) -> (Vec<i16>, Vec<Duration>) {
        let said = self.said.lock();
        (said.iter().flat_map(|(_, pcm)| pcm.clone()).collect(), said.iter().map(|(at, _)| *at).collect())
    }
}

fn participant(status: &str) -> Participant {
    Participant {
        sid: "PA_c".into(),
        identity: CALLER.into(),
        name: String::new(),
        kind: ParticipantKind::Sip,
        attributes: [("sip.callStatus".to_owned(), status.to_owned())].into(),
        metadata: String::new(),
        tracks: vec![],
        left_because: DisconnectReason::UnknownReason,
    }
}

pub fn lost() -> RoomEvent {
    RoomEvent::Disconnected { reason: Disconnect::Unreachable("gone".into()), can_rejoin: false }
}

/// Speaks every text as one second of 300 Hz.
struct Hum;

#[async_trait]
impl Tts for Hum {
    async fn speak(&self, text: &str, _voice: Option<&str>, rate: u32) -> Result<Vec<i16>, TtsError> {
        assert_eq!(rate, 8_000);
        Ok(if text.is_empty() { Vec::new() } else { tone(300.0, 1000) })
    }
}

/// A desk whose messages stay on its shelf.
pub fn desk(dir: &tempfile::TempDir) -> Desk {
    let stopped = CancellationToken::new();
    stopped.cancel();
    desk_with(dir, "http://127.0.0.1:9", stopped)
}

pub fn desk_with(dir: &tempfile::TempDir, endpoint: &str, stop: CancellationToken) -> Desk {
    let shelf = Shelf::open(dir.path().join("recordings")).unwrap();
    let events = Spool::open(&dir.path().join("events"), "voice-worker").unwrap();
    let store = Store::connect(&s3(endpoint)).unwrap();
    let uploads = Uploads::new(shelf.clone(), store, events.clone(), stop);
    Desk { tts: Arc::new(Hum), shelf, uploads, events }
}

pub fn s3(endpoint: &str) -> S3Config {
    S3Config {
        endpoint: endpoint.to_owned(),
        region: "us-east-1".to_owned(),
        bucket: "recordings".to_owned(),
        access_key: "access".to_owned(),
        secret_key: Redacted("secret".to_owned()),
    }
}

pub fn voicemail(greeting: &str) -> JobMetadata {
    let voicemail_id = VoicemailId::new();
    metadata(JobTask::Voicemail {
        voicemail_id,
        extension_id: None,
        greeting: greeting.to_owned(),
        voice: None,
        object_key: format!("{voicemail_id}.ogg"),
        max_s: 300,
        silence_s: 10,
    })
}

pub fn metadata(task: JobTask) -> JobMetadata {
    JobMetadata {
        call_id: CallId::new(),
        tenant_id: TenantId::new(),
        correlation_id: CorrelationId::new(),
        caller_identity: CALLER.to_owned(),
        caller: "+31201234567".to_owned(),
        task,
    }
}

/// What was said to `control-api`, in order.
pub fn events(dir: &tempfile::TempDir) -> Vec<Event> {
    let files = std::fs::read_dir(dir.path().join("events")).unwrap();
    let mut paths: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    paths.sort();
    let lines = paths.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect::<String>();
    lines.lines().map(|line| serde_json::from_str::<Envelope>(line).unwrap().event).collect()
}

pub fn tone(hz: f64, millis: usize) -> Vec<i16> {
    (0..millis * 8).map(|n| (8000.0 * (TAU * hz * n as f64 / 8000.0).sin()) as i16).collect()
}

/// Amplitude of one frequency.
pub fn amplitude(samples: &[i16], hz: f64) -> f64 {
    let (mut re, mut im) = (0.0, 0.0);
    for (n, sample) in samples.iter().enumerate() {
        let angle = TAU * hz * n as f64 / 8000.0;
        re += f64::from(*sample) * angle.cos();
        im += f64::from(*sample) * angle.sin();
    }
    2.0 * (re * re + im * im).sqrt() / samples.len() as f64
}

/// First and last sample that is loud.
pub fn loud_part(samples: &[i16]) -> std::ops::Range<usize> {
    let loud = |s: &i16| s.unsigned_abs() > 1500;
    let first = samples.iter().position(loud).unwrap_or(0);
    let last = samples.iter().rposition(loud).unwrap_or(0);
    first..last
}
