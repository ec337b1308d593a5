//! When does a room's frame play?
//!
//! [`Playout`] turns one track's packets, which come early, late, doubled or never, into one frame
//! every 20 ms. The caller's clock is the only clock: each [`Playout::pull`] is 20 ms.
//! Times are ticks of 8 kHz, whatever the [`Rate`] of the sound.
//!
//! - It starts with [`FIRST_DELAY`] frames in hand, waits longer after packets came too late, and
//!   drops a frame when more than that stays in hand (also how a faster clock is followed).
//! - A gap in timestamps without a gap in sequence numbers is silence (Opus stops sending then);
//!   with one it is a loss, and the decoder guesses what was said.

use crate::codec::{Codec, Decoder, FRAME, LONGEST_PACKET, LONGEST_WIDE, Rate};
use crate::rtp::Unwrapper;
use std::collections::VecDeque;
use std::sync::Arc;

/// Frames in hand at the start.
const FIRST_DELAY: usize = 1;
const LONGEST_DELAY: usize = 8;
/// Packets in hand at most; older ones go.
const MOST_PACKETS: usize = 50;
/// Frames that the decoder guesses in a row.
const MOST_CONCEALED: u32 = 3;
/// A jump of so many ticks starts anew instead of waiting.
const JUMP: i64 = 20 * FRAME as i64;
/// Frames over which it is watched how many stay in hand.
const WATCH: u32 = 100;
/// Frames without a late packet after which the delay shrinks; twice as many whenever that was too soon.
const CALM: u32 = 500;
const LONGEST_CALM: u32 = 16 * CALM;

/// A packet of a track.
#[derive(Clone, Debug)]
pub struct RoomPacket {
    pub codec: Codec,
    /// Never wraps.
    pub sequence: u64,
    /// In the codec's own clock.
    pub timestamp: u32,
    pub payload: Arc<[u8]>,
}

/// The packets of one track on their way to be heard.
pub struct Playout {
    rate: Rate,
    codec: Option<Codec>,
    decoder: Option<Box<dyn Decoder>>,
    time: Unwrapper,
    packets: VecDeque<Waiting>,
    /// Decoded, not played.
    pcm: VecDeque<i16>,
    scratch: Box<[i16; LONGEST_WIDE]>,
    /// What plays next: its time and sequence number.
    next: Option<(i64, u64)>,
    /// It ran dry, and no packet has come since.
    dry: bool,
    state: State,
    delay: usize,
    concealed: u32,
    least: usize,
    watched: u32,
    calm: u32,
    /// How long it must be calm before the delay shrinks.
    patience: u32,
    /// The delay has shrunk since it grew last.
    shrunk: bool,
}

struct Waiting {
    sequence: u64,
    time: i64,
    payload: Arc<[u8]>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    /// Collecting packets; so many frames have passed since the first of them.
    Filling {
        frames: usize,
    },
    Playing,
}

impl Playout {
    /// Frames of `rate` come out.
    pub fn new(rate: Rate) -> Playout {
        Playout {
            rate,
            codec: None,
            decoder: None,
            time: Unwrapper::default(),
            packets: VecDeque::new(),
            pcm: VecDeque::new(),
            scratch: Box::new([0; LONGEST_WIDE]),
            next: None,
            dry: false,
            state: State::Filling { frames: 0 },
            delay: FIRST_DELAY,
            concealed: 0,
            least: usize::MAX,
            watched: 0,
            calm: 0,
            patience: CALM,
            shrunk: false,
        }
    }

    /// Takes a packet in any order; what came too late to play is dropped.
    pub fn push(&mut self, packet: RoomPacket) {
        if self.codec != Some(packet.codec) && !self.change_codec(packet.codec) {
            return;
        }
        let time = self.time.timestamp(packet.timestamp).div_euclid(i64::from(packet.codec.clock_factor()));
        if self.is_late(time, packet.sequence) {
            return self.wait_longer();
        }
        if std::mem::take(&mut self.dry) && self.next == Some((time, packet.sequence)) {
            self.wait_longer(); // no pause in speaking: the network was late
        }
        let at = self.packets.partition_point(|other| other.sequence < packet.sequence);
        if self.packets.get(at).is_some_and(|other| other.sequence == packet.sequence) {
            return;
        }
        self.packets.insert(at, Waiting { sequence: packet.sequence, time, payload: packet.payload });
        if self.packets.len() > MOST_PACKETS {
            self.packets.pop_front();
        }
    }

    /// The next 20 ms, [`Rate::frame`] samples; false when there is nothing but silence (then `frame` is zeros).
    pub fn pull(&mut self, frame: &mut [i16]) -> bool {
        if !self.started() {
            return self.wait(frame);
        }
        while self.pcm.len() < self.rate.frame() {
            if !self.decode_more() {
                return self.run_dry(frame);
            }
        }
        self.shrink();
        self.take(frame);
        true
    }

    /// Frames in hand, decoded or not.
    pub fn depth(&self) -> usize {
        let (Some(first), Some(last)) = (self.packets.front(), self.packets.back()) else {
            return self.decoded() / FRAME;
        };
        let from = self.next.filter(|_| self.state == State::Playing).map_or(first.time, |(time, _)| time);
        ((last.time - from).max(0) as usize + FRAME + self.decoded()) / FRAME
    }

    /// Ticks of sound that wait to be played.
    fn decoded(&self) -> usize {
        self.pcm.len() / self.rate.per_tick()
    }

