//! `/v1/dialplans`: the rules that decide where a call goes, and a dry run of them.
//!
//! What a rule may say is the `dialplan` crate's; here its references are checked and it is stored.

mod evaluate;
mod input;

use crate::{
    app::App,
    auth::{Caller, Permission},
    error::{ApiError, ApiResult},
    extract::{Body, Id, Ids},
    nouns,
    pages::{PageQuery, Paged, Params, page_of},
};
use axum::{Json, extract::State, http::StatusCode};
use serde_json::{Value, json};
use store::{
    Transaction,
    dialplans::{Dialplan, DialplanSpec, Rule, RuleSpec},
};
use types::{DialplanId, RuleId};
use utoipa_axum::{router::OpenApiRouter, routes};

#[utoipa::path(get, path = "/v1/dialplans", operation_id = "list_dialplans", tag = "dialplans",
    params(PageQuery), responses((status = 200, body = Paged<Dialplan>)))]
async fn list(
    State(app): State<App>,
    caller: Caller,
    Params(query): Params<PageQuery>,
) -> ApiResult<Json<Paged<Dialplan>>> {
    caller.require(Permission::ReadAll)?;
    let (tenant, page) = (caller.tenant_id, query.page()?);
    let limit = page.limit;
    let read = move |conn: &store::Connection| -> ApiResult<Vec<Dialplan>> {
        let rows = store::list::<Dialplan>(conn, tenant, &page)?;
        rows.into_iter().map(|row| Ok(store::dialplans::with_rules(conn, row)?)).collect()
    };
    Ok(Json(page_of(app.db.read(read).await?, limit, |row| row.id.to_string())))
}

#[utoipa::path(post, path = "/v1/dialplans", operation_id = "create_dialplan", tag = "dialplans",
    request_body = input::DialplanInput, responses((status = 201, body = Dialplan)))]
async fn create(State(app): State<App>, caller: Caller, body: Body) -> ApiResult<(StatusCode, Json<Dialplan>)> {
    caller.require(Permission::ManageTelephony)?;
    let (name, rules) = input::read(body.fields()?)?;
    let write = move |tx: &Transaction<'_>, tenant| {
        let rules = input::checked(tx, tenant, rules, "rules")?;
        Ok(store::dialplans::insert(tx, tenant, &DialplanSpec { name, rules })?)
    };
    Ok((StatusCode::CREATED, Json(nouns::change(&app, &caller, "dialplan.create", write).await?)))
}

#[utoipa::path(get, path = "/v1/dialplans/{id}", operation_id = "find_dialplan", tag = "dialplans",
    params(("id" = String, Path)), responses((status = 200, body = Dialplan)))]
async fn find(State(app): State<App>, caller: Caller, Id(id): Id<DialplanId>) -> ApiResult<Json<Dialplan>> {
    caller.require(Permission::ReadAll)?;
    let tenant = caller.tenant_id;
    app.db
        .read(move |conn| {
            let dialplan = store::find::<Dialplan>(conn, tenant, &id)?;
            Ok(Json(store::dialplans::with_rules(conn, dialplan)?))
        })
        .await
}

/// `rules`, when given, are all the rules; one that names its `id` keeps it.
#[utoipa::path(patch, path = "/v1/dialplans/{id}", operation_id = "update_dialplan", tag = "dialplans",
    params(("id" = String, Path)), request_body = input::DialplanInput, responses((status = 200, body = Dialplan)))]
async fn update(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<DialplanId>,
    body: Body,
) -> ApiResult<Json<Dialplan>> {
    caller.require(Permission::ManageTelephony)?;
    let write = move |tx: &Transaction<'_>, tenant| {
        let current = store::dialplans::with_rules(tx, store::find::<Dialplan>(tx, tenant, &id)?)?;
        let (name, rules) = input::read(body.patch(&json!({ "name": current.name, "rules": current.rules }))?)?;
        let rules = input::checked(tx, tenant, rules, "rules")?;
        Ok(store::dialplans::update(tx, tenant, id, &DialplanSpec { name, rules })?)
    };
    Ok(Json(nouns::change(&app, &caller, "dialplan.update", write).await?))
}

#[utoipa::path(delete, path = "/v1/dialplans/{id}", operation_id = "delete_dialplan", tag = "dialplans",
    params(("id" = String, Path)), responses((status = 204)))]
