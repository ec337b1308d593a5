//! Can the box ring itself? What `self-call` needs of us, over the control socket.
//!
//! The call goes the whole way of a caller's: trunk, number, dialplan, voicemail and object store, all
//! of a tenant that nobody is shown ([`furnish`]). The program asks for the number, calls it, and comes
//! for the recording by the SIP Call-ID that it chose.

mod furnish;

pub use furnish::NUMBER;

use crate::{
    app::App,
    error::{ApiError, ApiResult},
    fields::{self, Fields},
    voicemails::audio,
};
use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, State},
    http::StatusCode,
    response::Response,
    routing::{get, post},
};
use jiff::{Timestamp, ToSpan};
use serde::Serialize;
use std::time::Duration;
use store::{
    Connection, StoreError, Transaction, self_calls,
    trunks::{SyncStatus, Trunk},
    voicemails::Voicemail,
};
use tokio::time::Instant;
use types::CallId;

/// How long the trunk may take to be known to LiveKit, unless the caller says otherwise.
const WAIT_S: u64 = 30;
/// Nobody comes for an older recording any more.
const FORGOTTEN_AFTER_MINUTES: i64 = 15;

pub fn routes() -> Router<App> {
    Router::new()
        .route("/internal/v1/self-call", post(prepare))
        .route("/internal/v1/self-call/{sip_call_id}/recording", get(recording).delete(forget))
}

/// Where to call.
#[derive(Serialize)]
struct Line {
    number: &'static str,
    host: &'static str,
    port: u16,
}

/// Makes what a self-call rings, as often as it is asked, and waits until LiveKit knows it.
async fn prepare(State(app): State<App>, body: Bytes) -> ApiResult<Json<Line>> {
    let until = Instant::now() + wait(&body)?;
    sweep(&app).await?;
    let port = app.config.sip.port;
    let trunk = app.db.write(move |tx| furnish::furnish(tx, port)).await?;
    synced(&app, &trunk, until).await?;
    Ok(Json(Line { number: NUMBER, host: furnish::HOST, port }))
}

/// `{wait_s}`, or nothing.
fn wait(body: &Bytes) -> ApiResult<Duration> {
    if body.is_empty() {
        return Ok(Duration::from_secs(WAIT_S));
    }
    let mut read = Fields::parse(body)?;
    let seconds = read.or("wait_s", WAIT_S, fields::integer(0..=600));
    read.build(|| seconds).map(Duration::from_secs)
}

async fn synced(app: &App, trunk: &Trunk, until: Instant) -> ApiResult<()> {
    let mut news = app.db.latest_event();
    app.trunks_changed.notify_one();
    loop {
        news.borrow_and_update();
        let id = trunk.id;
        let now = app.db.read(move |conn| store::find_any::<Trunk>(conn, &id)).await?;
        if now.sync_status == SyncStatus::Synced {
            return Ok(());
        }
        tokio::select! {
            changed = news.changed() => changed.map_err(|_| StoreError::Closed)?,
            () = tokio::time::sleep_until(until) => return Err(not_synced(now)),
        }
    }
}

fn not_synced(trunk: Trunk) -> ApiError {
    let cause = trunk.sync_last_error.unwrap_or_else(|| "the trunk sync has not come to it yet".into());
    let hint = trunk.sync_hint.unwrap_or_else(|| "see the log of control-api".into());
    let detail = format!("livekit-server does not know the self-call's trunk: {cause}");
    ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "self_call_not_ready", detail).hint(hint).retry_after(5)
}

/// The message as WAV; 404 says how far it has come.
async fn recording(State(app): State<App>, Path(sip_call_id): Path<String>) -> ApiResult<Response> {
    let (_, message) = app.db.read(move |conn| left(conn, &sip_call_id)).await?;
    let message = message.ok_or_else(|| not_yet("not_recorded_yet", "voice-worker has not reported a message"))?;
    if !message.stored {
        return Err(not_yet("not_stored_yet", "the recording waits for the object store"));
    }
    audio::wav(&app, &message, None).await
}

/// Removes the message and, once it has ended, the call.
async fn forget(State(app): State<App>, Path(sip_call_id): Path<String>) -> ApiResult<StatusCode> {
    let remove = move |tx: &Transaction<'_>| {
        let (call, message) = left(tx, &sip_call_id)?;
        if let Some(message) = &message {
            store::delete::<Voicemail>(tx, message.tenant_id, &message.id)?;
        }
        self_calls::delete(tx, call)?;
        Ok::<_, ApiError>(message)
    };
    let gone = app.db.write(remove).await?;
    remove_objects(&app, gone).await;
    Ok(StatusCode::NO_CONTENT)
}

fn left(conn: &Connection, sip_call_id: &str) -> ApiResult<(CallId, Option<Voicemail>)> {
    let call = self_calls::find(conn, sip_call_id)?;
    let call = call.ok_or_else(|| not_yet("no_such_call", "no call with this Call-ID has come in"))?;
    Ok((call, self_calls::message(conn, call)?))
}

fn not_yet(code: &'static str, detail: &'static str) -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, code, detail).hint("ask again")
}

/// Clears away what earlier self-calls left, those that failed half way.
async fn sweep(app: &App) -> ApiResult<()> {
    let before = Timestamp::now() - FORGOTTEN_AFTER_MINUTES.minutes();
    let clear = move |tx: &Transaction<'_>| {
        let messages = self_calls::forgotten(tx, before)?;
        for message in &messages {
            store::delete::<Voicemail>(tx, message.tenant_id, &message.id)?;
        }
        self_calls::prune(tx, before)?;
        Ok::<_, StoreError>(messages)
    };
    let gone = app.db.write(clear).await?;
    remove_objects(app, gone).await;
    Ok(())
}

async fn remove_objects(app: &App, messages: impl IntoIterator<Item = Voicemail>) {
    for message in messages.into_iter().filter(|message| message.stored) {
        if let Err(error) = app.objects.delete(&message.object_key).await {
            tracing::warn!(voicemail.id = %message.id, object = message.object_key, %error, "recording_not_deleted");
        }
    }
}
