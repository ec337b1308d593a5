//! `/v1/trunks/probe` and `/v1/trunks/{id}/probe`: what is a carrier able to do?
//!
//! `sip-gateway` tries it out ([`types::probe`]); here the request is checked, the call that it may make is recorded and
//! metered as every call is, and a stored trunk keeps the report as its capability card.

use super::input::read;
use crate::{
    app::App,
    audit,
    auth::{Caller, Permission},
    correlation,
    error::{ApiError, ApiResult, FieldError},
    extract::{Body, Id},
    fields::{self, Fields},
    idempotency,
    neighbour::refusal,
};
use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use jiff::Timestamp;
use serde_json::json;
use std::time::Duration;
use store::{
    StoreError, Transaction,
    calls::{Call, CallKind, CallState},
    dids, events,
    legs::Direction,
    trunk_cards::{self, TrunkCard},
    trunks::{Trunk, TrunkSpec},
};
use types::{
    CallId, E164, EndReason, Redacted, TrunkId,
    probe::{ProbeCall, ProbeReport, ProbeRequest},
};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The gateway takes a minute at most.
const PATIENCE: Duration = Duration::from_secs(75);
/// The `end_code` of a probe's call.
const END_CODE: &str = "trunk_probe";

/// A trunk as it would be stored, and perhaps whom to call.
#[derive(ToSchema)]
#[allow(dead_code)] // describes what `probe` reads
struct ProbeNew {
    #[serde(flatten)]
    trunk: TrunkSpec,
    /// Calls this number: costs what such a call costs. An echo test proves most.
    #[schema(example = "+31201234567")]
    number: Option<String>,
}

/// Whom to call, if anybody.
#[derive(ToSchema)]
#[allow(dead_code)] // describes what `probe_stored` reads
struct ProbeOptions {
    /// Calls this number: costs what such a call costs. An echo test proves most.
    #[schema(example = "+31201234567")]
    number: Option<String>,
}

/// Try a carrier out; the trunk is not stored. Takes half a minute, a minute with a call.
#[utoipa::path(post, path = "/v1/trunks/probe", operation_id = "probe_trunk", tag = "trunks",
    request_body = ProbeNew, params(("Idempotency-Key" = Option<String>, Header)),
    responses((status = 200, body = ProbeReport)))]
async fn probe(State(app): State<App>, caller: Caller, headers: HeaderMap, body: Body) -> ApiResult<Response> {
    caller.require(Permission::ManageTelephony)?;
    let mut fields = body.fields()?;
    let number = number(&mut fields);
    let (spec, number) = (read(fields)?, number.flatten());
    let wanted = Wanted { trunk: None, spec, number, own: None };
    let (in_work, by) = (app.clone(), caller.clone());
    let work = async move {
        let report = wanted.report(&in_work, &by).await?;
        let (told, at) = (report.clone(), by.clone());
        in_work.db.write(move |tx| record(tx, &at, None, &told)).await?;
        Ok((StatusCode::OK, json!(report)))
    };
    idempotency::run(&app, &caller, &headers, "POST /v1/trunks/probe", &body.0, work).await
}

/// Try the trunk's carrier out; the report is kept as the trunk's capability card.
#[utoipa::path(post, path = "/v1/trunks/{id}/probe", operation_id = "probe_stored_trunk", tag = "trunks",
    request_body = Option<ProbeOptions>,
    params(("id" = String, Path), ("Idempotency-Key" = Option<String>, Header)),
    responses((status = 200, body = TrunkCard)))]
async fn probe_stored(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<TrunkId>,
    headers: HeaderMap,
    body: Body,
) -> ApiResult<Response> {
    caller.require(Permission::ManageTelephony)?;
    let number = read_options(&body)?;
    let (wanted, updated_at) = stored(&app, &caller, id, number).await?;
    let (in_work, by) = (app.clone(), caller.clone());
    let work = async move {
        let report = wanted.report(&in_work, &by).await?;
        let keep = move |tx: &Transaction<'_>| {
            record(tx, &by, Some(id), &report)?;
            store::find::<Trunk>(tx, by.tenant_id, &id)?; // it may be gone by now
            let card = trunk_cards::put(tx, id, updated_at, &report)?;
            events::emit(tx, by.tenant_id, "trunk.probed", &json!(card))?;
            Ok::<_, StoreError>(card)
        };
        Ok((StatusCode::OK, json!(in_work.db.write(keep).await?)))
    };
    let what = format!("POST /v1/trunks/{id}/probe");
    idempotency::run(&app, &caller, &headers, &what, &body.0, work).await
}

/// The trunk's capability card; 404 until it was tried out.
#[utoipa::path(get, path = "/v1/trunks/{id}/probe", operation_id = "find_trunk_card", tag = "trunks",
    params(("id" = String, Path)), responses((status = 200, body = TrunkCard)))]
