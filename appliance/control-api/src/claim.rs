//! Who becomes the operator of a box that nobody has used yet?
//!
//! `first-boot` checks the claim code and asks us over the control socket; a box run from source is
//! claimed by its configuration ([`crate::first_start`]). Either way it happens once: [`take`] looks and
//! writes in one transaction.

use crate::{
    app::App,
    auth::{Role, secrets},
    error::{ApiError, ApiResult},
    extract::Body,
    fields,
};
use axum::{Json, extract::State, http::StatusCode};
use serde::Serialize;
use serde_json::json;
use store::{Transaction, audit::NewAudit, tenants::TenantSpec, users::UserSpec};
use types::{CorrelationId, TenantId};

pub const DEFAULT_NAME: &str = "Administrator";

#[derive(Serialize)]
pub struct Claim {
    claimed: bool,
}

/// `GET /internal/v1/claim`
pub async fn find(State(app): State<App>) -> ApiResult<Json<Claim>> {
    Ok(Json(Claim { claimed: is_claimed(&app).await? }))
}

pub async fn is_claimed(app: &App) -> ApiResult<bool> {
    Ok(!app.db.read(store::tenants::none_yet).await?)
}

/// `POST /internal/v1/claim` `{email, password, name?}`
pub async fn create(State(app): State<App>, body: Body) -> ApiResult<StatusCode> {
    let mut read = body.fields()?;
    let email = read.req("email", fields::email);
    let password = read.req("password", fields::secret(10..=200));
    let name = read.or("name", DEFAULT_NAME.into(), fields::text(1..=80));
    let (email, password, name) = read.build(|| Some((email?, password?, name?)))?;
    let owner = Owner { email: email.to_lowercase(), name, password_hash: secrets::hash(password).await? };
    app.db.write(move |tx| take(tx, &owner)).await?;
    Ok(StatusCode::CREATED)
}

/// The person a box is given to.
pub struct Owner {
    pub email: String,
    pub name: String,
    pub password_hash: String,
}

/// A tenant `Default` with its first user, who is the box's operator too; 409 when there is one already.
pub fn take(tx: &Transaction<'_>, owner: &Owner) -> ApiResult<TenantId> {
    if !store::tenants::none_yet(tx)? {
        return Err(ApiError::conflict("already_claimed", "this box has an owner").hint("sign in, or ask its operator"));
    }
    let tenant = store::tenants::insert(tx, &default_tenant())?.id;
    let user = UserSpec { email: owner.email.clone(), name: owner.name.clone(), role: Role::Operator, enabled: true };
    let user = store::users::insert(tx, tenant, &user, Some(&owner.password_hash))?.id;
    let row = NewAudit {
        tenant_id: Some(tenant),
        actor: "system".into(),
        action: "box.claim",
        object_id: Some(user.to_string()),
        detail: json!({ "email": owner.email }),
        correlation_id: CorrelationId::new(),
    };
    store::audit::append(tx, &row)?;
    tracing::info!("box_claimed");
    Ok(tenant)
}

fn default_tenant() -> TenantSpec {
    TenantSpec {
        name: "Default".into(),
        country_code: None,
        timezone: "UTC".into(),
        voicemail_greeting: None,
        voicemail_transcripts: false,
    }
}
