//! How do browsers, bots and some phones sound? Opus, coded in mono with libopus at the rate of the phone.

use super::{CodecError, Decoder, Encoder, RATE, Rate};
use opus::{Application, Bitrate, Channels, Signal};

/// Bits per second towards the room, at 8 and at 16 kHz.
const NARROW: i32 = 24_000;
const WIDE: i32 = 32_000;
/// Most of libopus' quality for speech at a third of its full cost.
const COMPLEXITY: i32 = 5;

/// How long a packet lasts, in ticks of 8 kHz; none for what is no packet (RFC 6716 section 3).
pub(super) fn ticks(packet: &[u8]) -> Option<u32> {
    let samples = opus::packet::get_nb_samples(packet, RATE).ok()?;
    u32::try_from(samples).ok().filter(|samples| *samples > 0)
}

/// Makes of a packet one that is as long and says that its frames got lost, so that whoever decodes it conceals them:
/// a frame without a byte may stand for one that "was dropped during transmission by some intermediary" (RFC 6716
/// section 3.2.1). The form with a count of frames serves any number of them.
pub fn opus_lost(packet: &mut Vec<u8>) {
    let Ok(frames) = opus::packet::get_nb_frames(packet) else { return };
    packet.truncate(1);
    packet[0] |= 3;
    packet.push(frames as u8);
}

/// Opus to mono; stereo is folded down by libopus.
pub struct OpusDecoder(opus::Decoder);

impl OpusDecoder {
    pub fn new(rate: Rate) -> Result<OpusDecoder, CodecError> {
        opus::Decoder::new(rate.hertz(), Channels::Mono)
            .map(OpusDecoder)
            .map_err(|source| CodecError::Opus { action: "start decoding", source })
    }
}

impl Decoder for OpusDecoder {
    fn decode(&mut self, packet: &[u8], pcm: &mut [i16]) -> Result<usize, CodecError> {
        self.0.decode(packet, pcm, false).map_err(|source| CodecError::Opus { action: "decode", source })
    }

    fn conceal(&mut self, next: Option<&[u8]>, pcm: &mut [i16]) {
        // The next packet may carry a low-rate copy of the lost one; without it libopus extrapolates.
        let guessed = match next {
            Some(next) if !next.is_empty() => self.0.decode(next, pcm, true),
            _ => self.0.decode(&[], pcm, false),
        };
        if guessed.is_err() {
            pcm.fill(0);
        }
    }
}

/// Mono to Opus, 20 ms per packet.
pub struct OpusEncoder(opus::Encoder);

impl OpusEncoder {
    pub fn new(rate: Rate) -> Result<OpusEncoder, CodecError> {
        OpusEncoder::build(rate).map_err(|source| CodecError::Opus { action: "start encoding", source })
    }

    fn build(rate: Rate) -> Result<OpusEncoder, opus::Error> {
        let mut encoder = opus::Encoder::new(rate.hertz(), Channels::Mono, Application::Voip)?;
        encoder.set_bitrate(Bitrate::Bits(if rate == Rate::Wide { WIDE } else { NARROW }))?;
        encoder.set_complexity(COMPLEXITY)?;
        encoder.set_signal(Signal::Voice)?;
        encoder.set_inband_fec(true)?;
        encoder.set_packet_loss_perc(5)?;
        Ok(OpusEncoder(encoder))
    }
}

