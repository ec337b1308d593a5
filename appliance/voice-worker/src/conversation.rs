//! How does a script become sound in a room?
//!
//! [`Conversation`] sends a frame every 20 ms, tells the script what happens and does what it says,
//! until it leaves. It decides nothing itself.

use crate::hearing::{Packet, codec_of};
use crate::playback::Playback;
use crate::prompts::Prompts;
use crate::room::{Moment, Outgoing, Room};
use crate::script::{Input, Output, Script};
use crate::shelf::Message;
use crate::tape::{Tape, TapeError};
use livekit::{AudioCodec, AudioPacket, Disconnect, DisconnectReason, Participant, ParticipantKind, RoomEvent};
use media::codec::{CodecError, Encoder, FRAME, Frame, G711, OpusEncoder, Rate};
use std::collections::HashSet;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// One task in one room.
pub struct Conversation<'a> {
    room: &'a mut dyn Room,
    script: Box<dyn Script>,
    prompts: Prompts,
    /// Only a task that records has one.
    tape: Option<Tape>,
    caller: Caller,
    playback: Playback,
    voice: Voice,
    ending: Ending,
}

/// How it ended.
#[derive(Debug, Default)]
pub struct Ending {
    /// The script came to its end.
    pub completed: bool,
    pub message: Option<Message>,
    /// Nobody is left to talk to.
    pub caller_left: bool,
    /// The room was lost for a reason of its own.
    pub lost: Option<Disconnect>,
    pub stopped: bool,
}

