//! The request's credentials as a person or program with a tenant and a role.

use super::{Permission, Role, permissions::may, secrets};
use crate::{
    app::App,
    correlation,
    error::{ApiError, ApiResult},
};
use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, Method, header, request::Parts},
};
use jiff::Timestamp;
use store::{StoreError, keys::ApiKey, users::User};
use types::{CorrelationId, TenantId, UserId};

pub const COOKIE: &str = "__Host-scaibox";
const CSRF_HEADER: &str = "x-csrf-token";
const TENANT_HEADER: &str = "scaibox-tenant";

/// Whoever sent the request.
#[derive(Clone, Debug)]
pub struct Caller {
    pub tenant_id: TenantId,
    /// The user's or key's id, for the audit.
    pub actor: String,
    /// Whose own things `/v1/my` shows.
    pub user_id: Option<UserId>,
    pub role: Role,
    pub correlation_id: CorrelationId,
}

impl Caller {
    pub fn may(&self, permission: Permission) -> bool {
        may(self.role, permission)
    }

    pub fn require(&self, permission: Permission) -> ApiResult<()> {
        if self.may(permission) {
            return Ok(());
        }
        Err(ApiError::forbidden(format!("the role `{}` may not do this", self.role)))
    }

    /// The user whose own things are meant.
    pub fn own_user(&self) -> ApiResult<UserId> {
        self.require(Permission::Own)?;
        self.user_id.ok_or_else(|| {
            ApiError::forbidden("this API key belongs to no user").hint("sign in, or use a key with a user_id")
        })
    }
}

impl FromRequestParts<App> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> ApiResult<Self> {
        let caller = match (bearer(&parts.headers), cookie(&parts.headers)) {
            (Some(key), _) => by_key(app, key).await?,
            (None, Some(token)) => by_session(app, token, &parts.method, &parts.headers).await?,
            (None, None) => return Err(not_signed_in()),
        };
        in_named_tenant(app, caller, &parts.headers).await
    }
}

fn bearer(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, key) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim().to_owned())
}

/// The session token of this request.
pub fn cookie(headers: &HeaderMap) -> Option<String> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == COOKIE).map(|(_, value)| value.to_owned())
}

async fn by_session(app: &App, token: String, method: &Method, headers: &HeaderMap) -> ApiResult<Caller> {
    let hash = secrets::sha256(&token);
    let found = app.db.read(move |conn| store::sessions::find_user(conn, &hash, Timestamp::now())).await?;
    let (user, csrf) = found.ok_or_else(not_signed_in)?;
    let sent = headers.get(CSRF_HEADER).and_then(|value| value.to_str().ok());
    if !method.is_safe() && sent.map(secrets::sha256) != Some(secrets::sha256(&csrf)) {
        let refusal = ApiError::new(axum::http::StatusCode::FORBIDDEN, "csrf_token_missing", "no valid X-CSRF-Token");
        return Err(refusal.hint("send the csrf_token that signing in answered"));
    }
    Ok(Caller::of_user(&user))
}

async fn by_key(app: &App, key: String) -> ApiResult<Caller> {
    let row = match app.guard.known_key(&secrets::sha256(&key)) {
        Some(id) => still_there(app.db.read(move |conn| store::find_any::<ApiKey>(conn, &id)).await)?,
        None => verify_key(app, key).await?,
    };
    let row = row.filter(|row| row.spec.expires_at.is_none_or(|end| end > Timestamp::now()));
    let row = row.ok_or_else(|| ApiError::unauthorized("invalid_key", "this API key is not valid"))?;
    owner_is_enabled(app, &row).await?;
    Ok(Caller {
        tenant_id: row.tenant_id,
        actor: row.id.to_string(),
        user_id: row.spec.user_id,
        role: row.spec.role,
        correlation_id: correlation::current(),
    })
}

fn still_there(row: Result<ApiKey, StoreError>) -> Result<Option<ApiKey>, StoreError> {
    match row {
        Ok(row) => Ok(Some(row)),
        Err(StoreError::NotFound { .. }) => Ok(None),
        Err(err) => Err(err),
    }
}

/// The slow way, once per key and start.
async fn verify_key(app: &App, key: String) -> ApiResult<Option<ApiKey>> {
    let lookup = secrets::lookup(&key);
    let candidates = app.db.read(move |conn| store::keys::candidates(conn, &lookup)).await?;
    for row in candidates {
        if secrets::verify(key.clone(), Some(row.secret_hash.clone())).await? {
            app.guard.remember_key(secrets::sha256(&key), row.id);
            return Ok(Some(row));
        }
    }
    Ok(None)
}

async fn owner_is_enabled(app: &App, key: &ApiKey) -> ApiResult<()> {
    let Some(user) = key.spec.user_id else { return Ok(()) };
    let user = app.db.read(move |conn| store::find_any::<User>(conn, &user)).await?;
    if user.spec.enabled {
        return Ok(());
    }
    Err(ApiError::unauthorized("invalid_key", "the owner of this API key is switched off"))
}

/// Only the operator may leave their tenant; for others a foreign one does not exist.
async fn in_named_tenant(app: &App, caller: Caller, headers: &HeaderMap) -> ApiResult<Caller> {
    let Some(named) = headers.get(TENANT_HEADER) else { return Ok(caller) };
    let named = named.to_str().unwrap_or_default().to_owned();
    match named.parse::<TenantId>() {
        Ok(tenant) if tenant == caller.tenant_id => Ok(caller),
        Ok(tenant) if caller.may(Permission::ManageBox) => {
            app.db.read(move |conn| store::tenants::find_customer(conn, tenant)).await?;
            Ok(Caller { tenant_id: tenant, ..caller })
        }
        _ => Err(ApiError::not_found("tenant", &named)),
    }
}

impl Caller {
    pub fn of_user(user: &User) -> Self {
        Self {
            tenant_id: user.tenant_id,
            actor: user.id.to_string(),
            user_id: Some(user.id),
            role: user.spec.role,
            correlation_id: correlation::current(),
        }
    }
}

fn not_signed_in() -> ApiError {
    ApiError::unauthorized("not_signed_in", "not signed in")
        .hint("POST /v1/session, or send `Authorization: Bearer` with an API key")
}
