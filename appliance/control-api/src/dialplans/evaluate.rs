//! What would this dialplan do? The trace of a real call, without a call.

use crate::{
    app::App,
    auth::{Caller, Permission},
    calls::caller_number,
    error::{ApiError, ApiResult},
    extract::{Body, Id},
    fields,
};
use axum::{Json, extract::State};
use dialplan::{Decision, Facts};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use store::{Connection, calendars::Calendar, dids::Did, tenants};
use types::{CalendarId, DialplanId, DidId, ExtensionId, TenantId};
use utoipa::ToSchema;

/// A call to imagine.
#[derive(ToSchema)]
#[allow(dead_code)] // describes the body; `evaluate` reads it field by field
pub struct EvaluateInput {
    /// The number that is called.
    did_id: Option<String>,
    /// The extension that is called, for sub-dialplans.
    extension_id: Option<String>,
    /// Who calls, in any spelling that a carrier may deliver.
    #[schema(example = "+31612345678")]
    caller: String,
    /// When; now if it is not given.
    #[schema(value_type = Option<String>, format = DateTime)]
    at: Option<Timestamp>,
}

/// What the dialplan decides, and why.
#[derive(Serialize, ToSchema)]
pub struct Evaluation {
    #[schema(value_type = Object)]
    decision: Value,
    #[schema(value_type = Object)]
    trace: Value,
}

/// Evaluate the dialplan for an imagined call.
#[utoipa::path(post, path = "/v1/dialplans/{id}/evaluate", operation_id = "evaluate_dialplan", tag = "dialplans",
    params(("id" = String, Path)), request_body = EvaluateInput, responses((status = 200, body = Evaluation)))]
pub async fn evaluate(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<DialplanId>,
    body: Body,
) -> ApiResult<Json<Evaluation>> {
    caller.require(Permission::ReadAll)?;
    let mut read = body.fields()?;
    let did_id = read.opt("did_id", fields::id::<DidId>);
    let extension_id = read.opt("extension_id", fields::id::<ExtensionId>);
    let number = read.req("caller", fields::text(0..=80));
    let at = read.or("at", Timestamp::now(), fields::parsed("invalid_time"));
    let tenant = caller.tenant_id;
    let facts = read.build(|| {
        let (did_id, extension_id, caller, at) = (did_id?, extension_id?, number?, at?);
        Some(Facts { did_id, extension_id, caller, at, calendars: BTreeMap::new() })
    })?;
    app.db.read(move |conn| run(conn, tenant, id, facts).map(Json)).await
}

fn run(conn: &Connection, tenant: TenantId, id: DialplanId, facts: Facts) -> ApiResult<Evaluation> {
    if let Some(did) = &facts.did_id {
        store::find::<Did>(conn, tenant, did)?;
    }
    let plan = store::dialplans::load(conn, tenant, id)?.ok_or_else(|| ApiError::not_found("dialplan", &id))?;
    let country = tenants::find(conn, tenant)?.spec.country_code;
    let number = caller_number(&facts.caller, country.as_deref());
    let facts = Facts { caller: number, calendars: calendars(conn, tenant)?, ..facts };
    let (decision, trace) = dialplan::evaluate(&plan, &facts);
    Ok(Evaluation { decision: shown(&decision), trace: json!(trace) })
}

fn shown(decision: &Decision) -> Value {
    match decision {
        Decision::NoRuleMatched => json!({ "outcome": "no_rule_matched" }),
        Decision::Matched { rule_id, action } => json!({
            "outcome": "matched", "rule_id": rule_id,
            "action_type": action.kind(), "action_params": action.params(),
        }),
    }
}

/// The tenant's calendars as the `dialplan` crate takes them.
pub fn calendars(conn: &Connection, tenant: TenantId) -> ApiResult<BTreeMap<CalendarId, dialplan::Calendar>> {
    let page = store::Page { limit: 1000, after: None };
    let rows = store::list::<Calendar>(conn, tenant, &page)?;
    let pure = |row: Calendar| {
        let dates = row.spec.days.into_iter().map(|day| day.date).collect();
        (row.id, dialplan::Calendar { timezone: row.spec.timezone, dates })
    };
    Ok(rows.into_iter().map(pure).collect())
}
