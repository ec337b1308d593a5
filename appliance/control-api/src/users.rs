//! `/v1/users`: who may sign in, and as what.

use crate::{
    app::App,
    auth::{Caller, Permission, Role, secrets},
    error::{ApiError, ApiResult, FieldError},
    extract::{Body, Id},
    fields::{self, Fields},
    nouns,
    pages::{PageQuery, Paged, Params},
};
use axum::{Json, extract::State, http::StatusCode};
use store::users::{User, UserSpec};
use types::UserId;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// A user and their password.
#[derive(ToSchema)]
#[allow(dead_code)] // describes the body; `read` takes it field by field
struct UserInput {
    #[serde(flatten)]
    spec: UserSpec,
    /// At least 10 characters; without one the user cannot sign in yet.
    #[schema(write_only, min_length = 10)]
    password: Option<String>,
}

fn read(mut fields: Fields) -> ApiResult<(UserSpec, Option<String>)> {
    let email = fields.req("email", fields::email);
    let name = fields.req("name", fields::text(1..=80));
    let role = fields.req("role", fields::choice);
    let enabled = fields.or("enabled", true, fields::boolean);
    let password = fields.opt("password", fields::secret(10..=200));
    fields.build(|| Some((UserSpec { email: email?, name: name?, role: role?, enabled: enabled? }, password?)))
}

#[utoipa::path(get, path = "/v1/users", operation_id = "list_users", tag = "users", params(PageQuery),
    responses((status = 200, body = Paged<User>)))]
async fn list(
    State(app): State<App>,
    caller: Caller,
    Params(query): Params<PageQuery>,
) -> ApiResult<Json<Paged<User>>> {
    nouns::list(&app, &caller, query).await
}

#[utoipa::path(post, path = "/v1/users", operation_id = "create_user", tag = "users",
    request_body = UserInput, responses((status = 201, body = User)))]
async fn create(State(app): State<App>, caller: Caller, body: Body) -> ApiResult<(StatusCode, Json<User>)> {
    caller.require(Permission::ManageUsers)?;
    let (spec, password) = read(body.fields()?)?;
    grantable(&caller, spec.role)?;
    let hash = hash(password).await?;
    let write =
        move |tx: &store::Transaction<'_>, tenant| Ok(store::users::insert(tx, tenant, &spec, hash.as_deref())?);
    let user = nouns::change(&app, &caller, "user.create", write).await?;
    Ok((StatusCode::CREATED, Json(user)))
}

#[utoipa::path(get, path = "/v1/users/{id}", operation_id = "find_user", tag = "users",
    params(("id" = String, Path)), responses((status = 200, body = User)))]
async fn find(State(app): State<App>, caller: Caller, Id(id): Id<UserId>) -> ApiResult<Json<User>> {
    nouns::find(&app, &caller, id).await
}

/// A new password, or switching the user off, ends their sessions.
#[utoipa::path(patch, path = "/v1/users/{id}", operation_id = "update_user", tag = "users",
    params(("id" = String, Path)), request_body = UserInput, responses((status = 200, body = User)))]
async fn update(State(app): State<App>, caller: Caller, Id(id): Id<UserId>, body: Body) -> ApiResult<Json<User>> {
    caller.require(Permission::ManageUsers)?;
    let Json(current) = nouns::find::<User>(&app, &caller, id).await?;
    grantable(&caller, current.spec.role)?;
    let (spec, password) = read(body.patch(&current.spec)?)?;
    grantable(&caller, spec.role)?;
    let hash = hash(password).await?;
    let write = move |tx: &store::Transaction<'_>, tenant| {
        let user = store::users::update(tx, tenant, id, &spec, hash.as_deref())?;
        keep_an_admin(store::users::count_admins(tx, tenant)?)?;
        if hash.is_some() || !user.spec.enabled {
            store::sessions::delete_of(tx, id)?;
        }
        Ok(user)
    };
    Ok(Json(nouns::change(&app, &caller, "user.update", write).await?))
}

#[utoipa::path(delete, path = "/v1/users/{id}", operation_id = "delete_user", tag = "users",
    params(("id" = String, Path)), responses((status = 204)))]
async fn remove(State(app): State<App>, caller: Caller, Id(id): Id<UserId>) -> ApiResult<StatusCode> {
    caller.require(Permission::ManageUsers)?;
    let Json(current) = nouns::find::<User>(&app, &caller, id).await?;
    grantable(&caller, current.spec.role)?;
    let write = move |tx: &store::Transaction<'_>, tenant| {
        store::delete::<User>(tx, tenant, &id)?;
        keep_an_admin(store::users::count_admins(tx, tenant)?)?;
        Ok(current)
    };
    nouns::change::<User, _>(&app, &caller, "user.delete", write).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Nobody gives, or takes, a role above their own.
pub fn grantable(caller: &Caller, role: Role) -> ApiResult<()> {
    if role != Role::Operator || caller.role == Role::Operator {
        return Ok(());
    }
    let error = FieldError::new("role", "not_grantable", "only an operator may make operators");
    Err(ApiError::forbidden("only an operator may do this to an operator").field(error))
}

fn keep_an_admin(admins: i64) -> ApiResult<()> {
    if admins > 0 {
        return Ok(());
    }
    Err(ApiError::conflict("last_admin", "a tenant needs at least one enabled admin"))
}

async fn hash(password: Option<String>) -> ApiResult<Option<String>> {
    match password {
        Some(password) => secrets::hash(password).await.map(Some),
        None => Ok(None),
    }
}

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(find, update, remove))
}
