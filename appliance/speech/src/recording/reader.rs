//! What sound is in an Ogg Opus file?
//!
//! Reading stops at the first page that is torn or spoilt: what came before it counts.

use super::headers::OpusHead;
use super::{GRANULES_PER_SECOND, RecordingError};
use crate::wav;
use std::io::Cursor;

/// Mono sound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pcm {
    pub rate: u32,
    pub samples: Vec<i16>,
}

/// Decodes a recording at the rate it was made at.
pub fn ogg_opus_to_pcm(file: &[u8]) -> Result<Pcm, RecordingError> {
    let stream = Stream::parse(file)?;
    let rate = stream.rate();
    let per_sample = u64::from(GRANULES_PER_SECOND / rate);
    let mut decoder = opus::Decoder::new(rate, opus::Channels::Mono)?;
    let mut samples = Vec::new();
    let mut frame = vec![0; (rate as usize / 1000) * LONGEST_PACKET_MS];
    for packet in &stream.packets {
        let count = decoder.decode(packet, &mut frame, false)?;
        samples.extend_from_slice(&frame[..count]);
    }
    samples.truncate((stream.end / per_sample) as usize);
    samples.drain(..samples.len().min((u64::from(stream.head.pre_skip) / per_sample) as usize));
    Ok(Pcm { rate, samples })
}

/// The same sound as a 16-bit WAV file.
pub fn ogg_opus_to_wav(file: &[u8]) -> Result<Vec<u8>, RecordingError> {
    let pcm = ogg_opus_to_pcm(file)?;
    Ok(wav::write(&pcm.samples, pcm.rate)?)
}

/// The packets of a file, undecoded.
pub(super) struct Stream {
    pub serial: u32,
    pub head: OpusHead,
    pub tags: Vec<u8>,
    pub packets: Vec<Vec<u8>>,
    /// Where the sound ends, as Ogg counts, `pre_skip` included.
    pub end: u64,
    /// False for a file that was never finished.
    pub has_end: bool,
}

impl Stream {
    pub fn parse(file: &[u8]) -> Result<Self, RecordingError> {
        let mut reader = ogg::PacketReader::new(Cursor::new(file));
        let mut next = || reader.read_packet().ok().flatten();
        let first = next().ok_or(RecordingError::Format("it has no whole page"))?;
        let tags = next().ok_or(RecordingError::Format("its second header is missing"))?;
        let mut stream = Self {
            serial: first.stream_serial(),
            head: OpusHead::parse(&first.data)?,
            tags: tags.data,
            packets: Vec::new(),
            end: 0,
            has_end: false,
        };
        while let Some(packet) = next().filter(|_| !stream.has_end) {
            stream.add(packet);
        }
        Ok(stream)
    }

    /// Length of the sound in Ogg's unit.
    pub fn length(&self) -> u64 {
        self.end.saturating_sub(u64::from(self.head.pre_skip))
    }

    /// The end is what the packets hold, or less where the last page says so.
    fn add(&mut self, packet: ogg::Packet) {
        self.end += packet_length(&packet.data);
        if packet.last_in_stream() {
            self.has_end = true;
            self.end = self.end.min(packet.absgp_page());
        }
        self.packets.push(packet.data);
    }

    /// The rate the sound had, if Opus can decode to it.
    fn rate(&self) -> u32 {
        match self.head.input_rate {
            rate @ (8_000 | 12_000 | 16_000 | 24_000) => rate,
            _ => GRANULES_PER_SECOND,
        }
    }
}

/// How long a packet sounds, in Ogg's unit; a broken one not at all.
pub(super) fn packet_length(packet: &[u8]) -> u64 {
    opus::packet::get_nb_samples(packet, GRANULES_PER_SECOND).unwrap_or(0) as u64
}

const LONGEST_PACKET_MS: usize = 120;