async fn remove(State(app): State<App>, caller: Caller, Id(id): Id<DialplanId>) -> ApiResult<StatusCode> {
    nouns::remove::<Dialplan>(&app, &caller, Permission::ManageTelephony, "dialplan.delete", id).await
}

#[utoipa::path(post, path = "/v1/dialplans/{id}/rules", operation_id = "create_rule", tag = "dialplans",
    params(("id" = String, Path)), request_body = RuleSpec, responses((status = 201, body = Rule)))]
async fn create_rule(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<DialplanId>,
    body: Body,
) -> ApiResult<(StatusCode, Json<Rule>)> {
    caller.require(Permission::ManageTelephony)?;
    let rule = input::rule(&body.value()?, "")?;
    let made = put_rule(&app, &caller, id, RuleId::new(), move |_, _| Ok(rule)).await?;
    Ok((StatusCode::CREATED, Json(made)))
}

#[utoipa::path(patch, path = "/v1/dialplans/{id}/rules/{rule_id}", operation_id = "update_rule", tag = "dialplans",
    params(("id" = String, Path), ("rule_id" = String, Path)), request_body = RuleSpec,
    responses((status = 200, body = Rule)))]
async fn update_rule(
    State(app): State<App>,
    caller: Caller,
    Ids(id, rule_id): Ids<DialplanId, RuleId>,
    body: Body,
) -> ApiResult<Json<Rule>> {
    caller.require(Permission::ManageTelephony)?;
    let patch = body.value()?;
    let changed = put_rule(&app, &caller, id, rule_id, move |tx, rule_id| {
        let rules = store::dialplans::rules(tx, id)?;
        let current = rules.into_iter().find(|rule| rule.id == rule_id);
        let current = current.ok_or_else(|| ApiError::not_found("rule", &rule_id))?;
        input::rule(&merged(&json!(current.spec), &patch), "")
    });
    Ok(Json(changed.await?))
}

#[utoipa::path(delete, path = "/v1/dialplans/{id}/rules/{rule_id}", operation_id = "delete_rule", tag = "dialplans",
    params(("id" = String, Path), ("rule_id" = String, Path)), responses((status = 204)))]
async fn remove_rule(
    State(app): State<App>,
    caller: Caller,
    Ids(id, rule_id): Ids<DialplanId, RuleId>,
) -> ApiResult<StatusCode> {
    caller.require(Permission::ManageTelephony)?;
    let write = move |tx: &Transaction<'_>, tenant| {
        let dialplan = store::find::<Dialplan>(tx, tenant, &id)?;
        store::dialplans::delete_rule(tx, id, rule_id)?;
        Ok(store::dialplans::with_rules(tx, dialplan)?)
    };
    nouns::change(&app, &caller, "dialplan.update", write).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Stores one rule; the audit row shows the dialplan as it is with it.
async fn put_rule<F>(app: &App, caller: &Caller, id: DialplanId, rule_id: RuleId, rule: F) -> ApiResult<Rule>
where
    F: FnOnce(&Transaction<'_>, RuleId) -> ApiResult<input::ReadRule> + Send + 'static,
{
    let write = move |tx: &Transaction<'_>, tenant| {
        let dialplan = store::find::<Dialplan>(tx, tenant, &id)?;
        let checked = input::checked(tx, tenant, vec![rule(tx, rule_id)?], "")?;
        for (_, spec) in &checked {
            store::dialplans::put_rule(tx, id, rule_id, spec)?;
        }
        Ok(store::dialplans::with_rules(tx, dialplan)?)
    };
    let dialplan = nouns::change(app, caller, "dialplan.update", write).await?;
    let stored = dialplan.rules.into_iter().find(|rule| rule.id == rule_id);
    stored.ok_or_else(|| ApiError::internal("the rule just stored is gone"))
}

/// `current` with the members of `patch` in place of its own.
fn merged(current: &Value, patch: &Value) -> Value {
    let mut merged = current.as_object().cloned().unwrap_or_default();
    merged.extend(patch.as_object().cloned().unwrap_or_default());
    merged.into()
}

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(find, update, remove))
        .routes(routes!(create_rule))
        .routes(routes!(update_rule, remove_rule))
        .routes(routes!(evaluate::evaluate))
}