    fn change_codec(&mut self, codec: Codec) -> bool {
        let Ok(decoder) = codec.decoder(self.rate) else { return false };
        let Playout { rate, delay, patience, .. } = *self;
        *self = Playout { codec: Some(codec), decoder: Some(decoder), delay, patience, ..Playout::new(rate) };
        true
    }

    /// Has its turn passed? A packet far behind is a sender that started anew.
    fn is_late(&mut self, time: i64, sequence: u64) -> bool {
        let Some((next, _)) = self.next else { return false };
        if (next - JUMP..next).contains(&time) {
            return true;
        }
        if time < next || (time > next + 10 * JUMP && self.packets.back().is_none_or(|last| last.sequence < sequence)) {
            self.packets.clear();
            self.next = None;
            self.state = State::Filling { frames: 0 };
        }
        false
    }

    fn wait_longer(&mut self) {
        self.delay = (self.delay + 1).min(LONGEST_DELAY);
        self.calm = 0;
        if std::mem::take(&mut self.shrunk) {
            self.patience = (self.patience * 2).min(LONGEST_CALM);
        }
    }

    fn started(&mut self) -> bool {
        let State::Filling { frames } = self.state else { return true };
        let Some(first) = self.packets.front() else { return false };
        if self.depth() <= self.delay && frames < self.delay {
            return false;
        }
        self.next = Some((first.time, first.sequence));
        self.state = State::Playing;
        self.concealed = 0;
        true
    }

    /// Nothing to play yet.
    fn wait(&mut self, frame: &mut [i16]) -> bool {
        if let (State::Filling { frames }, false) = (&mut self.state, self.packets.is_empty()) {
            *frames += 1;
        }
        self.guess(frame)
    }

    /// Nothing left to play: collect again, so that late packets have a chance.
    fn run_dry(&mut self, frame: &mut [i16]) -> bool {
        self.state = State::Filling { frames: 0 };
        self.dry = true;
        self.least = usize::MAX;
        self.watched = 0;
        if !self.pcm.is_empty() {
            let rest = self.pcm.len();
            self.pcm.resize(self.rate.frame(), 0);
            self.take(frame);
            return rest > 0;
        }
        self.guess(frame)
    }

    /// A guess at what is missing, soon turning into silence.
    fn guess(&mut self, frame: &mut [i16]) -> bool {
        self.concealed += 1;
        match &mut self.decoder {
            Some(decoder) if self.next.is_some() && self.concealed <= MOST_CONCEALED => {
                decoder.conceal(None, frame);
                true
            }
            _ => {
                frame.fill(0);
                false
            }
        }
    }

    /// Decodes the packet whose turn it is, or fills the gap before it. False when there is none.
    fn decode_more(&mut self) -> bool {
        let (Some((time, sequence)), Some(first)) = (self.next, self.packets.front()) else { return false };
        let gap = first.time - time;
        if gap > JUMP || gap <= 0 {
            return self.decode_first();
        }
        let lost = first.sequence > sequence;
        let length = (gap as usize).min(FRAME);
        self.fill_gap(length, lost && gap as usize <= FRAME);
        self.next = Some((time + length as i64, sequence));
        true
    }

    /// `length` ticks of silence or, after a loss, of guessing; `last` is the one right before the next packet.
    fn fill_gap(&mut self, length: usize, last: bool) {
        let lost = self.next.zip(self.packets.front()).is_some_and(|((_, sequence), first)| first.sequence > sequence);
        let pcm = &mut self.scratch[..length * self.rate.per_tick()];
        match &mut self.decoder {
            // Opus conceals in steps of 2.5 ms.
            Some(decoder) if lost && self.concealed < MOST_CONCEALED && length.is_multiple_of(20) => {
                self.concealed += 1;
                decoder.conceal(self.packets.front().filter(|_| last).map(|packet| &*packet.payload), pcm);
            }
            _ => pcm.fill(0),
        }
        self.pcm.extend(pcm.iter());
    }

    fn decode_first(&mut self) -> bool {
        let (Some(packet), Some(decoder)) = (self.packets.pop_front(), &mut self.decoder) else { return false };
        let room = &mut self.scratch[..LONGEST_PACKET * self.rate.per_tick()];
        let length = decoder.decode(&packet.payload, room).unwrap_or(0);
        self.pcm.extend(&room[..length]);
        self.next = Some((packet.time + (length / self.rate.per_tick()) as i64, packet.sequence + 1));
        self.concealed = 0;
        true
    }

    fn take(&mut self, frame: &mut [i16]) {
        for (sample, heard) in frame.iter_mut().zip(self.pcm.drain(..self.rate.frame())) {
            *sample = heard;
        }
    }

    /// Gives up a frame when more than the delay stayed in hand, and the delay itself in calm times.
    fn shrink(&mut self) {
        self.least = self.least.min(self.depth());
        self.watched += 1;
        self.calm += 1;
        if self.calm >= self.patience && self.delay > FIRST_DELAY {
            self.delay -= 1;
            self.calm = 0;
            self.shrunk = true;
        }
        if self.watched < WATCH {
            return;
        }
        if self.least > self.delay + 1 && (self.decoded() >= 2 * FRAME || self.decode_more()) {
            let frame = self.rate.frame();
            self.pcm.drain(..frame.min(self.pcm.len() - frame));
        }
        self.least = usize::MAX;
        self.watched = 0;
    }
}

#[cfg(test)]
mod tests;
