//! What is in an RTCP datagram? (RFC 3550 section 6, validity as in A.2)
//!
//! [`Compound::parse`] checks all of it before anything of it counts; nothing is copied.

use super::kind;
use super::part::{BLOCK, Block, SENDER_INFO, SenderInfo};

/// A whole datagram: one report, and what follows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compound<'a> {
    pub parts: Vec<Part<'a>>,
}

/// One packet of a compound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part<'a> {
    Report(Report<'a>),
    /// Who speaks.
    Description(Vec<Named<'a>>),
    Goodbye(Goodbye<'a>),
    Application(Application<'a>),
    /// Of a type that we do not read (feedback, extended reports).
    Other(u8),
}

/// A source with its canonical name, if it gives one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Named<'a> {
    pub ssrc: u32,
    pub name: Option<&'a [u8]>,
}

/// A sender's or a receiver's report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report<'a> {
    /// Who reports.
    pub ssrc: u32,
    /// Of its own stream, where it has one.
    pub sent: Option<SenderInfo>,
    blocks: &'a [[u8; BLOCK]],
}

/// Sources that leave, and perhaps why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Goodbye<'a> {
    sources: &'a [[u8; 4]],
    pub reason: Option<&'a [u8]>,
}

/// What an application makes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Application<'a> {
    pub subtype: u8,
    pub ssrc: u32,
    pub name: [u8; 4],
    pub data: &'a [u8],
}

/// Why a datagram is not RTCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RtcpError {
    #[error("shorter than its headers say")]
    Truncated,
    #[error("not RTCP version 2")]
    Version,
    #[error("padding before the end, or longer than its packet")]
    Padding,
    #[error("does not begin with a report")]
    NoReport,
}

impl Report<'_> {
    /// What it says of the streams that it hears.
    pub fn blocks(&self) -> impl Iterator<Item = Block> {
        self.blocks.iter().map(Block::read)
    }
}

impl Goodbye<'_> {
    pub fn sources(&self) -> impl Iterator<Item = u32> {
        self.sources.iter().map(|source| u32::from_be_bytes(*source))
    }
}

impl<'a> Compound<'a> {
    /// Reads a datagram; an error when any packet in it is malformed.
    pub fn parse(datagram: &'a [u8]) -> Result<Compound<'a>, RtcpError> {
        let (mut parts, mut rest) = (Vec::new(), datagram);
        while !rest.is_empty() {
            let (part, after) = packet(rest)?;
            if parts.is_empty() && !matches!(part, Part::Report(_)) {
                return Err(RtcpError::NoReport);
            }
            parts.push(part);
            rest = after;
        }
        if parts.is_empty() { Err(RtcpError::Truncated) } else { Ok(Compound { parts }) }
    }

    /// Who reports: the source of the first report.
    pub fn reporter(&self) -> Option<u32> {
        match self.parts.first()? {
            Part::Report(report) => Some(report.ssrc),
            _ => None,
        }
    }
}

/// The first packet and what is after it. Only the last one may be padded.
fn packet(bytes: &[u8]) -> Result<(Part<'_>, &[u8]), RtcpError> {
    let ([first, kind, high, low], rest) = bytes.split_first_chunk().ok_or(RtcpError::Truncated)?;
    if first >> 6 != 2 {
        return Err(RtcpError::Version);
    }
    let length = usize::from(u16::from_be_bytes([*high, *low])) * 4;
    let (body, after) = rest.split_at_checked(length).ok_or(RtcpError::Truncated)?;
    let body = match (first & 0x20, after.is_empty()) {
        (0, _) => body,
        (_, true) => without_padding(body)?,
        (_, false) => return Err(RtcpError::Padding),
    };
    let part = part(*kind, first & 0x1F, body).ok_or(RtcpError::Truncated)?;
    Ok((part, after))
}

fn without_padding(body: &[u8]) -> Result<&[u8], RtcpError> {
    let padding = usize::from(*body.last().ok_or(RtcpError::Padding)?);
    if padding == 0 || padding % 4 != 0 {
        return Err(RtcpError::Padding);
    }
    body.len().checked_sub(padding).map(|length| &body[..length]).ok_or(RtcpError::Padding)
}

/// None when there is less than `count` asks for.
fn part(packet_type: u8, count: u8, body: &[u8]) -> Option<Part<'_>> {
    Some(match packet_type {
        kind::SENDER | kind::RECEIVER => Part::Report(report(packet_type == kind::SENDER, count, body)?),
        kind::DESCRIPTION => Part::Description(description(count, body)?),
        kind::GOODBYE => Part::Goodbye(goodbye(count, body)?),
        kind::APPLICATION => Part::Application(application(count, body)?),
        other => Part::Other(other),
    })
}

