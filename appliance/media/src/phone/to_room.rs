//! What does the room hear of the phone?
//!
//! Frames of the room's own codec go through untouched, the other law costs a table look-up per
//! byte, Opus is encoded: at 16 kHz as soon as the phone has spoken G.722. A room that was promised
//! G.711 gets the lower band of G.722 and of Opus. Times are those of the phone, carried over by [`Forward`].
//! Opus is decoded in any case, at 8 kHz: LiveKit wants to know how loud it is, and it does not show.

use super::{Forward, PhoneAudio, Place};
use crate::codec::{
    Codec, CodecError, Decoder, Encoder, FRAME, G711, G722Decoder, LONGEST_PACKET, LONGEST_WIDE, MOST_BYTES,
    OpusDecoder, OpusEncoder, PhoneCodec, Rate, Widener, level,
};

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
    /// Of a phone that speaks Opus, at 8 kHz.
    ear: Option<OpusDecoder>,
    /// Of what Opus gets.
    rate: Rate,
    g722: G722Decoder,
    widener: Widener,
    forward: Forward<u32>,
    bytes: Vec<u8>,
    pcm: [i16; LONGEST_WIDE],
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
            ear: None,
            rate: Rate::Narrow,
            g722: G722Decoder::default(),
            widener: Widener::default(),
            forward: Forward::new(0, timestamp),
            bytes: Vec::with_capacity(LONGEST_PACKET),
            pcm: [0; LONGEST_WIDE],
            partial: (timestamp, Vec::with_capacity(LONGEST_WIDE + 2 * FRAME)),
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
            self.opus = Some(Box::new(OpusEncoder::new(self.rate)?));
        }
        self.codec = codec;
        Ok(())
    }

    /// Hands the phone's frame to `send` as the room wants it. The room numbers its packets by itself, so they must be
    /// [`super::InOrder`].
    pub fn frame(&mut self, audio: &PhoneAudio<'_>, send: &mut impl FnMut(RoomFrame<'_>)) {
        let Some(ticks) = audio.ticks() else { return };
        let place = self.forward.place(&audio.ssrc, audio.sequence, audio.timestamp, ticks);
        let Place::At { timestamp, marker, .. } = place else { return };
        match self.codec {
            Codec::G711(law) => self.send_g711(law, audio, timestamp, marker, send),
            Codec::Opus if audio.codec.is(Codec::Opus) => self.pass_opus(audio, timestamp, marker, send),
            Codec::Opus => self.send_opus(audio, timestamp, marker, send),
        }
    }

    fn pass_opus(
        &mut self,
        audio: &PhoneAudio<'_>,
        timestamp: u32,
        marker: bool,
        send: &mut impl FnMut(RoomFrame<'_>),
    ) {
        let length = self.decode_opus(audio.payload);
        let timestamp = timestamp.wrapping_mul(self.codec.clock_factor());
        let level = level(&self.pcm[..length]);
        self.partial.1.clear();
        send(RoomFrame { codec: Codec::Opus, payload: audio.payload, timestamp, marker, level });
    }

    /// Fills `pcm` at 8 kHz; returns how much of it.
    fn decode_opus(&mut self, payload: &[u8]) -> usize {
        if self.ear.is_none() {
            self.ear = OpusDecoder::new(Rate::Narrow).ok();
        }
        let pcm = &mut self.pcm[..LONGEST_PACKET];
        self.ear.as_mut().and_then(|ear| ear.decode(payload, pcm).ok()).unwrap_or(0)
    }

    fn send_g711(
        &mut self,
        law: G711,
        audio: &PhoneAudio<'_>,
        timestamp: u32,
        marker: bool,
        send: &mut impl FnMut(RoomFrame<'_>),
    ) {
        let frame = RoomFrame { codec: self.codec, payload: audio.payload, timestamp, marker, level: 0 };
        match audio.codec {
            PhoneCodec::G711(same) if same == law => send(RoomFrame { level: law.level(audio.payload), ..frame }),
            PhoneCodec::G711(other) => {
                self.bytes.clear();
                self.bytes.extend_from_slice(audio.payload);
                other.convert(law, &mut self.bytes);
                send(RoomFrame { payload: &self.bytes, level: other.level(audio.payload), ..frame });
            }
            PhoneCodec::G722 => {
                let length = self.g722.decode_narrow(audio.payload, &mut self.pcm[..LONGEST_PACKET]);
                self.send_pcm(law, length, frame, send);
            }
            PhoneCodec::Opus => {
                let length = self.decode_opus(audio.payload);
                self.send_pcm(law, length, frame, send);
            }
        }
    }

    /// So many samples of `pcm`, by this law; nothing of what could not be decoded.
    fn send_pcm(&mut self, law: G711, length: usize, frame: RoomFrame<'_>, send: &mut impl FnMut(RoomFrame<'_>)) {
        let pcm = &self.pcm[..length];
        if pcm.is_empty() {
            return;
        }
        self.bytes.resize(length, 0);
        law.encode(pcm, &mut self.bytes);
        send(RoomFrame { payload: &self.bytes, level: level(pcm), ..frame });
    }

    fn send_opus(
        &mut self,
        audio: &PhoneAudio<'_>,
        timestamp: u32,
        marker: bool,
        send: &mut impl FnMut(RoomFrame<'_>),
    ) {
        if audio.codec.rate() == Rate::Wide && self.rate == Rate::Narrow && self.go_wide().is_err() {
            return;
        }
        let length = self.decode(audio);
        let (start, pending) = &mut self.partial;
        if start.wrapping_add((pending.len() / self.rate.per_tick()) as u32) != timestamp {
            pending.clear();
            *start = timestamp;
        }
        self.marker |= marker;
        pending.extend_from_slice(&self.pcm[..length]);
        while self.encode_frame(send) {}
    }

    /// From now on Opus gets 16 kHz. It stays so: a phone that changes its codec with every packet costs no more.
    fn go_wide(&mut self) -> Result<(), CodecError> {
        self.opus = Some(Box::new(OpusEncoder::new(Rate::Wide)?));
        self.rate = Rate::Wide;
        self.partial.1.clear();
        Ok(())
    }

    /// Fills `pcm` at our rate; returns how much of it.
    fn decode(&mut self, audio: &PhoneAudio<'_>) -> usize {
        match (audio.codec, self.rate) {
            (PhoneCodec::Opus, _) => 0, // goes through as it is
            (PhoneCodec::G722, _) => self.g722.decode(audio.payload, &mut self.pcm),
            (PhoneCodec::G711(law), Rate::Narrow) => law.decode(audio.payload, &mut self.pcm[..LONGEST_PACKET]),
            (PhoneCodec::G711(law), Rate::Wide) => {
                let mut narrow = [0; LONGEST_PACKET];
                let length = law.decode(audio.payload, &mut narrow);
                self.widener.widen(&narrow[..length], &mut self.pcm)
            }
        }
    }

    /// Encodes one full frame, if there is one.
    fn encode_frame(&mut self, send: &mut impl FnMut(RoomFrame<'_>)) -> bool {
        let (start, pending) = &mut self.partial;
        let (Some(frame), Some(opus)) = (pending.get(..self.rate.frame()), &mut self.opus) else { return false };
        self.bytes.resize(MOST_BYTES, 0);
        if let Ok(length) = opus.encode(frame, &mut self.bytes) {
            let (payload, timestamp) = (&self.bytes[..length], start.wrapping_mul(6));
            send(RoomFrame { codec: Codec::Opus, payload, timestamp, marker: self.marker, level: level(frame) });
            self.marker = false;
        }
        *start = start.wrapping_add(FRAME as u32);
        pending.drain(..self.rate.frame());
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PCMU: Codec = Codec::G711(G711::Pcmu);

    /// What the room gets for 20 ms frames of these numbers: (length, timestamp, marker, level).
    fn published(codec: Codec, spoken: impl Into<PhoneCodec>, numbers: &[u64]) -> Vec<(usize, u32, bool, u8)> {
        let (mut room, mut out, mut payload) = (ToRoom::new(codec, 1000).unwrap(), Vec::new(), [0; FRAME]);
        let spoken = spoken.into();
        let mut encoder = spoken.encoder().unwrap();
        for number in numbers {
            encoder.encode(&vec![8000; spoken.rate().frame()], &mut payload).unwrap();
            let timestamp = *number as u32 * 160;
            let audio = PhoneAudio { codec: spoken, ssrc: 1, sequence: *number, timestamp, payload: &payload };
            room.frame(&audio, &mut |frame| {
                out.push((frame.payload.len(), frame.timestamp, frame.marker, frame.level))
            });
        }
        out
    }

    #[test]
    fn frames_of_the_rooms_law_pass_untouched_and_keep_their_distances() {
        let mut room = ToRoom::new(PCMU, 0).unwrap();
        let audio = PhoneAudio { codec: PhoneCodec::PCMU, ssrc: 1, sequence: 9, timestamp: 555, payload: &[1, 2, 3] };
        let mut seen = Vec::new();
        room.frame(&audio, &mut |frame| seen.extend_from_slice(frame.payload));
        assert_eq!(seen, [1, 2, 3]);
        let times: Vec<u32> = published(PCMU, G711::Pcmu, &[5, 6, 8, 9]).iter().map(|frame| frame.1).collect();
        assert_eq!(times, [1000, 1160, 1480, 1640]);
    }

    #[test]
    fn the_other_law_is_converted() {
        let mut room = ToRoom::new(PCMU, 0).unwrap();
        let mut payload = [0; 4];
        G711::Pcma.encode(&[-5000, 0, 300, 20_000], &mut payload);
        let audio = PhoneAudio { codec: PhoneCodec::PCMA, ssrc: 1, sequence: 9, timestamp: 0, payload: &payload };
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
            let audio = PhoneAudio {
                codec: PhoneCodec::PCMU,
                ssrc: 1,
                sequence: n.into(),
                timestamp: n * 240,
                payload: &payload,
            };
            room.frame(&audio, &mut |frame| times.push(frame.timestamp / 6));
        }
        assert_eq!(times, (0..9).map(|n| n * 160).collect::<Vec<_>>());
    }

    /// What is heard in the room of a tone that the phone speaks, in `heard`'s samples per second.
    fn tone_in(room: Codec, spoken: PhoneCodec, hz: f64, heard: Rate) -> Vec<i16> {
        let (mut to, mut encoder) = (ToRoom::new(room, 0).unwrap(), spoken.encoder().unwrap());
        let (mut decoder, mut out) = (room.decoder(heard).unwrap(), Vec::new());
        for n in 0..50u32 {
            let (rate, mut payload) = (spoken.rate(), [0; MOST_BYTES]);
            let at = |i: usize| (n as usize * rate.frame() + i) as f64 / f64::from(rate.hertz());
            let frame: Vec<i16> =
                (0..rate.frame()).map(|i| ((at(i) * hz * std::f64::consts::TAU).sin() * 8000.0) as i16).collect();
            let length = encoder.encode(&frame, &mut payload).unwrap();
            let payload = &payload[..length];
            let audio = PhoneAudio { codec: spoken, ssrc: 1, sequence: n.into(), timestamp: n * 160, payload };
            to.frame(&audio, &mut |frame| {
                let mut pcm = [0; LONGEST_WIDE];
                let length = decoder.decode(frame.payload, &mut pcm).unwrap();
                out.extend_from_slice(&pcm[..length]);
            });
        }
        out
    }

    /// How often it goes up through zero in its last half second.
    fn hertz(pcm: &[i16], rate: Rate) -> usize {
        let last = &pcm[pcm.len() - rate.hertz() as usize / 2..];
        2 * last.windows(2).filter(|pair| pair[0] < 0 && pair[1] >= 0).count()
    }

    #[test]
    fn a_tone_that_g711_cannot_carry_reaches_a_room_with_opus() {
        let heard = tone_in(Codec::Opus, PhoneCodec::G722, 5000.0, Rate::Wide);
        assert!((4900..=5100).contains(&hertz(&heard, Rate::Wide)), "{}", hertz(&heard, Rate::Wide));
    }

    #[test]
    fn a_room_that_was_promised_g711_gets_the_lower_band_of_g722_and_of_opus() {
        for (law, spoken) in [
            (G711::Pcmu, PhoneCodec::G722),
            (G711::Pcma, PhoneCodec::G722),
            (G711::Pcmu, PhoneCodec::Opus),
            (G711::Pcma, PhoneCodec::Opus),
        ] {
            let heard = tone_in(Codec::G711(law), spoken, 1000.0, Rate::Narrow);
            assert!((990..=1010).contains(&hertz(&heard, Rate::Narrow)), "{}", hertz(&heard, Rate::Narrow));
        }
        assert_eq!(published(PCMU, PhoneCodec::G722, &[1, 2])[1].0, FRAME);
    }

    #[test]
    fn a_phone_that_changes_its_codec_is_heard_on_with_the_room_none_the_wiser() {
        let (mut room, mut times) = (ToRoom::new(Codec::Opus, 0).unwrap(), Vec::new());
        for (n, codec) in (0..).zip([PhoneCodec::PCMU, PhoneCodec::G722, PhoneCodec::PCMA, PhoneCodec::G722]) {
            let audio = PhoneAudio { codec, ssrc: 1, sequence: n, timestamp: n as u32 * 160, payload: &[0x55; FRAME] };
            room.frame(&audio, &mut |frame| times.push((frame.codec, frame.timestamp)));
        }
        assert_eq!(times, [0, 960, 1920, 2880].map(|time| (Codec::Opus, time)));
    }

    /// 20 ms of Opus that a phone says.
    fn opus_of(encoder: &mut dyn Encoder, n: u32, hz: f64) -> Vec<u8> {
        let at = |i: usize| (n as usize * 2 * FRAME + i) as f64 / 16_000.0;
        let pcm: Vec<i16> =
            (0..2 * FRAME).map(|i| ((at(i) * hz * std::f64::consts::TAU).sin() * 8000.0) as i16).collect();
        let mut packet = vec![0; MOST_BYTES];
        let length = encoder.encode(&pcm, &mut packet).unwrap();
        packet.truncate(length);
        packet
    }

    #[test]
    fn opus_passes_untouched_into_a_room_with_opus_and_is_known_to_be_loud() {
        let (mut room, mut encoder) = (ToRoom::new(Codec::Opus, 1000).unwrap(), PhoneCodec::Opus.encoder().unwrap());
        for n in 0..20u32 {
            let payload = opus_of(&mut *encoder, n, 700.0);
            let audio = PhoneAudio {
                codec: PhoneCodec::Opus,
                ssrc: 1,
                sequence: n.into(),
                timestamp: n * 160,
                payload: &payload,
            };
            let mut seen = Vec::new();
            room.frame(&audio, &mut |frame| {
                seen.push((frame.payload.to_vec(), frame.timestamp, frame.marker, frame.level))
            });
            let [(passed, timestamp, marker, level)] = &seen[..] else { panic!("{}", seen.len()) };
            assert_eq!((passed, *timestamp, *marker), (&payload, 6 * (1000 + 160 * n), n == 0));
            assert!(n < 5 || (13..18).contains(level), "{level}");
        }
        let garbage =
            PhoneAudio { codec: PhoneCodec::Opus, ssrc: 1, sequence: 20, timestamp: 3200, payload: &[0xFF; 3] };
        room.frame(&garbage, &mut |_| panic!("that is no packet"));
    }

    #[test]
    fn a_phone_that_changes_to_opus_and_back_passes_only_while_it_speaks_it() {
        let (mut room, mut encoder) = (ToRoom::new(Codec::Opus, 0).unwrap(), PhoneCodec::Opus.encoder().unwrap());
        let mut same = Vec::new();
        for (n, codec) in (0..).zip([PhoneCodec::PCMU, PhoneCodec::Opus, PhoneCodec::Opus, PhoneCodec::G722]) {
            let payload = if codec == PhoneCodec::Opus { opus_of(&mut *encoder, n, 700.0) } else { vec![0x55; FRAME] };
            let audio = PhoneAudio { codec, ssrc: 1, sequence: n.into(), timestamp: n * 160, payload: &payload };
            room.frame(&audio, &mut |frame| same.push((frame.timestamp, frame.payload == payload)));
        }
        assert_eq!(same, [(0, false), (960, true), (1920, true), (2880, false)]);
    }

    #[test]
    fn loudness_is_told_in_decibels_below_full_scale() {
        assert!((11..=13).contains(&published(PCMU, G711::Pcmu, &[1])[0].3));
        assert_eq!(level(&[0; FRAME]), 127);
    }
}
