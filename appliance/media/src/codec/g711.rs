//! How does G.711 sound? One byte per sample, mu-law (PCMU) or A-law (PCMA).
//!
//! Decoding and changing the law go through tables that are made once.

use super::{CodecError, Decoder, Encoder};
use audio_codec_algorithms as laws;
use std::sync::LazyLock;

/// The two G.711 codecs, by their RTP names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum G711 {
    Pcmu,
    Pcma,
}

static FROM_PCMU: LazyLock<[i16; 256]> = LazyLock::new(|| table(laws::decode_ulaw));
static FROM_PCMA: LazyLock<[i16; 256]> = LazyLock::new(|| table(laws::decode_alaw));
static PCMU_TO_PCMA: LazyLock<[u8; 256]> = LazyLock::new(|| table(laws::convert_ulaw_to_alaw));
static PCMA_TO_PCMU: LazyLock<[u8; 256]> = LazyLock::new(|| table(laws::convert_alaw_to_ulaw));

fn table<T: Default + Copy>(f: impl Fn(u8) -> T) -> [T; 256] {
    let mut table = [T::default(); 256];
    for (byte, entry) in (0..=255).zip(table.iter_mut()) {
        *entry = f(byte);
    }
    table
}

impl G711 {
    /// Its name in `a=rtpmap`.
    pub fn name(self) -> &'static str {
        match self {
            G711::Pcmu => "PCMU",
            G711::Pcma => "PCMA",
        }
    }

    /// Its static payload type (RFC 3551).
    pub fn payload_type(self) -> u8 {
        match self {
            G711::Pcmu => 0,
            G711::Pcma => 8,
        }
    }

    /// The byte of a silent sample.
    pub const fn silence(self) -> u8 {
        match self {
            G711::Pcmu => 0xFF,
            G711::Pcma => 0xD5,
        }
    }

    /// Bytes to samples, as many as both slices have; returns how many.
    pub fn decode(self, bytes: &[u8], pcm: &mut [i16]) -> usize {
        let table = self.samples();
        for (byte, sample) in bytes.iter().zip(pcm.iter_mut()) {
            *sample = table[usize::from(*byte)];
        }
        bytes.len().min(pcm.len())
    }

    /// Samples to bytes, as many as both slices have; returns how many.
    pub fn encode(self, pcm: &[i16], bytes: &mut [u8]) -> usize {
        let encode = match self {
            G711::Pcmu => laws::encode_ulaw,
            G711::Pcma => laws::encode_alaw,
        };
        for (sample, byte) in pcm.iter().zip(bytes.iter_mut()) {
            *byte = encode(*sample);
        }
        bytes.len().min(pcm.len())
    }

    /// How loud `bytes` are, see [`super::level`].
    pub fn level(self, bytes: &[u8]) -> u8 {
        let table = self.samples();
        let energy = bytes.iter().map(|byte| super::square(table[usize::from(*byte)])).sum();
        super::decibels(energy, bytes.len())
    }

    fn samples(self) -> &'static [i16; 256] {
        match self {
            G711::Pcmu => &FROM_PCMU,
            G711::Pcma => &FROM_PCMA,
        }
    }

    /// Rewrites bytes of this law in the other one.
    pub fn convert(self, to: G711, bytes: &mut [u8]) {
        let table = match (self, to) {
            (G711::Pcmu, G711::Pcma) => &*PCMU_TO_PCMA,
            (G711::Pcma, G711::Pcmu) => &*PCMA_TO_PCMU,
            _ => return,
        };
        for byte in bytes {
            *byte = table[usize::from(*byte)];
        }
    }
}

impl Encoder for G711 {
    fn encode(&mut self, pcm: &[i16], out: &mut [u8]) -> Result<usize, CodecError> {
        Ok(G711::encode(*self, pcm, out))
    }
}