/// What follows the blocks is a profile's own and passed over.
fn report(sends: bool, count: u8, body: &[u8]) -> Option<Report<'_>> {
    let (ssrc, rest) = number(body)?;
    let (sent, rest) = match sends {
        true => rest.split_first_chunk::<SENDER_INFO>().map(|(info, rest)| (Some(SenderInfo::read(info)), rest))?,
        false => (None, rest),
    };
    let blocks = rest.as_chunks::<BLOCK>().0.get(..count.into())?;
    Some(Report { ssrc, sent, blocks })
}

/// Section 6.5: chunks of a source and its items, each padded to four octets with at least one zero.
fn description(count: u8, mut body: &[u8]) -> Option<Vec<Named<'_>>> {
    let mut chunks = Vec::with_capacity(count.into());
    for _ in 0..count {
        let (ssrc, items) = number(body)?;
        let (name, length) = items_of(items)?;
        chunks.push(Named { ssrc, name });
        body = items.get(length.next_multiple_of(4)..)?;
    }
    Some(chunks)
}

/// The canonical name, and the length of all items with the zero that ends them.
fn items_of(items: &[u8]) -> Option<(Option<&[u8]>, usize)> {
    const CNAME: u8 = 1;
    let (mut name, mut at) = (None, 0);
    while *items.get(at)? != 0 {
        let length = usize::from(*items.get(at + 1)?);
        let text = items.get(at + 2..at + 2 + length)?;
        if items[at] == CNAME {
            name = Some(text);
        }
        at += 2 + length;
    }
    Some((name, at + 1))
}

fn goodbye(count: u8, body: &[u8]) -> Option<Goodbye<'_>> {
    let (sources, rest) = body.split_at_checked(usize::from(count) * 4)?;
    let reason = match rest.split_first() {
        Some((length, text)) => Some(text.get(..usize::from(*length))?),
        None => None,
    };
    Some(Goodbye { sources: sources.as_chunks::<4>().0, reason })
}

fn application(subtype: u8, body: &[u8]) -> Option<Application<'_>> {
    let (ssrc, rest) = number(body)?;
    let (name, data) = rest.split_first_chunk()?;
    Some(Application { subtype, ssrc, name: *name, data })
}

