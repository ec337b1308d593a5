//! What went wrong with a call, in psrpc's words.

use crate::proto::{Any, SipStatus};
use prost::Message;
use std::fmt;

const SIP_STATUS_TYPE: &str = "type.googleapis.com/livekit.SIPStatus";

/// A failed call: a code both sides understand, a sentence, and attached messages.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct RpcError {
    pub code: ErrorCode,
    pub message: String,
    pub details: Vec<Any>,
}

impl RpcError {
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), details: Vec::new() }
    }

    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Unavailable, message)
    }

    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Internal, message)
    }

    /// The far end of the SIP call said no. livekit-server turns the attached status into the error
    /// meta `sip_status_code` and `sip_status`, which its SDKs show.
    pub fn from_sip(status: u16, reason: &str) -> Self {
        let message = format!("sip status {status}: {reason}");
        Self::new(ErrorCode::from_sip_status(status), message).with_sip_status(status, reason)
    }

    /// The same error under another code: livekit's SDKs redial on some.
    pub fn with_code(mut self, code: ErrorCode) -> Self {
        self.code = code;
        self
    }

    pub fn with_sip_status(mut self, status: u16, reason: &str) -> Self {
        let value = SipStatus { code: status.into(), status: reason.to_owned() }.encode_to_vec();
        self.details.push(Any { type_url: SIP_STATUS_TYPE.to_owned(), value });
        self
    }

    /// The attached SIP status, if there is one.
    pub fn sip_status(&self) -> Option<SipStatus> {
        let detail = self.details.iter().find(|detail| detail.type_url == SIP_STATUS_TYPE)?;
        SipStatus::decode(detail.value.as_slice()).ok()
    }
}

macro_rules! codes {
    ($($name:ident = $text:literal,)*) => {
        /// psrpc's error codes (psrpc `errors.go`).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ErrorCode { $($name,)* }

        impl ErrorCode {
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// A code we do not know counts as `unknown`.
            pub fn parse(text: &str) -> Self {
                match text { $($text => Self::$name,)* _ => Self::Unknown }
            }
        }
    };
}

codes! {
    Canceled = "canceled",
    MalformedRequest = "malformed_request",
    MalformedResult = "malformed_result",
    DeadlineExceeded = "deadline_exceeded",
    Unavailable = "unavailable",
    Unknown = "unknown",
    InvalidArgument = "invalid_argument",
    NotFound = "not_found",
    NotAcceptable = "not_acceptable",
    AlreadyExists = "already_exists",
    PermissionDenied = "permission_denied",
    ResourceExhausted = "resource_exhausted",
    FailedPrecondition = "failed_precondition",
    Aborted = "aborted",
    OutOfRange = "out_of_range",
    Unimplemented = "unimplemented",
    Internal = "internal",
    DataLoss = "data_loss",
    Unauthenticated = "unauthenticated",
    UnprocessableEntity = "unprocessable_entity",
    UpstreamServerError = "upstream_server_error",
    UpstreamClientError = "upstream_client_error",
}

impl ErrorCode {
    /// The code livekit gives a final SIP status (protocol `livekit/sip.go`).
    pub fn from_sip_status(status: u16) -> Self {
        match status {
            301 | 302 | 404 | 410 | 481 | 604 => Self::NotFound,
            401..=403 | 433 | 470 | 603 | 607 | 608 => Self::PermissionDenied,
            407 | 428 | 436..=438 | 494 => Self::Unauthenticated,
            408 | 504 => Self::DeadlineExceeded,
            409 | 412 | 482 | 483 => Self::FailedPrecondition,
            416 => Self::OutOfRange,
            440 | 480 | 486 | 600 => Self::ResourceExhausted,
            487 | 491 => Self::Aborted,
            505 | 513 => Self::InvalidArgument,
            300..=499 | 600..=699 => Self::InvalidArgument,
            500..=599 => Self::FailedPrecondition,
            _ => Self::Unknown,
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_written_as_psrpc_writes_them() {
        assert_eq!(ErrorCode::MalformedResult.to_string(), "malformed_result");
        assert_eq!(ErrorCode::parse("data_loss"), ErrorCode::DataLoss);
        assert_eq!(ErrorCode::parse("something new"), ErrorCode::Unknown);
    }

    #[test]
    fn a_busy_callee_is_an_exhausted_resource_with_the_sip_status_attached() {
        let error = RpcError::from_sip(486, "Busy Here");
        assert_eq!(error.code, ErrorCode::ResourceExhausted);
        assert_eq!(error.message, "sip status 486: Busy Here");
        assert_eq!(error.sip_status(), Some(SipStatus { code: 486, status: "Busy Here".into() }));
    }

    #[test]
    fn statuses_without_an_entry_go_by_their_class() {
        assert_eq!(ErrorCode::from_sip_status(499), ErrorCode::InvalidArgument);
        assert_eq!(ErrorCode::from_sip_status(580), ErrorCode::FailedPrecondition);
        assert_eq!(ErrorCode::from_sip_status(699), ErrorCode::InvalidArgument);
        assert_eq!(ErrorCode::from_sip_status(180), ErrorCode::Unknown);
    }

    #[test]
    fn a_changed_code_keeps_the_sip_status() {
        let error = RpcError::from_sip(503, "Service Unavailable").with_code(ErrorCode::Unavailable);
        assert_eq!(error.sip_status().map(|status| status.code), Some(503));
    }
}
