//! Who may sign in on a box that was started from source?
//!
//! With an `[admin]` table in the configuration the first start claims the box ([`claim::take`]) and
//! adds the API key that the table names. Later starts change nothing. An appliance has no such table.

use crate::{
    app::App,
    auth::{Role, secrets},
    claim::{self, Owner},
    error::ApiError,
};
use anyhow::Context;
use store::{Transaction, keys::KeySpec};
use types::{KeyId, TenantId};

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
    let owner = Owner { email: admin.email.to_lowercase(), name: claim::DEFAULT_NAME.into(), password_hash: password };
    let create = move |tx: &Transaction<'_>| {
        let tenant = claim::take(tx, &owner)?;
        key.map_or(Ok(()), |key| add_key(tx, tenant, &key))
    };
    app.db.write(create).await.map_err(refused).context("could not create the first user")
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

fn add_key(tx: &Transaction<'_>, tenant: TenantId, key: &HashedKey) -> Result<(), ApiError> {
    let spec = KeySpec { name: "first start".into(), role: Role::Admin, user_id: None, expires_at: None };
    store::keys::insert(tx, tenant, KeyId::new(), &spec, &key.lookup, &key.hash)?;
    Ok(())
}

fn refused(err: ApiError) -> anyhow::Error {
    anyhow::anyhow!("{}", err.code().to_owned())
}
