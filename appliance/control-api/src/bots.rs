//! `/v1/bots`: which LiveKit agent a call can ring.

use crate::{
    app::App,
    auth::{Caller, Permission},
    error::ApiResult,
    extract::{Body, Id},
    fields::{self, Fields},
    nouns,
    pages::{PageQuery, Paged, Params},
};
use axum::{Json, extract::State, http::StatusCode};
use store::{
    Transaction,
    bots::{Bot, BotSpec},
};
use types::BotId;
use utoipa_axum::{router::OpenApiRouter, routes};

fn read(mut fields: Fields) -> ApiResult<BotSpec> {
    let name = fields.req("name", fields::text(1..=80));
    let description = fields.or("description", String::new(), fields::text(0..=1000));
    let agent_name = fields.req("agent_name", fields::text(1..=80));
    let enabled = fields.or("enabled", true, fields::boolean);
    fields
        .build(|| Some(BotSpec { name: name?, description: description?, agent_name: agent_name?, enabled: enabled? }))
}

#[utoipa::path(get, path = "/v1/bots", operation_id = "list_bots", tag = "bots", params(PageQuery),
    responses((status = 200, body = Paged<Bot>)))]
async fn list(State(app): State<App>, caller: Caller, Params(query): Params<PageQuery>) -> ApiResult<Json<Paged<Bot>>> {
    nouns::list(&app, &caller, query).await
}

#[utoipa::path(post, path = "/v1/bots", operation_id = "create_bot", tag = "bots",
    request_body = BotSpec, responses((status = 201, body = Bot)))]
async fn create(State(app): State<App>, caller: Caller, body: Body) -> ApiResult<(StatusCode, Json<Bot>)> {
    caller.require(Permission::ManageTelephony)?;
    let spec = read(body.fields()?)?;
    let write = move |tx: &Transaction<'_>, tenant| Ok(store::bots::insert(tx, tenant, &spec)?);
    Ok((StatusCode::CREATED, Json(nouns::change(&app, &caller, "bot.create", write).await?)))
}

#[utoipa::path(get, path = "/v1/bots/{id}", operation_id = "find_bot", tag = "bots",
    params(("id" = String, Path)), responses((status = 200, body = Bot)))]
async fn find(State(app): State<App>, caller: Caller, Id(id): Id<BotId>) -> ApiResult<Json<Bot>> {
    nouns::find(&app, &caller, id).await
}

#[utoipa::path(patch, path = "/v1/bots/{id}", operation_id = "update_bot", tag = "bots",
    params(("id" = String, Path)), request_body = BotSpec, responses((status = 200, body = Bot)))]
async fn update(State(app): State<App>, caller: Caller, Id(id): Id<BotId>, body: Body) -> ApiResult<Json<Bot>> {
    caller.require(Permission::ManageTelephony)?;
    let write = move |tx: &Transaction<'_>, tenant| {
        let current: Bot = store::find(tx, tenant, &id)?;
        Ok(store::bots::update(tx, tenant, id, &read(body.patch(&current.spec)?)?)?)
    };
    Ok(Json(nouns::change(&app, &caller, "bot.update", write).await?))
}

#[utoipa::path(delete, path = "/v1/bots/{id}", operation_id = "delete_bot", tag = "bots",
    params(("id" = String, Path)), responses((status = 204)))]
async fn remove(State(app): State<App>, caller: Caller, Id(id): Id<BotId>) -> ApiResult<StatusCode> {
    nouns::remove::<Bot>(&app, &caller, Permission::ManageTelephony, "bot.delete", id).await
}

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(find, update, remove))
}
