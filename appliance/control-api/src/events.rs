//! What is happening right now? `GET /v1/events`, server-sent events of one tenant.
//!
//! The events table is the source: a stream reads on from `Last-Event-ID`, also after a restart, and
//! is woken by commits. A `user` sees what concerns them, everybody else all of their tenant's.

use crate::{
    app::App,
    auth::{Caller, Permission},
    error::{ApiError, ApiResult},
};
use axum::{
    extract::{Query, State},
    http::HeaderMap,
    response::sse::{Event as Sse, KeepAlive, Sse as Stream},
};
use futures_util::{StreamExt, stream};
use serde::Deserialize;
use std::{convert::Infallible, time::Duration};
use store::events::Event;
use tokio::sync::watch;
use types::{TenantId, UserId};
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

const BATCH: u32 = 200;
const KEEP_ALIVE: Duration = Duration::from_secs(15);

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct StreamQuery {
    /// Like the header `Last-Event-ID`, for clients that cannot set it; 0 is from the beginning.
    last_event_id: Option<i64>,
}

/// One reader's place in the events.
struct Reader {
    app: App,
    tenant: TenantId,
    only: Option<UserId>,
    after: i64,
    latest: watch::Receiver<i64>,
}

impl Reader {
    /// The next events; waits until there are some. `None`: the box stops.
    async fn next(mut self) -> Option<(Vec<Event>, Self)> {
        loop {
            self.latest.borrow_and_update();
            let (tenant, only, after) = (self.tenant, self.only, self.after);
            let read = self.app.db.read(move |conn| store::events::after(conn, tenant, only, after, BATCH)).await;
            match read {
                Ok(events) if !events.is_empty() => {
                    self.after = events.last().map_or(after, |event| event.id);
                    return Some((events, self));
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::error!(%error, "event_stream_failed");
                    return None;
                }
            }
            tokio::select! {
                () = self.app.stop.cancelled() => return None,
                changed = self.latest.changed() => changed.ok()?,
            }
        }
    }
}

/// Resumes with `Last-Event-ID`; without one it begins with what happens next.
#[utoipa::path(get, path = "/v1/events", operation_id = "stream_events", tag = "events",
    params(StreamQuery, ("Last-Event-ID" = Option<i64>, Header)),
    responses((status = 200, content_type = "text/event-stream", body = String)))]
async fn stream_events(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    Query(query): Query<StreamQuery>,
) -> ApiResult<Stream<impl futures_util::Stream<Item = Result<Sse, Infallible>>>> {
    let only = if caller.may(Permission::ReadAll) { None } else { Some(caller.own_user()?) };
    let latest = app.db.latest_event();
    let after = match last_seen(&headers)?.or(query.last_event_id) {
        Some(seen) => seen,
        None => *latest.borrow(),
    };
    let reader = Reader { tenant: caller.tenant_id, only, after, latest, app };
    let events = stream::unfold(reader, Reader::next).flat_map(stream::iter).map(|event| Ok(frame(&event)));
    // The first bytes tell the client that it is connected.
    let hello = stream::once(async { Ok(Sse::default().comment("connected")) });
    Ok(Stream::new(hello.chain(events)).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

fn last_seen(headers: &HeaderMap) -> ApiResult<Option<i64>> {
    let Some(value) = headers.get("last-event-id") else { return Ok(None) };
    let number = value.to_str().ok().and_then(|text| text.trim().parse().ok());
    let wrong = || crate::error::FieldError::new("Last-Event-ID", "invalid_type", "must be the id of an event");
    number.map(Some).ok_or_else(|| ApiError::invalid(vec![wrong()]))
}

fn frame(event: &Event) -> Sse {
    let frame = Sse::default().id(event.id.to_string()).event(&event.kind);
    let body = serde_json::to_string(event).unwrap_or_default();
    frame.data(body)
}

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(stream_events))
}
