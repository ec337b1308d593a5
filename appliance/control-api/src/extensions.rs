//! `/v1/extensions`: where a call can ring.

mod input;

pub use input::{check, forwarding, ring_timeout};

use input::read;

use crate::{
    app::App,
    auth::{Caller, Permission},
    error::{ApiError, ApiResult, FieldError},
    extract::{Body, Id},
    nouns,
    pages::{PageQuery, Paged, Params},
};
use axum::{Json, extract::State, http::StatusCode};
use store::{
    Connection, Transaction,
    extensions::{Extension, ExtensionSpec},
};
use types::ExtensionId;
use utoipa_axum::{router::OpenApiRouter, routes};

#[utoipa::path(get, path = "/v1/extensions", operation_id = "list_extensions", tag = "extensions",
    params(PageQuery), responses((status = 200, body = Paged<Extension>)))]
async fn list(
    State(app): State<App>,
    caller: Caller,
    Params(query): Params<PageQuery>,
) -> ApiResult<Json<Paged<Extension>>> {
    nouns::list(&app, &caller, query).await
}

#[utoipa::path(post, path = "/v1/extensions", operation_id = "create_extension", tag = "extensions",
    request_body = ExtensionSpec, responses((status = 201, body = Extension)))]
async fn create(State(app): State<App>, caller: Caller, body: Body) -> ApiResult<(StatusCode, Json<Extension>)> {
    caller.require(Permission::ManageTelephony)?;
    let spec = read(body.fields()?)?;
    let write = move |tx: &Transaction<'_>, tenant| {
        check(tx, tenant, &spec)?;
        free_username(tx, None, &spec)?;
        Ok(store::extensions::insert(tx, tenant, &spec)?)
    };
    let extension = nouns::change(&app, &caller, "extension.create", write).await?;
    changed(&app);
    Ok((StatusCode::CREATED, Json(extension)))
}

#[utoipa::path(get, path = "/v1/extensions/{id}", operation_id = "find_extension", tag = "extensions",
    params(("id" = String, Path)), responses((status = 200, body = Extension)))]
async fn find(State(app): State<App>, caller: Caller, Id(id): Id<ExtensionId>) -> ApiResult<Json<Extension>> {
    nouns::find(&app, &caller, id).await
}

#[utoipa::path(patch, path = "/v1/extensions/{id}", operation_id = "update_extension", tag = "extensions",
    params(("id" = String, Path)), request_body = ExtensionSpec, responses((status = 200, body = Extension)))]
async fn update(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<ExtensionId>,
    body: Body,
) -> ApiResult<Json<Extension>> {
    caller.require(Permission::ManageTelephony)?;
    let write = move |tx: &Transaction<'_>, tenant| {
        let current: Extension = store::find(tx, tenant, &id)?;
        let fields = body.patch(&current.spec)?.keep("sip_password", current.spec.sip_password.as_ref());
        let spec = read(fields)?;
        check(tx, tenant, &spec)?;
        free_username(tx, Some(id), &spec)?;
        Ok(store::extensions::update(tx, tenant, id, &spec)?)
    };
    let extension = nouns::change(&app, &caller, "extension.update", write).await?;
    changed(&app);
    Ok(Json(extension))
}

#[utoipa::path(delete, path = "/v1/extensions/{id}", operation_id = "delete_extension", tag = "extensions",
    params(("id" = String, Path)), responses((status = 204)))]
async fn remove(State(app): State<App>, caller: Caller, Id(id): Id<ExtensionId>) -> ApiResult<StatusCode> {
    let gone = nouns::remove::<Extension>(&app, &caller, Permission::ManageTelephony, "extension.delete", id).await?;
    changed(&app);
    Ok(gone)
}

/// Who may register, and whose SIP the firewall lets in.
fn changed(app: &App) {
    app.phones_changed.notify_one();
    app.peers_changed.notify_one();
}

/// A phone registers by its user name alone, so no two on the box share one.
fn free_username(conn: &Connection, own: Option<ExtensionId>, spec: &ExtensionSpec) -> ApiResult<()> {
    let Some(username) = &spec.sip_username else { return Ok(()) };
    match store::extensions::with_username(conn, username)?.is_none_or(|holder| Some(holder) == own) {
        true => Ok(()),
        false => {
            let detail = format!("another extension of this box registers as `{username}`: choose another name");
            Err(ApiError::invalid(vec![FieldError::new("sip_username", "taken", detail)]))
        }
    }
}

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(find, update, remove))
}
