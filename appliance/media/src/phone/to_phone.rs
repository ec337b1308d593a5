//! What goes to the phone now?
//!
//! One stream, whatever the room does. With one speaker who has the phone's codec, frames are
//! forwarded as they come. Otherwise a 20 ms clock plays what [`Playout`] has in hand, mixed.
//! Where there is nothing to say, silence is sent, so the phone's own time-out never strikes; while
//! the room is lost, a [`Comfort`] tone.
//! Keys are pressed in place of sound, and a sound of our own takes the room's place. On hold nothing is sent at all.

use super::{Comfort, Forward, Place, StreamClock};
use crate::codec::{Encoder, FRAME, FRAME_TIME, MOST_BYTES, PhoneCodec, Rate, Widener, mix_into};
use crate::dtmf::{Event, Press, Presses};
use crate::playout::{Playout, RoomPacket};
use crate::rtcp::Sent;
use crate::rtp::{Header, Unwrapper};
use crate::sdp::{EventFormat, Negotiated};
use crate::sound::Sound;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A forwarded frame that is later than this is replaced by silence. Up to there the phone's own buffer does better.
const LATE: Duration = Duration::from_millis(80);
/// A track that sent nothing for so long does not count as a speaker.
const IDLE: Duration = Duration::from_secs(1);
/// Further behind than this, the clock does not catch up.
const BEHIND: Duration = Duration::from_millis(100);

/// Where our stream begins; should be random (RFC 3550).
#[derive(Clone, Copy, Debug)]
pub struct StreamStart {
    pub ssrc: u32,
    pub sequence: u16,
    pub timestamp: u32,
}

/// The sending half of a leg towards the phone.
pub struct ToPhone {
    ssrc: u32,
    format: Option<Format>,
    /// Of the format's codec.
    encoder: Option<Box<dyn Encoder>>,
    /// The phone waits, so it hears silence.
    held: bool,
    forward: Forward<Arc<str>>,
    clock: StreamClock,
    presses: Presses,
    /// Played instead of the room.
    own: Option<Sound>,
    comfort: Comfort,
    /// For our own sounds, which have 8 kHz.
    widener: Widener,
    /// Timestamp of the key that is down.
    pressed_at: u32,
    marker: bool,
    tracks: Vec<Track>,
    /// When we must send something, if nothing came until then.
    due: Option<Instant>,
    last_sent: Option<Instant>,
    packet: Vec<u8>,
    /// Its timestamp is the last one of sound, sent at `stamped`.
    sent: Sent,
    stamped: Option<Instant>,
}

#[derive(Clone, Copy, PartialEq)]
struct Format {
    codec: PhoneCodec,
    payload_type: u8,
    dtmf: Option<EventFormat>,
}

struct Track {
    id: Arc<str>,
    playout: Playout,
    /// Of what is forwarded.
    time: Unwrapper,
    last: Instant,
}

impl ToPhone {
    pub fn new(start: StreamStart) -> ToPhone {
        ToPhone {
            ssrc: start.ssrc,
            format: None,
            encoder: None,
            held: false,
            forward: Forward::new(start.sequence, start.timestamp),
            clock: StreamClock::new(start.timestamp),
            presses: Presses::default(),
            own: None,
            comfort: Comfort::default(),
            widener: Widener::default(),
            pressed_at: 0,
            marker: true,
            tracks: Vec::new(),
            due: None,
            last_sent: None,
            packet: Vec::with_capacity(512),
            sent: Sent::default(),
            stamped: None,
        }
    }

    /// Starts, changes or (on hold) stops the stream.
    pub fn negotiated(&mut self, agreed: &Negotiated, now: Instant) {
        let before = self.format.map(|format| format.codec);
        if before != Some(agreed.codec) {
            self.encoder = agreed.codec.encoder().ok();
            self.clock.change(agreed.codec.clock_factor(), self.forward.now());
        }
        let (codec, payload_type) = (agreed.codec, agreed.payload_type);
        self.format = Some(Format { codec, payload_type, dtmf: agreed.dtmf.first().copied() });
        let other_rate = before.is_some_and(|before| before.rate() != agreed.codec.rate());
        if other_rate || agreed.we_hold != self.held || !agreed.we_send {
            self.held = agreed.we_hold;
            self.tracks.clear();
        }
        if !agreed.we_send {
            self.due = None;
            self.forward.restart();
        } else if self.due.is_none() {
            self.due = Some(now);
            self.marker = true;
        }
    }

