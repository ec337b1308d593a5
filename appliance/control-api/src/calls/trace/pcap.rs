//! What does a trace look like to programs that read captures?
//!
//! A pcap file (draft-ietf-opsawg-pcap): Ethernet, IPv4 or IPv6, UDP. Addresses, ports, times and contents are the
//! real ones; hardware addresses are made up (the box's ends in 1), and so is UDP for what went by TCP or TLS, which
//! nobody could read otherwise. Of a packet of which only the start is kept the headers give its whole length.

use jiff::Timestamp;
use std::net::{IpAddr, SocketAddr};
use types::trace::{LegTrace, RtpHeader, SipMessage, Way};

/// Microseconds; written in little-endian.
const MAGIC: u32 = 0xa1b2_c3d4;
const VERSION: [u16; 2] = [2, 4];
/// No packet of ours is longer.
const SNAP_LENGTH: u32 = 262_144;
const ETHERNET: u32 = 1;
const UDP: u8 = 17;
const UDP_HEADER: usize = 8;
const BOX: [u8; 6] = [2, 0, 0, 0, 0, 1];
const PEER: [u8; 6] = [2, 0, 0, 0, 0, 2];

/// One packet, to be framed.
struct Packet<'a> {
    at: Timestamp,
    way: Way,
    from: SocketAddr,
    to: SocketAddr,
    /// The start of its payload, or all of it.
    kept: std::borrow::Cow<'a, [u8]>,
    /// Octets of the whole payload.
    size: usize,
}

/// All messages and packets of these legs, in order of time.
pub fn file(legs: &[LegTrace]) -> Vec<u8> {
    let messages = legs.iter().flat_map(|leg| leg.messages.iter().map(of_message));
    let packets = legs.iter().flat_map(|leg| leg.packets.iter().filter_map(of_header));
    let mut packets: Vec<Packet> = messages.chain(packets).collect();
    packets.sort_by_key(|packet| packet.at);
    let mut file = file_header();
    packets.iter().for_each(|packet| record(&mut file, packet));
    file
}

fn of_message(message: &SipMessage) -> Packet<'_> {
    let SipMessage { at, way, from, to, size, text, .. } = message;
    let kept = text.as_bytes().into();
    Packet { at: *at, way: *way, from: *from, to: *to, kept, size: (*size as usize).max(text.len()) }
}

fn of_header(packet: &RtpHeader) -> Option<Packet<'_>> {
    let RtpHeader { at, way, from, to, size, header, .. } = packet;
    let kept = hex::decode(header).ok()?;
    let size = usize::from(*size).max(kept.len());
    Some(Packet { at: *at, way: *way, from: *from, to: *to, kept: kept.into(), size })
}

/// Section 4 of the draft.
fn file_header() -> Vec<u8> {
    let mut header = MAGIC.to_le_bytes().to_vec();
    VERSION.iter().for_each(|part| header.extend(part.to_le_bytes()));
    header.extend([0; 8]);
    header.extend(SNAP_LENGTH.to_le_bytes());
    header.extend(ETHERNET.to_le_bytes());
    header
}

/// Section 5 of the draft: time, length here, length on the wire, and the packet.
fn record(file: &mut Vec<u8>, packet: &Packet) {
    let frame = frame(packet);
    let missing = packet.size.saturating_sub(packet.kept.len());
    let micros = packet.at.as_microsecond();
    for field in [micros / 1_000_000, micros % 1_000_000, frame.len() as i64, (frame.len() + missing) as i64] {
        file.extend((field as u32).to_le_bytes());
    }
    file.extend(frame);
}

fn frame(packet: &Packet) -> Vec<u8> {
    let (to, from) = if packet.way == Way::Sent { (PEER, BOX) } else { (BOX, PEER) };
    let mut frame = [to, from].concat();
    match (packet.from.ip(), packet.to.ip()) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            let ends = [source.octets(), destination.octets()].concat();
            frame.extend(0x0800_u16.to_be_bytes());
            frame.extend(ipv4(&ends, length_of(packet)));
            frame.extend(udp(packet, &ends));
        }
        (source, destination) => {
            let octets = |ip| match ip {
                IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
                IpAddr::V6(ip) => ip.octets(),
            };
            let ends = [octets(source), octets(destination)].concat();
            frame.extend(0x86dd_u16.to_be_bytes());
            frame.extend(ipv6(&ends, length_of(packet)));
            frame.extend(udp(packet, &ends));
        }
    }
    frame
}

/// Of the whole datagram. A message by TCP may be longer than any datagram.
fn length_of(packet: &Packet) -> u16 {
    const LONGEST: usize = u16::MAX as usize - 20;
    (packet.size + UDP_HEADER).min(LONGEST) as u16
}

/// RFC 791 section 3.1.
fn ipv4(ends: &[u8], length: u16) -> Vec<u8> {
    let mut header = vec![0x45, 0];
    header.extend((length + 20).to_be_bytes());
    header.extend([0, 0, 0x40, 0, 64, UDP, 0, 0]);
    header.extend(ends);
    let sum = checksum(&[&header]);
    header[10..12].copy_from_slice(&sum.to_be_bytes());
    header
}

/// RFC 8200 section 3.
fn ipv6(ends: &[u8], length: u16) -> Vec<u8> {
    let mut header = vec![0x60, 0, 0, 0];
    header.extend(length.to_be_bytes());
    header.extend([UDP, 64]);
    header.extend(ends);
    header
}

/// RFC 768, with a checksum over what is kept.
fn udp(packet: &Packet, ends: &[u8]) -> Vec<u8> {
    let length = length_of(packet);
    let mut datagram = packet.from.port().to_be_bytes().to_vec();
    datagram.extend(packet.to.port().to_be_bytes());
    datagram.extend(length.to_be_bytes());
    datagram.extend([0, 0]);
    datagram.extend(packet.kept.as_ref());
    let [high, low] = length.to_be_bytes();
    let sum = match checksum(&[ends, &[0, UDP, high, low], &datagram]) {
        0 => u16::MAX, // zero says that there is none
        sum => sum,
    };
    datagram[6..8].copy_from_slice(&sum.to_be_bytes());
    datagram
}

/// RFC 1071; only the last part may be of odd length.
fn checksum(parts: &[&[u8]]) -> u16 {
    let words = parts.iter().flat_map(|part| part.chunks(2));
    let sum: u64 = words.map(|word| u64::from(word[0]) << 8 | u64::from(*word.get(1).unwrap_or(&0))).sum();
    let once = (sum & 0xffff) + (sum >> 16);
    !((once & 0xffff) + (once >> 16)) as u16
}

#[cfg(test)]
pub mod samples;
#[cfg(test)]
mod tests;
