//! `/v1/dids`: telephone numbers. Each change wakes the trunk reconciler, because LiveKit matches the
//! dialled number before we see the call.

use crate::{
    app::App,
    auth::{Caller, Permission},
    error::ApiResult,
    extract::{Body, Id},
    fields::{self, Fields, Wrong},
    nouns::{self, References},
    pages::{PageQuery, Paged, Params},
    self_call,
};
use axum::{Json, extract::State, http::StatusCode};
use serde_json::Value;
use store::{
    Transaction,
    dialplans::Dialplan,
    dids::{Did, DidSpec},
    trunks::Trunk,
};
use types::{DidId, E164, TenantId};
use utoipa_axum::{router::OpenApiRouter, routes};

fn read(mut fields: Fields) -> ApiResult<DidSpec> {
    let number = fields.req("number", number);
    let trunk_id = fields.req("trunk_id", fields::id);
    let dialplan_id = fields.opt("dialplan_id", fields::id);
    let label = fields.or("label", String::new(), fields::text(0..=80));
    let enabled = fields.or("enabled", true, fields::boolean);
    fields.build(|| {
        Some(DidSpec {
            number: number?,
            trunk_id: trunk_id?,
            dialplan_id: dialplan_id?,
            label: label?,
            enabled: enabled?,
        })
    })
}

fn number(value: &Value) -> Result<E164, Wrong> {
    let number: E164 = fields::parsed("invalid_number")(value)?;
    if number.as_str() != self_call::NUMBER {
        return Ok(number);
    }
    Err(Wrong::new("reserved", "the box calls itself by this number").hint("no carrier has it: take another one"))
}

fn check(tx: &Transaction<'_>, tenant: TenantId, spec: &DidSpec) -> ApiResult<()> {
    let mut references = References::new(tx, tenant);
    references.check::<Trunk>("trunk_id", Some(&spec.trunk_id))?;
    references.check::<Dialplan>("dialplan_id", spec.dialplan_id.as_ref())?;
    references.finish()
}

#[utoipa::path(get, path = "/v1/dids", operation_id = "list_dids", tag = "dids", params(PageQuery),
    responses((status = 200, body = Paged<Did>)))]
async fn list(State(app): State<App>, caller: Caller, Params(query): Params<PageQuery>) -> ApiResult<Json<Paged<Did>>> {
    nouns::list(&app, &caller, query).await
}

#[utoipa::path(post, path = "/v1/dids", operation_id = "create_did", tag = "dids",
    request_body = DidSpec, responses((status = 201, body = Did)))]
async fn create(State(app): State<App>, caller: Caller, body: Body) -> ApiResult<(StatusCode, Json<Did>)> {
    caller.require(Permission::ManageTelephony)?;
    let spec = read(body.fields()?)?;
    let write = move |tx: &Transaction<'_>, tenant| {
        check(tx, tenant, &spec)?;
        store::trunks::mark_pending(tx, tenant, spec.trunk_id)?;
        Ok(store::dids::insert(tx, tenant, &spec)?)
    };
    let did = nouns::change(&app, &caller, "did.create", write).await?;
    app.trunks_changed.notify_one();
    Ok((StatusCode::CREATED, Json(did)))
}

#[utoipa::path(get, path = "/v1/dids/{id}", operation_id = "find_did", tag = "dids",
    params(("id" = String, Path)), responses((status = 200, body = Did)))]
async fn find(State(app): State<App>, caller: Caller, Id(id): Id<DidId>) -> ApiResult<Json<Did>> {
    nouns::find(&app, &caller, id).await
}

#[utoipa::path(patch, path = "/v1/dids/{id}", operation_id = "update_did", tag = "dids",
    params(("id" = String, Path)), request_body = DidSpec, responses((status = 200, body = Did)))]
async fn update(State(app): State<App>, caller: Caller, Id(id): Id<DidId>, body: Body) -> ApiResult<Json<Did>> {
    caller.require(Permission::ManageTelephony)?;
    let write = move |tx: &Transaction<'_>, tenant| {
        let current: Did = store::find(tx, tenant, &id)?;
        let spec = read(body.patch(&current.spec)?)?;
        check(tx, tenant, &spec)?;
        for trunk in routing_changes(&current.spec, &spec) {
            store::trunks::mark_pending(tx, tenant, trunk)?;
        }
        Ok(store::dids::update(tx, tenant, id, &spec)?)
    };
    let did = nouns::change(&app, &caller, "did.update", write).await?;
    app.trunks_changed.notify_one();
    Ok(Json(did))
}

#[utoipa::path(delete, path = "/v1/dids/{id}", operation_id = "delete_did", tag = "dids",
    params(("id" = String, Path)), responses((status = 204)))]
async fn remove(State(app): State<App>, caller: Caller, Id(id): Id<DidId>) -> ApiResult<StatusCode> {
    let gone = nouns::remove::<Did>(&app, &caller, Permission::ManageTelephony, "did.delete", id).await?;
    app.trunks_changed.notify_one();
    Ok(gone)
}

/// The trunks whose inbound side is another one after the change; a new label or dialplan changes none.
fn routing_changes(before: &DidSpec, after: &DidSpec) -> Vec<types::TrunkId> {
    let routing = |spec: &DidSpec| (spec.trunk_id, spec.number.clone(), spec.enabled);
    match (before.trunk_id, after.trunk_id) {
        _ if routing(before) == routing(after) => vec![],
        (one, same) if one == same => vec![one],
        (one, other) => vec![one, other],
    }
}

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(find, update, remove))
}