    /// Presses keys one after the other. Nothing happens if the phone did not agree to events.
    pub fn press(&mut self, digits: &str, now: Instant) {
        if self.format.is_some_and(|format| format.dtmf.is_some()) {
            self.presses.push(digits);
            self.keep_time(now);
        }
    }

    /// Are keys still being pressed?
    pub fn presses(&self) -> bool {
        self.presses.busy()
    }

    /// Plays this instead of the room, to its end; without a sound the room is heard again.
    pub fn play(&mut self, sound: Option<Sound>, now: Instant) {
        self.own = sound;
        self.keep_time(now);
    }

    /// Takes a packet of a room's track; it may go out at once.
    pub fn room_packet(&mut self, track: &Arc<str>, packet: RoomPacket, now: Instant, send: &mut impl FnMut(&[u8])) {
        let Some(format) = self.format.filter(|_| self.due.is_some() && !self.held) else { return };
        let alone = self.note(track, format.codec.rate(), now);
        if alone && format.codec.is(packet.codec) && !self.presses.busy() && self.own.is_none() {
            return self.pass(track, &packet, format, now, send);
        }
        if let Some(track) = self.tracks.iter_mut().find(|known| known.id == *track) {
            track.playout.push(packet);
        }
        self.keep_time(now);
    }

    /// The track is gone.
    pub fn forget_track(&mut self, track: &str) {
        self.tracks.retain(|known| &*known.id != track);
    }

    /// The room is lost: the phone is comforted until [`ToPhone::room_is_back`].
    pub fn room_is_lost(&mut self) {
        self.comfort.begin();
    }

    pub fn room_is_back(&mut self) {
        self.comfort.end();
    }

    /// All tracks are gone: the room is another one now.
    pub fn forget_tracks(&mut self) {
        self.tracks.clear();
    }

    /// To be called at [`ToPhone::due`]; sends what has its turn.
    pub fn tick(&mut self, now: Instant, send: &mut impl FnMut(&[u8])) {
        let Some(due) = self.due.filter(|due| *due <= now) else { return };
        let mut at = if now > due + BEHIND { now } else { due };
        self.leave_gap(at);
        while at <= now {
            self.frame(at, send);
            at += FRAME_TIME;
        }
        self.due = Some(at);
    }

    /// When [`ToPhone::tick`] has something to do.
    pub fn due(&self) -> Option<Instant> {
        self.due
    }

    /// The stream so far.
    pub fn sent(&self, now: Instant) -> Sent {
        let age = self.stamped.map_or(0, |at| now.saturating_duration_since(at).as_micros() / 125) as u32;
        let clock_factor = self.clock.factor();
        Sent { timestamp: self.sent.timestamp.wrapping_add(age.wrapping_mul(clock_factor)), clock_factor, ..self.sent }
    }

    /// Notes that a track speaks; true when nobody else does.
    fn note(&mut self, track: &Arc<str>, rate: Rate, now: Instant) -> bool {
        match self.tracks.iter_mut().find(|known| known.id == *track) {
            Some(known) => known.last = now,
            None => {
                let (playout, time) = (Playout::new(rate), Unwrapper::default());
                self.tracks.push(Track { id: track.clone(), playout, time, last: now });
            }
        }
        self.tracks.iter().all(|known| known.id == *track || now.saturating_duration_since(known.last) > IDLE)
    }

    /// Forwards a frame untouched.
    fn pass(
        &mut self,
        track: &Arc<str>,
        packet: &RoomPacket,
        format: Format,
        now: Instant,
        send: &mut impl FnMut(&[u8]),
    ) {
        let Some(ticks) = format.codec.ticks(&packet.payload) else { return };
        let at = self.ticks_at(track, packet);
        let place = self.forward.place(track, packet.sequence, at, ticks);
        let Place::At { sequence, timestamp, marker } = place else { return };
        let header = self.header(format.payload_type, sequence, self.clock.at(timestamp), marker);
        self.send(header, &packet.payload, send);
        self.stamp(header.timestamp, now);
        self.last_sent = Some(now);
        self.due = Some(now + Duration::from_micros(u64::from(ticks) * 125) + LATE);
    }

