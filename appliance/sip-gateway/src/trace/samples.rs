//! Things to keep, for tests; so many seconds after the epoch.

use jiff::Timestamp;
use types::trace::{RtpFigures, SipMessage, SipTransport, Way};

pub fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

pub fn message(second: i64, text: &str) -> SipMessage {
    SipMessage {
        at: at(second),
        way: Way::Received,
        transport: SipTransport::Udp,
        from: "192.0.2.1:5060".parse().unwrap(),
        to: "192.0.2.2:5060".parse().unwrap(),
        size: text.len() as u32,
        text: text.to_owned(),
    }
}

pub fn figures(second: i64) -> RtpFigures {
    RtpFigures {
        at: at(second),
        packets_received: 0,
        packets_sent: 0,
        lost: 0,
        jitter_ms: 0.0,
        mos: None,
        rtt_ms: None,
    }
}
