//! Why could an object not be stored or read?

use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStreamError;
use std::error::Error;

/// Names the object and what the server (or the network) said.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    #[error("`{endpoint}` is not an http:// or https:// address of an S3 server")]
    BadEndpoint { endpoint: String },
    #[error("there is no object `{key}`")]
    NotFound { key: String },
    #[error("object `{key}` has no bytes in the range asked for")]
    OutOfRange { key: String },
    #[error("could not {verb} `{key}`: the object store does not answer: {cause}")]
    Unavailable { verb: &'static str, key: String, cause: String },
    #[error("could not {verb} `{key}`: the object store answered {status} {code}: {cause}")]
    Refused { verb: &'static str, key: String, status: u16, code: String, cause: String },
}

impl ObjectError {
    /// True where the same call may succeed later: an outage, a full disk, a busy server.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Unavailable { .. } => true,
            Self::Refused { status, .. } => *status >= 500 || *status == 429,
            Self::BadEndpoint { .. } | Self::NotFound { .. } | Self::OutOfRange { .. } => false,
        }
    }

    /// Sorts the SDK's errors by what a caller can do about them.
    pub(crate) fn from_sdk<E>(verb: &'static str, key: &str, error: SdkError<E>) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let key = key.to_owned();
        let SdkError::ServiceError(refusal) = &error else {
            return Self::Unavailable { verb, key, cause: DisplayErrorContext(&error).to_string() };
        };
        let status = refusal.raw().status().as_u16();
        let meta = refusal.err().meta();
        match (status, meta.code()) {
            (404, code) if code != Some("NoSuchBucket") => Self::NotFound { key },
            (416, _) => Self::OutOfRange { key },
            (_, code) => Self::Refused {
                verb,
                key,
                status,
                code: code.unwrap_or_default().to_owned(),
                cause: meta.message().unwrap_or("no reason given").to_owned(),
            },
        }
    }

    /// The body broke off after the headers had come.
    pub(crate) fn from_body(verb: &'static str, key: &str, error: ByteStreamError) -> Self {
        Self::Unavailable { verb, key: key.to_owned(), cause: DisplayErrorContext(&error).to_string() }
    }

    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }

    /// The server's own error code, where it gave one.
    pub(crate) fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { code, .. } => Some(code),
            _ => None,
        }
    }
}