async fn card(State(app): State<App>, caller: Caller, Id(id): Id<TrunkId>) -> ApiResult<Json<TrunkCard>> {
    caller.require(Permission::ReadAll)?;
    let tenant = caller.tenant_id;
    let found = app.db.read(move |conn| {
        store::find::<Trunk>(conn, tenant, &id)?;
        trunk_cards::find(conn, id)
    });
    let never = || {
        ApiError::new(StatusCode::NOT_FOUND, "never_probed", format!("the carrier of {id} was never tried out"))
            .hint(format!("POST /v1/trunks/{id}/probe tries it out"))
    };
    found.await?.map(Json).ok_or_else(never)
}

fn number(fields: &mut Fields) -> Option<Option<E164>> {
    fields.opt("number", fields::parsed::<E164>("invalid_number"))
}

fn read_options(body: &Body) -> ApiResult<Option<E164>> {
    if body.0.is_empty() {
        return Ok(None);
    }
    let mut fields = body.fields()?;
    let number = number(&mut fields);
    fields.build(|| number)
}

/// What is to be tried out.
struct Wanted {
    trunk: Option<TrunkId>,
    spec: TrunkSpec,
    number: Option<E164>,
    /// A number of ours on the trunk, which the far end sees.
    own: Option<String>,
}

/// As it is stored now, and since when.
async fn stored(app: &App, caller: &Caller, id: TrunkId, number: Option<E164>) -> ApiResult<(Wanted, Timestamp)> {
    let tenant = caller.tenant_id;
    let read = move |conn: &store::Connection| {
        let trunk: Trunk = store::find(conn, tenant, &id)?;
        Ok::<_, StoreError>((trunk, dids::on_trunk(conn, id)?))
    };
    let (trunk, dids) = app.db.read(read).await?;
    if number.is_some() && !trunk.spec.enabled {
        let error = FieldError::new("number", "trunk_disabled", "no call goes through a trunk that is disabled");
        return Err(ApiError::invalid(vec![error.hint("set enabled to true, or leave the number out")]));
    }
    let own = dids.first().map(|did| did.spec.number.as_str().to_owned());
    Ok((Wanted { trunk: Some(id), spec: trunk.spec, number, own }, trunk.updated_at))
}

impl Wanted {
    /// Has the gateway try it out; that somebody asked is on record before.
    async fn report(self, app: &App, caller: &Caller) -> ApiResult<ProbeReport> {
        let id = self.trunk.map(|id| id.to_string());
        let detail = json!({ "server": self.spec.sip_server_address, "number": self.number });
        audit::note(app, caller, "trunk.probe", id, detail).await?;
        app.gateway.with_limit(PATIENCE).post("/v1/probe", &self.request()).await.map_err(refusal)
    }

    fn request(self) -> ProbeRequest {
        let spec = self.spec;
        ProbeRequest {
            server: spec.sip_server_address,
            transport: spec.sip_transport.as_str().to_owned(),
            username: spec.sip_auth_username,
            password: spec.sip_auth_password.map(Redacted),
            register: spec.register,
            media_encryption: spec.media_encryption.as_str().to_owned(),
            number: self.number.map(|number| number.as_str().to_owned()),
            caller: self.own,
        }
    }
}

/// A probe's call is a call: it has its record and is metered.
fn record(tx: &Transaction<'_>, by: &Caller, trunk: Option<TrunkId>, report: &ProbeReport) -> Result<(), StoreError> {
    let Some(probed) = &report.call else { return Ok(()) };
    let call = call_of(by, trunk, probed);
    store::calls::put(tx, &call, &[])?;
    store::calls::finish(tx, &call, &[]).map(drop)
}

fn call_of(by: &Caller, trunk: Option<TrunkId>, probed: &ProbeCall) -> Call {
    Call {
        id: CallId::new(),
        tenant_id: by.tenant_id,
        kind: CallKind::Phone,
        direction: Direction::Outbound,
        trunk_id: trunk,
        did_id: None,
        caller: probed.caller.clone(),
        callee: probed.number.clone(),
        from_extension_id: None,
        extension_id: None,
        user_id: by.user_id,
        dialplan_id: None,
        matched_rule_id: None,
        state: CallState::Ended,
        started_at: probed.started_at,
        answered_at: probed.answered_at,
        ended_at: Some(probed.ended_at),
        end_reason: Some(end_reason(probed)),
        end_code: Some(END_CODE.to_owned()),
        sip_code: probed.sip_code,
        room: None,
        correlation_id: correlation::current(),
        trace: None,
        machine: None,
    }
}

fn end_reason(probed: &ProbeCall) -> EndReason {
    match (probed.answered_at, probed.sip_code) {
        (Some(_), _) => EndReason::Completed,
        (None, Some(486 | 600)) => EndReason::Busy,
        (None, None | Some(408 | 480 | 487)) => EndReason::NoAnswer,
        (None, Some(_)) => EndReason::Failed,
    }
}

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(probe)).routes(routes!(card, probe_stored))
}
