//! Who moves the audio?
//!
//! [`MediaPool`] has a few OS threads; each owns its legs' sockets and room sessions and shares
//! nothing with the others. Every 5 ms a thread takes what arrived, sends what is due and sleeps
//! ([`worker`]). A thread without legs sleeps until it gets one.
//!
//! The rest of the gateway talks to a leg through its [`LegHandle`] and hears of it through
//! [`LegMediaEvent`]s. What a packet means is decided in the crate `media` and in `RoomSession`;
//! [`leg`] only joins the two.

mod heads;
mod leg;
mod packets;
mod room_tone;
mod rtcp;
mod stats;
#[cfg(test)]
mod tests;
mod worker;

use crate::gateway::Gateway;
pub use heads::Head;
use leg::Leg;
use livekit::protocol::DataPacket;
use livekit::{Certificate, Connect, DisconnectReason, JoinOptions, RoomError, RoomEvent, SignalEvent};
use media::dtls::Identity;
use media::phone::{MediaTimeouts, SourcePolicy};
use media::sdp::Negotiated;
use media::sound::Sound;
pub use packets::PacketCount;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;
use tokio::sync::{mpsc::UnboundedSender, oneshot};
use types::control::LegStats;
use worker::{Order, Worker};

/// A leg's sockets towards the phone.
pub struct PhoneSockets {
    /// Bound to the port that the session description names.
    pub rtp: UdpSocket,
    /// Bound to the port above it.
    pub rtcp: UdpSocket,
}

/// What a leg brings with it.
pub struct NewLeg {
    pub phone: PhoneSockets,
    /// Bound to an address that livekit-server can reach.
    pub room_socket: UdpSocket,
    /// Left out, the leg waits for [`LegHandle::join`].
    pub options: Option<JoinOptions>,
    pub certificate: Certificate,
    /// Towards the phone.
    pub identity: Identity,
    pub timeouts: MediaTimeouts,
    pub source: SourcePolicy,
    pub events: UnboundedSender<LegMediaEvent>,
}

impl NewLeg {
    /// A leg with this gateway's certificate and time-outs, whose SIP comes from `peer`; `timeout` is another one for a
    /// phone that has spoken.
    pub fn new(
        gateway: &Gateway,
        peer: IpAddr,
        phone: PhoneSockets,
        room_socket: UdpSocket,
        options: Option<JoinOptions>,
        timeout: Option<Duration>,
        events: UnboundedSender<LegMediaEvent>,
    ) -> NewLeg {
        let seconds = |s: u32| Duration::from_secs(s.into());
        let timeouts = MediaTimeouts {
            first: seconds(gateway.config.rtp.media_timeout_initial_s),
            later: timeout.unwrap_or(seconds(gateway.config.rtp.media_timeout_s)),
        };
        let (certificate, identity) = (gateway.certificate.clone(), gateway.identity.clone());
        let source = SourcePolicy::Peer(peer);
        NewLeg { phone, room_socket, options, certificate, identity, timeouts, source, events }
    }
}

/// What a leg's audio thread has to say.
#[derive(Debug)]
pub enum LegMediaEvent {
    /// Open a WebSocket; an older one is to be closed.
    Connect(Connect),
    /// Send this over the WebSocket.
    Signal(Vec<u8>),
    CloseSignal,
    /// Anything of the room but its audio.
    Room(RoomEvent),
    /// The phone's first packet.
    FirstRtp,
    /// The phone pressed a key; the room, if there is one, has been told.
    PhoneDigit(char),
    /// All keys that [`LegHandle::send_digits`] wanted are pressed.
    DigitsPressed,
    /// The phone has been silent on the wire for too long. Said once, until audio is negotiated anew.
    MediaTimeout,
    Stats(LegStats),
    /// Since the last time.
    Packets(Vec<PacketCount>),
    /// With which packets streams began.
    Heads(Vec<Head>),
    /// The sockets are closed; nothing comes after this.
    Closed,
}

