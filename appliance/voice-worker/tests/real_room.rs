//! Does the whole worker take a message in a room of a real livekit-server?
//!
//! Needs the binary that `LIVEKIT_SERVER_BIN` names; `./box test` sets it.

mod support;

use axum::{Json, Router, body::Bytes, http::StatusCode, routing::post, routing::put};
use livekit::api::{Api, Join, Tokens};
use livekit::room_client::{OwnedFrame, RoomClient};
use livekit::{AudioCodec, Certificate, DisconnectReason, JoinOptions, PublishTrack, RoomCodec, RoomEvent};
use media::codec::{FRAME, G711};
use parking_lot::Mutex;
use speech::recording::ogg_opus_to_pcm;
use std::collections::HashMap;
use std::io::Write;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use support::{amplitude, loud_part, s3, tone, voicemail};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use types::Redacted;
use types::control::{Event, EventBatch, EventsAccepted, JobMetadata, JobTask, VOICE_AGENT};
use voice_worker::config::{Config, LiveKit};
use voice_worker::worker::Worker;

const KEY: &str = "devkey";
const SECRET: &str = "a secret of at least thirty-two characters";

/// livekit-server on a free loopback port, gone with the test.
struct Server {
    child: Child,
    port: u16,
}

impl Server {
    fn start(dir: &tempfile::TempDir) -> Option<Self> {
        let Some(binary) = std::env::var_os("LIVEKIT_SERVER_BIN") else {
            let _ = writeln!(std::io::stderr(), "SKIPPED: LIVEKIT_SERVER_BIN is not set");
            return None;
        };
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let config = dir.path().join("livekit.yaml");
        let text = format!(
            "port: {port}\nbind_addresses: [127.0.0.1]\nkeys: {{{KEY}: {SECRET}}}\nlogging: {{level: warn}}\n\
             rtc: {{udp_port: {udp}, tcp_port: 0, node_ip: 127.0.0.1, use_external_ip: false, \
             enable_loopback_candidate: true, interfaces: {{includes: [lo]}}, ips: {{includes: [127.0.0.0/8]}}}}\n"
        );
        std::fs::write(&config, text).unwrap();
        let child = Command::new(binary)
            .arg("--config")
            .arg(config)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("LIVEKIT_SERVER_BIN must run");
        Some(Self { child, port })
    }

