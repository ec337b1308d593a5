//! What does a PCMU participant cost?
//!
//! `room_load ws://127.0.0.1:7880 KEY SECRET [PARTICIPANTS] [SECONDS]` puts pairs of participants
//! into rooms, each sending and hearing one PCMU track, swept by one thread as the gateway does.
//! It prints the CPU time of this process per participant and second, and what was lost.

use std::error::Error;
use std::net::{Ipv4Addr, UdpSocket};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use livekit::api::{SipJoin, Tokens};
use livekit::signal_socket::SignalSocket;
use livekit::{
    AudioCodec, AudioFrame, Certificate, JoinOptions, Output, PublishTrack, RoomCodec, RoomEvent, RoomSession,
    SignalEvent,
};
use tokio::runtime::Runtime;

const SWEEP: Duration = Duration::from_millis(10);
const JOIN_PHASE: Duration = Duration::from_secs(6);

struct Leg {
    session: RoomSession,
    socket: UdpSocket,
    signal: Option<SignalSocket>,
    signals: mpsc::Receiver<SignalEvent>,
    report: mpsc::Sender<SignalEvent>,
    wake_at: Instant,
    rtp_time: u32,
    heard: usize,
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut next = |default: &str| arguments.next().unwrap_or_else(|| default.to_owned());
    let (url, key, secret) = (next("ws://127.0.0.1:7880"), next("devkey"), next("secret"));
    let (participants, seconds) = (next("50").parse::<usize>()?, next("20").parse::<u64>()?);

    let runtime = Runtime::new()?;
    let certificate = Certificate::generate()?;
    let tokens = Tokens::new(key, secret);
    let mut legs = Vec::new();
    for number in 0..participants {
        legs.push(Leg::join(number, &url, &tokens, &certificate)?);
    }
    sweep(&mut legs, &runtime, JOIN_PHASE)?;
    for leg in &mut legs {
        assert!(leg.session.is_media_connected(), "a participant has no media");
        leg.heard = 0;
    }
    let before = cpu_time()?;
    sweep(&mut legs, &runtime, Duration::from_secs(seconds))?;
    let used = cpu_time()? - before;

    let heard: usize = legs.iter().map(|leg| leg.heard).sum();
    let sent = participants * 50 * usize::try_from(seconds)?;
    println!(
        "{:.2} ms CPU per participant and second",
        1e3 * used.as_secs_f64() / (participants as u64 * seconds) as f64
    );
    println!("{heard} of {sent} frames heard");
    Ok(())
}

fn sweep(legs: &mut [Leg], runtime: &Runtime, time: Duration) -> Result<(), Box<dyn Error>> {
    let start = Instant::now();
    let mut tick = 0u32;
    while start.elapsed() < time {
        for leg in &mut *legs {
            leg.turn(runtime, tick.is_multiple_of(2))?;
        }
        tick += 1;
        std::thread::sleep((start + SWEEP * tick).saturating_duration_since(Instant::now()));
    }
    Ok(())
}

impl Leg {
    fn join(number: usize, url: &str, tokens: &Tokens, certificate: &Certificate) -> Result<Self, Box<dyn Error>> {
        let (room, identity) = (format!("load {}", number / 2), format!("phone {number}"));
        let join = SipJoin { room, identity: identity.clone(), ..Default::default() };
        let options = JoinOptions {
            url: url.to_owned(),
            token: tokens.sip_participant(&join)?,
            attributes: Default::default(),
            publish: Some(PublishTrack { name: identity, codec_preference: vec![AudioCodec::Pcmu] }),
            room_codec: RoomCodec::Auto,
            subscribe_audio: true,
            client_name: "room_load".to_owned(),
        };
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.set_nonblocking(true)?;
        let now = Instant::now();
        let session = RoomSession::new(options, socket.local_addr()?, certificate, now)?;
        let (report, signals) = mpsc::channel();
        Ok(Self { session, socket, signal: None, signals, report, wake_at: now, rtp_time: 0, heard: 0 })
    }

    fn turn(&mut self, runtime: &Runtime, speak: bool) -> Result<(), Box<dyn Error>> {
        let mut buffer = [0; 2048];
        while let Ok(event) = self.signals.try_recv() {
            self.session.handle_signal_event(event, Instant::now());
            self.drain(runtime)?;
        }
        while let Ok((length, from)) = self.socket.recv_from(&mut buffer) {
            self.session.handle_datagram(from, &buffer[..length], Instant::now());
            self.drain(runtime)?;
        }
        let now = Instant::now();
        if now >= self.wake_at {
            self.session.handle_timeout(now);
            self.drain(runtime)?;
        }
        if speak && self.session.is_media_connected() {
            let (codec, payload) = (AudioCodec::Pcmu, &[0xd5; 160]);
            let frame = AudioFrame { codec, payload, rtp_time: self.rtp_time, marker: false, level: Some(20) };
            // Nothing is negotiated yet while the answer is on its way.
            let _ = self.session.send_audio(frame, now);
            self.drain(runtime)?;
            self.rtp_time = self.rtp_time.wrapping_add(160);
        }
        Ok(())
    }

    fn drain(&mut self, runtime: &Runtime) -> Result<(), Box<dyn Error>> {
        loop {
            match self.session.poll_output() {
                Output::Timeout(at) => {
                    self.wake_at = at;
                    return Ok(());
                }
                Output::Datagram { to, data } => drop(self.socket.send_to(&data, to)?),
                Output::Signal(frame) => {
                    self.signal.iter().for_each(|signal| signal.send(frame.clone()));
                }
                Output::CloseSignal => self.signal = None,
                Output::Connect(connect) => {
                    let report = self.report.clone();
                    let report = move |event| drop(report.send(event));
                    self.signal = Some(SignalSocket::open(runtime.handle(), connect, report));
                }
                Output::Event(RoomEvent::Audio(_)) => self.heard += 1,
                Output::Event(RoomEvent::Disconnected { reason, .. }) => return Err(reason.into()),
                Output::Event(_) => {}
            }
        }
    }
}

/// User and system time of this process.
fn cpu_time() -> Result<Duration, Box<dyn Error>> {
    let usage = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_SELF)?;
    let [user, system] = [usage.user_time(), usage.system_time()]
        .map(|time| Duration::from_secs(time.tv_sec() as u64) + Duration::from_micros(time.tv_usec() as u64));
    Ok(user + system)
}
