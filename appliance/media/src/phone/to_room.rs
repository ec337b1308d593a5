//! What does the room hear of the phone?
//!
//! Frames of the room's own law go through untouched, the other law costs a table look-up per
//! byte, Opus is encoded. Times are those of the phone, carried over by [`Forward`].

use super::{Forward, PhoneAudio, Place};
use crate::codec::{Codec, CodecError, Encoder, FRAME, Frame, G711, LONGEST_PACKET, OpusEncoder, level};

/// Longest Opus packet we make.
const OPUS_BYTES: usize = 400;

/// A frame to publish.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RoomFrame<'a> {
    pub codec: Codec,
    pub payload: &'a [u8],
    /// In the codec's clock.
    pub timestamp: u32,
    /// First frame after a pause.
    pub marker: bool,
    /// Below full scale in dB, 127 is silence (RFC 6464).
    pub level: u8,
}

/// The sending half of a leg towards the room.
pub struct ToRoom {
    codec: Codec,
    opus: Option<Box<dyn Encoder>>,
    forward: Forward<u32>,
    newest: Option<(u32, u64)>,
    bytes: Vec<u8>,
    pcm: [i16; LONGEST_PACKET],
    /// Samples that wait for their frame to fill up, and the time of the first.
    partial: (u32, Vec<i16>),
    /// The frame that fills up is the first after a pause.
    marker: bool,
}

impl ToRoom {
    /// Publishes in `codec`, from a time chosen by the caller.
    pub fn new(codec: Codec, timestamp: u32) -> Result<ToRoom, CodecError> {
        let mut room = ToRoom {
            codec,
            opus: None,
            forward: Forward::new(0, timestamp),
            newest: None,
            bytes: Vec::with_capacity(LONGEST_PACKET),
            pcm: [0; LONGEST_PACKET],
            partial: (timestamp, Vec::with_capacity(LONGEST_PACKET + FRAME)),
            marker: true,
        };
        room.set_codec(codec)?;
        Ok(room)
    }

    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// The room takes another codec than we thought.
    pub fn set_codec(&mut self, codec: Codec) -> Result<(), CodecError> {
        if codec == Codec::Opus && self.opus.is_none() {
            self.opus = Some(Box::new(OpusEncoder::new()?));
        }
        self.codec = codec;
        Ok(())
    }

