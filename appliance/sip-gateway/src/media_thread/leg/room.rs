//! How is a leg in its room, and how does it get there, again or elsewhere?

use super::super::{AddError, Again, LegMediaEvent};
use super::{Leg, sender};
use livekit::{
    AudioCodec, AudioFrame, AudioPacket, Disconnect, DisconnectReason, JoinOptions, Output, RoomError, RoomEvent,
    RoomSession,
};
use media::codec::{Codec, G711};
use media::phone::{PhoneAudio, RoomFrame, ToRoom};
use media::playout::RoomPacket;
use std::net::SocketAddr;
use std::time::Instant;

impl Leg {
    pub(super) fn join(&mut self, options: JoinOptions, now: Instant) -> Result<(), AddError> {
        let local = self.room_socket.local_addr()?;
        self.session = Some(self.new_session(options, local, now)?);
        Ok(())
    }

    /// In a room where nobody knows the phone yet. What still comes by the WebSocket of the room before is not its own.
    fn new_session(&mut self, options: JoinOptions, local: SocketAddr, now: Instant) -> Result<RoomSession, AddError> {
        let codec = room_codec(options.published_codec().unwrap_or(AudioCodec::Opus));
        let session = match &self.session {
            Some(before) => before.after(options, local, &self.certificate, now)?,
            None => RoomSession::new(options, local, &self.certificate, now)?,
        };
        self.to_room.set_codec(codec)?;
        Ok(session)
    }

    /// Another session takes the place of the one that ended; the phone notices nothing.
    pub(super) fn rejoin(&mut self, again: Again, now: Instant) {
        match self.session_after(&again, now) {
            Ok(session) => (self.session, self.room_socket) = (session, again.room_socket),
            Err(error) => {
                let reason = Disconnect::Media(error.to_string());
                self.report(LegMediaEvent::Room(RoomEvent::Disconnected { reason, can_rejoin: true }));
            }
        }
    }

    /// None where there was none.
    fn session_after(&self, again: &Again, now: Instant) -> Result<Option<RoomSession>, AddError> {
        let local = again.local()?;
        let after = |ended: &RoomSession| ended.after(again.options.clone(), local, &self.certificate, now);
        Ok(self.session.as_ref().map(after).transpose()?)
    }

    /// Another room takes the place of this one, which hears our last words; the phone notices nothing. After an error
    /// the leg is where it was.
    pub(super) fn move_to(&mut self, again: Again, now: Instant) -> Result<(), AddError> {
        let local = again.local()?;
        let session = self.new_session(again.options, local, now)?;
        self.say_goodbye();
        self.to_phone.forget_tracks();
        (self.session, self.room_socket) = (Some(session), again.room_socket);
        Ok(())
    }

    /// To the room that is left. What it still had to tell concerns nobody.
    fn say_goodbye(&mut self) {
        let Some(mut session) = self.session.take() else { return };
        session.leave(DisconnectReason::ClientInitiated);
        loop {
            match session.poll_output() {
                Output::Timeout(_) => return,
                Output::Datagram { to, data } => _ = self.room_socket.send_to(&data, to),
                Output::Signal(frame) => self.report(LegMediaEvent::Signal(frame)),
                Output::Connect(_) | Output::CloseSignal | Output::Event(_) => {}
            }
        }
    }

    /// Nothing happens while there is no room.
    pub(super) fn in_room(&mut self, act: impl FnOnce(&mut RoomSession)) {
        if let Some(session) = &mut self.session {
            act(session);
        }
    }

    /// A frame of what the room hears before the phone is answered.
    pub(super) fn play_to_room(&mut self, now: Instant) {
        let (Some(tone), Some(session)) = (&mut self.tone, &mut self.session) else { return };
        let Some(audio) = tone.next(now) else { return };
        publish(&mut self.to_room, session, &audio, now);
        self.flush(now);
    }

    /// What waited for a packet of the phone's that did not come.
    pub(super) fn go_on_in_order(&mut self, now: Instant) {
        if let Some(session) = &mut self.session {
            self.in_order.tick(now, &mut |audio| publish(&mut self.to_room, session, audio, now));
            self.flush(now);
        }
    }

    pub(super) fn room_audio(&mut self, packet: AudioPacket, now: Instant) {
        let Some(to) = self.from_phone.destination() else { return };
        let codec = room_codec(packet.codec);
        let room = RoomPacket { codec, sequence: packet.seq, timestamp: packet.rtp_time, payload: packet.payload };
        let mut send = sender(&self.rtp, to, &mut self.cover, &mut self.packets);
        self.to_phone.room_packet(&packet.track_sid, room, now, &mut send);
    }

    pub(super) fn room_event(&mut self, event: RoomEvent, now: Instant) {
        match &event {
            RoomEvent::TrackUnsubscribed { track_sid, .. } => self.to_phone.forget_track(track_sid),
            RoomEvent::TrackPublished { codec, .. } => {
                if let Err(error) = self.to_room.set_codec(room_codec(*codec)) {
                    tracing::error!(%error, "the room's codec is not available");
                }
            }
            RoomEvent::Dtmf { digit, .. } => self.to_phone.press(digit, now),
            RoomEvent::Resuming | RoomEvent::MediaLost => self.to_phone.room_is_lost(),
            RoomEvent::Disconnected { .. } => {
                self.to_phone.forget_tracks();
                self.to_phone.room_is_lost();
            }
            RoomEvent::MediaConnected => self.to_phone.room_is_back(),
            RoomEvent::Resumed if self.session.as_ref().is_some_and(RoomSession::is_media_connected) => {
                self.to_phone.room_is_back()
            }
            _ => {}
        }
        self.report(LegMediaEvent::Room(event));
    }
}

/// Publishes the phone's frame. What the room does not take is sent as Opus from then on.
pub(super) fn publish(to_room: &mut ToRoom, session: &mut RoomSession, audio: &PhoneAudio<'_>, now: Instant) {
    let mut refused = false;
    to_room.frame(audio, &mut |frame: RoomFrame<'_>| {
        let frame = AudioFrame {
            codec: audio_codec(frame.codec),
            payload: frame.payload,
            rtp_time: frame.timestamp,
            marker: frame.marker,
            level: Some(frame.level),
        };
        refused |= matches!(session.send_audio(frame, now), Err(RoomError::CodecNotNegotiated(_)));
    });
    if refused && to_room.codec() != Codec::Opus {
        tracing::info!(codec = ?to_room.codec(), "the room does not take this codec; Opus is sent instead");
        if let Err(error) = to_room.set_codec(Codec::Opus) {
            tracing::error!(%error, "Opus is not available");
        }
    }
}

fn room_codec(codec: AudioCodec) -> Codec {
    match codec {
        AudioCodec::Opus => Codec::Opus,
        AudioCodec::Pcmu => Codec::G711(G711::Pcmu),
        AudioCodec::Pcma => Codec::G711(G711::Pcma),
    }
}

fn audio_codec(codec: Codec) -> AudioCodec {
    match codec {
        Codec::Opus => AudioCodec::Opus,
        Codec::G711(G711::Pcmu) => AudioCodec::Pcmu,
        Codec::G711(G711::Pcma) => AudioCodec::Pcma,
    }
}