    fn url(&self) -> String {
        format!("ws://127.0.0.1:{}", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the world around the worker got from it.
struct World {
    events: mpsc::UnboundedReceiver<Event>,
    objects: Arc<Mutex<HashMap<String, Bytes>>>,
}

/// The object store and `control-api`, as far as the worker sees them.
async fn world(dir: &tempfile::TempDir) -> (World, String) {
    let objects = Arc::new(Mutex::new(HashMap::new()));
    let inside = objects.clone();
    let store = move |path: axum::extract::Path<String>, body: Bytes| async move {
        inside.lock().insert(path.0, body);
        StatusCode::OK
    };
    let s3 = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", s3.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(s3, Router::new().route("/{*key}", put(store))).await });

    let (sender, events) = mpsc::unbounded_channel();
    let ingest = move |Json(batch): Json<EventBatch>| async move {
        let through = batch.events.last().map_or(0, |event| event.seq);
        batch.events.into_iter().for_each(|event| drop(sender.send(event.event)));
        Json(EventsAccepted { through })
    };
    let control = daemon::unix_http::bind(&dir.path().join("control.sock")).unwrap();
    let app = Router::new().route("/internal/v1/events", post(ingest));
    tokio::spawn(async move { axum::serve(control, app).await });
    (World { events, objects }, endpoint)
}

/// Somebody in the room who speaks PCMU.
struct Caller {
    client: RoomClient,
    events: mpsc::Receiver<RoomEvent>,
    sent: u32,
    heard: Vec<i16>,
}

impl Caller {
    async fn join(server: &Server, room: &str) -> Self {
        let join = Join {
            room: room.to_owned(),
            identity: support::CALLER.to_owned(),
            ttl: Duration::from_secs(60),
            ..Join::default()
        };
        let options = JoinOptions {
            url: server.url(),
            token: Tokens::new(KEY, SECRET).join(&join).unwrap(),
            attributes: HashMap::new(),
            publish: Some(PublishTrack { name: "phone".to_owned(), codec_preference: vec![AudioCodec::Pcmu] }),
            room_codec: RoomCodec::Auto,
            subscribe_audio: true,
            client_name: "test".to_owned(),
        };
        let certificate = Certificate::generate().unwrap();
        let (client, events) = RoomClient::join(options, Ipv4Addr::LOCALHOST.into(), &certificate).await.unwrap();
        Self { client, events, sent: 0, heard: Vec::new() }
    }

    /// Sends `sound`, then silence, 20 ms at a time, until `enough` of what was heard.
    async fn talk(&mut self, sound: &[i16], mut enough: impl FnMut(&[i16]) -> bool) {
        let mut frames = sound.chunks_exact(FRAME);
        let mut ticks = interval(Duration::from_millis(20));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let limit = Instant::now() + Duration::from_secs(30);
        while frames.len() > 0 || !enough(&self.heard) {
            assert!(Instant::now() < limit, "heard {} samples and no more", self.heard.len());
            tokio::select! {
                _ = ticks.tick() => self.send(frames.next().unwrap_or(&[0; FRAME])),
                event = self.events.recv() => self.hear(event.expect("the room stays")),
            }
        }
    }

    fn send(&mut self, frame: &[i16]) {
        let mut payload = vec![0; FRAME];
        G711::Pcmu.encode(frame, &mut payload);
        let rtp_time = self.sent.wrapping_mul(FRAME as u32);
        self.client.send_audio(OwnedFrame {
            codec: AudioCodec::Pcmu,
            payload,
            rtp_time,
            marker: self.sent == 0,
            level: None,
        });
        self.sent += 1;
    }

    fn hear(&mut self, event: RoomEvent) {
        if let RoomEvent::Audio(packet) = event {
            assert_eq!(packet.codec, AudioCodec::Pcmu, "a phone leg needs no transcode");
            let mut pcm = vec![0; packet.payload.len()];
            G711::Pcmu.decode(&packet.payload, &mut pcm);
            self.heard.extend(pcm);
        }
    }
}

/// The beep was heard, and 100 ms of silence after it.
fn beep_is_over(heard: &[i16]) -> bool {
    let Some(start) = heard.len().checked_sub(5 * 8 * 60) else { return false };
    let (beep, quiet) = heard[start..].split_at(4 * 8 * 50);
    amplitude(beep, 1000.0) > 6000.0 && quiet.iter().all(|s| s.unsigned_abs() < 500)
}

fn job(greeting: &str) -> JobMetadata {
    voicemail(greeting)
}

async fn next_event(world: &mut World) -> Event {
    timeout(Duration::from_secs(20), world.events.recv()).await.expect("an event comes").unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_leaves_a_message_and_it_is_stored_as_it_was_spoken() {
    let dir = tempfile::tempdir().unwrap();
    let Some(server) = Server::start(&dir) else { return };
    let (mut world, endpoint) = world(&dir).await;
    let config = Config {
        livekit: LiveKit { url: server.url(), api_key: KEY.to_owned(), api_secret: Redacted(SECRET.to_owned()) },
        s3: s3(&endpoint),
        control_socket: dir.path().join("control.sock"),
        spool_dir: dir.path().join("spool"),
        speech: Default::default(),
        max_jobs: 10,
        room_codec: Default::default(),
    };
    let stop = CancellationToken::new();
    let (ready, registered) = oneshot::channel();
    let ready = move || ready.send(()).unwrap();
    let running = tokio::spawn(Worker::new(config).unwrap().run(ready, stop.clone()));
    timeout(Duration::from_secs(20), registered).await.expect("it registers").unwrap();

    let job = job("Hello.");
    let mut caller = Caller::join(&server, "call-1").await;
    let api = Api::new(&server.url(), Tokens::new(KEY, SECRET)).unwrap();
    api.create_dispatch("call-1", VOICE_AGENT, &serde_json::to_string(&job).unwrap()).await.unwrap();
    assert!(matches!(next_event(&mut world).await, Event::JobStarted { call_id, .. } if call_id == job.call_id));

    let beep = std::cell::Cell::new(false);
    caller
        .talk(&[], |heard| {
            beep.set(beep.get() || beep_is_over(heard));
            beep.get()
        })
        .await;
    let tones = [440.0, 1200.0, 660.0];
    caller.talk(&tones.map(|hz| tone(hz, 1000)).concat(), |_| true).await;
    let goodbye = [0; FRAME * 5];
    caller.talk(&goodbye, |_| true).await;
    caller.client.leave(DisconnectReason::ClientInitiated);

    let Event::VoicemailRecorded { voicemail } = next_event(&mut world).await else { panic!("no message") };
    assert_eq!((voicemail.ended_by.as_str(), voicemail.stored), ("hangup", true));
    let JobTask::Voicemail { object_key, .. } = &job.task else { panic!() };
    let file = world.objects.lock().get(&format!("recordings/{object_key}")).expect("it is stored").clone();
    assert_eq!(voicemail.bytes, file.len() as u64);
    let sound = ogg_opus_to_pcm(&file).unwrap().samples;
    let loud = loud_part(&sound);
    assert!(loud.len().abs_diff(24_000) < 400, "{} samples were loud", loud.len());
    assert!((3000..3600).contains(&voicemail.duration_ms), "{} ms", voicemail.duration_ms);
    for (n, hz) in tones.into_iter().enumerate() {
        let level = amplitude(&sound[loud.start + n * 8000 + 800..][..6400], hz);
        assert!((7000.0..9000.0).contains(&level), "{hz} Hz: {level:.0} instead of 8000");
    }
    stop.cancel();
    timeout(Duration::from_secs(10), running).await.expect("it stops").unwrap().unwrap();
}
