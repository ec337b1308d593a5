//! What the handlers of all nouns do the same way: list, find, change, remove.
//!
//! [`change`] is the only way to write: permission, one transaction, the audit row in it.

use crate::{
    app::App,
    audit,
    auth::{Caller, Permission},
    error::{ApiError, ApiResult, FieldError},
    pages::{PageQuery, Paged, page_of},
};
use axum::{Json, http::StatusCode};
use serde::Serialize;
use serde_json::json;
use store::{Connection, Record, StoreError, Transaction};
use types::TenantId;

/// A page of the tenant's own.
pub async fn list<R>(app: &App, caller: &Caller, query: PageQuery) -> ApiResult<Json<Paged<R>>>
where
    R: Record + Send + 'static,
{
    caller.require(Permission::ReadAll)?;
    let (tenant, page) = (caller.tenant_id, query.page()?);
    let limit = page.limit;
    let rows = app.db.read(move |conn| store::list::<R>(conn, tenant, &page)).await?;
    Ok(Json(page_of(rows, limit, R::id)))
}

/// One of the tenant's own.
pub async fn find<R>(app: &App, caller: &Caller, id: impl ToString) -> ApiResult<Json<R>>
where
    R: Record + Send + 'static,
{
    caller.require(Permission::ReadAll)?;
    let (tenant, id) = (caller.tenant_id, id.to_string());
    app.db.read(move |conn| Ok(Json(store::find::<R>(conn, tenant, &id)?))).await
}

/// Writes something and the audit row of it, or neither. What the row says is the object as clients see it.
pub async fn change<R, F>(app: &App, caller: &Caller, action: &'static str, write: F) -> ApiResult<R>
where
    R: Record + Serialize + Send + 'static,
    F: FnOnce(&Transaction<'_>, TenantId) -> ApiResult<R> + Send + 'static,
{
    let caller = caller.clone();
    app.db
        .write(move |tx| {
            let row = write(tx, caller.tenant_id)?;
            audit::record(tx, &caller, action, Some(row.id()), json!(row))?;
            Ok(row)
        })
        .await
}

/// Removes one of the tenant's own, unless something still uses it.
pub async fn remove<R>(
    app: &App,
    caller: &Caller,
    permission: Permission,
    action: &'static str,
    id: impl ToString,
) -> ApiResult<StatusCode>
where
    R: Record + Serialize + Send + 'static,
{
    caller.require(permission)?;
    let id = id.to_string();
    change::<R, _>(app, caller, action, move |tx, tenant| {
        let row = store::find::<R>(tx, tenant, &id)?;
        refuse_if_used(tx, tenant, R::NOUN, &id)?;
        store::delete::<R>(tx, tenant, &id)?;
        Ok(row)
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Rules and extensions name others in JSON, where no foreign key looks.
fn refuse_if_used(conn: &Connection, tenant: TenantId, noun: &'static str, id: &str) -> Result<(), StoreError> {
    if let Some(name) = store::dialplans::that_uses(conn, tenant, id)? {
        return Err(StoreError::InUse { noun, by: format!("the dialplan `{name}`") });
    }
    if let Some(name) = store::extensions::that_uses(conn, tenant, id)? {
        return Err(StoreError::InUse { noun, by: format!("the extension `{name}`") });
    }
    Ok(())
}

/// Collects the references of a body that name nothing in this tenant.
pub struct References<'a> {
    conn: &'a Connection,
    tenant: TenantId,
    errors: Vec<FieldError>,
}

impl<'a> References<'a> {
    pub fn new(conn: &'a Connection, tenant: TenantId) -> Self {
        Self { conn, tenant, errors: Vec::new() }
    }

    /// `id` must be an `R` of this tenant.
    pub fn check<R: Record>(&mut self, field: impl Into<String>, id: Option<&impl ToString>) -> ApiResult<()> {
        let Some(id) = id.map(ToString::to_string) else { return Ok(()) };
        match store::find::<R>(self.conn, self.tenant, &id) {
            Ok(_) => Ok(()),
            Err(StoreError::NotFound { noun, id }) => {
                self.errors.push(FieldError::new(field, "unknown_reference", format!("there is no {noun} {id}")));
                Ok(())
            }
            Err(err) => Err(err.into()),
        }
    }

    pub fn finish(self) -> ApiResult<()> {
        if self.errors.is_empty() { Ok(()) } else { Err(ApiError::invalid(self.errors)) }
    }
}
