//! What may people in the room ask of a phone?
//!
//! `lk.sip.GetRemoteHeaders` and `lk.sip.EndCall`, as LiveKit's remote procedure calls (version 1: a request, an
//! acknowledgement and a response as data packets, all JSON inside). Anybody in the room may ask, as with livekit-sip.
//!
//! livekit-sip's contract, section 7; error codes: LiveKit's SDKs.

use super::Leg;
use livekit::protocol::{
    DataPacket, RpcAck, RpcError, RpcRequest, RpcResponse, data_packet::Value, rpc_response::Value as Answer,
};
use serde::Deserialize;
use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

const VERSION: u32 = 1;
/// What an answer may hold.
const LONGEST_ANSWER: usize = 15 * 1024;
/// A participant who has left answers nothing: news of that may overtake an answer sent just before.
const ANSWER_TIME: Duration = Duration::from_millis(500);
const APPLICATION_ERROR: u32 = 1500;
const ANSWER_TOO_LONG: u32 = 1504;
const UNKNOWN_METHOD: u32 = 1400;
const UNKNOWN_VERSION: u32 = 1404;

/// Headers that speak of the signalling, not of the call.
const PLUMBING: [&str; 20] = [
    "route",
    "record-route",
    "via",
    "supported",
    "accept",
    "allow",
    "allow-events",
    "authorization",
    "content-type",
    "content-length",
    "content-encoding",
    "content-disposition",
    "cseq",
    "event",
    "expires",
    "session-expires",
    "min-se",
    "max-forwards",
    "proxy-authenticate",
    "proxy-authorization",
];

/// What is wanted, read.
#[derive(Debug, PartialEq)]
enum Wanted {
    Headers(Selection),
    End(EndCall),
}

/// Names in any case; an empty `include` means all.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
struct Selection {
    include: Vec<String>,
    exclude: Vec<String>,
}

/// Headers for the BYE.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
struct EndCall {
    headers: HashMap<String, String>,
}

impl Leg {
    /// A data packet that is neither digits nor somebody's own data.
    pub(super) fn on_packet(&mut self, packet: DataPacket) {
        let DataPacket { participant_identity, value: Some(Value::RpcRequest(request)), .. } = packet else { return };
        let to = participant_identity;
        self.tell(&to, Value::RpcAck(RpcAck { request_id: request.id.clone() }));
        let (answer, end) = match read(&request) {
            Ok(Wanted::Headers(selection)) => (self.remote_headers_as(&selection), None),
            Ok(Wanted::End(end)) => (Ok("{}".to_owned()), Some(end)),
            Err(error) => (Err(error), None),
        };
        let value = Some(answer.map_or_else(Answer::Error, Answer::Payload));
        self.tell(&to, Value::RpcResponse(RpcResponse { request_id: request.id, value }));
        if let Some(end) = end {
            tracing::info!(correlation_id = %self.correlation_id, call.id = %self.lk_call_id, "the room ends the call");
            self.bye_headers.extend(end.headers);
            self.hang_up_at.get_or_insert(Instant::now() + ANSWER_TIME);
        }
    }

    fn tell(&self, identity: &str, value: Value) {
        let destination_identities = vec![identity.to_owned()];
        self.media.send_packet(DataPacket { destination_identities, value: Some(value), ..DataPacket::default() });
    }

    fn remote_headers_as(&self, selection: &Selection) -> Result<String, RpcError> {
        let headers = selected(&self.remote_headers, selection);
        let answer = serde_json::json!({ "headers": headers }).to_string();
        match answer.len() {
            ..=LONGEST_ANSWER => Ok(answer),
            _ => Err(error(ANSWER_TOO_LONG, "the headers are too long for one answer; name some in `include`")),
        }
    }
}

fn read(request: &RpcRequest) -> Result<Wanted, RpcError> {
    if request.version > VERSION {
        return Err(error(UNKNOWN_VERSION, "only version 1 of remote procedure calls is spoken here"));
    }
    match request.method.as_str() {
        "lk.sip.GetRemoteHeaders" => json(&request.payload).map(Wanted::Headers),
        "lk.sip.EndCall" => json(&request.payload).map(Wanted::End),
        _ => Err(error(UNKNOWN_METHOD, "a phone serves lk.sip.GetRemoteHeaders and lk.sip.EndCall")),
    }
}

fn json<T: Default + for<'a> Deserialize<'a>>(payload: &str) -> Result<T, RpcError> {
    if payload.is_empty() {
        return Ok(T::default());
    }
    serde_json::from_str(payload)
        .map_err(|wrong| error(APPLICATION_ERROR, &format!("the payload is not usable: {wrong}")))
}

fn selected(headers: &[(String, String)], selection: &Selection) -> HashMap<String, String> {
    let names = |list: &[String], name: &str| list.iter().any(|listed| listed.eq_ignore_ascii_case(name));
    let wanted = |name: &str| {
        let asked = selection.include.is_empty() || names(&selection.include, name);
        asked
            && !names(&selection.exclude, name)
            && !PLUMBING.iter().any(|plumbing| plumbing.eq_ignore_ascii_case(name))
    };
    headers.iter().filter(|(name, _)| wanted(name)).cloned().collect()
}

fn error(code: u32, message: &str) -> RpcError {
    RpcError { code, message: message.to_owned(), data: String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: &str, payload: &str) -> RpcRequest {
        RpcRequest {
            id: "1".into(),
            method: method.into(),
            payload: payload.into(),
            version: 1,
            ..RpcRequest::default()
        }
    }

    fn names(include: &[&str], exclude: &[&str]) -> Vec<String> {
        let headers =
            [("X-Customer", "42"), ("From", "<sip:a@b>"), ("Via", "SIP/2.0/UDP a"), ("Authorization", "Digest")];
        let headers: Vec<_> = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let mut found: Vec<String> =
            selected(&headers, &Selection { include: list(include), exclude: list(exclude) }).into_keys().collect();
        found.sort();
        found
    }

    #[test]
    fn headers_are_chosen_by_name_and_those_of_the_signalling_stay_here() {
        assert_eq!(names(&[], &[]), ["From", "X-Customer"]);
        assert_eq!(names(&["x-customer", "via"], &[]), ["X-Customer"]);
        assert_eq!(names(&[], &["FROM"]), ["X-Customer"]);
    }

    #[test]
    fn a_request_without_a_payload_asks_for_everything() {
        assert_eq!(read(&request("lk.sip.GetRemoteHeaders", "")), Ok(Wanted::Headers(Selection::default())));
        assert_eq!(read(&request("lk.sip.EndCall", "{}")), Ok(Wanted::End(EndCall::default())));
    }

    #[test]
    fn what_is_not_understood_is_refused_with_livekits_code() {
        let code = |request: &RpcRequest| read(request).unwrap_err().code;
        assert_eq!(code(&request("lk.sip.Fly", "")), UNKNOWN_METHOD);
        assert_eq!(code(&request("lk.sip.EndCall", "[")), APPLICATION_ERROR);
        assert_eq!(code(&RpcRequest { version: 2, ..request("lk.sip.EndCall", "") }), UNKNOWN_VERSION);
    }
}
