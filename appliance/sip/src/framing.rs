//! Where does one message end on a stream?
//!
//! RFC 3261 section 18.3: the header part ends at an empty line and Content-Length says how much
//! body follows. A stream whose length cannot be read is lost; its head is still handed on once, so
//! that the sender is told.

use crate::guard::MAX_MESSAGE;
use crate::message::{find, split};

#[derive(Debug, PartialEq, Eq)]
pub enum Frame {
    /// Read on.
    More,
    /// A keep-alive of RFC 5626: four octets that ask for two back, or two that ask for nothing.
    Ping,
    Blank,
    /// So many octets are one message.
    Message(usize),
    /// So many octets are a head without a usable length: answer it, then close.
    Broken(usize),
}

pub fn next_frame(buffer: &[u8]) -> Frame {
    if buffer.starts_with(b"\r\n\r\n") {
        return Frame::Ping;
    }
    if buffer.starts_with(b"\r\n") {
        return if buffer.len() >= 4 { Frame::Blank } else { Frame::More };
    }
    let Some(end) = find(buffer, b"\r\n\r\n").map(|at| at + 4) else {
        return if buffer.len() > MAX_MESSAGE { Frame::Broken(buffer.len()) } else { Frame::More };
    };
    match body_length(&buffer[..end]) {
        Some(length) if end + length > MAX_MESSAGE => Frame::Broken(end),
        Some(length) if buffer.len() < end + length => Frame::More,
        Some(length) => Frame::Message(end + length),
        None => Frame::Broken(end),
    }
}

/// `None` when the fields do not say it. A message without a length has no body, unless it names the type of one.
fn body_length(head: &[u8]) -> Option<usize> {
    let headers = split(head)?.headers;
    let mut lengths = headers.all("Content-Length");
    let Some(length) = lengths.next() else { return headers.first("Content-Type").is_none().then_some(0) };
    let told = !length.is_empty() && length.bytes().all(|b| b.is_ascii_digit()) && lengths.all(|other| other == length);
    length.parse().ok().filter(|_| told)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_complete_with_the_last_octet_of_its_body() {
        let head = b"X a SIP/2.0\r\nl: 4\r\n\r\n";
        let whole = [head.as_slice(), b"body", b"NEXT"].concat();
        assert_eq!(next_frame(&whole[..head.len() + 3]), Frame::More);
        assert_eq!(next_frame(&whole), Frame::Message(head.len() + 4));
    }

    #[test]
    fn a_folded_length_counts_and_a_missing_one_means_no_body() {
        for head in ["X a SIP/2.0\r\nContent-Length:\r\n  0\r\n\r\n", "X a SIP/2.0\r\nTo: a\r\n\r\n"] {
            assert_eq!(next_frame(head.as_bytes()), Frame::Message(head.len()));
        }
    }

    #[test]
    fn keep_alives_are_no_messages() {
        assert_eq!(next_frame(b"\r\n\r\n"), Frame::Ping);
        assert_eq!(next_frame(b"\r\n"), Frame::More);
        assert_eq!(next_frame(b"\r\nOPTIONS"), Frame::Blank);
    }

    #[test]
    fn a_length_that_nobody_can_tell_breaks_the_stream() {
        for bad in ["l: -1", "l: +1", "l:", "l: abc", "l: 99999999", "l: 5\r\nContent-Length: 6", "c: text/plain"] {
            let head = format!("X a SIP/2.0\r\n{bad}\r\n\r\n");
            assert_eq!(next_frame(head.as_bytes()), Frame::Broken(head.len()), "{bad}");
        }
        assert!(matches!(next_frame(&vec![b'x'; MAX_MESSAGE + 1]), Frame::Broken(_)));
    }
}
