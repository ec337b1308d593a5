//! `/v1/keys`: API keys. The secret is in the answer to `POST` and nowhere after that.

use crate::{
    app::App,
    auth::{Caller, Permission, secrets},
    error::ApiResult,
    extract::{Body, Id},
    fields::{self, Fields},
    nouns::{self, References},
    pages::{PageQuery, Paged, Params},
    users::grantable,
};
use axum::{Json, extract::State, http::StatusCode};
use serde::Serialize;
use store::{
    keys::{ApiKey, KeySpec},
    users::User,
};
use types::KeyId;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// A key just made.
#[derive(Serialize, ToSchema)]
struct NewApiKey {
    #[serde(flatten)]
    key: ApiKey,
    /// Shown this once: send it as `Authorization: Bearer`.
    secret: String,
}

fn read(mut fields: Fields) -> ApiResult<KeySpec> {
    let name = fields.req("name", fields::text(1..=80));
    let role = fields.req("role", fields::choice);
    let user_id = fields.opt("user_id", fields::id);
    let expires_at = fields.opt("expires_at", fields::parsed("invalid_time"));
    fields.build(|| Some(KeySpec { name: name?, role: role?, user_id: user_id?, expires_at: expires_at? }))
}

#[utoipa::path(get, path = "/v1/keys", operation_id = "list_keys", tag = "keys", params(PageQuery),
    responses((status = 200, body = Paged<ApiKey>)))]
async fn list(
    State(app): State<App>,
    caller: Caller,
    Params(query): Params<PageQuery>,
) -> ApiResult<Json<Paged<ApiKey>>> {
    nouns::list(&app, &caller, query).await
}

#[utoipa::path(post, path = "/v1/keys", operation_id = "create_key", tag = "keys",
    request_body = KeySpec, responses((status = 201, body = NewApiKey)))]
async fn create(State(app): State<App>, caller: Caller, body: Body) -> ApiResult<(StatusCode, Json<NewApiKey>)> {
    caller.require(Permission::ManageUsers)?;
    let spec = read(body.fields()?)?;
    grantable(&caller, spec.role)?;
    let id = KeyId::new();
    let secret = secrets::new_key(id);
    let (lookup, hash) = (secrets::lookup(&secret), secrets::hash(secret.clone()).await?);
    let write = move |tx: &store::Transaction<'_>, tenant| {
        let mut references = References::new(tx, tenant);
        references.check::<User>("user_id", spec.user_id.as_ref())?;
        references.finish()?;
        Ok(store::keys::insert(tx, tenant, id, &spec, &lookup, &hash)?)
    };
    let key = nouns::change(&app, &caller, "key.create", write).await?;
    Ok((StatusCode::CREATED, Json(NewApiKey { key, secret })))
}

#[utoipa::path(get, path = "/v1/keys/{id}", operation_id = "find_key", tag = "keys",
    params(("id" = String, Path)), responses((status = 200, body = ApiKey)))]
async fn find(State(app): State<App>, caller: Caller, Id(id): Id<KeyId>) -> ApiResult<Json<ApiKey>> {
    nouns::find(&app, &caller, id).await
}

#[utoipa::path(patch, path = "/v1/keys/{id}", operation_id = "update_key", tag = "keys",
    params(("id" = String, Path)), request_body = KeySpec, responses((status = 200, body = ApiKey)))]
async fn update(State(app): State<App>, caller: Caller, Id(id): Id<KeyId>, body: Body) -> ApiResult<Json<ApiKey>> {
    caller.require(Permission::ManageUsers)?;
    let role = caller.clone();
    let write = move |tx: &store::Transaction<'_>, tenant| {
        let current: ApiKey = store::find(tx, tenant, &id)?;
        let spec = read(body.patch(&current.spec)?)?;
        grantable(&role, current.spec.role)?;
        grantable(&role, spec.role)?;
        let mut references = References::new(tx, tenant);
        references.check::<User>("user_id", spec.user_id.as_ref())?;
        references.finish()?;
        Ok(store::keys::update(tx, tenant, id, &spec)?)
    };
    Ok(Json(nouns::change(&app, &caller, "key.update", write).await?))
}

#[utoipa::path(delete, path = "/v1/keys/{id}", operation_id = "delete_key", tag = "keys",
    params(("id" = String, Path)), responses((status = 204)))]
async fn remove(State(app): State<App>, caller: Caller, Id(id): Id<KeyId>) -> ApiResult<StatusCode> {
    nouns::remove::<ApiKey>(&app, &caller, Permission::ManageUsers, "key.delete", id).await
}

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(find, update, remove))
}
