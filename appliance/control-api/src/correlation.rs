//! Which request is this? One id from the request's header, or a fresh one, on its log lines, its
//! problems and its audit rows.

use axum::{extract::Request, http::HeaderValue, middleware::Next, response::Response};
use tracing::Instrument;
use types::CorrelationId;

const HEADER: &str = "x-correlation-id";

tokio::task_local! {
    static CURRENT: CorrelationId;
}

/// The id of the request being answered, or a fresh one outside of any.
pub fn current() -> CorrelationId {
    CURRENT.try_with(Clone::clone).unwrap_or_else(|_| CorrelationId::new())
}

/// Takes this request's id and log fields along into a task of its own.
pub fn carry_into<F: Future>(work: F) -> impl Future<Output = F::Output> {
    CURRENT.scope(current(), work.in_current_span())
}

/// Middleware: adopts or makes the id and answers with it.
pub async fn carry(request: Request, next: Next) -> Response {
    let given = request.headers().get(HEADER).and_then(|value| value.to_str().ok());
    let id = given.map_or_else(CorrelationId::new, CorrelationId::adopt);
    let span =
        tracing::info_span!("request", correlation_id = %id, method = %request.method(), path = request.uri().path());
    let mut response = CURRENT.scope(id.clone(), next.run(request).instrument(span)).await;
    if let Ok(value) = HeaderValue::from_str(id.as_str()) {
        response.headers_mut().insert(HEADER, value);
    }
    response
}
