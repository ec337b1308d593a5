//! Who did that? The row that every change writes in its own transaction, and the list of them.

use crate::{
    app::App,
    auth::{Caller, Permission, Role},
    error::ApiResult,
    pages::{PageQuery, Paged, Params, page_of},
};
use axum::{Json, extract::State};
use serde_json::Value;
use store::{
    StoreError, Transaction,
    audit::{Audit, NewAudit},
};
use utoipa_axum::{router::OpenApiRouter, routes};

/// Notes what the caller did; `detail` must hold no secret.
pub fn record(
    tx: &Transaction<'_>,
    caller: &Caller,
    action: &'static str,
    object: Option<String>,
    detail: Value,
) -> Result<(), StoreError> {
    let new = NewAudit {
        tenant_id: Some(caller.tenant_id),
        actor: caller.actor.clone(),
        action,
        object_id: object,
        detail,
        correlation_id: caller.correlation_id.clone(),
    };
    store::audit::append(tx, &new)
}

/// Notes what the caller asks of another part of the box, before it is asked.
pub async fn note(
    app: &App,
    caller: &Caller,
    action: &'static str,
    object: Option<String>,
    detail: Value,
) -> ApiResult<()> {
    let caller = caller.clone();
    app.db.write(move |tx| Ok(record(tx, &caller, action, object, detail)?)).await
}

/// Newest first; the operator sees the whole box.
#[utoipa::path(get, path = "/v1/audit", operation_id = "list_audit", tag = "audit", params(PageQuery),
    responses((status = 200, body = Paged<Audit>)))]
async fn list(
    State(app): State<App>,
    caller: Caller,
    Params(query): Params<PageQuery>,
) -> ApiResult<Json<Paged<Audit>>> {
    caller.require(Permission::ReadAll)?;
    let page = query.page()?;
    let limit = page.limit;
    let tenant = (caller.role != Role::Operator).then_some(caller.tenant_id);
    let rows = app.db.read(move |conn| store::audit::list(conn, tenant, &page)).await?;
    Ok(Json(page_of(rows, limit, |row: &Audit| row.id.to_string())))
}

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list))
}
