//! `/v1/my/…`: what belongs to the user who is signed in. No admin permission needed.
//!
//! Their calls are in `calls`.

use crate::{
    app::App,
    auth::{Caller, Role},
    error::{ApiError, ApiResult},
    extensions,
    extract::{Body, Id},
    fields::{self, Fields},
    nouns,
    pages::{Paged, Params},
    voicemails::{self, VoicemailQuery},
};
use axum::{Json, extract::State};
use serde::Serialize;
use store::{
    Transaction,
    extensions::{Extension, ExtensionSpec, Forwarding},
    users::{User, UserSpec},
    voicemails::Voicemail,
};
use types::{ExtensionId, TenantId, UserId};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// What owners may change of their extension.
#[derive(ToSchema)]
#[allow(dead_code)] // describes the body; `own_fields` reads it field by field
struct MyExtensionInput {
    dnd: bool,
    forwarding: Vec<Forwarding>,
    ring_timeout_s: u32,
}

/// The user's own settings.
#[derive(Serialize, ToSchema)]
struct Settings {
    #[schema(value_type = String)]
    user_id: UserId,
    #[schema(value_type = String)]
    tenant_id: TenantId,
    email: String,
    name: String,
    role: Role,
}

/// What users may change of themselves.
#[derive(ToSchema)]
#[allow(dead_code)] // describes the body; `update_settings` reads it field by field
struct SettingsInput {
    name: String,
}

#[utoipa::path(get, path = "/v1/my/extensions", operation_id = "list_my_extensions", tag = "my",
    responses((status = 200, body = Paged<Extension>)))]
async fn list_extensions(State(app): State<App>, caller: Caller) -> ApiResult<Json<Paged<Extension>>> {
    let (tenant, user) = (caller.tenant_id, caller.own_user()?);
    let items = app.db.read(move |conn| store::extensions::of_user(conn, tenant, user)).await?;
    Ok(Json(Paged { items, next_cursor: None }))
}

/// Do not disturb, forwarding and ring time of an extension of one's own.
#[utoipa::path(patch, path = "/v1/my/extensions/{id}", operation_id = "update_my_extension", tag = "my",
    params(("id" = String, Path)), request_body = MyExtensionInput, responses((status = 200, body = Extension)))]
async fn update_extension(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<ExtensionId>,
    body: Body,
) -> ApiResult<Json<Extension>> {
    let user = caller.own_user()?;
    let write = move |tx: &Transaction<'_>, tenant| {
        let current: Extension = store::find(tx, tenant, &id)?;
        if current.spec.user_id != Some(user) {
            return Err(ApiError::not_found("extension", &id));
        }
        let spec = own_fields(body.fields()?, current.spec)?;
        extensions::check(tx, tenant, &spec)?;
        Ok(store::extensions::update(tx, tenant, id, &spec)?)
    };
    Ok(Json(nouns::change(&app, &caller, "extension.update", write).await?))
}

fn own_fields(mut fields: Fields, current: ExtensionSpec) -> ApiResult<ExtensionSpec> {
    let dnd = fields.or("dnd", current.dnd, fields::boolean);
    let forwarding = fields.or("forwarding", current.forwarding.clone(), fields::list(10, extensions::forwarding));
    let ring = fields.or("ring_timeout_s", current.ring_timeout_s, extensions::ring_timeout);
    fields.build(|| Some(ExtensionSpec { dnd: dnd?, forwarding: forwarding?, ring_timeout_s: ring?, ..current }))
}

#[utoipa::path(get, path = "/v1/my/voicemails", operation_id = "list_my_voicemails", tag = "my",
    params(VoicemailQuery), responses((status = 200, body = Paged<Voicemail>)))]
async fn list_voicemails(
    State(app): State<App>,
    caller: Caller,
    Params(query): Params<VoicemailQuery>,
) -> ApiResult<Json<Paged<Voicemail>>> {
    let user = caller.own_user()?;
    voicemails::page(&app, &caller, query, Some(user)).await
}

#[utoipa::path(get, path = "/v1/my/settings", operation_id = "find_my_settings", tag = "my",
    responses((status = 200, body = Settings)))]
async fn settings(State(app): State<App>, caller: Caller) -> ApiResult<Json<Settings>> {
    let user = caller.own_user()?;
    let user = app.db.read(move |conn| store::find_any::<User>(conn, &user)).await?;
    Ok(Json(user.into()))
}

#[utoipa::path(patch, path = "/v1/my/settings", operation_id = "update_my_settings", tag = "my",
    request_body = SettingsInput, responses((status = 200, body = Settings)))]
async fn update_settings(State(app): State<App>, caller: Caller, body: Body) -> ApiResult<Json<Settings>> {
    let user = caller.own_user()?;
    let mut read = body.fields()?;
    let name = read.req("name", fields::text(1..=80));
    let name = read.build(|| name)?;
    let write = move |tx: &Transaction<'_>, tenant| {
        let current: User = store::find(tx, tenant, &user)?;
        Ok(store::users::update(tx, tenant, user, &UserSpec { name, ..current.spec }, None)?)
    };
    Ok(Json(nouns::change::<User, _>(&app, &caller, "user.update", write).await?.into()))
}

impl From<User> for Settings {
    fn from(user: User) -> Self {
        let UserSpec { email, name, role, .. } = user.spec;
        Self { user_id: user.id, tenant_id: user.tenant_id, email, name, role }
    }
}

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_extensions))
        .routes(routes!(update_extension))
        .routes(routes!(list_voicemails))
        .routes(routes!(settings, update_settings))
}
