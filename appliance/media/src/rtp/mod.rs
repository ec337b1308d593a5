//! What is in an RTP packet? (RFC 3550 section 5.1)
//!
//! [`Packet::parse`] borrows from the datagram; [`Header::write`] fills a caller's buffer. Neither allocates.
//! Loss and jitter: [`Reception`]. Order of wrapping numbers: [`Unwrapper`].

mod order;
mod reception;

pub use order::{Unwrapper, newer};
pub use reception::{Figures, Reception, ReceptionReport};

/// Bytes of a header without contributing sources or extension.
pub const HEADER: usize = 12;

/// The fields that matter of a packet's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub marker: bool,
    pub payload_type: u8,
    pub sequence: u16,
    pub timestamp: u32,
    pub ssrc: u32,
}

/// A packet received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    pub header: Header,
    pub payload: &'a [u8],
}

/// Why a datagram is not RTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RtpError {
    #[error("shorter than its headers say")]
    Truncated,
    #[error("not RTP version 2")]
    Version,
    #[error("RTCP, not RTP")]
    Rtcp,
    #[error("padding longer than the packet")]
    Padding,
}

impl<'a> Packet<'a> {
    /// Reads a datagram; contributing sources, extension and padding are skipped.
    pub fn parse(datagram: &'a [u8]) -> Result<Packet<'a>, RtpError> {
        let Packet { header, payload } = Packet::parse_sealed(datagram)?;
        let payload = if datagram[0] & 0x20 == 0 { payload } else { without_padding(payload)? };
        Ok(Packet { header, payload })
    }

    /// As [`Packet::parse`], of one that is still encrypted: where padding begins nobody can tell.
    pub(crate) fn parse_sealed(datagram: &'a [u8]) -> Result<Packet<'a>, RtpError> {
        let (fixed, rest) = datagram.split_first_chunk::<HEADER>().ok_or(RtpError::Truncated)?;
        if fixed[0] >> 6 != 2 {
            return Err(RtpError::Version);
        }
        if (192..=223).contains(&fixed[1]) {
            return Err(RtpError::Rtcp);
        }
        let rest = rest.get(usize::from(fixed[0] & 0x0F) * 4..).ok_or(RtpError::Truncated)?;
        let payload = if fixed[0] & 0x10 == 0 { rest } else { after_extension(rest)? };
        Ok(Packet { header: Header::read(fixed), payload })
    }
}

fn after_extension(rest: &[u8]) -> Result<&[u8], RtpError> {
    let (head, rest) = rest.split_first_chunk::<4>().ok_or(RtpError::Truncated)?;
    let words = usize::from(u16::from_be_bytes([head[2], head[3]]));
    rest.get(words * 4..).ok_or(RtpError::Truncated)
}

fn without_padding(rest: &[u8]) -> Result<&[u8], RtpError> {
    let padding = usize::from(*rest.last().ok_or(RtpError::Padding)?);
    if padding == 0 {
        return Err(RtpError::Padding);
    }
    rest.len().checked_sub(padding).map(|length| &rest[..length]).ok_or(RtpError::Padding)
}

impl Header {
    fn read(fixed: &[u8; HEADER]) -> Header {
        Header {
            marker: fixed[1] & 0x80 != 0,
            payload_type: fixed[1] & 0x7F,
            sequence: u16::from_be_bytes([fixed[2], fixed[3]]),
            timestamp: u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]),
            ssrc: u32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]]),
        }
    }

    /// The header's bytes.
    pub fn to_bytes(self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[0] = 0x80;
        bytes[1] = self.payload_type & 0x7F | if self.marker { 0x80 } else { 0 };
        bytes[2..4].copy_from_slice(&self.sequence.to_be_bytes());
        bytes[4..8].copy_from_slice(&self.timestamp.to_be_bytes());
        bytes[8..12].copy_from_slice(&self.ssrc.to_be_bytes());
        bytes
    }

    /// Replaces what is in `packet` by this header and `payload`.
    pub fn write(self, payload: &[u8], packet: &mut Vec<u8>) {
        packet.clear();
        packet.extend_from_slice(&self.to_bytes());
        packet.extend_from_slice(payload);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HELLO: Header = Header { marker: true, payload_type: 101, sequence: 0xFFFE, timestamp: 0xDEAD_BEEF, ssrc: 7 };

    #[test]
    fn what_is_written_is_what_is_read() {
        let mut packet = vec![9; 400];
        HELLO.write(b"sound", &mut packet);
        assert_eq!(Packet::parse(&packet), Ok(Packet { header: HELLO, payload: b"sound" }));
    }

    #[test]
    fn sources_extension_and_padding_are_not_sound() {
        let mut packet = HELLO.to_bytes().to_vec();
        packet[0] |= 0x10 | 0x20 | 2;
        packet.extend_from_slice(&[0; 8]);
        packet.extend_from_slice(&[0xBE, 0xDE, 0, 1, 1, 2, 3, 4]);
        packet.extend_from_slice(b"sound\0\0\x03");
        assert_eq!(Packet::parse(&packet).unwrap().payload, b"sound");
    }

    #[test]
    fn rtcp_other_versions_and_lying_lengths_are_refused() {
        let mut rtcp = HELLO.to_bytes();
        rtcp[1] = 200;
        assert_eq!(Packet::parse(&rtcp), Err(RtpError::Rtcp));
        let mut stun = HELLO.to_bytes();
        stun[0] = 0;
        assert_eq!(Packet::parse(&stun), Err(RtpError::Version));
        let mut padded = HELLO.to_bytes().to_vec();
        padded[0] |= 0x20;
        padded.push(2);
        assert_eq!(Packet::parse(&padded), Err(RtpError::Padding));
        assert_eq!(Packet::parse(&HELLO.to_bytes()[..11]), Err(RtpError::Truncated));
    }

    proptest! {
        #[test]
        fn no_datagram_makes_the_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = Packet::parse(&bytes);
        }

        #[test]
        fn no_header_bits_make_the_parser_panic(first in any::<u8>(), bytes in proptest::collection::vec(any::<u8>(), 11..60)) {
            let mut packet = vec![first & 0x3F | 0x80];
            packet.extend(bytes);
            let _ = Packet::parse(&packet);
        }
    }
}
