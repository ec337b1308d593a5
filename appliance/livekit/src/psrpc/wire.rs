//! What stands in a Redis message?
//!
//! Every payload is an `internal.Msg` that names the type of the message it holds.

use crate::proto::internal::{ClaimRequest, ClaimResponse, Msg, Request, Response};
use base64::{Engine, prelude::BASE64_STANDARD};
use prost::Message;
use sha2::{Digest, Sha256};

const TYPE_PREFIX: &str = "type.googleapis.com/internal.";

/// A message of psrpc's own package.
pub trait Internal: Message + Default {
    const NAME: &'static str;
}

impl Internal for Request {
    const NAME: &'static str = "Request";
}
impl Internal for Response {
    const NAME: &'static str = "Response";
}
impl Internal for ClaimRequest {
    const NAME: &'static str = "ClaimRequest";
}
impl Internal for ClaimResponse {
    const NAME: &'static str = "ClaimResponse";
}

/// Why a payload was not the message it should be.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    #[error("this is no psrpc message")]
    NotProtobuf(#[from] prost::DecodeError),
    #[error("expected {expected}, got `{got}`")]
    OtherType { expected: &'static str, got: String },
}

/// The payload that carries `message`.
pub fn seal<M: Internal>(message: &M) -> Vec<u8> {
    let type_url = format!("{TYPE_PREFIX}{}", M::NAME);
    Msg { type_url, value: message.encode_to_vec(), channel: String::new() }.encode_to_vec()
}

/// The message in a payload.
pub fn open<M: Internal>(payload: &[u8]) -> Result<M, WireError> {
    let msg = Msg::decode(payload)?;
    if msg.type_url.strip_prefix(TYPE_PREFIX) != Some(M::NAME) {
        return Err(WireError::OtherType { expected: M::NAME, got: msg.type_url });
    }
    Ok(M::decode(msg.value.as_slice())?)
}

/// The Redis key that makes sure one subscriber of a queue takes a request.
pub fn queue_lock(payload: &[u8]) -> String {
    BASE64_STANDARD.encode(Sha256::digest(payload))
}

/// `REQ_`, `CLI_` or `SRV_` and twelve letters and digits.
pub fn fresh_id(prefix: &str) -> String {
    use rand::{Rng, distr::Alphanumeric};
    let tail = rand::rng().sample_iter(Alphanumeric).take(12).map(char::from);
    prefix.chars().chain(tail).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_payload_names_its_type_and_leaves_the_channel_empty() {
        let sealed = seal(&ClaimResponse { request_id: "REQ_1".into(), server_id: "SRV_1".into() });
        let msg = Msg::decode(sealed.as_slice()).unwrap();
        assert_eq!(msg.type_url, "type.googleapis.com/internal.ClaimResponse");
        assert_eq!(msg.channel, "");
        assert_eq!(open::<ClaimResponse>(&sealed).unwrap().server_id, "SRV_1");
    }

    #[test]
    fn a_payload_of_another_type_is_refused() {
        let sealed = seal(&ClaimRequest::default());
        assert!(matches!(open::<Request>(&sealed), Err(WireError::OtherType { expected: "Request", .. })));
    }

    #[test]
    fn the_bytes_follow_the_field_numbers_of_psrpc() {
        let bytes: &[u8] = b"\x0a\x24type.googleapis.com/internal.Request\x12\x17\x0a\x05REQ_1\x12\x05CLI_1\x18\x01\x20\x02\x42\x03abc";
        let request: Request = open(bytes).unwrap();
        assert_eq!((request.request_id.as_str(), request.sent_at, request.expiry), ("REQ_1", 1, 2));
        assert_eq!(request.raw_request, b"abc");
        assert_eq!(seal(&request), bytes);
    }

    #[test]
    fn the_queue_lock_is_the_hash_of_the_whole_payload() {
        assert_eq!(queue_lock(b""), "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
    }

    #[test]
    fn ids_have_a_prefix_and_differ() {
        let id = fresh_id("REQ_");
        assert_eq!((&id[..4], id.len()), ("REQ_", 16));
        assert_ne!(id, fresh_id("REQ_"));
    }

    proptest! {
        #[test]
        fn garbage_is_refused_without_a_panic(bytes: Vec<u8>) {
            let _ = open::<Request>(&bytes);
        }
    }
}
