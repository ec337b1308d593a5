//! `/v1/calls/{id}/trace`: what was said in a call, for whoever looks for the reason.
//!
//! The gateway keeps it for each SIP leg, without secrets and not for long ([`types::trace`]); here the legs of a call
//! become one [`ladder`], or one capture file ([`pcap`]). For admins only: in SIP stands what callers hide from others.

mod ladder;
mod pcap;

use crate::{
    app::App,
    audit,
    auth::{Caller, Permission},
    error::{ApiError, ApiResult},
    extract::Id,
    neighbour::refusal,
};
use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use daemon::unix_http::UnixHttpError;
use ladder::Ladder;
use serde_json::json;
use store::{
    calls::Call,
    legs::{self, Leg},
};
use types::{CallId, LegId, trace::LegTrace};
use utoipa_axum::{router::OpenApiRouter, routes};

/// A SIP leg, and what the gateway still has of it.
type Traced = (LegId, Option<LegTrace>);

/// SIP messages of all legs in order of time, and figures of their audio. Admins only; secrets are masked by `x`.
/// 404 `trace_gone` an hour after the call, or sooner on a busy box.
#[utoipa::path(get, path = "/v1/calls/{id}/trace", operation_id = "trace_call", tag = "calls",
    params(("id" = String, Path)), responses((status = 200, body = Ladder)))]
async fn show(State(app): State<App>, caller: Caller, Id(id): Id<CallId>) -> ApiResult<Json<Ladder>> {
    Ok(Json(Ladder::of(traced(&app, &caller, id, "json").await?)))
}

/// The same as a capture file, for Wireshark and its like. All is framed as UDP, also what went by TCP and TLS; of RTP
/// there are the headers of the first packets. Admins only.
#[utoipa::path(get, path = "/v1/calls/{id}/trace.pcap", operation_id = "capture_call", tag = "calls",
    params(("id" = String, Path)),
    responses((status = 200, content_type = "application/vnd.tcpdump.pcap", body = [u8])))]
async fn capture(State(app): State<App>, caller: Caller, Id(id): Id<CallId>) -> ApiResult<Response> {
    let traced = traced(&app, &caller, id, "pcap").await?;
    let kept: Vec<LegTrace> = traced.into_iter().filter_map(|(_, trace)| trace).collect();
    let headers = [
        (header::CONTENT_TYPE, "application/vnd.tcpdump.pcap".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{id}.pcap\"")),
    ];
    Ok((headers, pcap::file(&kept)).into_response())
}

/// Of at least one leg something is kept.
async fn traced(app: &App, caller: &Caller, id: CallId, format: &str) -> ApiResult<Vec<Traced>> {
    caller.require(Permission::ControlCalls)?;
    let tenant = caller.tenant_id;
    let legs = app.db.read(move |conn| {
        store::find::<Call>(conn, tenant, &id)?;
        legs::of_call(conn, id)
    });
    let mut traced = Vec::new();
    for leg in legs.await? {
        if let Leg { id, lk_call_id: Some(lk_call_id), .. } = leg {
            traced.push((id, ask(app, &lk_call_id).await?));
        }
    }
    if traced.iter().all(|(_, trace)| trace.is_none()) {
        return Err(nothing(traced.len()));
    }
    audit::note(app, caller, "call.trace", Some(id.to_string()), json!({ "format": format })).await?;
    Ok(traced)
}

async fn ask(app: &App, lk_call_id: &str) -> ApiResult<Option<LegTrace>> {
    match app.gateway.get(&format!("/v1/legs/{lk_call_id}/trace")).await {
        Ok(trace) => Ok(Some(trace)),
        Err(UnixHttpError::Refused { status: StatusCode::NOT_FOUND, .. }) => Ok(None),
        Err(error) => Err(refusal(error)),
    }
}

fn nothing(sip_legs: usize) -> ApiError {
    if sip_legs == 0 {
        return ApiError::new(StatusCode::NOT_FOUND, "no_sip_leg", "no SIP was spoken in this call")
            .hint("only legs of kind `sip` have a trace");
    }
    ApiError::new(StatusCode::NOT_FOUND, "trace_gone", "nothing is kept of this call any more").hint(
        "the gateway keeps traces in memory for an hour, of the last 500 legs: place the call again and ask at once",
    )
}

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(show)).routes(routes!(capture))
}
