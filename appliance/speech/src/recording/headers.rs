//! What stands in the two packets before the sound? (RFC 7845, section 5)

use super::RecordingError;

/// The identification header of a mono or stereo stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OpusHead {
    /// Samples at 48 kHz to throw away at the start: the coder's own delay.
    pub pre_skip: u16,
    /// Of the sound before it was coded; for information.
    pub input_rate: u32,
}

impl OpusHead {
    pub fn write(self) -> Vec<u8> {
        let mut head = b"OpusHead\x01\x01".to_vec();
        head.extend(self.pre_skip.to_le_bytes());
        head.extend(self.input_rate.to_le_bytes());
        head.extend([0, 0, 0]); // gain 0 dB, mapping family 0
        head
    }

    pub fn parse(packet: &[u8]) -> Result<Self, RecordingError> {
        let (Some(b"OpusHead"), Some(fields)) = (packet.get(..8), packet.get(8..19)) else {
            return Err(RecordingError::Format("it does not begin with OpusHead"));
        };
        if fields[0] & 0xf0 != 0 || fields[10] != 0 {
            return Err(RecordingError::Format("its version or channel mapping is unknown"));
        }
        Ok(Self {
            pre_skip: u16::from_le_bytes([fields[2], fields[3]]),
            input_rate: u32::from_le_bytes([fields[4], fields[5], fields[6], fields[7]]),
        })
    }
}

/// The comment header: who wrote it, and nothing about the caller.
pub(super) fn opus_tags() -> Vec<u8> {
    let vendor = concat!("ScaiBox ", env!("CARGO_PKG_VERSION"));
    let mut tags = b"OpusTags".to_vec();
    tags.extend((vendor.len() as u32).to_le_bytes());
    tags.extend(vendor.as_bytes());
    tags.extend(0u32.to_le_bytes());
    tags
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_identification_header_survives_being_written_and_read() {
        let head = OpusHead { pre_skip: 312, input_rate: 8000 };
        assert_eq!(OpusHead::parse(&head.write()).unwrap(), head);
    }

    #[test]
    fn another_codec_is_refused() {
        assert!(OpusHead::parse(b"\x01vorbis").is_err());
    }
}
