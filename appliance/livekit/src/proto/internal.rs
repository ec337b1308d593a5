//! psrpc's own envelope: file `internal/internal.proto` of psrpc v0.7.2, package `internal`.
//!
//! The stream messages of that file are left out: no SIP method streams.

use super::Any;
use std::collections::HashMap;

/// `internal.Msg`: the payload of every Redis PUBLISH.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Msg {
    #[prost(string, tag = "1")]
    pub type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    pub value: Vec<u8>,
    /// Empty on Redis.
    #[prost(string, tag = "3")]
    pub channel: String,
}

/// `internal.Request`. Field 6, `request`, is the old form of `raw_request` and unused.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Request {
    #[prost(string, tag = "1")]
    pub request_id: String,
    #[prost(string, tag = "2")]
    pub client_id: String,
    /// Nanoseconds since 1970.
    #[prost(int64, tag = "3")]
    pub sent_at: i64,
    /// Nanoseconds since 1970; from then on nobody waits for the answer.
    #[prost(int64, tag = "4")]
    pub expiry: i64,
    #[prost(bool, tag = "5")]
    pub multi: bool,
    #[prost(map = "string, string", tag = "7")]
    pub metadata: HashMap<String, String>,
    #[prost(bytes = "vec", tag = "8")]
    pub raw_request: Vec<u8>,
}

/// `internal.Response`. Field 4, `response`, is the old form of `raw_response` and unused.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Response {
    #[prost(string, tag = "1")]
    pub request_id: String,
    #[prost(string, tag = "2")]
    pub server_id: String,
    #[prost(int64, tag = "3")]
    pub sent_at: i64,
    #[prost(string, tag = "5")]
    pub error: String,
    #[prost(string, tag = "6")]
    pub code: String,
    #[prost(bytes = "vec", tag = "7")]
    pub raw_response: Vec<u8>,
    #[prost(message, repeated, tag = "8")]
    pub error_details: Vec<Any>,
}

/// `internal.ClaimRequest`: a server says that it could take a request.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ClaimRequest {
    #[prost(string, tag = "1")]
    pub request_id: String,
    #[prost(string, tag = "2")]
    pub server_id: String,
    #[prost(float, tag = "3")]
    pub affinity: f32,
}

/// `internal.ClaimResponse`: the client says which server it chose.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct ClaimResponse {
    #[prost(string, tag = "1")]
    pub request_id: String,
    #[prost(string, tag = "2")]
    pub server_id: String,
}
