//! How is a long list read? `?limit=&cursor=` in, `{items, next_cursor}` out.

use crate::error::{ApiError, ApiResult, FieldError};
use axum::{
    extract::{FromRequestParts, Query},
    http::request::Parts,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use store::Page;
use utoipa::{IntoParams, ToSchema};

#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// 1 to 200, 50 when it is not given.
    pub limit: Option<usize>,
    /// The `next_cursor` of the page before.
    pub cursor: Option<String>,
}

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct Paged<T> {
    pub items: Vec<T>,
    /// Null on the last page.
    pub next_cursor: Option<String>,
}

impl PageQuery {
    pub fn page(self) -> ApiResult<Page> {
        let limit = self.limit.unwrap_or(50);
        if !(1..=200).contains(&limit) {
            let error = FieldError::new("limit", "out_of_range", "must be from 1 to 200");
            return Err(ApiError::invalid(vec![error]));
        }
        Ok(Page { limit, after: self.cursor })
    }
}

/// Cuts the one row too many off; it says that there is another page.
pub fn page_of<T>(mut rows: Vec<T>, limit: usize, id: impl Fn(&T) -> String) -> Paged<T> {
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next_cursor = rows.last().filter(|_| more).map(id);
    Paged { items: rows, next_cursor }
}

/// The query string; a wrong one is 422 like a wrong body.
pub struct Params<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> ApiResult<Self> {
        let query = Query::<T>::try_from_uri(&parts.uri);
        let wrong = |err: axum::extract::rejection::QueryRejection| {
            ApiError::invalid(vec![FieldError::new("query", "invalid_query", err.body_text())])
        };
        query.map(|Query(it)| Self(it)).map_err(wrong)
    }
}
