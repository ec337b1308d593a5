//! How do we write what we report?

use super::kind;
use super::part::{Block, SenderInfo};

/// One compound of ours: a report, our name, and perhaps a farewell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outgoing<'a> {
    pub ssrc: u32,
    /// Of our stream; without it the report is a receiver's.
    pub sent: Option<SenderInfo>,
    /// Of the stream that we hear.
    pub block: Option<Block>,
    /// Our canonical name, at most 255 octets; the rest is cut off.
    pub name: &'a str,
    pub goodbye: bool,
}

impl Outgoing<'_> {
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(128);
        let kind = if self.sent.is_some() { kind::SENDER } else { kind::RECEIVER };
        packet(&mut out, kind, self.block.is_some().into(), |out| self.report(out));
        packet(&mut out, kind::DESCRIPTION, 1, |out| self.description(out));
        if self.goodbye {
            packet(&mut out, kind::GOODBYE, 1, |out| out.extend_from_slice(&self.ssrc.to_be_bytes()));
        }
        out
    }

    fn report(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.ssrc.to_be_bytes());
        self.sent.iter().for_each(|sent| sent.write(out));
        self.block.iter().for_each(|block| block.write(out));
    }

    /// Zeros end the item; [`packet`] adds up to three more.
    fn description(&self, out: &mut Vec<u8>) {
        const CNAME: u8 = 1;
        let name = &self.name.as_bytes()[..self.name.len().min(255)];
        out.extend_from_slice(&self.ssrc.to_be_bytes());
        out.extend_from_slice(&[CNAME, name.len() as u8]);
        out.extend_from_slice(name);
        out.push(0);
    }
}

/// A header with the length of what `body` writes, filled with zeros to whole words.
fn packet(out: &mut Vec<u8>, kind: u8, count: u8, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0x80 | count, kind, 0, 0]);
    body(out);
    out.resize(out.len().next_multiple_of(4), 0);
    let words = ((out.len() - start) / 4 - 1) as u16;
    out[start + 2..start + 4].copy_from_slice(&words.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receiver_report_looks_as_the_rfc_draws_it() {
        let block =
            Block { ssrc: 9, fraction_lost: 128, lost: -1, highest: 0x0001_0002, jitter: 3, last_report: 4, delay: 5 };
        let bytes = Outgoing { ssrc: 7, sent: None, block: Some(block), name: "ab", goodbye: true }.to_bytes();
        let report = [0x81, 201, 0, 7, 0, 0, 0, 7, 0, 0, 0, 9, 128, 0xFF, 0xFF, 0xFF];
        let figures = [0, 1, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 5];
        let name = [0x81, 202, 0, 3, 0, 0, 0, 7, 1, 2, b'a', b'b', 0, 0, 0, 0];
        let bye = [0x81, 203, 0, 1, 0, 0, 0, 7];
        assert_eq!(bytes, [&report[..], &figures, &name, &bye].concat());
    }

    #[test]
    fn a_loss_that_does_not_fit_stays_at_the_end_of_its_24_bits() {
        for (lost, written) in [(i32::MAX, [0x7F, 0xFF, 0xFF]), (i32::MIN, [0x80, 0, 0])] {
            let block = Block { lost, ..Block::default() };
            let bytes = Outgoing { ssrc: 7, sent: None, block: Some(block), name: "", goodbye: false }.to_bytes();
            assert_eq!(bytes[13..16], written);
        }
    }
}
