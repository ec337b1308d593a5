//! A message's sound: Ogg Opus as it was recorded, or WAV for whoever cannot play that; both in parts,
//! so that a browser can seek.

use super::visible;
use crate::{
    app::App,
    auth::Caller,
    error::{ApiError, ApiResult},
    extract::Id,
    pages::Params,
};
use axum::{
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use objects::ObjectError;
use serde::Deserialize;
use std::ops::Range;
use store::voicemails::Voicemail;
use types::VoicemailId;
use utoipa::{IntoParams, ToSchema};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AudioQuery {
    #[param(inline)]
    format: Option<Format>,
}

#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    Ogg,
    Wav,
}

/// The recording; `Range` is understood.
#[utoipa::path(get, path = "/v1/voicemails/{id}/audio", operation_id = "play_voicemail", tag = "voicemails",
    params(("id" = String, Path), AudioQuery),
    responses((status = 200, content_type = "audio/ogg", body = [u8]), (status = 206, content_type = "audio/ogg", body = [u8])))]
pub async fn play(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<VoicemailId>,
    Params(query): Params<AudioQuery>,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let voicemail = app.db.read(move |conn| visible(conn, &caller, id)).await?;
    if !voicemail.stored {
        let refusal = ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "recording_not_stored_yet", "not stored yet");
        return Err(refusal
            .hint("the recording is kept and stored as soon as the object store answers")
            .retry_after(5));
    }
    let wanted = headers.get(header::RANGE).and_then(|value| value.to_str().ok());
    match query.format.unwrap_or(Format::Ogg) {
        Format::Wav => wav(&app, &voicemail, wanted).await,
        Format::Ogg => ogg(&app, &voicemail, wanted).await,
    }
}

async fn ogg(app: &App, voicemail: &Voicemail, wanted: Option<&str>) -> ApiResult<Response> {
    let key = &voicemail.object_key;
    let total = app.objects.head(key).await.map_err(unreadable)?.bytes;
    match wanted.map(|text| parse_range(text, total)) {
        None | Some(Wanted::All) => {
            let all = app.objects.get(key).await.map_err(unreadable)?;
            Ok(whole("audio/ogg", all))
        }
        Some(Wanted::Part(range)) => {
            let (bytes, total) = app.objects.get_range(key, range.clone()).await.map_err(unreadable)?;
            Ok(part("audio/ogg", bytes, &range, total))
        }
        Some(Wanted::Nothing) => Err(out_of_range(total)),
    }
}

/// As a file that every program reads.
pub async fn wav(app: &App, voicemail: &Voicemail, wanted: Option<&str>) -> ApiResult<Response> {
    let file = app.objects.get(&voicemail.object_key).await.map_err(unreadable)?;
    let decode = move || speech::recording::ogg_opus_to_wav(&file);
    let decoded = tokio::task::spawn_blocking(decode).await.map_err(ApiError::internal)?;
    let wav = Bytes::from(decoded.map_err(ApiError::internal)?);
    let total = wav.len() as u64;
    match wanted.map(|text| parse_range(text, total)) {
        None | Some(Wanted::All) => Ok(whole("audio/wav", wav)),
        Some(Wanted::Part(range)) => {
            let bytes = wav.slice(range.start as usize..range.end as usize);
            Ok(part("audio/wav", bytes, &range, total))
        }
        Some(Wanted::Nothing) => Err(out_of_range(total)),
    }
}

fn whole(kind: &'static str, bytes: Bytes) -> Response {
    let headers = [(header::CONTENT_TYPE, kind), (header::ACCEPT_RANGES, "bytes"), (header::CACHE_CONTROL, "private")];
    (headers, bytes).into_response()
}

fn part(kind: &'static str, bytes: Bytes, range: &Range<u64>, total: u64) -> Response {
    let place = format!("bytes {}-{}/{total}", range.start, range.end.saturating_sub(1));
    let mut response = (StatusCode::PARTIAL_CONTENT, whole(kind, bytes)).into_response();
    if let Ok(place) = place.parse() {
        response.headers_mut().insert(header::CONTENT_RANGE, place);
    }
    response
}

fn unreadable(err: ObjectError) -> ApiError {
    if matches!(err, ObjectError::NotFound { .. }) {
        return ApiError::new(
            StatusCode::NOT_FOUND,
            "recording_gone",
            "the recording is no longer in the object store",
        );
    }
    tracing::warn!(error = %crate::ready::with_causes("could not read a recording", &err), "object_store_failed");
    ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "object_store_unavailable", "the object store does not answer")
        .retry_after(5)
}

fn out_of_range(total: u64) -> ApiError {
    let detail = format!("the recording has {total} bytes");
    ApiError::new(StatusCode::RANGE_NOT_SATISFIABLE, "range_not_satisfiable", detail)
}

#[derive(Debug, PartialEq)]
enum Wanted {
    /// No range that we understand: RFC 9110 says to answer as if there were none.
    All,
    Part(Range<u64>),
    Nothing,
}

/// One `bytes=` range of RFC 9110; several at once are answered with the whole.
fn parse_range(text: &str, total: u64) -> Wanted {
    let Some((first, last)) = text.strip_prefix("bytes=").and_then(|range| range.split_once('-')) else {
        return Wanted::All;
    };
    let range = match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(first), Ok(last)) if first <= last => first..total.min(last.saturating_add(1)),
        (Ok(first), Err(_)) if last.is_empty() => first..total,
        (Err(_), Ok(last)) if first.is_empty() => total.saturating_sub(last)..total,
        _ => return Wanted::All,
    };
    if range.is_empty() { Wanted::Nothing } else { Wanted::Part(range) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_understood_as_rfc_9110_says() {
        for (text, expected) in [
            ("bytes=0-99", Wanted::Part(0..100)),
            ("bytes=900-", Wanted::Part(900..1000)),
            ("bytes=-10", Wanted::Part(990..1000)),
            ("bytes=-5000", Wanted::Part(0..1000)),
            ("bytes=990-5000", Wanted::Part(990..1000)),
            ("bytes=1000-", Wanted::Nothing),
            ("bytes=-0", Wanted::Nothing),
            ("bytes=9-3", Wanted::All),
            ("bytes=0-1,5-6", Wanted::All),
            ("lines=1-2", Wanted::All),
        ] {
            assert_eq!(parse_range(text, 1000), expected, "{text}");
        }
    }
}
