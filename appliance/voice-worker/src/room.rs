//! What does a conversation need of a room?
//!
//! [`Room`] is that little; [`LiveKitRoom`] is it for real. Tests put a caller behind it.

use async_trait::async_trait;
use livekit::agent::JobAssignment;
use livekit::room_client::{OwnedFrame, RoomClient, RoomClientError, local_ip_towards};
use livekit::{AudioCodec, Certificate, Disconnect, DisconnectReason, JoinOptions, PublishTrack, RoomCodec, RoomEvent};
use media::codec::FRAME_TIME;
use std::collections::HashMap;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::time::{Interval, MissedTickBehavior, interval, timeout};

/// A room that was joined, or is about to be.
#[async_trait]
pub trait Room: Send {
    /// The next thing that happens. Cancel safe.
    async fn next(&mut self) -> Moment;

    /// What time it is in the room.
    fn now(&self) -> Instant;

    /// Sends 20 ms in the codec that was published.
    fn send(&mut self, frame: Outgoing<'_>);

    /// Leaves, and waits until that is said.
    async fn leave(&mut self);
}

/// What a room has for a conversation.
#[derive(Clone, Debug)]
pub enum Moment {
    /// Another 20 ms are over: a frame is due.
    Frame,
    /// After [`RoomEvent::Disconnected`] no other comes.
    Event(RoomEvent),
}

/// A coded frame.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a> {
    pub codec: AudioCodec,
    pub payload: &'a [u8],
    pub rtp_time: u32,
    pub marker: bool,
}

/// A room of livekit-server.
pub struct LiveKitRoom {
    client: RoomClient,
    events: mpsc::Receiver<RoomEvent>,
    frames: Interval,
}

impl LiveKitRoom {
    /// Starts to join as the job says, with a track of our own and ears for everybody's.
    pub async fn join(
        assignment: &JobAssignment,
        room_codec: RoomCodec,
        certificate: &Certificate,
    ) -> Result<Self, JoinError> {
        let local_ip = local_ip_towards(&assignment.url)
            .await
            .map_err(|source| JoinError::Address { url: assignment.url.clone(), source })?;
        let options = JoinOptions {
            url: assignment.url.clone(),
            token: assignment.token.clone(),
            attributes: HashMap::new(),
            publish: Some(PublishTrack { name: "voice".to_owned(), codec_preference: vec![AudioCodec::Pcmu] }),
            room_codec,
            subscribe_audio: true,
            client_name: concat!("voice-worker ", env!("CARGO_PKG_VERSION")).to_owned(),
        };
        let (client, events) = RoomClient::join(options, local_ip, certificate).await?;
        let mut frames = interval(FRAME_TIME);
        // Frames that are late all go out, so that the clip keeps its length.
        frames.set_missed_tick_behavior(MissedTickBehavior::Burst);
        Ok(Self { client, events, frames })
    }
}

/// Why joining could not even start.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    #[error("no way to livekit-server at `{url}`")]
    Address { url: String, source: std::io::Error },
    #[error(transparent)]
    Client(#[from] RoomClientError),
}

#[async_trait]
impl Room for LiveKitRoom {
    async fn next(&mut self) -> Moment {
        tokio::select! {
            _ = self.frames.tick() => Moment::Frame,
            event = self.events.recv() => Moment::Event(event.unwrap_or(GONE)),
        }
    }

    fn now(&self) -> Instant {
        Instant::now()
    }

    fn send(&mut self, frame: Outgoing<'_>) {
        self.client.send_audio(OwnedFrame {
            codec: frame.codec,
            payload: frame.payload.to_vec(),
            rtp_time: frame.rtp_time,
            marker: frame.marker,
            level: None,
        });
    }

    async fn leave(&mut self) {
        self.client.leave(DisconnectReason::ClientInitiated);
        let gone = async { while self.events.recv().await.is_some() {} };
        if timeout(LEAVING, gone).await.is_err() {
            tracing::debug!("leaving a room took too long");
        }
    }
}

/// What is said of a room whose events have ended.
const GONE: RoomEvent = RoomEvent::Disconnected { reason: Disconnect::Left, can_rejoin: false };
const LEAVING: Duration = Duration::from_secs(1);
