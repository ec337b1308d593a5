//! Extractors whose refusals are problems too: the body, and the ids in a path.

use crate::{
    error::{ApiError, ApiResult},
    fields::Fields,
};
use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Path, Request},
    http::{StatusCode, request::Parts},
};
use serde::Serialize;
use serde_json::Value;
use std::str::FromStr;
use types::IdError;

/// A JSON body, not read yet.
pub struct Body(pub Bytes);

impl Body {
    pub fn fields(&self) -> ApiResult<Fields> {
        Fields::parse(&self.0)
    }

    /// The JSON as it is; bad JSON is refused with its place.
    pub fn value(&self) -> ApiResult<Value> {
        Ok(Fields::parse(&self.0)?.into_value())
    }

    /// A change of `current`.
    pub fn patch(&self, current: &impl Serialize) -> ApiResult<Fields> {
        Fields::patch(&self.0, current)
    }
}

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> ApiResult<Self> {
        let body = Bytes::from_request(request, state).await;
        body.map(Self).map_err(|err| match err.status() {
            StatusCode::PAYLOAD_TOO_LARGE => {
                ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", "the body is larger than 1 MiB")
            }
            _ => ApiError::new(StatusCode::BAD_REQUEST, "broken_body", "the body could not be read to its end"),
        })
    }
}

/// The id in the path; a text that is no id names nothing, which is 404.
pub struct Id<T>(pub T);

impl<S: Send + Sync, T: FromStr<Err = IdError>> FromRequestParts<S> for Id<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> ApiResult<Self> {
        let Path(text) = Path::<String>::from_request_parts(parts, state).await.map_err(ApiError::internal)?;
        text.parse().map(Self).map_err(no_such)
    }
}

/// Two ids in the path, the outer one first.
pub struct Ids<A, B>(pub A, pub B);

impl<S, A, B> FromRequestParts<S> for Ids<A, B>
where
    S: Send + Sync,
    A: FromStr<Err = IdError>,
    B: FromStr<Err = IdError>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> ApiResult<Self> {
        let path = Path::<(String, String)>::from_request_parts(parts, state).await;
        let Path((outer, inner)) = path.map_err(ApiError::internal)?;
        Ok(Self(outer.parse().map_err(no_such)?, inner.parse().map_err(no_such)?))
    }
}

fn no_such(err: IdError) -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, "not_found", err.to_string())
}
