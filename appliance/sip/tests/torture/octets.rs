//! What do the readers make of the torture messages, whole, cut and damaged? No socket is needed to know.

use crate::messages::all_messages;
use crate::table::{REACHED, Right};
use sip::framing::{Frame, next_frame};
use sip::guard::{Verdict, judge};

/// The octets that would be sent on; none for what is refused or dropped.
fn written(bytes: &[u8]) -> Option<Vec<u8>> {
    match judge(bytes) {
        Verdict::Request(request) => Some(request.to_bytes()),
        Verdict::Response(response) => Some(response.to_bytes()),
        Verdict::Refuse(_) | Verdict::Drop(_) => None,
    }
}

#[test]
fn what_is_accepted_reads_the_same_after_it_was_written() {
    for (row, message) in all_messages() {
        let once = written(&message);
        let accepted = matches!(row.datagram, Right::Told([200 | 481 | REACHED]));
        assert!(once.is_some() || !accepted, "{} is not accepted", row.name);
        assert_eq!(once.as_deref().and_then(written), once, "{}", row.name);
    }
}

#[test]
fn a_torture_message_cut_at_any_octet_is_waited_for_and_never_misread() {
    for (row, message) in all_messages() {
        let Frame::Message(end) = next_frame(&message) else { continue };
        for cut in 0..end {
            let frame = next_frame(&message[..cut]);
            assert!(matches!(frame, Frame::More), "{} cut at {cut}: {frame:?}", row.name);
            judge(&message[..cut]);
        }
    }
}

#[test]
fn a_torture_message_with_any_octet_damaged_stops_nobody() {
    for (_, message) in all_messages() {
        for at in 0..message.len() {
            for flip in [0x01, 0x20, 0x80] {
                let mut damaged = message.clone();
                damaged[at] ^= flip;
                next_frame(&damaged);
                written(&damaged);
            }
        }
    }
}
