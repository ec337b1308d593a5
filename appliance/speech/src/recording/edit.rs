//! How is a file finished that its writer could not finish, or one cut at its end?
//!
//! Both write a new file beside the old one and rename it, so a crash in between loses nothing.

use super::reader::{Stream, packet_length};
use super::{GRANULES_PER_SECOND, Recorded, RecordingError};
use ogg::{PacketWriteEndInfo, PacketWriter};
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::time::Duration;

/// Gives an unfinished file its end; a finished one is left as it is.
///
/// A torn last page is dropped. A file whose headers never reached the disk is an error.
pub fn repair(path: &Path) -> Result<Recorded, RecordingError> {
    let file = fs::read(path).map_err(RecordingError::file("read", path))?;
    let stream = Stream::parse(&file)?;
    match stream.has_end {
        true => Ok(Recorded { duration: duration_of(stream.length()), bytes: file.len() as u64 }),
        false => rewrite(path, stream),
    }
}

/// Keeps the first `keep` of the sound.
pub fn trim(path: &Path, keep: Duration) -> Result<Recorded, RecordingError> {
    let file = fs::read(path).map_err(RecordingError::file("read", path))?;
    let mut stream = Stream::parse(&file)?;
    let kept = keep.as_micros() as u64 * u64::from(GRANULES_PER_SECOND) / 1_000_000;
    stream.end = stream.end.min(u64::from(stream.head.pre_skip) + kept);
    rewrite(path, stream)
}

fn rewrite(path: &Path, stream: Stream) -> Result<Recorded, RecordingError> {
    let duration = duration_of(stream.length());
    let bytes = serialise(stream).map_err(RecordingError::file("mend", path))?;
    let beside = path.with_extension("ogg.new");
    let written = File::create(&beside).and_then(|mut file| {
        file.write_all(&bytes)?;
        file.sync_all()
    });
    written.and_then(|()| fs::rename(&beside, path)).map_err(RecordingError::file("mend", path))?;
    Ok(Recorded { duration, bytes: bytes.len() as u64 })
}

/// The packets up to `stream.end`, in pages like those of the writer. A stream without sound gets
/// one empty packet's worth of nothing: an end needs a page to stand on.
fn serialise(stream: Stream) -> std::io::Result<Vec<u8>> {
    let (serial, end) = (stream.serial, stream.end);
    let mut pages = PacketWriter::new(Vec::new());
    pages.write_packet(stream.head.write(), serial, PacketWriteEndInfo::EndPage, 0)?;
    pages.write_packet(stream.tags, serial, PacketWriteEndInfo::EndPage, 0)?;
    let mut packets = stream.packets;
    if packets.is_empty() {
        packets.push(NOTHING.to_vec());
    }
    let mut granule = 0;
    for (index, packet) in packets.into_iter().enumerate() {
        granule += packet_length(&packet);
        if granule >= end || end == 0 {
            pages.write_packet(packet, serial, PacketWriteEndInfo::EndStream, end)?;
            break;
        }
        let place = if index % 10 == 9 { PacketWriteEndInfo::EndPage } else { PacketWriteEndInfo::NormalPacket };
        pages.write_packet(packet, serial, place, granule)?;
    }
    Ok(pages.into_inner())
}

fn duration_of(granules: u64) -> Duration {
    Duration::from_micros(granules * 1_000_000 / u64::from(GRANULES_PER_SECOND))
}

/// A 20 ms Opus packet that holds no sound (narrowband SILK, one empty frame).
const NOTHING: [u8; 1] = [0x08];