    /// Hands the phone's frame to `send` as the room wants it. Late and double frames are dropped,
    /// because the room numbers its packets by itself.
    pub fn frame(&mut self, audio: &PhoneAudio<'_>, send: &mut impl FnMut(RoomFrame<'_>)) {
        if self.newest.is_some_and(|(ssrc, newest)| ssrc == audio.ssrc && audio.sequence <= newest) {
            return;
        }
        self.newest = Some((audio.ssrc, audio.sequence));
        let samples = audio.payload.len() as u32;
        let place = self.forward.place(&audio.ssrc, audio.sequence, audio.timestamp, samples);
        let Place::At { timestamp, marker, .. } = place else { return };
        match self.codec {
            Codec::G711(law) => self.send_g711(law, audio, timestamp, marker, send),
            Codec::Opus => self.send_opus(audio, timestamp, marker, send),
        }
    }

    fn send_g711(
        &mut self,
        law: G711,
        audio: &PhoneAudio<'_>,
        timestamp: u32,
        marker: bool,
        send: &mut impl FnMut(RoomFrame<'_>),
    ) {
        let level = audio.codec.level(audio.payload);
        let mut payload = audio.payload;
        if audio.codec != law {
            self.bytes.clear();
            self.bytes.extend_from_slice(audio.payload);
            audio.codec.convert(law, &mut self.bytes);
            payload = &self.bytes;
        }
        send(RoomFrame { codec: self.codec, payload, timestamp, marker, level });
    }

    fn send_opus(
        &mut self,
        audio: &PhoneAudio<'_>,
        timestamp: u32,
        marker: bool,
        send: &mut impl FnMut(RoomFrame<'_>),
    ) {
        let (start, pending) = &mut self.partial;
        if start.wrapping_add(pending.len() as u32) != timestamp {
            pending.clear();
            *start = timestamp;
        }
        self.marker |= marker;
        let length = audio.codec.decode(audio.payload, &mut self.pcm);
        pending.extend_from_slice(&self.pcm[..length]);
        while self.encode_frame(send) {}
    }

    /// Encodes one full frame, if there is one.
    fn encode_frame(&mut self, send: &mut impl FnMut(RoomFrame<'_>)) -> bool {
        let (start, pending) = &mut self.partial;
        let (Some(frame), Some(opus)) = (pending.first_chunk::<FRAME>(), &mut self.opus) else { return false };
        let frame: Frame = *frame;
        self.bytes.resize(OPUS_BYTES, 0);
        if let Ok(length) = opus.encode(&frame, &mut self.bytes) {
            let (payload, timestamp) = (&self.bytes[..length], start.wrapping_mul(6));
            send(RoomFrame { codec: Codec::Opus, payload, timestamp, marker: self.marker, level: level(&frame) });
            self.marker = false;
        }
        *start = start.wrapping_add(FRAME as u32);
        pending.drain(..FRAME);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PCMU: Codec = Codec::G711(G711::Pcmu);

    /// What the room gets for 20 ms frames of these numbers: (length, timestamp, marker, level).
    fn published(codec: Codec, law: G711, numbers: &[u64]) -> Vec<(usize, u32, bool, u8)> {
        let (mut room, mut out, mut payload) = (ToRoom::new(codec, 1000).unwrap(), Vec::new(), [0; FRAME]);
        law.encode(&[8000; FRAME], &mut payload);
        for number in numbers {
            let timestamp = *number as u32 * 160;
            let audio = PhoneAudio { codec: law, ssrc: 1, sequence: *number, timestamp, payload: &payload };
            room.frame(&audio, &mut |frame| {
                out.push((frame.payload.len(), frame.timestamp, frame.marker, frame.level))
            });
        }
        out
    }

    #[test]
    fn frames_of_the_rooms_law_pass_untouched_and_keep_their_distances() {
        let mut room = ToRoom::new(PCMU, 0).unwrap();
        let audio = PhoneAudio { codec: G711::Pcmu, ssrc: 1, sequence: 9, timestamp: 555, payload: &[1, 2, 3] };
        let mut seen = Vec::new();
        room.frame(&audio, &mut |frame| seen.extend_from_slice(frame.payload));
        assert_eq!(seen, [1, 2, 3]);
        let times: Vec<u32> = published(PCMU, G711::Pcmu, &[5, 6, 8, 7, 8, 9]).iter().map(|frame| frame.1).collect();
        assert_eq!(times, [1000, 1160, 1480, 1640]);
    }

    #[test]
    fn the_other_law_is_converted() {
        let mut room = ToRoom::new(PCMU, 0).unwrap();
        let mut payload = [0; 4];
        G711::Pcma.encode(&[-5000, 0, 300, 20_000], &mut payload);
        let audio = PhoneAudio { codec: G711::Pcma, ssrc: 1, sequence: 9, timestamp: 0, payload: &payload };
        let mut heard = [0; 4];
        room.frame(&audio, &mut |frame| _ = G711::Pcmu.decode(frame.payload, &mut heard));
        assert!((heard[0] + 5000).abs() < 300 && heard[1].abs() < 20 && (heard[3] - 20_000).abs() < 1000, "{heard:?}");
    }

    #[test]
    fn opus_runs_on_a_clock_six_times_as_fast() {
        let frames = published(Codec::Opus, G711::Pcma, &[1, 2, 3]);
        let times: Vec<(u32, bool)> = frames.iter().map(|frame| (frame.1, frame.2)).collect();
        assert_eq!(times, [(6000, true), (6960, false), (7920, false)]);
    }

    #[test]
    fn opus_frames_are_20_ms_whatever_the_phone_sends() {
        let (mut room, mut times) = (ToRoom::new(Codec::Opus, 0).unwrap(), Vec::new());
        for n in 0..6u32 {
            let payload = [0xFF; 240];
            let audio =
                PhoneAudio { codec: G711::Pcmu, ssrc: 1, sequence: n.into(), timestamp: n * 240, payload: &payload };
            room.frame(&audio, &mut |frame| times.push(frame.timestamp / 6));
        }
        assert_eq!(times, (0..9).map(|n| n * 160).collect::<Vec<_>>());
    }

    #[test]
    fn loudness_is_told_in_decibels_below_full_scale() {
        assert!((11..=13).contains(&published(PCMU, G711::Pcmu, &[1])[0].3));
        assert_eq!(level(&[0; FRAME]), 127);
    }
}
