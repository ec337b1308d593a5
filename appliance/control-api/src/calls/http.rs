//! `/v1/calls`: what is and was going on, and what people can do about it.

use super::{
    attended,
    control::{self, PhoneCommand, Ticket},
    csv,
    outbound::{self, Originate},
};
use crate::{
    app::App,
    auth::{Caller, Permission},
    error::{ApiError, ApiResult, FieldError},
    extract::{Body, Id, Ids},
    fields::{self, Fields, Wrong},
    idempotency,
    pages::{PageQuery, Paged, Params, page_of},
    ready::Ready,
};
use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use dialplan::Destination;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use store::{
    Connection, StoreError,
    calls::{Call, CallKind, CallState, Filter},
    legs::{self, Direction, Leg},
};
use types::{CallId, DidId, ExtensionId, LegId};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

/// A call with its legs.
#[derive(Debug, Serialize, ToSchema)]
pub struct CallView {
    #[serde(flatten)]
    pub call: Call,
    pub legs: Vec<Leg>,
}

/// The answer to an originate.
#[derive(Serialize, ToSchema)]
pub struct OriginatedView {
    pub call: CallView,
    pub livekit: Ticket,
}

/// The answer to an answer.
#[derive(Serialize, ToSchema)]
pub struct AnsweredView {
    pub livekit: Ticket,
}

/// For the description of the API; the body is read field by field.
#[derive(ToSchema)]
#[allow(dead_code)]
struct OriginateBody {
    /// Owned by the signed-in user.
    #[schema(value_type = String)]
    from_extension_id: ExtensionId,
    /// E.164 or a SIP URI.
    #[schema(example = "+31201234567")]
    to: String,
}

#[derive(ToSchema)]
#[allow(dead_code)]
struct TransferBody {
    /// For `blind`: E.164 or a SIP URI.
    #[schema(example = "+31201234567")]
    to: Option<String>,
    /// `blind`, or `attended`: the leg goes to whom the same person talks to in another call.
    #[schema(default = "blind", pattern = "blind|attended")]
    mode: String,
    /// For `attended`: that other call.
    to_call_id: Option<String>,
}

#[derive(ToSchema)]
#[allow(dead_code)]
struct DtmfBody {
    /// `0-9 * # A-D`
    digits: String,
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct CallQuery {
    /// `routing`, `ringing`, `active`, `held` or `ended`.
    state: Option<String>,
    /// `phone` or `room`.
    kind: Option<String>,
    /// `inbound` or `outbound`.
    direction: Option<String>,
    /// Started at or after; RFC 3339.
    from: Option<String>,
    /// Started before; RFC 3339.
    to: Option<String>,
    extension_id: Option<String>,
    did_id: Option<String>,
    caller: Option<String>,
    end_reason: Option<String>,
    /// Found anywhere in the caller's or the dialled number, or the call's id.
    q: Option<String>,
    /// 1 to 200, 50 when it is not given.
    limit: Option<usize>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

impl CallQuery {
    fn split(self) -> ApiResult<(Filter, PageQuery)> {
        let mut errors = Vec::new();
        let filter = Filter {
            state: read::<CallState>(&mut errors, "state", self.state),
            kind: read::<CallKind>(&mut errors, "kind", self.kind),
            direction: read::<Direction>(&mut errors, "direction", self.direction),
            from: read::<Timestamp>(&mut errors, "from", self.from),
            to: read::<Timestamp>(&mut errors, "to", self.to),
            extension_id: read::<ExtensionId>(&mut errors, "extension_id", self.extension_id),
            did_id: read::<DidId>(&mut errors, "did_id", self.did_id),
            caller: self.caller,
            end_reason: self.end_reason,
            q: self.q,
            user: None,
        };
        let page = PageQuery { limit: self.limit, cursor: self.cursor };
        if errors.is_empty() { Ok((filter, page)) } else { Err(ApiError::invalid(errors)) }
    }
}

fn read<T: std::str::FromStr<Err: std::fmt::Display>>(
    errors: &mut Vec<FieldError>,
    name: &str,
    text: Option<String>,
) -> Option<T> {
    text?.parse().map_err(|err| errors.push(FieldError::new(name, "invalid_filter", err))).ok()
}

/// Newest first; as CSV with `Accept: text/csv`.
#[utoipa::path(get, path = "/v1/calls", operation_id = "list_calls", tag = "calls", params(CallQuery),
    responses((status = 200, body = Paged<CallView>)))]
async fn list(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    Params(query): Params<CallQuery>,
) -> ApiResult<Response> {
    caller.require(Permission::ReadAll)?;
    let (filter, page) = query.split()?;
    listed(&app, &caller, filter, page, &headers).await
}

/// The signed-in user's own.
#[utoipa::path(get, path = "/v1/my/calls", operation_id = "list_my_calls", tag = "my", params(CallQuery),
    responses((status = 200, body = Paged<CallView>)))]
