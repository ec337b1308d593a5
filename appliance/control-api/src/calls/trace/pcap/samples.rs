//! A gateway's words, for tests; so many seconds after the epoch.

use jiff::Timestamp;
use types::trace::{RtpHeader, SipMessage, SipTransport, Way};

pub fn message(second: i64, text: &str) -> SipMessage {
    SipMessage {
        at: Timestamp::from_second(second).unwrap(),
        way: Way::Received,
        transport: SipTransport::Tls,
        from: "192.168.0.1:5061".parse().unwrap(),
        to: "192.168.0.199:5061".parse().unwrap(),
        size: text.len() as u32,
        text: text.to_owned(),
    }
}

pub fn header(second: i64, way: Way, header: &str) -> RtpHeader {
    RtpHeader {
        at: Timestamp::from_second(second).unwrap(),
        way,
        from: "[2001:db8::1]:10000".parse().unwrap(),
        to: "[2001:db8::2]:20000".parse().unwrap(),
        size: 172,
        header: header.to_owned(),
        codec: Some("PCMU/8000".to_owned()),
    }
}
