//! Signing in and out: `/v1/session`.

use super::{Caller, Role, caller, secrets};
use crate::{
    app::App,
    audit,
    error::{ApiError, ApiResult},
    extract::Body,
    fields,
};
use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{AppendHeaders, IntoResponse},
};
use jiff::{Timestamp, ToSpan};
use serde::Serialize;
use serde_json::json;
use std::time::Instant;
use store::{audit::NewAudit, users::User};
use types::{TenantId, UserId};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

const HOURS: i64 = 12;

/// Who signs in.
#[derive(ToSchema)]
#[allow(dead_code)] // describes the body; `sign_in` reads it field by field
struct SignInInput {
    email: String,
    password: String,
}

/// Who is signed in.
#[derive(Serialize, ToSchema)]
struct Session {
    #[schema(value_type = Option<String>)]
    user_id: Option<UserId>,
    #[schema(value_type = String)]
    tenant_id: TenantId,
    role: Role,
    /// To be sent as `X-CSRF-Token` with everything but reads; only in the answer to signing in.
    #[serde(skip_serializing_if = "Option::is_none")]
    csrf_token: Option<String>,
}

/// Sign in; sets the cookie `__Host-scaibox`.
#[utoipa::path(post, path = "/v1/session", operation_id = "sign_in", tag = "session", security(()),
    request_body = SignInInput, responses((status = 201, body = Session)))]
async fn sign_in(State(app): State<App>, body: Body) -> ApiResult<impl IntoResponse> {
    let mut read = body.fields()?;
    let email = read.req("email", fields::email);
    let password = read.req("password", fields::secret(0..=1000));
    let (email, password) = read.build(|| Some((email?, password?)))?;
    app.guard.admit(&email, Instant::now())?;
    let user = check_password(&app, email, password).await?;
    let (token, csrf) = (secrets::new_token(), secrets::new_token());
    let caller = Caller::of_user(&user);
    open_session(&app, caller.clone(), user.id, &token, &csrf).await?;
    let age = HOURS * 3600;
    let cookie = format!("{}={token}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age={age}", caller::COOKIE);
    let session = Session { csrf_token: Some(csrf), ..Session::of(&caller) };
    Ok((StatusCode::CREATED, AppendHeaders([(header::SET_COOKIE, cookie)]), Json(session)))
}

/// Who am I?
#[utoipa::path(get, path = "/v1/session", operation_id = "find_session", tag = "session",
    responses((status = 200, body = Session)))]
async fn who_am_i(caller: Caller) -> Json<Session> {
    Json(Session::of(&caller))
}

/// Sign out.
#[utoipa::path(delete, path = "/v1/session", operation_id = "sign_out", tag = "session",
    responses((status = 204)))]
async fn sign_out(State(app): State<App>, caller: Caller, headers: HeaderMap) -> ApiResult<impl IntoResponse> {
    if let Some(token) = caller::cookie(&headers) {
        let hash = secrets::sha256(&token);
        let delete = move |tx: &store::Transaction<'_>| {
            store::sessions::delete(tx, &hash)?;
            audit::record(tx, &caller, "session.delete", caller.user_id.map(|id| id.to_string()), json!({}))
        };
        app.db.write(delete).await?;
    }
    let cookie = format!("{}=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0", caller::COOKIE);
    Ok((StatusCode::NO_CONTENT, AppendHeaders([(header::SET_COOKIE, cookie)])))
}

impl Session {
    fn of(caller: &Caller) -> Self {
        Self { user_id: caller.user_id, tenant_id: caller.tenant_id, role: caller.role, csrf_token: None }
    }
}

async fn check_password(app: &App, email: String, password: String) -> ApiResult<User> {
    let wanted = email.clone();
    let user = app.db.read(move |conn| store::users::find_by_email(conn, &wanted)).await?;
    let hash = user.as_ref().and_then(|user| user.password_hash.clone());
    let fits = secrets::verify(password, hash).await?;
    match user {
        Some(user) if fits && user.spec.enabled => {
            app.guard.succeeded(&email);
            Ok(user)
        }
        user => {
            let wait = app.guard.failed(&email, Instant::now());
            note_refusal(app, email, user.map(|user| user.tenant_id)).await?;
            tokio::time::sleep(wait).await;
            Err(ApiError::unauthorized("wrong_credentials", "wrong e-mail address or password"))
        }
    }
}

async fn note_refusal(app: &App, email: String, tenant_id: Option<TenantId>) -> ApiResult<()> {
    let row = NewAudit {
        tenant_id,
        actor: "anonymous".into(),
        action: "session.refused",
        object_id: None,
        detail: json!({ "email": email }),
        correlation_id: crate::correlation::current(),
    };
    Ok(app.db.write(move |tx| store::audit::append(tx, &row)).await?)
}

async fn open_session(app: &App, caller: Caller, user: UserId, token: &str, csrf: &str) -> ApiResult<()> {
    let (hash, csrf, end) = (secrets::sha256(token), csrf.to_owned(), Timestamp::now() + HOURS.hours());
    let open = move |tx: &store::Transaction<'_>| {
        store::sessions::insert(tx, &hash, user, &csrf, end)?;
        audit::record(tx, &caller, "session.create", Some(user.to_string()), json!({}))
    };
    Ok(app.db.write(open).await?)
}

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(sign_in, who_am_i, sign_out))
}