/// Why it could not go on.
#[derive(Debug, thiserror::Error)]
pub enum ConversationError {
    #[error("could not join the room")]
    Join(#[source] Disconnect),
    #[error(transparent)]
    Tape(#[from] TapeError),
    #[error("could not speak")]
    Codec(#[from] CodecError),
}

/// What is known of the caller.
#[derive(Debug, Default)]
struct Caller {
    identity: String,
    /// The phone is connected, as far as the room says.
    active: bool,
    is_phone: bool,
    /// Somebody hears our track.
    hears: bool,
    present: bool,
    ready_told: bool,
    tracks: HashSet<Arc<str>>,
}

impl<'a> Conversation<'a> {
    pub fn new(room: &'a mut dyn Room, script: Box<dyn Script>, prompts: Prompts, caller_identity: &str) -> Self {
        let caller = Caller { identity: caller_identity.to_owned(), ..Caller::default() };
        let (playback, voice, ending) = (Playback::default(), Voice::default(), Ending::default());
        Self { room, script, prompts, tape: None, caller, playback, voice, ending }
    }

    /// For a script that records.
    pub fn with_tape(self, tape: Tape) -> Self {
        Self { tape: Some(tape), ..self }
    }

    /// Joins, does everything, and leaves. `joined` is called once we are in the room.
    pub async fn run(mut self, joined: impl Fn(), stop: CancellationToken) -> Result<Ending, ConversationError> {
        let result = self.converse(joined, stop).await;
        self.room.leave().await;
        result.map(|()| self.ending)
    }

    async fn converse(&mut self, joined: impl Fn(), stop: CancellationToken) -> Result<(), ConversationError> {
        let mut is_in = false;
        loop {
            tokio::select! {
                moment = self.room.next() => match moment {
                    Moment::Frame => self.tick()?,
                    Moment::Event(RoomEvent::Disconnected { reason, .. }) if !is_in => {
                        return Err(ConversationError::Join(reason));
                    }
                    Moment::Event(RoomEvent::Joined(room)) => {
                        is_in = true;
                        joined();
                        room.others.iter().for_each(|who| self.see(who));
                    }
                    Moment::Event(event) => self.handle(event),
                },
                () = stop.cancelled(), if !self.ending.stopped => {
                    self.ending.stopped = true;
                    self.tell(Input::Stopped);
                }
            }
            if self.act().await? {
                return Ok(());
            }
        }
    }

    /// Does what the script says; true when that is to leave.
    async fn act(&mut self) -> Result<bool, ConversationError> {
        while let Some(output) = self.script.poll_output() {
            match output {
                Output::Play(clip) => self.playback.start(self.prompts.clip(clip)),
                Output::StartRecording => {
                    if let Some(tape) = &mut self.tape {
                        tape.start(self.room.now())?;
                    }
                }
                Output::StopRecording { ended_by, keep } => {
                    if let Some(tape) = &mut self.tape {
                        self.ending.message = tape.stop(ended_by, keep).await?;
                    }
                }
                Output::Leave { completed } => {
                    self.ending.completed = completed;
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// 20 ms have passed.
    fn tick(&mut self) -> Result<(), ConversationError> {
        self.tell(Input::Tick);
        if !self.voice.connected {
            return Ok(());
        }
        let (frame, played) = self.playback.next_frame();
        self.voice.send(&frame, self.room)?;
        if played {
            self.tell(Input::Played);
        }
        Ok(())
    }

    fn handle(&mut self, event: RoomEvent) {
        match event {
            RoomEvent::MediaConnected => self.voice.connected = true,
            RoomEvent::TrackPublished { codec, .. } => self.voice.codec = codec,
            RoomEvent::TrackHeard { .. } => self.caller.hears = true,
            RoomEvent::ParticipantJoined(who) | RoomEvent::ParticipantUpdated(who) => self.see(&who),
            RoomEvent::ParticipantLeft(who) if who.identity == self.caller.identity => self.caller_left(),
            RoomEvent::TrackSubscribed { track_sid, participant_identity }
                if participant_identity == self.caller.identity =>
            {
                self.caller.tracks.insert(track_sid.into());
            }
            RoomEvent::Audio(packet) => self.hear(packet),
            RoomEvent::Dtmf { digit, from, .. } if from == self.caller.identity => {
                digit.chars().for_each(|key| self.tell(Input::Digit(key)));
            }
            RoomEvent::Disconnected { reason, .. } => self.disconnected(reason),
            _ => {}
        }
        if self.caller.becomes_ready(self.voice.connected) {
            self.tell(Input::CallerReady);
        }
    }

    /// Somebody is in the room, or changed.
    fn see(&mut self, who: &Participant) {
        if who.identity != self.caller.identity {
            return;
        }
        self.caller.is_phone = who.kind == ParticipantKind::Sip;
        self.caller.active = who.attributes.get(CALL_STATUS).is_some_and(|status| status == "active");
        if !std::mem::replace(&mut self.caller.present, true) {
            self.tell(Input::CallerJoined);
        }
    }

    fn hear(&mut self, packet: AudioPacket) {
        if !self.caller.tracks.contains(&packet.track_sid) {
            return;
        }
        let packet = Packet {
            track: packet.track_sid,
            codec: codec_of(packet.codec),
            payload: packet.payload,
            seq: packet.seq,
            rtp_time: packet.rtp_time,
            received: packet.received_at,
        };
        if let Some(input) = self.tape.as_mut().and_then(|tape| tape.hear(packet)) {
            self.tell(input);
        }
    }

    fn caller_left(&mut self) {
        self.ending.caller_left = true;
        self.tell(Input::CallerLeft);
    }

    /// A room that was closed is the end of the call; anything else is a fault.
    fn disconnected(&mut self, reason: Disconnect) {
        use DisconnectReason::{ParticipantRemoved, RoomClosed, RoomDeleted};
        let closed = matches!(&reason, Disconnect::Server(RoomDeleted | RoomClosed | ParticipantRemoved));
        if closed {
            return self.caller_left();
        }
        self.ending.lost = Some(reason);
        self.tell(Input::CallerLeft);
    }

    fn tell(&mut self, input: Input) {
        self.script.handle(input, self.room.now());
    }
}

impl Caller {
    /// True once: a phone when its call is active, anybody else when they subscribed to us.
    fn becomes_ready(&mut self, connected: bool) -> bool {
        let hears = if self.is_phone { self.active } else { self.hears };
        let ready = connected && self.present && hears && !self.ready_told;
        self.ready_told |= ready;
        ready
    }
}

/// Our own track.
struct Voice {
    connected: bool,
    codec: AudioCodec,
    frames: u32,
    opus: Option<OpusEncoder>,
}

impl Default for Voice {
    fn default() -> Self {
        Self { connected: false, codec: AudioCodec::Pcmu, frames: 0, opus: None }
    }
}

impl Voice {
    fn send(&mut self, frame: &Frame, room: &mut dyn Room) -> Result<(), CodecError> {
        let mut bytes = [0; 512];
        let length = self.encode(frame, &mut bytes)?;
        room.send(Outgoing {
            codec: self.codec,
            payload: &bytes[..length],
            rtp_time: self.frames.wrapping_mul(self.codec.clock_rate() / 50),
            marker: self.frames == 0,
        });
        self.frames = self.frames.wrapping_add(1);
        Ok(())
    }

    fn encode(&mut self, frame: &Frame, bytes: &mut [u8]) -> Result<usize, CodecError> {
        match self.codec {
            AudioCodec::Pcmu => Ok(G711::Pcmu.encode(frame, &mut bytes[..FRAME])),
            AudioCodec::Pcma => Ok(G711::Pcma.encode(frame, &mut bytes[..FRAME])),
            AudioCodec::Opus => match &mut self.opus {
                Some(encoder) => encoder.encode(frame, bytes),
                none => none.insert(OpusEncoder::new(Rate::Narrow)?).encode(frame, bytes),
            },
        }
    }
}

/// The attribute in which a SIP gateway says how far its call is.
const CALL_STATUS: &str = "sip.callStatus";
