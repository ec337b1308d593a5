//! With which packets did each stream of a leg begin?
//!
//! The first few of every source, their headers only. Nothing is allocated while packets pass: they are put down in
//! places that are there, and taken from them with the next report.

use std::net::SocketAddr;
use std::time::Instant;

/// Packets kept of one source (RFC 3550: SSRC) in one direction.
const OF_SOURCE: u8 = 3;
/// Packets between two reports; a leg has two sources, more only when a phone changes its own.
const PLACES: usize = 8;

/// The start of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    pub at: Instant,
    pub sent: bool,
    pub peer: SocketAddr,
    /// Octets of the whole packet, in the clear.
    pub size: u16,
    pub header: [u8; 12],
    /// As in `a=rtpmap`: name and rate.
    pub codec: Option<&'static str>,
}

#[derive(Debug, Default)]
pub struct Heads {
    received: Source,
    sent: Source,
    waiting: [Option<Head>; PLACES],
}

#[derive(Debug, Default)]
struct Source {
    ssrc: [u8; 4],
    count: u8,
}

impl Heads {
    pub fn received(&mut self, packet: &[u8], from: SocketAddr) {
        if self.received.begins(packet) {
            self.keep(packet, from, false);
        }
    }

    pub fn sent(&mut self, packet: &[u8], to: SocketAddr) {
        if self.sent.begins(packet) {
            self.keep(packet, to, true);
        }
    }

    /// Those since the last time; `name` says what a payload type is.
    pub fn take(&mut self, name: impl Fn(u8) -> Option<&'static str>) -> Vec<Head> {
        let heads = self.waiting.iter_mut().filter_map(Option::take);
        heads.map(|head| Head { codec: name(head.header[1] & 0x7f), ..head }).collect()
    }

    fn keep(&mut self, packet: &[u8], peer: SocketAddr, sent: bool) {
        let place = self.waiting.iter_mut().find(|place| place.is_none());
        if let (Some(place), Some(header)) = (place, packet.first_chunk()) {
            let size = packet.len().try_into().unwrap_or(u16::MAX);
            *place = Some(Head { at: Instant::now(), sent, peer, size, header: *header, codec: None });
        }
    }
}

impl Source {
    /// Is this one of the first packets of its source?
    fn begins(&mut self, packet: &[u8]) -> bool {
        let Some(ssrc) = packet.get(8..12) else { return false };
        if ssrc != self.ssrc {
            self.ssrc.copy_from_slice(ssrc);
            self.count = 0;
        }
        self.count = self.count.saturating_add(1);
        self.count <= OF_SOURCE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(ssrc: u8, payload_type: u8) -> [u8; 20] {
        let mut packet = [0; 20];
        (packet[0], packet[1], packet[11]) = (0x80, 0x80 | payload_type, ssrc);
        packet
    }

    #[test]
    fn the_first_packets_of_each_source_and_direction_are_kept() {
        let (mut heads, peer) = (Heads::default(), "192.0.2.1:4000".parse().unwrap());
        for ssrc in [1, 2] {
            (0..10).for_each(|_| heads.received(&packet(ssrc, 0), peer));
        }
        heads.sent(&packet(1, 8), peer);
        let kept = heads.take(|payload_type| (payload_type == 0).then_some("PCMU/8000"));
        let shown: Vec<_> = kept.iter().map(|head| (head.sent, head.header[11], head.codec)).collect();
        let received = |ssrc| (false, ssrc, Some("PCMU/8000"));
        assert_eq!(
            shown,
            [received(1), received(1), received(1), received(2), received(2), received(2), (true, 1, None)]
        );
        assert_eq!((kept[0].size, kept[0].peer), (20, peer));
        heads.received(&packet(2, 0), peer);
        assert_eq!(heads.take(|_| None), []);
    }

    #[test]
    fn what_is_too_short_or_too_much_is_passed_over() {
        let (mut heads, peer) = (Heads::default(), "192.0.2.1:4000".parse().unwrap());
        heads.received(&[0x80; 11], peer);
        (1..100).for_each(|ssrc| heads.received(&packet(ssrc, 0), peer));
        assert_eq!(heads.take(|_| None).len(), PLACES);
    }
}
