//! API keys. The secret is shown once; here is only its argon2id hash and the part to find it by.

use crate::{Record, StoreError, sql, users::Role};
use jiff::Timestamp;
use rusqlite::{Connection, Row, Transaction, named_params};
use serde::Serialize;
use types::{KeyId, TenantId, UserId};
use utoipa::ToSchema;

/// What may be set of an API key.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct KeySpec {
    /// Unique in the tenant.
    pub name: String,
    pub role: Role,
    /// Whose own things a key of role `user` sees.
    #[schema(value_type = Option<String>)]
    pub user_id: Option<UserId>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct ApiKey {
    #[schema(value_type = String)]
    pub id: KeyId,
    #[schema(value_type = String)]
    pub tenant_id: TenantId,
    #[serde(flatten)]
    pub spec: KeySpec,
    #[serde(skip)]
    pub lookup: String,
    #[serde(skip)]
    pub secret_hash: String,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

impl Record for ApiKey {
    const TABLE: &'static str = "api_key";
    const NOUN: &'static str = "key";

    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: sql::parse(row, "id")?,
            tenant_id: sql::parse(row, "tenant_id")?,
            spec: KeySpec {
                name: row.get("name")?,
                role: sql::parse(row, "role")?,
                user_id: sql::parse_opt(row, "user_id")?,
                expires_at: sql::parse_opt(row, "expires_at")?,
            },
            lookup: row.get("lookup")?,
            secret_hash: row.get("secret_hash")?,
            created_at: sql::parse(row, "created_at")?,
        })
    }

    fn id(&self) -> String {
        self.id.to_string()
    }
}

/// Adds a key; the id is the caller's because it is part of what the user is shown.
pub fn insert(
    tx: &Transaction<'_>,
    tenant: TenantId,
    id: KeyId,
    new: &KeySpec,
    lookup: &str,
    secret_hash: &str,
) -> Result<ApiKey, StoreError> {
    tx.query_row(
        "INSERT INTO api_key (id, tenant_id, user_id, name, role, lookup, secret_hash, expires_at, created_at)
         VALUES (:id, :tenant, :user, :name, :role, :lookup, :hash, :expires, :now) RETURNING *",
        named_params! {
            ":id": id.to_string(), ":tenant": tenant.to_string(), ":user": sql::text(new.user_id),
            ":name": new.name, ":role": new.role.as_str(), ":lookup": lookup, ":hash": secret_hash,
            ":expires": new.expires_at.map(sql::time), ":now": sql::time(Timestamp::now()),
        },
        ApiKey::from_row,
    )
    .map_err(|err| StoreError::constraint(err, "key"))
}

pub fn update(tx: &Transaction<'_>, tenant: TenantId, id: KeyId, new: &KeySpec) -> Result<ApiKey, StoreError> {
    tx.query_row(
        "UPDATE api_key SET name = :name, role = :role, user_id = :user, expires_at = :expires
         WHERE id = :id AND tenant_id = :tenant RETURNING *",
        named_params! {
            ":id": id.to_string(), ":tenant": tenant.to_string(), ":user": sql::text(new.user_id),
            ":name": new.name, ":role": new.role.as_str(), ":expires": new.expires_at.map(sql::time),
        },
        ApiKey::from_row,
    )
    .map_err(|err| StoreError::constraint(err, "key"))
}

/// The keys that a presented secret may be; its hash decides.
pub fn candidates(conn: &Connection, lookup: &str) -> Result<Vec<ApiKey>, StoreError> {
    let mut statement = conn.prepare_cached("SELECT * FROM api_key WHERE lookup = ?1 LIMIT 8")?;
    let rows = statement.query_map([lookup], ApiKey::from_row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}
