//! What does a room session tell its owner?
//!
//! [`Output`] is everything that leaves a session, [`RoomEvent`] the part that means something to
//! a call. The types that go in are in `options`.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use livekit_protocol as proto;

use super::AudioCodec;

/// One thing to do for a session. Drained until [`Output::Timeout`].
#[derive(Debug)]
pub enum Output {
    /// Open a WebSocket to `url` with `Authorization: Bearer <token>`; close an older one.
    Connect(Connect),
    /// Send this binary frame over the WebSocket opened last.
    Signal(Vec<u8>),
    /// Close the WebSocket after what was sent before.
    CloseSignal,
    /// Send this datagram from the session's local address.
    Datagram {
        to: SocketAddr,
        data: DatagramBytes,
    },
    Event(RoomEvent),
    /// Nothing more now: call `handle_timeout` at this time, or feed in what arrives.
    Timeout(Instant),
}

/// A UDP payload. Derefs to `[u8]`.
pub type DatagramBytes = str0m::net::DatagramSend;

/// One attempt to reach livekit-server's signalling.
#[derive(Clone, PartialEq)]
pub struct Connect {
    /// Counts up; frames of an older attempt are ignored by `handle_signal_event`.
    pub attempt: u32,
    pub url: String,
    pub token: String,
}

impl std::fmt::Debug for Connect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connect").field("attempt", &self.attempt).finish_non_exhaustive()
    }
}

/// What happened on the WebSocket of one [`Connect`].
#[derive(Clone, Debug, PartialEq)]
pub struct SignalEvent {
    pub attempt: u32,
    pub what: SignalInput,
}

#[derive(Clone, Debug, PartialEq)]
pub enum SignalInput {
    Opened,
    Frame(bytes::Bytes),
    Closed(SignalClosed),
}

/// Why a WebSocket is gone or was never there.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SignalClosed {
    /// The HTTP status when the server refused the upgrade.
    pub http_status: Option<u16>,
    pub message: String,
}

/// Something that happened in the room or on the way to it.
#[derive(Clone, Debug, PartialEq)]
pub enum RoomEvent {
    Joined(Joined),
    /// Audio can flow: ICE and DTLS are up.
    MediaConnected,
    /// ICE lost the server. It may come back; the session works on it.
    MediaLost,
    /// Our own track is known to the room.
    TrackPublished {
        track_sid: String,
        codec: AudioCodec,
    },
    /// Somebody hears our track for the first time.
    TrackHeard {
        track_sid: String,
    },
    /// Our own attributes are these now; others may change them.
    OwnAttributes(HashMap<String, String>),
    ParticipantJoined(Participant),
    ParticipantUpdated(Participant),
    ParticipantLeft(Participant),
    /// Audio of this track can come now.
    TrackSubscribed {
        track_sid: String,
        participant_identity: String,
    },
    TrackUnsubscribed {
        track_sid: String,
        participant_identity: String,
    },
    SubscriptionFailed {
        track_sid: String,
        reason: SubscriptionFailure,
    },
    Audio(AudioPacket),
    /// A key pressed by `from`.
    Dtmf {
        code: u32,
        digit: String,
        from: String,
    },
    Data {
        topic: String,
        payload: Vec<u8>,
        from: String,
    },
    /// Any other data packet: RPC, text streams, transcriptions.
    Packet(Box<proto::DataPacket>),
    /// The server wants our track silent (or lets it speak again).
    TrackMuted {
        track_sid: String,
        muted: bool,
    },
    /// The server took our track out of the room.
    TrackWithdrawn {
        track_sid: String,
    },
    /// Signalling is lost and being resumed; audio goes on meanwhile.
    Resuming,
    Resumed,
    /// The end: nothing comes after this.
    Disconnected {
        reason: Disconnect,
        can_rejoin: bool,
    },
}

#[derive(Clone, Debug, PartialEq)]
pub struct Joined {
    pub participant_sid: String,
    pub identity: String,
    pub room_name: String,
    pub room_sid: String,
    pub others: Vec<Participant>,
}

/// Somebody in the room.
#[derive(Clone, Debug, PartialEq)]
pub struct Participant {
    pub sid: String,
    pub identity: String,
    pub name: String,
    pub kind: ParticipantKind,
    pub attributes: HashMap<String, String>,
    pub metadata: String,
    pub tracks: Vec<Track>,
    /// For [`RoomEvent::ParticipantLeft`]: why.
    pub left_because: DisconnectReason,
}

/// A track somebody publishes.
#[derive(Clone, Debug, PartialEq)]
pub struct Track {
    pub sid: String,
    pub name: String,
    pub audio: bool,
    pub muted: bool,
    pub mime_type: String,
}

pub use proto::DisconnectReason;
pub use proto::participant_info::Kind as ParticipantKind;

/// A frame to publish.
#[derive(Clone, Copy, Debug)]
pub struct AudioFrame<'a> {
    pub codec: AudioCodec,
    pub payload: &'a [u8],
    /// In ticks of [`AudioCodec::clock_rate`].
    pub rtp_time: u32,
    /// First frame after a pause.
    pub marker: bool,
    /// Loudness below the maximum, 0 (loudest) to 127 (silence): who speaks is told by it.
    pub level: Option<u8>,
}

/// One RTP packet of a subscribed track, in the order of arrival.
///
/// A new track that is still silent brings up to five seconds of silence made by the server.
#[derive(Clone, Debug, PartialEq)]
pub struct AudioPacket {
    pub track_sid: Arc<str>,
    pub codec: AudioCodec,
    pub payload: Arc<[u8]>,
    /// Extended sequence number: it never wraps.
    pub seq: u64,
    pub rtp_time: u32,
    pub marker: bool,
    pub received_at: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubscriptionFailure {
    /// No codec that both sides know.
    Codec,
    NotFound,
    Unknown,
}

/// Why a session ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Disconnect {
    #[error("we left")]
    Left,
    #[error("livekit-server refused the join: HTTP {status}: {message}")]
    Refused { status: u16, message: String },
    #[error("livekit-server could not be reached: {0}")]
    Unreachable(String),
    #[error("livekit-server ended it: {}", .0.as_str_name())]
    Server(DisconnectReason),
    #[error("the room moved on while signalling was lost")]
    ResumeFailed,
    #[error("audio could not be carried: {0}")]
    Media(String),
}

/// Why a command or an input could not be handled.
#[derive(Debug, thiserror::Error)]
pub enum RoomError {
    #[error("could not make a DTLS certificate")]
    Certificate,
    #[error("`{0}` is not a local address for media")]
    LocalAddress(SocketAddr),
    #[error("`{0}` is not a WebSocket address")]
    Url(String),
    #[error("could not read a message of livekit-server")]
    Message(#[from] prost::DecodeError),
    #[error("the WebRTC connection refused it")]
    WebRtc(#[from] str0m::RtcError),
    #[error("the answer of livekit-server is not usable")]
    Answer(#[from] str0m::error::SdpError),
    #[error("`{0}` is not a usable ICE candidate")]
    Candidate(String),
    #[error("there was nothing to offer")]
    NothingToOffer,
    #[error("nothing is published")]
    NothingPublished,
    #[error("audio is not connected yet")]
    MediaNotConnected,
    #[error("livekit-server does not take {} from us", .0.mime_type())]
    CodecNotNegotiated(AudioCodec),
    #[error("the data channel is not open yet")]
    DataChannelClosed,
    #[error("the data channel is full")]
    DataChannelFull,
    #[error("the session has ended")]
    Ended,
}
