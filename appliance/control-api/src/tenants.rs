//! `/v1/tenants`: the operator makes them, an admin changes the settings of their own.

use crate::{
    app::App,
    audit,
    auth::{Caller, Permission},
    error::{ApiError, ApiResult},
    extract::{Body, Id},
    fields::{self, Fields, Wrong},
    pages::{PageQuery, Paged, Params, page_of},
};
use axum::{Json, extract::State, http::StatusCode};
use serde_json::{Value, json};
use store::{
    Transaction,
    tenants::{Tenant, TenantSpec},
};
use types::TenantId;
use utoipa_axum::{router::OpenApiRouter, routes};

fn read(mut fields: Fields) -> ApiResult<TenantSpec> {
    let name = fields.req("name", fields::text(1..=80));
    let country_code = fields.opt("country_code", country_code);
    let timezone = fields.or("timezone", "UTC".into(), fields::timezone);
    let voicemail_greeting = fields.opt("voicemail_greeting", fields::text(1..=1000));
    let voicemail_transcripts = fields.or("voicemail_transcripts", false, fields::boolean);
    fields.build(|| {
        Some(TenantSpec {
            name: name?,
            country_code: country_code?,
            timezone: timezone?,
            voicemail_greeting: voicemail_greeting?,
            voicemail_transcripts: voicemail_transcripts?,
        })
    })
}

/// ITU country codes: one to three digits, none starts with 0.
fn country_code(value: &Value) -> Result<String, Wrong> {
    let text = value.as_str().unwrap_or_default();
    let fine = (1..=3).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0');
    fine.then(|| text.to_owned()).ok_or_else(|| Wrong::new("invalid_country_code", "one to three digits, as \"31\""))
}

/// The caller's own tenant; all of them for the operator.
#[utoipa::path(get, path = "/v1/tenants", operation_id = "list_tenants", tag = "tenants", params(PageQuery),
    responses((status = 200, body = Paged<Tenant>)))]
async fn list(
    State(app): State<App>,
    caller: Caller,
    Params(query): Params<PageQuery>,
) -> ApiResult<Json<Paged<Tenant>>> {
    caller.require(Permission::ReadAll)?;
    let page = query.page()?;
    let (limit, only) = (page.limit, (!caller.may(Permission::ManageBox)).then_some(caller.tenant_id));
    let rows = app.db.read(move |conn| store::tenants::list(conn, only, &page)).await?;
    Ok(Json(page_of(rows, limit, |row| row.id.to_string())))
}

#[utoipa::path(post, path = "/v1/tenants", operation_id = "create_tenant", tag = "tenants",
    request_body = TenantSpec, responses((status = 201, body = Tenant)))]
async fn create(State(app): State<App>, caller: Caller, body: Body) -> ApiResult<(StatusCode, Json<Tenant>)> {
    caller.require(Permission::ManageBox)?;
    let spec = read(body.fields()?)?;
    let made = write(&app, caller, "tenant.create", move |tx| Ok(store::tenants::insert(tx, &spec)?)).await?;
    Ok((StatusCode::CREATED, Json(made)))
}

#[utoipa::path(get, path = "/v1/tenants/{id}", operation_id = "find_tenant", tag = "tenants",
    params(("id" = String, Path)), responses((status = 200, body = Tenant)))]
async fn find(State(app): State<App>, caller: Caller, Id(id): Id<TenantId>) -> ApiResult<Json<Tenant>> {
    caller.require(Permission::ReadAll)?;
    visible(&caller, id)?;
    Ok(Json(app.db.read(move |conn| store::tenants::find_customer(conn, id)).await?))
}

#[utoipa::path(patch, path = "/v1/tenants/{id}", operation_id = "update_tenant", tag = "tenants",
    params(("id" = String, Path)), request_body = TenantSpec, responses((status = 200, body = Tenant)))]
async fn update(State(app): State<App>, caller: Caller, Id(id): Id<TenantId>, body: Body) -> ApiResult<Json<Tenant>> {
    caller.require(Permission::ManageUsers)?;
    visible(&caller, id)?;
    let changed = write(&app, caller, "tenant.update", move |tx| {
        let current = store::tenants::find_customer(tx, id)?;
        Ok(store::tenants::update(tx, id, &read(body.patch(&current.spec)?)?)?)
    });
    let changed = changed.await?;
    app.trunks_changed.notify_one(); // the country code decides how numbers are spelled
    Ok(Json(changed))
}

/// Only an empty one can be removed.
#[utoipa::path(delete, path = "/v1/tenants/{id}", operation_id = "delete_tenant", tag = "tenants",
    params(("id" = String, Path)), responses((status = 204)))]
async fn remove(State(app): State<App>, caller: Caller, Id(id): Id<TenantId>) -> ApiResult<StatusCode> {
    caller.require(Permission::ManageBox)?;
    write(&app, caller, "tenant.delete", move |tx| {
        let tenant = store::tenants::find_customer(tx, id)?;
        store::tenants::delete(tx, id)?;
        Ok(tenant)
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

fn visible(caller: &Caller, id: TenantId) -> ApiResult<()> {
    let own = caller.tenant_id == id || caller.may(Permission::ManageBox);
    if own { Ok(()) } else { Err(ApiError::not_found("tenant", &id)) }
}

async fn write<F>(app: &App, caller: Caller, action: &'static str, change: F) -> ApiResult<Tenant>
where
    F: FnOnce(&Transaction<'_>) -> ApiResult<Tenant> + Send + 'static,
{
    let work = move |tx: &Transaction<'_>| -> ApiResult<Tenant> {
        let tenant = change(tx)?;
        audit::record(tx, &caller, action, Some(tenant.id.to_string()), json!(tenant))?;
        Ok(tenant)
    };
    app.db.write(work).await
}

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(find, update, remove))
}