fn number(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (number, rest) = bytes.split_first_chunk()?;
    Some((u32::from_be_bytes(*number), rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtcp::Outgoing;
    use proptest::prelude::*;

    /// A receiver report without blocks.
    const EMPTY: [u8; 8] = [0x80, 201, 0, 1, 0, 0, 0, 9];

    fn with(packet: &[u8]) -> Vec<u8> {
        [&EMPTY, packet].concat()
    }

    #[test]
    fn descriptions_goodbyes_and_what_applications_say_are_read() {
        let names =
            [0x82, 202, 0, 6, 0, 0, 0, 9, 1, 3, b'a', b'@', b'b', 2, 1, b'x', 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0];
        let bye = [0x82, 203, 0, 4, 0, 0, 0, 9, 0, 0, 0, 8, 5, b'l', b'u', b'n', b'c', b'h', 0, 0];
        let application = [0x83, 204, 0, 3, 0, 0, 0, 9, b'd', b'o', b'o', b'r', 1, 2, 3, 4];
        let datagram = [&EMPTY[..], &names, &bye, &application, &[0x80, 207, 0, 0]].concat();
        let parts = Compound::parse(&datagram).unwrap().parts;
        assert_eq!(
            parts[1],
            Part::Description(vec![Named { ssrc: 9, name: Some(b"a@b") }, Named { ssrc: 8, name: None }])
        );
        let Part::Goodbye(bye) = &parts[2] else { panic!("{parts:?}") };
        assert_eq!((bye.sources().collect::<Vec<_>>(), bye.reason), (vec![9, 8], Some(&b"lunch"[..])));
        let said = Application { subtype: 3, ssrc: 9, name: *b"door", data: &[1, 2, 3, 4] };
        assert_eq!(parts[3..], [Part::Application(said), Part::Other(207)]);
    }

    #[test]
    fn datagrams_that_lie_about_their_lengths_are_refused_whole() {
        for (packet, error) in [
            (&[0x81, 201, 0, 1, 0, 0, 0, 9][..], RtcpError::Truncated), // a block is promised
            (&[0x80, 200, 0, 1, 0, 0, 0, 9], RtcpError::Truncated),     // a sender without its figures
            (&[0x80, 201, 0, 2, 0, 0, 0, 9], RtcpError::Truncated),
            (&[0x81, 202, 0, 2, 0, 0, 0, 9, 1, 9, b'a', 0], RtcpError::Truncated),
            (&[0x81, 202, 0, 2, 0, 0, 0, 9, 1, 2, b'a', b'b'], RtcpError::Truncated), // no zero at the end
            (&[0x9F, 203, 0, 1, 0, 0, 0, 9], RtcpError::Truncated),
            (&[0x81, 203, 0, 2, 0, 0, 0, 9, 4, b'x', 0, 0], RtcpError::Truncated),
            (&[0x80, 204, 0, 1, 0, 0, 0, 9], RtcpError::Truncated),
            (&[0x40, 201, 0, 1, 0, 0, 0, 9], RtcpError::Version),
            (&[0xA0, 203, 0, 1, 0, 0, 0, 8], RtcpError::Padding),
            (&[0xA0, 203, 0, 1, 0, 0, 0, 3], RtcpError::Padding),
            (&[0x80, 203], RtcpError::Truncated),
        ] {
            assert_eq!(Compound::parse(&with(packet)), Err(error), "{packet:?}");
        }
    }

    #[test]
    fn padding_is_for_the_last_packet_and_a_report_comes_first() {
        let padded = with(&[0xA0, 203, 0, 1, 0, 0, 0, 4]);
        assert_eq!(Compound::parse(&padded).unwrap().parts.len(), 2);
        assert_eq!(Compound::parse(&[&padded[..], &EMPTY].concat()), Err(RtcpError::Padding));
        assert_eq!(Compound::parse(&[0x80, 203, 0, 0]), Err(RtcpError::NoReport));
        assert_eq!(Compound::parse(b""), Err(RtcpError::Truncated));
    }

    fn figures() -> impl Strategy<Value = SenderInfo> {
        any::<(u64, u32, u32, u32)>().prop_map(|(ntp, rtp, packets, octets)| SenderInfo { ntp, rtp, packets, octets })
    }

    fn block() -> impl Strategy<Value = Block> {
        (any::<(u32, u8, u32, u32, u32, u32)>(), -0x80_0000..0x80_0000).prop_map(|(words, lost)| {
            let (ssrc, fraction_lost, highest, jitter, last_report, delay) = words;
            Block { ssrc, fraction_lost, lost, highest, jitter, last_report, delay }
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_what_is_read(
            sent in proptest::option::of(figures()), block in proptest::option::of(block()),
            name in "[a-zA-Z0-9@.]{0,40}", goodbye in any::<bool>(),
        ) {
            let bytes = Outgoing { ssrc: 7, sent, block, name: &name, goodbye }.to_bytes();
            let parts = Compound::parse(&bytes).unwrap().parts;
            let Part::Report(report) = &parts[0] else { panic!("{parts:?}") };
            prop_assert_eq!((report.ssrc, report.sent), (7, sent));
            prop_assert_eq!(report.blocks().collect::<Vec<_>>(), Vec::from_iter(block));
            prop_assert_eq!(&parts[1], &Part::Description(vec![Named { ssrc: 7, name: Some(name.as_bytes()) }]));
            prop_assert_eq!(parts.len(), if goodbye { 3 } else { 2 });
        }

        #[test]
        fn no_datagram_makes_the_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Compound::parse(&bytes);
        }

        #[test]
        fn no_packet_after_a_report_makes_the_parser_panic(
            count in 0..64u8, kind in 200..208u8, words in 0..12u8, body in proptest::collection::vec(any::<u8>(), 0..48)
        ) {
            let _ = Compound::parse(&with(&[&[0x80 | count, kind, 0, words][..], &body].concat()));
        }
    }
}