    /// When a packet was said, in ticks of 8 kHz.
    fn ticks_at(&mut self, track: &str, packet: &RoomPacket) -> u32 {
        let Some(track) = self.tracks.iter_mut().find(|known| &*known.id == track) else { return 0 };
        track.time.timestamp(packet.timestamp).div_euclid(packet.codec.clock_factor().into()) as u32
    }

    /// From now on the clock drives, 20 ms after the last packet.
    fn keep_time(&mut self, now: Instant) {
        let (Some(due), Some(last)) = (self.due, self.last_sent) else { return };
        self.due = Some(due.min((last + FRAME_TIME).max(now)));
    }

    /// Frames that should have gone out before `at` leave a gap in time, not in numbers.
    fn leave_gap(&mut self, at: Instant) {
        let Some(last) = self.last_sent else { return };
        let frames = at.saturating_duration_since(last).as_millis() as u32 / 20;
        if frames > 1 {
            self.forward.skip((frames - 1) * FRAME as u32);
        }
    }

    /// One frame by the clock: a key, a sound of our own, the room, or silence.
    fn frame(&mut self, at: Instant, send: &mut impl FnMut(&[u8])) {
        let Some(format) = self.format else { return };
        self.last_sent = Some(at);
        let mut mixed = [0; 2 * FRAME];
        let mixed = &mut mixed[..format.codec.rate().frame()];
        let spoken = self.mix(mixed);
        self.play_own(spoken, mixed);
        if let (Some(press), Some(dtmf)) = (self.presses.next_frame(), format.dtmf) {
            return self.send_press(press, dtmf, send);
        }
        let mut payload = [0; MOST_BYTES];
        let Some(Ok(length)) = self.encoder.as_mut().map(|encoder| encoder.encode(mixed, &mut payload)) else { return };
        let (sequence, timestamp) = self.forward.own(FRAME as u32);
        let header = self.header(format.payload_type, sequence, self.clock.at(timestamp), false);
        self.send(header, &payload[..length], send);
        self.stamp(header.timestamp, at);
    }

    /// What the room says; false for silence.
    fn mix(&mut self, mixed: &mut [i16]) -> bool {
        let (mut sounds, mut frame) = (false, [0; 2 * FRAME]);
        let frame = &mut frame[..mixed.len()];
        for track in &mut self.tracks {
            if track.playout.pull(frame) {
                mix_into(mixed, frame);
                sounds = true;
            }
        }
        sounds
    }

    /// A sound of our own replaces what the room says, and comfort its silence.
    fn play_own(&mut self, spoken: bool, mixed: &mut [i16]) {
        let mut frame = [0; FRAME];
        let plays = self.own.as_mut().is_some_and(|sound| sound.next_frame(&mut frame));
        if !plays {
            self.own = None;
        }
        let comforts = !plays && !spoken && !self.held && self.comfort.next_frame(&mut frame);
        if (plays || comforts) && mixed.len() == FRAME {
            mixed.copy_from_slice(&frame);
        } else if plays || comforts {
            self.widener.widen(&frame, mixed);
        }
    }

    fn send_press(&mut self, press: Press, events: EventFormat, send: &mut impl FnMut(&[u8])) {
        let EventFormat { payload_type, clock_factor } = events;
        let event = Event { duration: press.event.duration * clock_factor as u16, ..press.event };
        for copy in 0..press.copies {
            let samples = if copy + 1 == press.copies { FRAME as u32 } else { 0 };
            let (sequence, timestamp) = self.forward.own(samples);
            if press.first {
                self.pressed_at = self.clock.at_rate(timestamp, clock_factor);
            }
            let header = self.header(payload_type, sequence, self.pressed_at, press.first);
            self.send(header, &event.to_bytes(), send);
        }
    }

    fn header(&mut self, payload_type: u8, sequence: u16, timestamp: u32, marker: bool) -> Header {
        let marker = std::mem::take(&mut self.marker) | marker;
        Header { marker, payload_type, sequence, timestamp, ssrc: self.ssrc }
    }

    fn send(&mut self, header: Header, payload: &[u8], send: &mut impl FnMut(&[u8])) {
        header.write(payload, &mut self.packet);
        self.sent.packets += 1;
        self.sent.octets += payload.len() as u64;
        send(&self.packet);
    }

    fn stamp(&mut self, timestamp: u32, at: Instant) {
        (self.sent.timestamp, self.stamped) = (timestamp, Some(at));
    }
}

#[cfg(test)]
mod tests;
