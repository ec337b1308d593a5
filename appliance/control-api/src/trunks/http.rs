//! `/v1/trunks`. No request waits for LiveKit or a carrier: it stores, marks `pending` and wakes the sync.

use super::input::read;
use crate::{
    app::App,
    auth::{Caller, Permission},
    error::ApiResult,
    extract::{Body, Id},
    nouns,
    pages::{PageQuery, Paged, Params},
};
use axum::{Json, extract::State, http::StatusCode};
use serde_json::json;
use store::{
    Transaction, events,
    trunks::{Trunk, TrunkSpec},
};
use types::TrunkId;
use utoipa_axum::{router::OpenApiRouter, routes};

#[utoipa::path(get, path = "/v1/trunks", operation_id = "list_trunks", tag = "trunks", params(PageQuery),
    responses((status = 200, body = Paged<Trunk>)))]
async fn list(
    State(app): State<App>,
    caller: Caller,
    Params(query): Params<PageQuery>,
) -> ApiResult<Json<Paged<Trunk>>> {
    nouns::list(&app, &caller, query).await
}

/// Save a trunk as `pending`; it is then made known to LiveKit and the carrier.
#[utoipa::path(post, path = "/v1/trunks", operation_id = "create_trunk", tag = "trunks",
    request_body = TrunkSpec, responses((status = 201, body = Trunk)))]
async fn create(State(app): State<App>, caller: Caller, body: Body) -> ApiResult<(StatusCode, Json<Trunk>)> {
    caller.require(Permission::ManageTelephony)?;
    let spec = read(body.fields()?)?;
    let write = move |tx: &Transaction<'_>, tenant| {
        let trunk = store::trunks::insert(tx, tenant, &spec)?;
        events::emit(tx, tenant, "trunk.created", &json!(trunk))?;
        Ok(trunk)
    };
    let trunk = nouns::change(&app, &caller, "trunk.create", write).await?;
    app.trunks_changed.notify_one();
    Ok((StatusCode::CREATED, Json(trunk)))
}

#[utoipa::path(get, path = "/v1/trunks/{id}", operation_id = "find_trunk", tag = "trunks",
    params(("id" = String, Path)), responses((status = 200, body = Trunk)))]
async fn find(State(app): State<App>, caller: Caller, Id(id): Id<TrunkId>) -> ApiResult<Json<Trunk>> {
    nouns::find(&app, &caller, id).await
}

/// A password that is not given stays as it is.
#[utoipa::path(patch, path = "/v1/trunks/{id}", operation_id = "update_trunk", tag = "trunks",
    params(("id" = String, Path)), request_body = TrunkSpec, responses((status = 200, body = Trunk)))]
async fn update(State(app): State<App>, caller: Caller, Id(id): Id<TrunkId>, body: Body) -> ApiResult<Json<Trunk>> {
    caller.require(Permission::ManageTelephony)?;
    let write = move |tx: &Transaction<'_>, tenant| {
        let current: Trunk = store::find(tx, tenant, &id)?;
        let fields = body.patch(&current.spec)?.keep("sip_auth_password", current.spec.sip_auth_password.as_ref());
        let trunk = store::trunks::update(tx, tenant, id, &read(fields)?)?;
        events::emit(tx, tenant, "trunk.updated", &json!(trunk))?;
        Ok(trunk)
    };
    let trunk = nouns::change(&app, &caller, "trunk.update", write).await?;
    app.trunks_changed.notify_one();
    Ok(Json(trunk))
}

/// Only a trunk without DIDs can be removed.
#[utoipa::path(delete, path = "/v1/trunks/{id}", operation_id = "delete_trunk", tag = "trunks",
    params(("id" = String, Path)), responses((status = 204)))]
async fn remove(State(app): State<App>, caller: Caller, Id(id): Id<TrunkId>) -> ApiResult<StatusCode> {
    caller.require(Permission::ManageTelephony)?;
    let write = move |tx: &Transaction<'_>, tenant| {
        let trunk: Trunk = store::find(tx, tenant, &id)?;
        store::delete::<Trunk>(tx, tenant, &id)?;
        events::emit(tx, tenant, "trunk.deleted", &json!({ "id": id }))?;
        Ok(trunk)
    };
    nouns::change::<Trunk, _>(&app, &caller, "trunk.delete", write).await?;
    app.trunks_changed.notify_one();
    Ok(StatusCode::NO_CONTENT)
}

/// Sync again now, as after a mended firewall.
#[utoipa::path(post, path = "/v1/trunks/{id}/resync", operation_id = "resync_trunk", tag = "trunks",
    params(("id" = String, Path)), responses((status = 202, body = Trunk)))]
async fn resync(State(app): State<App>, caller: Caller, Id(id): Id<TrunkId>) -> ApiResult<(StatusCode, Json<Trunk>)> {
    caller.require(Permission::ManageTelephony)?;
    let write = move |tx: &Transaction<'_>, tenant| Ok(store::trunks::mark_pending(tx, tenant, id)?);
    let trunk = nouns::change(&app, &caller, "trunk.resync", write).await?;
    app.trunks_changed.notify_one();
    Ok((StatusCode::ACCEPTED, Json(trunk)))
}

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(find, update, remove))
        .routes(routes!(resync))
        .merge(super::probe::routes())
}
