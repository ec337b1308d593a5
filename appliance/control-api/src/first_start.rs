//! Who may sign in on a box that nobody has used yet?
//!
//! With an `[admin]` table in the configuration and an empty database: a tenant `Default`, its first
//! user, who is the box's operator too, and the API key that the configuration names. Later starts
//! change nothing.

use crate::{
    app::App,
    auth::{Role, secrets},
    config::AdminConfig,
    error::ApiError,
};
use anyhow::Context;
use serde_json::json;
use store::{StoreError, Transaction, audit::NewAudit, keys::KeySpec, tenants::TenantSpec, users::UserSpec};
use types::{CorrelationId, KeyId};

const SHORTEST_KEY: usize = 20;

/// Claims the box as its configuration says.
pub async fn claim(app: &App) -> anyhow::Result<()> {
    let Some(admin) = &app.config.admin else { return Ok(()) };
    if !app.db.read(store::tenants::none_yet).await? {
        return Ok(());
    }
    let password = secrets::hash(admin.password.expose().clone()).await.map_err(refused)?;
    let key = match &admin.api_key {
        Some(key) => Some(hashed_key(key.expose()).await?),
        None => None,
    };
    let admin = admin.clone();
    app.db.write(move |tx| create(tx, &admin, &password, key)).await.context("could not create the first user")?;
    tracing::info!("box_claimed");
    Ok(())
}

struct HashedKey {
    lookup: String,
    hash: String,
}

async fn hashed_key(key: &str) -> anyhow::Result<HashedKey> {
    anyhow::ensure!(key.len() >= SHORTEST_KEY, "admin.api_key needs at least {SHORTEST_KEY} characters");
    let hash = secrets::hash(key.to_owned()).await.map_err(refused)?;
    Ok(HashedKey { lookup: secrets::lookup(key), hash })
}

fn create(tx: &Transaction<'_>, admin: &AdminConfig, password: &str, key: Option<HashedKey>) -> Result<(), StoreError> {
    let tenant = TenantSpec {
        name: "Default".into(),
        country_code: None,
        timezone: "UTC".into(),
        voicemail_greeting: None,
        voicemail_transcripts: false,
    };
    let tenant = store::tenants::insert(tx, &tenant)?.id;
    let user = UserSpec {
        email: admin.email.to_lowercase(),
        name: "Administrator".into(),
        role: Role::Operator,
        enabled: true,
    };
    let user = store::users::insert(tx, tenant, &user, Some(password))?.id;
    if let Some(key) = key {
        let spec = KeySpec { name: "first start".into(), role: Role::Admin, user_id: None, expires_at: None };
        store::keys::insert(tx, tenant, KeyId::new(), &spec, &key.lookup, &key.hash)?;
    }
    let row = NewAudit {
        tenant_id: Some(tenant),
        actor: "system".into(),
        action: "box.claim",
        object_id: Some(user.to_string()),
        detail: json!({ "email": admin.email }),
        correlation_id: CorrelationId::new(),
    };
    store::audit::append(tx, &row)
}

fn refused(err: ApiError) -> anyhow::Error {
    anyhow::anyhow!("could not hash a secret ({})", err.code())
}
