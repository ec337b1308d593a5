use super::samples::{header, message};
use super::*;

fn of(messages: Vec<SipMessage>, packets: Vec<RtpHeader>) -> Vec<u8> {
    file(&[LegTrace { messages, packets, ..LegTrace::default() }])
}

/// Seconds, microseconds, length here and on the wire, and the frame, of each record.
fn records(file: &[u8]) -> Vec<([u32; 4], &[u8])> {
    let (mut records, mut rest) = (Vec::new(), &file[24..]);
    while !rest.is_empty() {
        let field = |at: usize| u32::from_le_bytes(rest[at..at + 4].try_into().unwrap());
        let fields = [field(0), field(4), field(8), field(12)];
        let end = 16 + fields[2] as usize;
        records.push((fields, &rest[16..end]));
        rest = &rest[end..];
    }
    records
}

#[test]
fn a_file_says_what_it_is() {
    let expected = "d4c3b2a1 0200 0400 00000000 00000000 00000400 01000000".replace(' ', "");
    assert_eq!(hex::encode(of(vec![], vec![])), expected);
}

#[test]
fn the_checksum_of_an_ip_header_is_the_known_one() {
    // 115 octets by UDP from 192.168.0.1 to 192.168.0.199: 0xb861.
    let header = ipv4(&[192, 168, 0, 1, 192, 168, 0, 199], 95);
    assert_eq!(hex::encode(header), "45000073000040004011b861c0a80001c0a800c7");
}

#[test]
fn a_message_is_a_datagram_between_its_ends() {
    let sent = SipMessage { at: Timestamp::from_microsecond(5_000_007).unwrap(), way: Way::Sent, ..message(0, "odd") };
    let file = of(vec![sent], vec![]);
    let (fields, frame) = records(&file)[0];
    assert_eq!(fields, [5, 7, 45, 45]);
    assert_eq!((&frame[..6], &frame[6..12], &frame[12..14]), (PEER.as_slice(), BOX.as_slice(), [8, 0].as_slice()));
    assert_eq!((&frame[26..30], &frame[30..34]), ([192, 168, 0, 1].as_slice(), [192, 168, 0, 199].as_slice()));
    assert_eq!(hex::encode(&frame[34..40]), "13c513c5000b");
    assert_eq!(&frame[42..], b"odd");
    assert_eq!(checksum(&[&frame[26..34], &[0, UDP, 0, 11], &frame[34..]]), 0, "the UDP checksum holds");
}

#[test]
fn of_a_packet_that_is_cut_the_headers_tell_the_whole_length() {
    let file = of(vec![], vec![header(9, Way::Received, "80000001000000a0aabbccdd")]);
    let (fields, frame) = records(&file)[0];
    assert_eq!(fields, [9, 0, 74, 234]);
    assert_eq!(
        (&frame[12..14], &frame[18..20], &frame[58..60]),
        ([0x86, 0xdd].as_slice(), [0, 180].as_slice(), [0, 180].as_slice())
    );
    assert_eq!(hex::encode(&frame[62..]), "80000001000000a0aabbccdd");
}

#[test]
fn a_message_longer_than_a_datagram_is_shown_as_the_longest_one() {
    let file = of(vec![SipMessage { size: 65_535, ..message(1, "start") }], vec![]);
    assert_eq!(records(&file)[0].1[16..18], [0xff, 0xff]);
}

#[test]
fn records_are_in_order_of_time() {
    let file = of(vec![message(3, "b"), message(1, "a")], vec![header(2, Way::Sent, "80000001000000a0aabbccdd")]);
    let seconds: Vec<u32> = records(&file).iter().map(|(fields, _)| fields[0]).collect();
    assert_eq!(seconds, [1, 2, 3]);
}