/// Why a leg never got onto its thread.
#[derive(Debug, thiserror::Error)]
pub enum AddError {
    #[error("a media socket could not be used")]
    Socket(#[from] std::io::Error),
    #[error("the room session could not be made")]
    Room(#[from] RoomError),
    #[error("the room's codec is not available")]
    Codec(#[from] media::codec::CodecError),
    #[error("the leg has ended")]
    Gone,
}

/// The media threads of this process.
pub struct MediaPool {
    threads: Vec<Thread>,
    next_id: AtomicU64,
}

struct Thread {
    orders: Sender<Order>,
    legs: Arc<AtomicUsize>,
}

impl MediaPool {
    /// Starts so many threads. They end when the pool and all handles are gone.
    pub fn start(threads: usize) -> MediaPool {
        let threads = (0..threads.max(1)).map(Thread::start).collect();
        MediaPool { threads, next_id: AtomicU64::new(1) }
    }

    /// Gives a leg to the thread with the fewest. If that fails, the leg's events are
    /// `Room(Disconnected)` and `Closed`.
    pub fn add(&self, new: NewLeg) -> LegHandle {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let thread = self.threads.iter().min_by_key(|thread| thread.legs.load(Ordering::Relaxed));
        let events = new.events.clone();
        match (thread, Leg::new(new)) {
            (Some(thread), Ok(leg)) => {
                thread.legs.fetch_add(1, Ordering::Relaxed);
                let _ = thread.orders.send(Order::Add(id, Box::new(leg)));
                LegHandle::new(id, thread.orders.clone())
            }
            (_, leg) => {
                report_failure(
                    leg.err().map_or("there is no media thread".to_owned(), |error| error.to_string()),
                    &events,
                );
                LegHandle::new(id, channel().0)
            }
        }
    }
}

fn report_failure(why: String, events: &UnboundedSender<LegMediaEvent>) {
    tracing::error!(why, "a leg has no audio");
    let reason = livekit::Disconnect::Media(why);
    let _ = events.send(LegMediaEvent::Room(RoomEvent::Disconnected { reason, can_rejoin: false }));
    let _ = events.send(LegMediaEvent::Closed);
}

impl Thread {
    fn start(number: usize) -> Thread {
        let (orders, received) = channel();
        let legs = Arc::new(AtomicUsize::new(0));
        let count = legs.clone();
        let run = move || match Worker::new(received, count) {
            Ok(worker) => worker.run(),
            Err(error) => tracing::error!(%error, "a media thread has no epoll"),
        };
        if let Err(error) = std::thread::Builder::new().name(format!("media-{number}")).spawn(run) {
            tracing::error!(%error, "a media thread did not start");
        }
        Thread { orders, legs }
    }
}

/// The way to a leg on its thread. When the last clone is dropped, the leg leaves.
#[derive(Clone)]
pub struct LegHandle(Arc<Way>);

struct Way {
    id: u64,
    orders: Sender<Order>,
}

/// A room to be joined once more, from another socket.
pub(crate) struct Again {
    pub options: JoinOptions,
    pub room_socket: UdpSocket,
}

impl Again {
    /// The socket's address; from now on nobody waits for it.
    fn local(&self) -> std::io::Result<SocketAddr> {
        self.room_socket.set_nonblocking(true)?;
        self.room_socket.local_addr()
    }
}

/// What a leg is told to do.
pub(crate) enum LegOrder {
    Join(Box<JoinOptions>),
    Signal(SignalEvent),
    Negotiated(Box<Negotiated>),
    Press(String),
    Play(Option<Sound>),
    Tone(Sound),
    /// The phone told a key by SIP INFO.
    Told(char),
    Attributes(HashMap<String, String>),
    Packet(Box<DataPacket>),
    Rejoin(Box<Again>),
    Move(Box<Again>, oneshot::Sender<Result<(), AddError>>),
    Leave(DisconnectReason),
}

impl LegHandle {
    fn new(id: u64, orders: Sender<Order>) -> LegHandle {
        LegHandle(Arc::new(Way { id, orders }))
    }

    /// Joins a room, once. If that fails, `Room(Disconnected)` follows.
    pub fn join(&self, options: JoinOptions) {
        self.0.order(LegOrder::Join(Box::new(options)));
    }

    /// Something happened on the WebSocket.
    pub fn signal(&self, event: SignalEvent) {
        self.0.order(LegOrder::Signal(event));
    }

    /// Starts the phone's audio, or changes it (address, codec, hold).
    pub fn negotiated(&self, agreed: Negotiated) {
        self.0.order(LegOrder::Negotiated(Box::new(agreed)));
    }

    /// Presses keys for the phone.
    pub fn send_digits(&self, digits: String) {
        self.0.order(LegOrder::Press(digits));
    }

    /// Plays a sound to the phone instead of the room; without one the room is heard again.
    pub fn play(&self, sound: Option<Sound>) {
        self.0.order(LegOrder::Play(sound));
    }

    /// Plays a sound to the room until the phone's audio starts.
    pub fn play_to_room(&self, sound: Sound) {
        self.0.order(LegOrder::Tone(sound));
    }

    /// Sends a data packet to the room, reliably.
    pub fn send_packet(&self, packet: DataPacket) {
        self.0.order(LegOrder::Packet(Box::new(packet)));
    }

    /// A key that the phone told by SIP INFO.
    pub fn told_digit(&self, digit: char) {
        self.0.order(LegOrder::Told(digit));
    }

    /// Sets participant attributes.
    pub fn set_attributes(&self, attributes: HashMap<String, String>) {
        self.0.order(LegOrder::Attributes(attributes));
    }

    /// Joins the room once more, after its session has ended.
    pub fn rejoin(&self, options: JoinOptions, room_socket: UdpSocket) {
        self.0.order(LegOrder::Rejoin(Box::new(Again { options, room_socket })));
    }

    /// Leaves the room for another one; what happens in the one before does not matter from then on.
    pub async fn move_to(&self, options: JoinOptions, room_socket: UdpSocket) -> Result<(), AddError> {
        let (moved, outcome) = oneshot::channel();
        self.0.order(LegOrder::Move(Box::new(Again { options, room_socket }), moved));
        outcome.await.unwrap_or(Err(AddError::Gone))
    }

    /// Leaves the room and closes the sockets; `Stats` and `Closed` follow. The reason is what the room is told.
    pub fn leave(&self, reason: DisconnectReason) {
        self.0.order(LegOrder::Leave(reason));
    }
}

impl Way {
    /// A thread that is gone has no legs, so nobody is left to hear it.
    fn order(&self, order: LegOrder) {
        let _ = self.orders.send(Order::Leg(self.id, order));
    }
}

impl Drop for Way {
    fn drop(&mut self) {
        self.order(LegOrder::Leave(DisconnectReason::ClientInitiated));
    }
}
