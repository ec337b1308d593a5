//! Can octets from outside stop one of our readers, or make it contradict itself?
//!
//! One function per reader. It must return whatever it is given; where a reader and a writer belong together it also
//! checks that what was read and written reads the same again. Two things call them:
//!
//! - `cargo test -p fuzz`, on stable Rust: every file in `corpus/`, and damaged copies of each ([`damage`]).
//!   `FUZZ_SECONDS=20 cargo test -p fuzz` damages for so long.
//! - `cargo +nightly fuzz run --features libfuzzer TARGET`: for as long as one likes, guided by coverage.
//!
//! What an error of a reader means for a call is tested beside the reader.

pub mod damage;
mod media_readers;
mod sip_readers;

pub use media_readers::{dtmf, rtcp, rtp_rtcp, sdp};
pub use sip_readers::{sip_message, uri_via};

use livekit::proto::{internal, io, sip as gateway};
use livekit::psrpc::{ErrorCode, RpcError, wire};
use media::ice::{Credentials, Ice, is_stun};
use prost::Message;
use std::net::SocketAddr;

pub type Target = fn(&[u8]);

/// Every reader by its name, which is also that of its folder in `corpus/`.
pub const TARGETS: &[(&str, Target)] = &[
    ("sip_message", sip_message),
    ("uri_via", uri_via),
    ("sdp", sdp),
    ("rtp_rtcp", rtp_rtcp),
    ("rtcp", rtcp),
    ("dtmf", dtmf),
    ("stun", stun),
    ("psrpc", psrpc),
    ("dialplan_json", dialplan_json),
];

/// An answer of a STUN server, to the request that it names and to another one; or a check of a phone in a browser.
pub fn stun(data: &[u8]) {
    let named = data.get(8..20).and_then(|id| id.try_into().ok()).unwrap_or_default();
    for id in [named, [0; 12]] {
        let _ = network_info::stun::mapped_address(data, &id);
    }
    let named = |ufrag: &str| Credentials { ufrag: ufrag.to_owned(), pwd: "password".to_owned() };
    let ice = Ice { ours: named("box"), theirs: named("phone") };
    if is_stun(data) {
        let _ = ice.check(data, SocketAddr::from(([192, 0, 2, 7], 4000)));
    }
}

/// A message of livekit-server, in its envelope or without it.
pub fn psrpc(data: &[u8]) {
    sealed_again::<internal::Request>(data);
    sealed_again::<internal::ClaimRequest>(data);
    sealed_again::<internal::ClaimResponse>(data);
    if let Some(response) = sealed_again::<internal::Response>(data) {
        let (code, message) = (ErrorCode::parse(&response.code), response.error);
        let _ = RpcError { code, message, details: response.error_details }.sip_status();
    }
    let _ = io::GetSipTrunkAuthenticationResponse::decode(data);
    let _ = io::EvaluateSipDispatchRulesResponse::decode(data);
    let _ = gateway::InternalCreateSipParticipantRequest::decode(data);
    let _ = gateway::InternalTransferSipParticipantRequest::decode(data);
}

fn sealed_again<M: wire::Internal + PartialEq>(data: &[u8]) -> Option<M> {
    let message = wire::open::<M>(data).ok()?;
    let again = wire::open::<M>(&wire::seal(&message));
    assert!(again.is_ok_and(|again| again == message), "{} does not survive its envelope", M::NAME);
    Some(message)
}

/// The rules in a request body.
pub fn dialplan_json(data: &[u8]) {
    if let Ok(value) = serde_json::from_slice(data) {
        let _ = dialplan::parse_rules(&value, "rules");
    }
}