/// Decodes G.711; a lost packet sounds like the one before it, fading away.
pub struct G711Decoder {
    law: G711,
    last: Vec<i16>,
    fade: u32,
}

/// After so many concealed packets in a row there is only silence.
const FADE_STEPS: u32 = 4;

impl G711Decoder {
    pub fn new(law: G711) -> G711Decoder {
        G711Decoder { law, last: Vec::with_capacity(super::LONGEST_PACKET), fade: 0 }
    }
}

impl Decoder for G711Decoder {
    fn decode(&mut self, packet: &[u8], pcm: &mut [i16]) -> Result<usize, CodecError> {
        let length = self.law.decode(packet, pcm);
        self.last.clear();
        self.last.extend_from_slice(&pcm[..length]);
        self.fade = 0;
        Ok(length)
    }

    fn conceal(&mut self, _next: Option<&[u8]>, pcm: &mut [i16]) {
        self.fade += 1;
        if self.last.is_empty() || self.fade >= FADE_STEPS {
            return pcm.fill(0);
        }
        for (sample, old) in pcm.iter_mut().zip(self.last.iter().cycle()) {
            *sample = old >> self.fade;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone() -> Vec<i16> {
        (0..8000).map(|n| ((n as f64 * 440.0 * std::f64::consts::TAU / 8000.0).sin() * 8000.0) as i16).collect()
    }

    fn snr_db(sent: &[i16], heard: &[i16]) -> f64 {
        let signal: f64 = sent.iter().map(|s| f64::from(*s).powi(2)).sum();
        let noise: f64 = sent.iter().zip(heard).map(|(s, h)| (f64::from(*s) - f64::from(*h)).powi(2)).sum();
        10.0 * (signal / noise).log10()
    }

    #[test]
    fn a_tone_survives_both_laws_with_more_than_35_db() {
        for law in [G711::Pcmu, G711::Pcma] {
            let sent = tone();
            let (mut bytes, mut heard) = (vec![0; sent.len()], vec![0; sent.len()]);
            law.encode(&sent, &mut bytes);
            law.decode(&bytes, &mut heard);
            assert!(snr_db(&sent, &heard) > 35.0, "{law:?}: {}", snr_db(&sent, &heard));
        }
    }

    #[test]
    fn a_tone_survives_a_change_of_law_and_back() {
        let sent = tone();
        let (mut bytes, mut heard) = (vec![0; sent.len()], vec![0; sent.len()]);
        G711::Pcmu.encode(&sent, &mut bytes);
        G711::Pcmu.convert(G711::Pcma, &mut bytes);
        G711::Pcma.decode(&bytes, &mut heard);
        assert!(snr_db(&sent, &heard) > 30.0);
        G711::Pcma.convert(G711::Pcmu, &mut bytes);
        G711::Pcmu.decode(&bytes, &mut heard);
        assert!(snr_db(&sent, &heard) > 30.0);
    }

    #[test]
    fn silence_bytes_are_silent_in_both_laws() {
        for law in [G711::Pcmu, G711::Pcma] {
            let mut heard = [1];
            law.decode(&[law.silence()], &mut heard);
            assert!(heard[0].abs() <= 8, "{law:?} {}", heard[0]);
        }
    }

    #[test]
    fn lost_packets_fade_into_silence() {
        let mut decoder = G711Decoder::new(G711::Pcmu);
        let (mut bytes, mut pcm) = (vec![0; 160], vec![0; 960]);
        G711::Pcmu.encode(&[8000; 160], &mut bytes);
        assert_eq!(decoder.decode(&bytes, &mut pcm).unwrap(), 160);
        let mut levels = Vec::new();
        for _ in 0..5 {
            decoder.conceal(None, &mut pcm[..160]);
            levels.push(pcm[80]);
        }
        assert!(levels[0] > levels[1] && levels[1] > levels[2] && levels[0] < 8000, "{levels:?}");
        assert_eq!(&levels[3..], &[0, 0]);
    }
}
