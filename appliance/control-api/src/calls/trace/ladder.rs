//! What do a call's legs look like beside each other?

use super::Traced;
use jiff::Timestamp;
use serde::Serialize;
use std::net::SocketAddr;
use types::{
    LegId,
    trace::{LegTrace, RtpFigures, RtpHeader, SipMessage, SipTransport, Way},
};
use utoipa::ToSchema;

/// A call's SIP messages and figures of its audio.
#[derive(Debug, Serialize, ToSchema)]
pub struct Ladder {
    /// Of all legs, in order of time; repeats are messages of their own.
    messages: Vec<Message>,
    /// One for each SIP leg.
    media: Vec<Media>,
}

#[derive(Debug, Serialize, ToSchema)]
struct Message {
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    #[schema(value_type = String)]
    leg_id: LegId,
    /// Seen from the box.
    direction: Way,
    transport: SipTransport,
    #[schema(value_type = String, example = "192.0.2.1:5060")]
    from: SocketAddr,
    #[schema(value_type = String, example = "192.0.2.2:5060")]
    to: SocketAddr,
    #[schema(example = "INVITE sip:+31201234567@192.0.2.2 SIP/2.0")]
    first_line: String,
    /// Octets on the wire; more than `text` has when its end is cut off.
    size: u32,
    /// As it was, but each octet of a secret is an `x`.
    text: String,
}

#[derive(Debug, Serialize, ToSchema)]
struct Media {
    #[schema(value_type = String)]
    leg_id: LegId,
    /// False when the gateway no longer has anything of this leg.
    kept: bool,
    /// Messages of the leg's middle for which there was no room.
    left_out: u32,
    streams: Vec<Stream>,
    figures: Vec<RtpFigures>,
}

/// RTP of one source, by its first packet.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
struct Stream {
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// Seen from the box.
    direction: Way,
    #[schema(value_type = String)]
    from: SocketAddr,
    #[schema(value_type = String)]
    to: SocketAddr,
    #[schema(example = "0x1b2c3d4e")]
    ssrc: String,
    payload_type: u8,
    /// Null for a payload type that was not agreed on.
    #[schema(example = "PCMU/8000")]
    codec: Option<String>,
}

impl Ladder {
    pub fn of(traced: Vec<Traced>) -> Ladder {
        let (mut messages, mut media) = (Vec::new(), Vec::new());
        for (leg_id, trace) in traced {
            let kept = trace.is_some();
            let LegTrace { messages: said, left_out, packets, figures } = trace.unwrap_or_default();
            messages.extend(said.into_iter().map(|message| line(leg_id, message)));
            media.push(Media { leg_id, kept, left_out, streams: streams(packets), figures });
        }
        messages.sort_by_key(|message| message.at);
        Ladder { messages, media }
    }
}

fn line(leg_id: LegId, message: SipMessage) -> Message {
    let SipMessage { at, way, transport, from, to, size, text } = message;
    let first_line = text.trim_start().lines().next().unwrap_or_default().to_owned();
    Message { at, leg_id, direction: way, transport, from, to, first_line, size, text }
}

/// Where each source was heard first.
fn streams(packets: Vec<RtpHeader>) -> Vec<Stream> {
    let mut streams: Vec<Stream> = Vec::new();
    for stream in packets.into_iter().filter_map(stream) {
        let again = |known: &Stream| (known.direction, &known.ssrc) == (stream.direction, &stream.ssrc);
        if !streams.iter().any(again) {
            streams.push(stream);
        }
    }
    streams
}

/// RFC 3550 section 5.1.
fn stream(packet: RtpHeader) -> Option<Stream> {
    let ssrc = format!("0x{}", packet.header.get(16..24)?);
    let payload_type = u8::from_str_radix(packet.header.get(2..4)?, 16).ok()? & 0x7f;
    let RtpHeader { at, way, from, to, codec, .. } = packet;
    Some(Stream { at, direction: way, from, to, ssrc, payload_type, codec })
}

#[cfg(test)]
mod tests {
    use super::super::pcap::samples::{header, message};
    use super::*;

    #[test]
    fn messages_of_all_legs_are_in_order_of_time() {
        let (caller, callee) = (LegId::new(), LegId::new());
        let leg = |seconds: &[i64]| {
            Some(LegTrace {
                messages: seconds.iter().map(|second| message(*second, "ACK sip:a SIP/2.0\r\nTo: b\r\n\r\n")).collect(),
                ..LegTrace::default()
            })
        };
        let ladder = Ladder::of(vec![(caller, leg(&[1, 4])), (callee, leg(&[2, 3])), (LegId::new(), None)]);
        let order: Vec<_> = ladder.messages.iter().map(|message| message.leg_id).collect();
        assert_eq!(order, [caller, callee, callee, caller]);
        assert_eq!(ladder.messages[0].first_line, "ACK sip:a SIP/2.0");
        assert_eq!(ladder.media.iter().map(|media| media.kept).collect::<Vec<_>>(), [true, true, false]);
    }

    #[test]
    fn each_source_and_direction_is_a_stream_that_begins_with_its_first_packet() {
        let (first, other) = ("80880001000000a0aabbccdd", "80000001000000a000000001");
        let packets = vec![
            header(1, Way::Received, first),
            header(2, Way::Received, first),
            header(3, Way::Sent, first),
            header(4, Way::Sent, other),
        ];
        let streams = streams(packets);
        let shown: Vec<_> =
            streams.iter().map(|it| (it.at.as_second(), it.direction, it.ssrc.as_str(), it.payload_type)).collect();
        assert_eq!(
            shown,
            [(1, Way::Received, "0xaabbccdd", 8), (3, Way::Sent, "0xaabbccdd", 8), (4, Way::Sent, "0x00000001", 0)]
        );
    }
}
