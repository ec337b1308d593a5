//! `/v1/calendars`: the days that a `holiday` rule knows.

use crate::{
    app::App,
    auth::{Caller, Permission},
    error::ApiResult,
    extract::{Body, Id},
    fields::{self, Fields, Wrong},
    nouns,
    pages::{PageQuery, Paged, Params},
};
use axum::{Json, extract::State, http::StatusCode};
use serde_json::Value;
use store::{
    Transaction,
    calendars::{Calendar, CalendarSpec, Holiday},
};
use types::CalendarId;
use utoipa_axum::{router::OpenApiRouter, routes};

fn read(mut fields: Fields) -> ApiResult<CalendarSpec> {
    let name = fields.req("name", fields::text(1..=80));
    let timezone = fields.or("timezone", "UTC".into(), fields::timezone);
    let days = fields.or("days", Vec::new(), fields::list(1000, holiday));
    fields.build(|| Some(CalendarSpec { name: name?, timezone: timezone?, days: in_order(days?) }))
}

fn holiday(value: &Value) -> Result<Holiday, Wrong> {
    fields::only(value, &["date", "name"])?;
    Ok(Holiday {
        date: fields::member(value, "date", fields::parsed("invalid_date"))?,
        name: fields::member(value, "name", fields::text(1..=80))?,
    })
}

/// By date, each date once.
fn in_order(mut days: Vec<Holiday>) -> Vec<Holiday> {
    days.sort_by_key(|day| day.date);
    days.dedup_by_key(|day| day.date);
    days
}

#[utoipa::path(get, path = "/v1/calendars", operation_id = "list_calendars", tag = "calendars", params(PageQuery),
    responses((status = 200, body = Paged<Calendar>)))]
async fn list(
    State(app): State<App>,
    caller: Caller,
    Params(query): Params<PageQuery>,
) -> ApiResult<Json<Paged<Calendar>>> {
    nouns::list(&app, &caller, query).await
}

#[utoipa::path(post, path = "/v1/calendars", operation_id = "create_calendar", tag = "calendars",
    request_body = CalendarSpec, responses((status = 201, body = Calendar)))]
async fn create(State(app): State<App>, caller: Caller, body: Body) -> ApiResult<(StatusCode, Json<Calendar>)> {
    caller.require(Permission::ManageTelephony)?;
    let spec = read(body.fields()?)?;
    let write = move |tx: &Transaction<'_>, tenant| Ok(store::calendars::insert(tx, tenant, &spec)?);
    Ok((StatusCode::CREATED, Json(nouns::change(&app, &caller, "calendar.create", write).await?)))
}

#[utoipa::path(get, path = "/v1/calendars/{id}", operation_id = "find_calendar", tag = "calendars",
    params(("id" = String, Path)), responses((status = 200, body = Calendar)))]
async fn find(State(app): State<App>, caller: Caller, Id(id): Id<CalendarId>) -> ApiResult<Json<Calendar>> {
    nouns::find(&app, &caller, id).await
}

#[utoipa::path(patch, path = "/v1/calendars/{id}", operation_id = "update_calendar", tag = "calendars",
    params(("id" = String, Path)), request_body = CalendarSpec, responses((status = 200, body = Calendar)))]
async fn update(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<CalendarId>,
    body: Body,
) -> ApiResult<Json<Calendar>> {
    caller.require(Permission::ManageTelephony)?;
    let write = move |tx: &Transaction<'_>, tenant| {
        let current: Calendar = store::find(tx, tenant, &id)?;
        Ok(store::calendars::update(tx, tenant, id, &read(body.patch(&current.spec)?)?)?)
    };
    Ok(Json(nouns::change(&app, &caller, "calendar.update", write).await?))
}

#[utoipa::path(delete, path = "/v1/calendars/{id}", operation_id = "delete_calendar", tag = "calendars",
    params(("id" = String, Path)), responses((status = 204)))]
async fn remove(State(app): State<App>, caller: Caller, Id(id): Id<CalendarId>) -> ApiResult<StatusCode> {
    nouns::remove::<Calendar>(&app, &caller, Permission::ManageTelephony, "calendar.delete", id).await
}

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(find, update, remove))
}
