//! How does a program that has tokio take part in a room?
//!
//! [`RoomClient`] runs one `RoomSession` as a task with a UDP socket of its own and a
//! [`SignalSocket`]. The gateway does not use it: its media threads drive their sessions.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use livekit_protocol as proto;
use tokio::net::UdpSocket;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use crate::room::{
    AudioCodec, AudioFrame, Certificate, DisconnectReason, JoinOptions, Output, RoomError, RoomEvent, RoomSession,
    SignalEvent,
};
use crate::signal_socket::SignalSocket;

/// Events that may wait for the owner; audio beyond that is dropped.
const EVENT_QUEUE: usize = 1024;
/// Datagrams taken at once before anything else has its turn.
const BURST: usize = 32;

/// Why a room could not be joined at all.
#[derive(Debug, thiserror::Error)]
pub enum RoomClientError {
    #[error("could not open a UDP socket on {0}")]
    Socket(IpAddr, #[source] std::io::Error),
    #[error(transparent)]
    Room(#[from] RoomError),
}

/// A participant that runs by itself. Dropped, it leaves the room.
#[derive(Clone, Debug)]
pub struct RoomClient {
    commands: mpsc::UnboundedSender<Command>,
}

/// A frame to publish, with its payload.
#[derive(Clone, Debug)]
pub struct OwnedFrame {
    pub codec: AudioCodec,
    pub payload: Vec<u8>,
    pub rtp_time: u32,
    pub marker: bool,
    pub level: Option<u8>,
}

#[derive(Debug)]
enum Command {
    Audio(OwnedFrame),
    Dtmf { code: u32, digit: String },
    Packet { packet: Box<proto::DataPacket>, reliable: bool },
    Data { topic: String, payload: Vec<u8>, reliable: bool, to: Vec<String> },
    Attributes(HashMap<String, String>),
    Subscribe { track_sid: String, subscribe: bool },
    Leave(DisconnectReason),
}

impl RoomClient {
    /// Starts joining. `local_ip` is the address of this machine that livekit-server can reach.
    ///
    /// The events end with [`RoomEvent::Disconnected`].
    pub async fn join(
        options: JoinOptions,
        local_ip: IpAddr,
        certificate: &Certificate,
    ) -> Result<(Self, mpsc::Receiver<RoomEvent>), RoomClientError> {
        let failed = |error| RoomClientError::Socket(local_ip, error);
        let socket = UdpSocket::bind((local_ip, 0)).await.map_err(failed)?;
        let local = socket.local_addr().map_err(failed)?;
        let session = RoomSession::new(options, local, certificate, Instant::now())?;
        let (commands, queued) = mpsc::unbounded_channel();
        let (events, received) = mpsc::channel(EVENT_QUEUE);
        tokio::spawn(run(session, socket, queued, events));
        Ok((Self { commands }, received))
    }

    pub fn send_audio(&self, frame: OwnedFrame) {
        self.command(Command::Audio(frame));
    }

    pub fn send_dtmf(&self, code: u32, digit: &str) {
        self.command(Command::Dtmf { code, digit: digit.to_owned() });
    }

    pub fn send_data(&self, topic: &str, payload: Vec<u8>, reliable: bool, to: Vec<String>) {
        self.command(Command::Data { topic: topic.to_owned(), payload, reliable, to });
    }

    pub fn send_packet(&self, packet: proto::DataPacket, reliable: bool) {
        self.command(Command::Packet { packet: Box::new(packet), reliable });
    }

    pub fn set_attributes(&self, attributes: HashMap<String, String>) {
        self.command(Command::Attributes(attributes));
    }

    pub fn set_subscribed(&self, track_sid: &str, subscribe: bool) {
        self.command(Command::Subscribe { track_sid: track_sid.to_owned(), subscribe });
    }

    /// Leaves; [`RoomEvent::Disconnected`] follows.
    pub fn leave(&self, reason: DisconnectReason) {
        self.command(Command::Leave(reason));
    }

    /// After the end nobody listens, and the owner has been told.
    fn command(&self, command: Command) {
        let _ = self.commands.send(command);
    }
}

/// The address this machine has towards the host of `url`, without sending anything.
pub async fn local_ip_towards(url: &str) -> std::io::Result<IpAddr> {
    let host = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = host.split(['/', '?']).next().unwrap_or(host);
    let mut addresses = tokio::net::lookup_host(host).await?;
    let target = addresses.next().ok_or(std::io::ErrorKind::AddrNotAvailable)?;
    let any: SocketAddr = match target {
        SocketAddr::V4(_) => ([0; 4], 0).into(),
        SocketAddr::V6(_) => ([0; 16], 0).into(),
    };
    let probe = UdpSocket::bind(any).await?;
    probe.connect(target).await?;
    Ok(probe.local_addr()?.ip())
}

async fn run(
    mut session: RoomSession,
    socket: UdpSocket,
    mut commands: mpsc::UnboundedReceiver<Command>,
    events: mpsc::Sender<RoomEvent>,
) {
    let (report, mut reported) = mpsc::unbounded_channel();
    let mut outside = Outside { socket, signal: None, report, events };
    let mut buffer = [0; 2048];
    loop {
        let deadline = outside.drain(&mut session).await;
        if session.has_ended() {
            return;
        }
        tokio::select! {
            received = outside.socket.recv_from(&mut buffer) => {
                let Ok((length, from)) = received else { continue };
                session.handle_datagram(from, &buffer[..length], Instant::now());
                outside.burst(&mut session, &mut buffer).await;
            }
            Some(event) = reported.recv() => session.handle_signal_event(event, Instant::now()),
            command = commands.recv() => {
                let command = command.unwrap_or(Command::Leave(DisconnectReason::ClientInitiated));
                apply(&mut session, command, Instant::now());
            }
            () = tokio::time::sleep_until(deadline.into()) => session.handle_timeout(Instant::now()),
        }
    }
}

/// Everything a session's outputs go to.
struct Outside {
    socket: UdpSocket,
    signal: Option<SignalSocket>,
    report: mpsc::UnboundedSender<SignalEvent>,
    events: mpsc::Sender<RoomEvent>,
}

impl Outside {
    /// Does all a session wants done; returns when it wants to be woken.
    async fn drain(&mut self, session: &mut RoomSession) -> Instant {
        loop {
            match session.poll_output() {
                Output::Timeout(at) => return at,
                Output::Datagram { to, data } => {
                    if let Err(error) = self.socket.send_to(&data, to).await {
                        tracing::debug!(%error, "a datagram was not sent");
                    }
                }
                Output::Event(event) => self.event(event).await,
                Output::CloseSignal => self.signal = None,
                Output::Signal(frame) => {
                    if let Some(signal) = &self.signal {
                        signal.send(frame);
                    }
                }
                Output::Connect(connect) => {
                    let report = self.report.clone();
                    let report = move |event| drop(report.send(event));
                    self.signal = Some(SignalSocket::open(&Handle::current(), connect, report));
                }
            }
        }
    }

    /// Audio comes too late when the owner does not keep up; everything else waits.
    async fn event(&self, event: RoomEvent) {
        if matches!(event, RoomEvent::Audio(_)) {
            let _ = self.events.try_send(event);
        } else {
            let _ = self.events.send(event).await;
        }
    }

    async fn burst(&mut self, session: &mut RoomSession, buffer: &mut [u8]) {
        for _ in 0..BURST {
            let Ok((length, from)) = self.socket.try_recv_from(buffer) else { return };
            session.handle_datagram(from, &buffer[..length], Instant::now());
            self.drain(session).await;
        }
    }
}

fn apply(session: &mut RoomSession, command: Command, now: Instant) {
    let done = match command {
        Command::Audio(frame) => session.send_audio(frame.borrow(), now),
        Command::Dtmf { code, digit } => session.send_dtmf(code, &digit, now),
        Command::Packet { packet, reliable } => session.send_packet(*packet, reliable, now),
        Command::Data { topic, payload, reliable, to } => session.send_data(&topic, &payload, reliable, &to, now),
        Command::Attributes(attributes) => {
            session.set_attributes(attributes);
            Ok(())
        }
        Command::Subscribe { track_sid, subscribe } => {
            session.set_subscribed(&track_sid, subscribe);
            Ok(())
        }
        Command::Leave(reason) => {
            session.leave(reason);
            Ok(())
        }
    };
    if let Err(error) = done {
        tracing::debug!(%error, "a command to a room was not carried out");
    }
}

impl OwnedFrame {
    fn borrow(&self) -> AudioFrame<'_> {
        AudioFrame {
            codec: self.codec,
            payload: &self.payload,
            rtp_time: self.rtp_time,
            marker: self.marker,
            level: self.level,
        }
    }
}
