//! What does somebody who joins a room say about themselves?
//!
//! Plain data, made once per leg. What comes back is in `event`.

use std::collections::HashMap;
use std::sync::Arc;

use str0m::config::{CryptoProvider, DtlsCert};

use super::RoomError;

/// Who joins, where, and with which tracks.
#[derive(Clone, Debug)]
pub struct JoinOptions {
    /// `ws://host:port` of livekit-server, with or without a path prefix.
    pub url: String,
    /// Access token: room, identity, kind and grants are in there.
    pub token: String,
    /// Participant attributes set together with the join.
    pub attributes: HashMap<String, String>,
    /// The one audio track to publish, if any.
    pub publish: Option<PublishTrack>,
    pub room_codec: RoomCodec,
    /// Subscribe without being asked to every remote audio track, later ones too.
    pub subscribe_audio: bool,
    /// Named in livekit-server's log, for example `sip-gateway 0.1.0`.
    pub client_name: String,
}

/// The audio track a participant sends.
#[derive(Clone, Debug, PartialEq)]
pub struct PublishTrack {
    pub name: String,
    /// Best first. Opus is used when none of them is allowed.
    pub codec_preference: Vec<AudioCodec>,
}

/// An audio codec as it travels through a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AudioCodec {
    Opus,
    Pcmu,
    Pcma,
}

impl AudioCodec {
    /// Ticks per second of the RTP timestamp.
    pub const fn clock_rate(self) -> u32 {
        match self {
            AudioCodec::Opus => 48_000,
            AudioCodec::Pcmu | AudioCodec::Pcma => 8_000,
        }
    }

    /// The name livekit-server uses.
    pub const fn mime_type(self) -> &'static str {
        match self {
            AudioCodec::Opus => "audio/opus",
            AudioCodec::Pcmu => "audio/PCMU",
            AudioCodec::Pcma => "audio/PCMA",
        }
    }
}

/// May G.711 be published, or Opus alone?
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RoomCodec {
    /// The first codec the publisher prefers.
    #[default]
    Auto,
    /// Opus whatever is preferred, as LiveKit's own SIP service does.
    Opus,
}

impl JoinOptions {
    /// The codec that will be published, if anything is.
    pub fn published_codec(&self) -> Option<AudioCodec> {
        let track = self.publish.as_ref()?;
        let preferred = track.codec_preference.first().copied();
        Some(match self.room_codec {
            RoomCodec::Auto => preferred.unwrap_or(AudioCodec::Opus),
            RoomCodec::Opus => AudioCodec::Opus,
        })
    }
}

/// The DTLS certificate of this process. Making one costs milliseconds, a clone nothing.
#[derive(Clone)]
pub struct Certificate {
    pub(crate) provider: Arc<CryptoProvider>,
    pub(crate) dtls: DtlsCert,
}

impl Certificate {
    pub fn generate() -> Result<Self, RoomError> {
        let provider = Arc::new(str0m::crypto::from_feature_flags());
        let dtls = provider.dtls_provider.generate_certificate().ok_or(RoomError::Certificate)?;
        Ok(Self { provider, dtls })
    }
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Certificate")
    }
}