async fn list_mine(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    Params(query): Params<CallQuery>,
) -> ApiResult<Response> {
    let user = caller.own_user()?;
    let (filter, page) = query.split()?;
    listed(&app, &caller, Filter { user: Some(user), ..filter }, page, &headers).await
}

async fn listed(
    app: &App,
    caller: &Caller,
    filter: Filter,
    page: PageQuery,
    headers: &HeaderMap,
) -> ApiResult<Response> {
    let (tenant, page) = (caller.tenant_id, page.page()?);
    let limit = page.limit;
    let rows = app
        .db
        .read(move |conn| {
            let calls = store::calls::list(conn, tenant, &filter, &page)?;
            calls.into_iter().map(|call| with_legs(conn, call)).collect::<Result<Vec<_>, StoreError>>()
        })
        .await?;
    let page = page_of(rows, limit, |view: &CallView| view.call.id.to_string());
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if accept.contains("text/csv") {
        let headers = [(header::CONTENT_TYPE, "text/csv; charset=utf-8")];
        return Ok((headers, csv::of_calls(&page.items)).into_response());
    }
    Ok(Json(page).into_response())
}

fn with_legs(conn: &Connection, call: Call) -> Result<CallView, StoreError> {
    Ok(CallView { legs: legs::of_call(conn, call.id)?, call })
}

#[utoipa::path(get, path = "/v1/calls/{id}", operation_id = "find_call", tag = "calls",
    params(("id" = String, Path)), responses((status = 200, body = CallView)))]
async fn find(State(app): State<App>, caller: Caller, Id(id): Id<CallId>) -> ApiResult<Json<CallView>> {
    let own = if caller.may(Permission::ReadAll) { None } else { Some(caller.own_user()?) };
    let tenant = caller.tenant_id;
    app.db
        .read(move |conn| {
            let call: Call = store::find(conn, tenant, &id)?;
            match own {
                Some(user) if !store::calls::concerns(conn, &call, user)? => Err(ApiError::not_found("call", &id)),
                _ => Ok(Json(with_legs(conn, call)?)),
            }
        })
        .await
}

/// Dials out for a browser, which joins the room with the token.
#[utoipa::path(post, path = "/v1/calls", operation_id = "originate_call", tag = "calls",
    request_body = OriginateBody, params(("Idempotency-Key" = Option<String>, Header)),
    responses((status = 201, body = OriginatedView)))]
async fn originate(
    State(app): State<App>,
    caller: Caller,
    _: Ready,
    headers: HeaderMap,
    body: Body,
) -> ApiResult<Response> {
    let request = read_originate(body.fields()?)?;
    let (in_work, by) = (app.clone(), caller.clone());
    let work = async move {
        let done = outbound::originate(&in_work, &by, request).await?;
        let view = OriginatedView { call: CallView { call: done.call, legs: done.legs }, livekit: done.ticket };
        Ok((StatusCode::CREATED, serde_json::to_value(view).map_err(ApiError::internal)?))
    };
    idempotency::run(&app, &caller, &headers, "POST /v1/calls", &body.0, work).await
}

fn read_originate(mut fields: Fields) -> ApiResult<Originate> {
    let from_extension_id = fields.req("from_extension_id", fields::id::<ExtensionId>);
    let to = fields.req("to", fields::parsed::<Destination>("invalid_destination"));
    fields.build(|| Some(Originate { from_extension_id: from_extension_id?, to: to? }))
}

#[utoipa::path(post, path = "/v1/calls/{id}/hangup", operation_id = "hang_up_call", tag = "calls",
    params(("id" = String, Path)), responses((status = 200, body = Call)))]
async fn hang_up(State(app): State<App>, caller: Caller, _: Ready, Id(id): Id<CallId>) -> ApiResult<Json<Call>> {
    Ok(Json(control::hang_up(&app, &caller, id).await?))
}

/// A browser takes the call; it is answered once its audio is there.
#[utoipa::path(post, path = "/v1/calls/{id}/legs/{leg_id}/answer", operation_id = "answer_leg", tag = "calls",
    params(("id" = String, Path), ("leg_id" = String, Path)), responses((status = 200, body = AnsweredView)))]
async fn answer(
    State(app): State<App>,
    caller: Caller,
    _: Ready,
    Ids(call, leg): Ids<CallId, LegId>,
) -> ApiResult<Json<AnsweredView>> {
    Ok(Json(AnsweredView { livekit: control::answer(&app, &caller, call, leg).await? }))
}

#[utoipa::path(post, path = "/v1/calls/{id}/legs/{leg_id}/reject", operation_id = "reject_leg", tag = "calls",
    params(("id" = String, Path), ("leg_id" = String, Path)), responses((status = 200, body = Call)))]
async fn reject(
    State(app): State<App>,
    caller: Caller,
    _: Ready,
    Ids(call, leg): Ids<CallId, LegId>,
) -> ApiResult<Json<Call>> {
    Ok(Json(control::reject(&app, &caller, call, leg).await?))
}

