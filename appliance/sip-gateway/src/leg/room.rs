//! How does a leg get into its room?
//!
//! The audio thread owns the `RoomSession`; the WebSocket it asks for lives in a task here, because
//! reading one is not a thing to do 100 times a second.

use crate::{gateway::Gateway, media_thread::LegHandle, participant::Participant};
use livekit::{
    Connect, JoinOptions, PublishTrack, RoomCodec,
    api::{SipJoin, TokenError},
    signal_socket::SignalSocket,
};
use std::net::UdpSocket;

/// The signalling side of a leg's room.
#[derive(Default)]
pub struct RoomLink {
    socket: Option<SignalSocket>,
    /// Empty until the room is joined.
    pub participant_sid: String,
}

impl RoomLink {
    /// Opens the WebSocket that the session wants; an older one is closed.
    pub fn connect(&mut self, connect: Connect, media: &LegHandle) {
        let media = media.clone();
        self.socket =
            Some(SignalSocket::open(&tokio::runtime::Handle::current(), connect, move |event| media.signal(event)));
    }

    pub fn send(&self, frame: Vec<u8>) {
        if let Some(socket) = &self.socket {
            socket.send(frame);
        }
    }

    pub fn close(&mut self) {
        self.socket = None; // what is queued still goes out
    }
}

/// Where a leg belongs, and as whom; nowhere yet at the door.
#[derive(Default)]
pub struct Seat {
    pub participant: Participant,
    pub room: String,
    /// Any address of livekit-server but the configured one.
    pub ws_url: Option<String>,
}

/// For the first join; `codecs` are what the phone speaks, best first.
pub fn join_options(
    gateway: &Gateway,
    seat: &Seat,
    codecs: Vec<livekit::AudioCodec>,
) -> Result<JoinOptions, TokenError> {
    let given = &seat.participant.token;
    let token = if given.is_empty() { sip_token(gateway, seat)? } else { given.clone() };
    Ok(options(gateway, seat, codecs, token))
}

/// For another join with the attributes as they are now. The token is ours, because one of livekit-server's may be too
/// old by then.
pub fn rejoin_options(
    gateway: &Gateway,
    seat: &Seat,
    codecs: Vec<livekit::AudioCodec>,
) -> Result<JoinOptions, TokenError> {
    Ok(options(gateway, seat, codecs, sip_token(gateway, seat)?))
}

fn options(gateway: &Gateway, seat: &Seat, codecs: Vec<livekit::AudioCodec>, token: String) -> JoinOptions {
    let Seat { participant, ws_url, .. } = seat;
    JoinOptions {
        url: ws_url.clone().unwrap_or_else(|| gateway.config.livekit.ws_url.clone()),
        token,
        attributes: participant.attributes.clone(),
        publish: Some(PublishTrack { name: participant.identity.clone(), codec_preference: codecs }),
        room_codec: match gateway.config.room_codec {
            crate::config::RoomCodec::Auto => RoomCodec::Auto,
            crate::config::RoomCodec::Opus => RoomCodec::Opus,
        },
        subscribe_audio: true,
        client_name: format!("sip-gateway {}", env!("CARGO_PKG_VERSION")),
    }
}

fn sip_token(gateway: &Gateway, seat: &Seat) -> Result<String, TokenError> {
    let participant = &seat.participant;
    gateway.tokens.sip_participant(&SipJoin {
        room: seat.room.clone(),
        identity: participant.identity.clone(),
        name: participant.name.clone(),
        metadata: participant.metadata.clone(),
        attributes: participant.attributes.clone(),
        room_preset: participant.room_preset.clone(),
        room_config: participant.room_config.clone(),
    })
}

/// Every leg needs a UDP port of its own towards LiveKit, whose single port tells legs apart by address.
pub async fn room_socket(gateway: &Gateway) -> std::io::Result<UdpSocket> {
    let ip = livekit::room_client::local_ip_towards(&gateway.config.livekit.ws_url).await?;
    UdpSocket::bind((ip, 0))
}
