//! How does sound become an Ogg Opus file while it is still coming in?
//!
//! Samples are coded in frames of 20 ms; ten frames make a page, and a page is written in one go. The
//! writer blocks on the disk: call it from a thread that may.

use super::headers::{OpusHead, opus_tags};
use super::{GRANULES_PER_SECOND, Recorded, RecordingError};
use ogg::{PacketWriteEndInfo, PacketWriter};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Writes one mono recording.
pub struct OggOpusWriter {
    path: PathBuf,
    file: File,
    pages: PacketWriter<'static, Vec<u8>>,
    serial: u32,
    encoder: opus::Encoder,
    rate: u32,
    pre_skip: u16,
    /// Samples that do not fill a frame yet.
    pending: Vec<i16>,
    /// Samples taken so far.
    taken: u64,
    frames: u64,
    bytes: u64,
}

impl OggOpusWriter {
    /// Starts a file for sound at `rate` (8000, 12000, 16000, 24000 or 48000) and writes its headers.
    pub fn create(path: &Path, rate: u32) -> Result<Self, RecordingError> {
        let mut encoder = new_encoder(rate)?;
        let lookahead = encoder.get_lookahead()? as u32 * (GRANULES_PER_SECOND / rate);
        let file = File::create_new(path).map_err(RecordingError::file("create", path))?;
        let mut writer = Self {
            path: path.to_owned(),
            file,
            pages: PacketWriter::new(Vec::new()),
            serial: rand::random(),
            encoder,
            rate,
            pre_skip: lookahead as u16,
            pending: Vec::new(),
            taken: 0,
            frames: 0,
            bytes: 0,
        };
        writer.write_headers()?;
        Ok(writer)
    }

    /// Appends samples; a page goes to the file as soon as it is full.
    pub fn write(&mut self, samples: &[i16]) -> Result<(), RecordingError> {
        self.taken += samples.len() as u64;
        self.pending.extend_from_slice(samples);
        let frame = self.frame_length();
        let whole = self.pending.len() / frame * frame;
        let ready: Vec<i16> = self.pending.drain(..whole).collect();
        for frame in ready.chunks_exact(frame) {
            let end = match (self.frames + 1).is_multiple_of(FRAMES_PER_PAGE) {
                true => PacketWriteEndInfo::EndPage,
                false => PacketWriteEndInfo::NormalPacket,
            };
            self.write_frame(frame, end, None)?;
        }
        Ok(())
    }

    /// How much sound was taken so far.
    pub fn duration(&self) -> Duration {
        Duration::from_micros(self.taken * 1_000_000 / u64::from(self.rate))
    }

    /// Has the disk hold everything up to the last full page.
    pub fn sync(&mut self) -> Result<(), RecordingError> {
        self.file.sync_data().map_err(RecordingError::file("sync", &self.path))
    }

    /// Writes what is pending, marks the end and syncs.
    pub fn finish(mut self) -> Result<Recorded, RecordingError> {
        let end = u64::from(self.pre_skip) + self.taken * u64::from(GRANULES_PER_SECOND / self.rate);
        let frame = self.frame_length();
        let mut rest = std::mem::take(&mut self.pending);
        // The coder lags behind by its lookahead: silence pushes the last samples out.
        while self.granule() + rest.len() as u64 * u64::from(GRANULES_PER_SECOND / self.rate) < end || rest.is_empty() {
            rest.resize((rest.len() / frame + 1) * frame, 0);
        }
        rest.resize(rest.len().div_ceil(frame) * frame, 0);
        let count = rest.len() / frame;
        for (index, samples) in rest.chunks_exact(frame).enumerate() {
            match index + 1 == count {
                true => self.write_frame(samples, PacketWriteEndInfo::EndStream, Some(end))?,
                false => self.write_frame(samples, PacketWriteEndInfo::NormalPacket, None)?,
            }
        }
        self.sync()?;
        Ok(Recorded { duration: self.duration(), bytes: self.bytes })
    }

    fn write_headers(&mut self) -> Result<(), RecordingError> {
        let head = OpusHead { pre_skip: self.pre_skip, input_rate: self.rate };
        self.add_packet(head.write(), PacketWriteEndInfo::EndPage, 0)?;
        self.add_packet(opus_tags(), PacketWriteEndInfo::EndPage, 0)
    }

    fn write_frame(
        &mut self,
        samples: &[i16],
        end: PacketWriteEndInfo,
        granule: Option<u64>,
    ) -> Result<(), RecordingError> {
        let packet = self.encoder.encode_vec(samples, MAX_PACKET)?;
        self.frames += 1;
        self.add_packet(packet, end, granule.unwrap_or(self.granule()))
    }

    /// Hands a packet to the page in the making, and the page to the file once it is whole.
    fn add_packet(&mut self, packet: Vec<u8>, end: PacketWriteEndInfo, granule: u64) -> Result<(), RecordingError> {
        let failed = |source| RecordingError::File { verb: "write", path: self.path.clone(), source };
        self.pages.write_packet(packet, self.serial, end, granule).map_err(failed)?;
        let page = std::mem::take(self.pages.inner_mut());
        self.bytes += page.len() as u64;
        self.file.write_all(&page).map_err(failed)
    }

    /// Time at the end of the frames so far, as Ogg counts it.
    fn granule(&self) -> u64 {
        self.frames * u64::from(GRANULES_PER_SECOND / FRAMES_PER_SECOND)
    }

    fn frame_length(&self) -> usize {
        (self.rate / FRAMES_PER_SECOND) as usize
    }
}

/// Set for fidelity rather than for the last bit of intelligibility: tones must come out as they went in.
fn new_encoder(rate: u32) -> Result<opus::Encoder, RecordingError> {
    if ![8_000, 12_000, 16_000, 24_000, 48_000].contains(&rate) {
        return Err(RecordingError::Rate(rate));
    }
    let mut encoder = opus::Encoder::new(rate, opus::Channels::Mono, opus::Application::Audio)?;
    encoder.set_bitrate(opus::Bitrate::Bits(if rate > 8_000 { 32_000 } else { 24_000 }))?;
    encoder.set_complexity(5)?;
    Ok(encoder)
}

const FRAMES_PER_SECOND: u32 = 50;
/// 200 ms: what a crash may cost.
const FRAMES_PER_PAGE: u64 = 10;
/// The largest Opus packet there is.
const MAX_PACKET: usize = 1275;
