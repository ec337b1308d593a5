//! A participant whose datagrams a test can stop, both ways.

use std::net::{Ipv4Addr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use livekit::signal_socket::SignalSocket;
use livekit::{AudioCodec, AudioFrame, JoinOptions, Output, RoomEvent, RoomSession};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use crate::member::{FIRST_BYTE, certificate};

pub struct Leaky {
    pub events: mpsc::UnboundedReceiver<RoomEvent>,
    network: Arc<AtomicBool>,
}

impl Leaky {
    /// Joins, and sends a PCMU frame whenever 20 ms have passed.
    pub fn join(options: JoinOptions) -> Self {
        let network = Arc::new(AtomicBool::new(true));
        let (told, events) = mpsc::unbounded_channel();
        let (carries, runtime) = (network.clone(), Handle::current());
        std::thread::spawn(move || run(options, &carries, &told, &runtime));
        Self { events, network }
    }

    pub fn set_network(&self, carries: bool) {
        self.network.store(carries, Ordering::Relaxed);
    }

    pub async fn until(&mut self, wanted: RoomEvent) {
        let mut seen = Vec::new();
        let waiting = async {
            while let Some(event) = self.events.recv().await {
                if event == wanted {
                    return;
                }
                seen.push(event);
            }
            panic!("{wanted:?}: it ended: {seen:?}");
        };
        let patience = Duration::from_secs(60);
        tokio::time::timeout(patience, waiting).await.unwrap_or_else(|_| panic!("{wanted:?} did not happen"));
    }
}

fn run(options: JoinOptions, network: &AtomicBool, told: &mpsc::UnboundedSender<RoomEvent>, runtime: &Handle) {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
    let local = socket.local_addr().unwrap();
    let mut session = RoomSession::new(options, local, certificate(), Instant::now()).unwrap();
    let (report, signals) = std::sync::mpsc::channel();
    let mut signal = None;
    let (mut buffer, mut rtp_time, mut speak_at) = ([0; 2048], 0, Instant::now());
    while !told.is_closed() {
        let carries = network.load(Ordering::Relaxed);
        loop {
            match session.poll_output() {
                Output::Timeout(_) => break,
                Output::Datagram { to, data } if carries => drop(socket.send_to(&data, to)),
                Output::Datagram { .. } => {}
                Output::Signal(frame) => signal.iter().for_each(|it: &SignalSocket| it.send(frame.clone())),
                Output::CloseSignal => signal = None,
                Output::Event(event) => drop(told.send(event)),
                Output::Connect(connect) => {
                    let report = report.clone();
                    let report = move |event| drop(report.send(event));
                    signal = Some(SignalSocket::open(runtime, connect, report));
                }
            }
        }
        if session.has_ended() {
            return;
        }
        let received = socket.recv_from(&mut buffer);
        let now = Instant::now();
        match (received, signals.try_recv()) {
            (_, Ok(event)) => session.handle_signal_event(event, now),
            (Ok((length, from)), _) if carries => session.handle_datagram(from, &buffer[..length], now),
            _ if now >= speak_at && session.is_media_connected() => {
                let (codec, payload) = (AudioCodec::Pcmu, &[FIRST_BYTE; 160]);
                let _ = session.send_audio(AudioFrame { codec, payload, rtp_time, marker: false, level: None }, now);
                (rtp_time, speak_at) = (rtp_time + 160, now + Duration::from_millis(20));
            }
            _ => session.handle_timeout(now),
        }
    }
}