impl Encoder for OpusEncoder {
    fn encode(&mut self, pcm: &[i16], out: &mut [u8]) -> Result<usize, CodecError> {
        self.0.encode(pcm, out).map_err(|source| CodecError::Opus { action: "encode", source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{FRAME, LONGEST_PACKET};

    fn power_at(hz: f64, pcm: &[i16]) -> f64 {
        let (mut re, mut im, mut total) = (0.0, 0.0, 0.0);
        for (n, sample) in pcm.iter().enumerate() {
            let (angle, s) = (n as f64 * hz * std::f64::consts::TAU / 8000.0, f64::from(*sample));
            re += s * angle.cos();
            im += s * angle.sin();
            total += s * s;
        }
        2.0 * (re * re + im * im) / (pcm.len() as f64 * total)
    }

    #[test]
    fn a_tone_is_still_that_tone_after_opus() {
        let (mut encoder, mut decoder) =
            (OpusEncoder::new(Rate::Narrow).unwrap(), OpusDecoder::new(Rate::Narrow).unwrap());
        let mut heard = Vec::new();
        for block in 0..50 {
            let mut frame = [0; FRAME];
            for (n, sample) in frame.iter_mut().enumerate() {
                let t = (block * FRAME + n) as f64 / 8000.0;
                *sample = ((t * 600.0 * std::f64::consts::TAU).sin() * 8000.0) as i16;
            }
            let (mut packet, mut pcm) = ([0; 400], [0; LONGEST_PACKET]);
            let length = encoder.encode(&frame, &mut packet).unwrap();
            assert_eq!(decoder.decode(&packet[..length], &mut pcm).unwrap(), FRAME);
            heard.extend_from_slice(&pcm[..FRAME]);
        }
        assert!(power_at(600.0, &heard[1600..]) > 0.95);
    }

    #[test]
    fn packets_say_how_long_they_are_and_garbage_does_not() {
        let mut packet = [0; 400];
        let length = OpusEncoder::new(Rate::Wide).unwrap().encode(&[0; 2 * FRAME], &mut packet).unwrap();
        assert_eq!(ticks(&packet[..length]), Some(160));
        // 60 ms of SILK, two frames of 2.5 ms of CELT, three of 20 ms with a count.
        assert_eq!(
            [&[3 << 3][..], &[16 << 3 | 1, 9, 9], &[19 << 3 | 3, 3]].map(ticks),
            [Some(480), Some(40), Some(480)]
        );
        assert_eq!([&[][..], &[0xFF], &[0xFF; 3], &[19 << 3 | 3, 0]].map(ticks), [None; 4]);
    }

    #[test]
    fn a_packet_that_got_lost_is_as_long_and_sounds_like_the_one_before() {
        let (mut encoder, mut decoder) =
            (OpusEncoder::new(Rate::Narrow).unwrap(), OpusDecoder::new(Rate::Narrow).unwrap());
        let (mut packet, mut pcm) = (vec![0; 400], [0; LONGEST_PACKET]);
        for block in 0..20 {
            let wave = |i: usize| ((block * FRAME + i) as f64 / 8000.0 * 600.0 * std::f64::consts::TAU).sin();
            packet.resize(400, 0);
            let length =
                encoder.encode(&std::array::from_fn::<i16, FRAME, _>(|i| (wave(i) * 8000.0) as i16), &mut packet);
            packet.truncate(length.unwrap());
            decoder.decode(&packet, &mut pcm).unwrap();
        }
        opus_lost(&mut packet);
        assert_eq!((packet.len(), ticks(&packet)), (2, Some(160)));
        assert_eq!(decoder.decode(&packet, &mut pcm).unwrap(), FRAME);
        assert!(power_at(600.0, &pcm[..FRAME]) > 0.8, "{}", power_at(600.0, &pcm[..FRAME]));
        let mut three = vec![19 << 3 | 3, 3, 1, 2, 3];
        opus_lost(&mut three);
        assert_eq!((three.len(), ticks(&three)), (2, Some(480)));
    }

    #[test]
    fn garbage_is_an_error_and_concealment_always_fills_the_frame() {
        let mut decoder = OpusDecoder::new(Rate::Narrow).unwrap();
        assert!(decoder.decode(&[0xFF; 3], &mut [0; LONGEST_PACKET]).is_err());
        let mut pcm = [7; FRAME];
        decoder.conceal(None, &mut pcm);
        decoder.conceal(Some(&[0xFF; 3]), &mut pcm);
        assert!(pcm.iter().all(|s| s.abs() < 8));
    }
}