#[utoipa::path(post, path = "/v1/calls/{id}/legs/{leg_id}/hangup", operation_id = "hang_up_leg", tag = "calls",
    params(("id" = String, Path), ("leg_id" = String, Path)), responses((status = 200, body = Call)))]
async fn hang_up_leg(
    State(app): State<App>,
    caller: Caller,
    _: Ready,
    Ids(call, leg): Ids<CallId, LegId>,
) -> ApiResult<Json<Call>> {
    Ok(Json(control::hang_up_leg(&app, &caller, call, leg).await?))
}

#[utoipa::path(post, path = "/v1/calls/{id}/legs/{leg_id}/hold", operation_id = "hold_leg", tag = "calls",
    params(("id" = String, Path), ("leg_id" = String, Path)), responses((status = 200, body = Leg)))]
async fn hold(
    State(app): State<App>,
    caller: Caller,
    _: Ready,
    Ids(call, leg): Ids<CallId, LegId>,
) -> ApiResult<Json<Leg>> {
    Ok(Json(control::hold(&app, &caller, call, leg, PhoneCommand::Hold).await?))
}

#[utoipa::path(post, path = "/v1/calls/{id}/legs/{leg_id}/unhold", operation_id = "unhold_leg", tag = "calls",
    params(("id" = String, Path), ("leg_id" = String, Path)), responses((status = 200, body = Leg)))]
async fn unhold(
    State(app): State<App>,
    caller: Caller,
    _: Ready,
    Ids(call, leg): Ids<CallId, LegId>,
) -> ApiResult<Json<Leg>> {
    Ok(Json(control::hold(&app, &caller, call, leg, PhoneCommand::Unhold).await?))
}

/// Admins only.
#[utoipa::path(post, path = "/v1/calls/{id}/legs/{leg_id}/dtmf", operation_id = "send_dtmf", tag = "calls",
    params(("id" = String, Path), ("leg_id" = String, Path)), request_body = DtmfBody, responses((status = 204)))]
async fn dtmf(
    State(app): State<App>,
    caller: Caller,
    _: Ready,
    Ids(call, leg): Ids<CallId, LegId>,
    body: Body,
) -> ApiResult<StatusCode> {
    let mut fields = body.fields()?;
    let digits = fields.req("digits", fields::text(1..=64));
    if digits.as_ref().is_some_and(|digits| !digits.chars().all(|c| "0123456789*#ABCD".contains(c))) {
        fields.wrong("digits", Wrong::new("invalid_digits", "only 0-9 * # A-D can be sent"));
    }
    let digits = fields.build(|| digits)?;
    control::dtmf(&app, &caller, call, leg, digits).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Blind: hands the party over by SIP REFER; 409 says why not. Attended: two calls of one person become one.
#[utoipa::path(post, path = "/v1/calls/{id}/legs/{leg_id}/transfer", operation_id = "transfer_leg", tag = "calls",
    params(("id" = String, Path), ("leg_id" = String, Path)), request_body = TransferBody,
    responses((status = 200, body = Call)))]
async fn transfer(
    State(app): State<App>,
    caller: Caller,
    _: Ready,
    Ids(call, leg): Ids<CallId, LegId>,
    body: Body,
) -> ApiResult<Json<Call>> {
    Ok(Json(match transfer_target(body.fields()?, call)? {
        Target::Blind(to) => control::transfer(&app, &caller, call, leg, to).await?,
        Target::Attended(other) => attended::transfer(&app, &caller, call, leg, other).await?,
    }))
}

enum Target {
    Blind(Destination),
    Attended(CallId),
}

fn transfer_target(mut fields: Fields, call: CallId) -> ApiResult<Target> {
    let mode = fields.or("mode", "blind".to_owned(), fields::text(1..=16));
    match mode.as_deref() {
        Some("attended") => {
            let other = fields.opt("to_call_id", fields::parsed::<CallId>("invalid_id"));
            fields.take("to"); // the other call says whom
            let wrong = match other {
                Some(None) => Some(Wrong::new("required", "is required with mode attended")),
                Some(Some(other)) if other == call => {
                    Some(Wrong::new("same_call", "must be another call than this one"))
                }
                _ => None,
            };
            if let Some(wrong) = wrong {
                fields.wrong("to_call_id", wrong.hint("call whom the leg shall go to, and name that call"));
            }
            fields.build(|| other.flatten().map(Target::Attended))
        }
        mode => {
            if mode.is_some_and(|mode| mode != "blind") {
                fields.wrong("mode", Wrong::new("unknown_value", "must be one of blind, attended"));
            }
            let to = fields.req("to", fields::parsed::<Destination>("invalid_destination"));
            fields.build(|| to.map(Target::Blind))
        }
    }
}

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, originate))
        .routes(routes!(list_mine))
        .routes(routes!(find))
        .routes(routes!(hang_up))
        .routes(routes!(answer))
        .routes(routes!(reject))
        .routes(routes!(hang_up_leg))
        .routes(routes!(hold))
        .routes(routes!(unhold))
        .routes(routes!(dtmf))
        .routes(routes!(transfer))
        .merge(super::trace::routes())
}
