//! What travels in a data packet?
//!
//! Digits and user data are understood here; everything else is handed on as it is.

use livekit_protocol as proto;
use prost::Message as _;
use proto::data_packet::Value;

use super::RoomEvent;

/// A pressed key, for everybody in the room.
pub(super) fn dtmf_packet(code: u32, digit: &str) -> proto::DataPacket {
    let dtmf = proto::SipDtmf { code, digit: digit.to_owned() };
    proto::DataPacket { value: Some(Value::SipDtmf(dtmf)), ..Default::default() }
}

/// Data for the identities in `to`, or for everybody.
pub(super) fn user_packet(topic: &str, payload: &[u8], to: &[String]) -> proto::DataPacket {
    let user = proto::UserPacket { payload: payload.to_vec(), topic: Some(topic.to_owned()), ..Default::default() };
    proto::DataPacket { destination_identities: to.to_vec(), value: Some(Value::User(user)), ..Default::default() }
}

/// The event a data packet stands for.
pub(super) fn data_event(data: &[u8]) -> Option<RoomEvent> {
    let packet = match proto::DataPacket::decode(data) {
        Ok(packet) => packet,
        Err(error) => {
            tracing::debug!(%error, "a data packet could not be read");
            return None;
        }
    };
    let from = packet.participant_identity.clone();
    Some(match packet.value {
        Some(Value::SipDtmf(dtmf)) => RoomEvent::Dtmf { code: dtmf.code, digit: dtmf.digit, from },
        Some(Value::User(user)) => {
            RoomEvent::Data { topic: user.topic.unwrap_or_default(), payload: user.payload, from }
        }
        _ => RoomEvent::Packet(Box::new(packet)),
    })
}
