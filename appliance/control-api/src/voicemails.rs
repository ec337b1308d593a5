//! `/v1/voicemails`: the messages that callers left. A `user` sees those of their own extensions,
//! under `/v1/my/voicemails` and by id.

pub mod audio;

use crate::{
    app::App,
    auth::{Caller, Permission, Role},
    error::{ApiError, ApiResult},
    extract::{Body, Id},
    fields, nouns,
    pages::{Paged, Params, page_of},
};
use axum::{Json, extract::State, http::StatusCode};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;
use store::{
    Connection, Page, Transaction, events,
    extensions::Extension,
    voicemails::{Filter, Voicemail},
};
use types::{ExtensionId, UserId, VoicemailId};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct VoicemailQuery {
    /// 1 to 200, 50 when it is not given.
    limit: Option<usize>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
    #[param(value_type = Option<String>)]
    extension_id: Option<ExtensionId>,
    /// Only messages that are (or, with `false`, are not) unread.
    unread: Option<bool>,
}

/// What may be changed of a message.
#[derive(ToSchema)]
#[allow(dead_code)] // describes the body; `update` reads it field by field
struct VoicemailInput {
    /// Marks it as heard, or not.
    read: bool,
}

#[utoipa::path(get, path = "/v1/voicemails", operation_id = "list_voicemails", tag = "voicemails",
    params(VoicemailQuery), responses((status = 200, body = Paged<Voicemail>)))]
async fn list(
    State(app): State<App>,
    caller: Caller,
    Params(query): Params<VoicemailQuery>,
) -> ApiResult<Json<Paged<Voicemail>>> {
    caller.require(Permission::ReadAll)?;
    page(&app, &caller, query, None).await
}

/// The messages of the tenant, or of the extensions that `owner` has.
pub async fn page(
    app: &App,
    caller: &Caller,
    query: VoicemailQuery,
    owner: Option<UserId>,
) -> ApiResult<Json<Paged<Voicemail>>> {
    let tenant = caller.tenant_id;
    let page: Page = crate::pages::PageQuery { limit: query.limit, cursor: query.cursor }.page()?;
    let limit = page.limit;
    let filter = Filter { extension_id: query.extension_id, owner, unread: query.unread };
    let rows = app.db.read(move |conn| store::voicemails::list(conn, tenant, &filter, &page)).await?;
    Ok(Json(page_of(rows, limit, |row| row.id.to_string())))
}

#[utoipa::path(get, path = "/v1/voicemails/{id}", operation_id = "find_voicemail", tag = "voicemails",
    params(("id" = String, Path)), responses((status = 200, body = Voicemail)))]
async fn find(State(app): State<App>, caller: Caller, Id(id): Id<VoicemailId>) -> ApiResult<Json<Voicemail>> {
    app.db.read(move |conn| visible(conn, &caller, id)).await.map(Json)
}

#[utoipa::path(patch, path = "/v1/voicemails/{id}", operation_id = "update_voicemail", tag = "voicemails",
    params(("id" = String, Path)), request_body = VoicemailInput, responses((status = 200, body = Voicemail)))]
async fn update(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<VoicemailId>,
    body: Body,
) -> ApiResult<Json<Voicemail>> {
    writable(&caller)?;
    let mut read = body.fields()?;
    let heard = read.req("read", fields::boolean);
    let heard = read.build(|| heard)?;
    let who = caller.clone();
    let write = move |tx: &Transaction<'_>, tenant| {
        let before = visible(tx, &who, id)?;
        let read_at = heard.then(|| before.read_at.unwrap_or_else(Timestamp::now));
        let changed = store::voicemails::mark_read(tx, tenant, id, read_at)?;
        events::emit(tx, tenant, "voicemail.updated", &json!(changed))?;
        Ok(changed)
    };
    Ok(Json(nouns::change(&app, &caller, "voicemail.update", write).await?))
}

/// The recording is removed with it.
#[utoipa::path(delete, path = "/v1/voicemails/{id}", operation_id = "delete_voicemail", tag = "voicemails",
    params(("id" = String, Path)), responses((status = 204)))]
async fn remove(State(app): State<App>, caller: Caller, Id(id): Id<VoicemailId>) -> ApiResult<StatusCode> {
    writable(&caller)?;
    let who = caller.clone();
    let write = move |tx: &Transaction<'_>, tenant| {
        let voicemail = visible(tx, &who, id)?;
        store::delete::<Voicemail>(tx, tenant, &id)?;
        events::emit(tx, tenant, "voicemail.deleted", &json!({ "id": id }))?;
        Ok(voicemail)
    };
    let gone = nouns::change(&app, &caller, "voicemail.delete", write).await?;
    if let Err(err) = app.objects.delete(&gone.object_key).await {
        tracing::warn!(voicemail.id = %gone.id, object = gone.object_key, error = %err, "recording_not_deleted");
    }
    Ok(StatusCode::NO_CONTENT)
}

/// The tenant's message; for a `user` only one of their own extensions.
pub fn visible(conn: &Connection, caller: &Caller, id: VoicemailId) -> ApiResult<Voicemail> {
    let voicemail: Voicemail = store::find(conn, caller.tenant_id, &id)?;
    if caller.role != Role::User {
        return Ok(voicemail);
    }
    let owner = match voicemail.extension_id {
        Some(extension) => store::find::<Extension>(conn, caller.tenant_id, &extension)?.spec.user_id,
        None => None,
    };
    if owner.is_some() && owner == caller.user_id { Ok(voicemail) } else { Err(ApiError::not_found("voicemail", &id)) }
}

fn writable(caller: &Caller) -> ApiResult<()> {
    if caller.may(Permission::Own) { Ok(()) } else { caller.require(Permission::ManageTelephony) }
}

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(find, update, remove)).routes(routes!(audio::play))
}
