//! What did the caller say, and when?
//!
//! [`Hearing`] puts packets in order, decodes them and fills what is missing, so that the samples it
//! gives back are one recording without a seam. There is no hurry in it: a packet that overtook
//! others waits for them. Pure: packets carry their time.

use crate::loudness::Loudness;
use crate::timeline::Timeline;
use media::codec::{Codec, CodecError, Decoder, FRAME, G711, LONGEST_PACKET, Rate};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

/// One packet of the caller's track.
#[derive(Clone, Debug)]
pub struct Packet {
    pub track: Arc<str>,
    pub codec: Codec,
    pub payload: Arc<[u8]>,
    /// Never wraps.
    pub seq: u64,
    pub rtp_time: u32,
    pub received: Instant,
}

/// What came of packets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// The next samples of the recording.
    pub samples: Vec<i16>,
    /// Somebody spoke in them.
    pub voice: bool,
}

/// The caller's side of one recording.
pub struct Hearing {
    start: Instant,
    timeline: Timeline,
    loudness: Loudness,
    track: Option<Arc<str>>,
    waiting: BTreeMap<u64, Packet>,
    next_seq: Option<u64>,
    decoder: Option<(Codec, Box<dyn Decoder>)>,
    /// Samples whose loudness is not known yet: less than a frame.
    unmeasured: Vec<i16>,
}

impl Hearing {
    /// A recording that starts at `start`; packets from before it are left out.
    pub fn new(start: Instant) -> Self {
        Self {
            start,
            timeline: Timeline::new(start),
            loudness: Loudness::default(),
            track: None,
            waiting: BTreeMap::new(),
            next_seq: None,
            decoder: None,
            unmeasured: Vec::new(),
        }
    }

    /// Takes a packet; gives back what is complete with it.
    pub fn push(&mut self, packet: Packet) -> Heard {
        if packet.received < self.start || packet.payload.is_empty() {
            return Heard::default();
        }
        let mut samples = Vec::new();
        let restarted = self.next_seq.is_some_and(|next| packet.seq + RESTARTED < next);
        if restarted || self.track.as_ref() != Some(&packet.track) {
            self.release_all(&mut samples);
            self.track = Some(packet.track.clone());
            self.next_seq = None;
        }
        if self.next_seq.is_none_or(|next| packet.seq >= next) {
            self.waiting.insert(packet.seq, packet);
        }
        self.release(&mut samples);
        self.measure(samples)
    }

    /// What still waited for packets that never came.
    pub fn finish(&mut self) -> Heard {
        let mut samples = Vec::new();
        self.release_all(&mut samples);
        self.measure(samples)
    }

    /// Samples given back so far.
    pub fn length(&self) -> u64 {
        self.timeline.length()
    }

    /// Decodes what is in order; after too many have overtaken it, a missing packet is lost.
    fn release(&mut self, samples: &mut Vec<i16>) {
        while let Some(entry) = self.waiting.first_entry() {
            let in_order = self.next_seq.is_none_or(|next| *entry.key() == next);
            if !in_order && self.waiting.len() <= PATIENCE {
                return;
            }
            self.release_first(samples);
        }
    }

    fn release_all(&mut self, samples: &mut Vec<i16>) {
        while !self.waiting.is_empty() {
            self.release_first(samples);
        }
    }

    fn release_first(&mut self, samples: &mut Vec<i16>) {
        let Some((seq, packet)) = self.waiting.pop_first() else { return };
        self.next_seq = Some(seq + 1);
        if let Err(error) = self.decode(&packet, samples) {
            // Its place stays empty and is filled when the next one comes.
            tracing::debug!(%error, "a packet of the caller could not be decoded");
        }
    }

    fn decode(&mut self, packet: &Packet, samples: &mut Vec<i16>) -> Result<(), CodecError> {
        let offset = self.timeline.offset(packet.codec, packet.rtp_time, packet.received);
        let decoder = decoder_for(&mut self.decoder, packet.codec)?;
        let before = samples.len();
        if offset > 0 {
            fill(decoder, offset as usize, &packet.payload, samples);
            self.timeline.advance(samples.len() - before);
        }
        let mut pcm = vec![0; LONGEST_PACKET.max(packet.payload.len())];
        let length = decoder.decode(&packet.payload, &mut pcm)?;
        let known = usize::try_from(-offset).unwrap_or(0).min(length);
        samples.extend_from_slice(&pcm[known..length]);
        self.timeline.advance(length - known);
        Ok(())
    }

    fn measure(&mut self, samples: Vec<i16>) -> Heard {
        self.unmeasured.extend_from_slice(&samples);
        let (frames, rest) = self.unmeasured.as_chunks::<FRAME>();
        let voiced = frames.iter().filter(|frame| self.loudness.is_voice(frame)).count();
        self.unmeasured = rest.to_vec();
        Heard { samples, voice: voiced > 0 }
    }
}

/// The decoder goes on as long as the codec stays the same.
fn decoder_for(slot: &mut Option<(Codec, Box<dyn Decoder>)>, codec: Codec) -> Result<&mut dyn Decoder, CodecError> {
    let kept = slot.take().filter(|(known, _)| *known == codec);
    let decoder = match kept {
        Some((_, decoder)) => decoder,
        None => codec.decoder(Rate::Narrow)?,
    };
    Ok(slot.insert((codec, decoder)).1.as_mut())
}

/// A short hole is guessed from what surrounds it, a long one is silence.
fn fill(decoder: &mut dyn Decoder, gap: usize, next: &[u8], samples: &mut Vec<i16>) {
    let frames = gap / FRAME;
    if !gap.is_multiple_of(FRAME) || frames > CONCEALED {
        samples.resize(samples.len() + gap, 0);
        return;
    }
    for index in 0..frames {
        let mut frame = [0; FRAME];
        decoder.conceal((index + 1 == frames).then_some(next), &mut frame);
        samples.extend_from_slice(&frame);
    }
}

/// The codec of a track by its room name.
pub fn codec_of(codec: livekit::AudioCodec) -> Codec {
    match codec {
        livekit::AudioCodec::Opus => Codec::Opus,
        livekit::AudioCodec::Pcmu => Codec::G711(G711::Pcmu),
        livekit::AudioCodec::Pcma => Codec::G711(G711::Pcma),
    }
}

/// Packets that may overtake a missing one.
const PATIENCE: usize = 5;
/// A packet that is late by more than this many belongs to a sender that counts anew.
const RESTARTED: u64 = 500;
/// Frames of a hole that are guessed: 60 ms.
const CONCEALED: usize = 3;

#[cfg(test)]
mod tests;
