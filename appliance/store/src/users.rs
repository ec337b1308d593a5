//! Who may sign in.

use crate::{Record, StoreError, sql};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, named_params};
use serde::Serialize;
use types::{TenantId, UserId};
use utoipa::ToSchema;

crate::choices! {
    /// What somebody may do; `operator` is the box's own, the others stay within their tenant.
    Role { Operator = "operator", Admin = "admin", User = "user", Viewer = "viewer" }
}

/// What may be set of a user, but for the password.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct UserSpec {
    /// Unique on the box.
    pub email: String,
    pub name: String,
    pub role: Role,
    #[schema(default = true)]
    pub enabled: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct User {
    #[schema(value_type = String)]
    pub id: UserId,
    #[schema(value_type = String)]
    pub tenant_id: TenantId,
    #[serde(flatten)]
    pub spec: UserSpec,
    #[serde(skip)]
    pub password_hash: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
}

impl Record for User {
    const TABLE: &'static str = "user";
    const NOUN: &'static str = "user";

    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: sql::parse(row, "id")?,
            tenant_id: sql::parse(row, "tenant_id")?,
            spec: UserSpec {
                email: row.get("email")?,
                name: row.get("name")?,
                role: sql::parse(row, "role")?,
                enabled: row.get("enabled")?,
            },
            password_hash: row.get("password_hash")?,
            created_at: sql::parse(row, "created_at")?,
            updated_at: sql::parse(row, "updated_at")?,
        })
    }

    fn id(&self) -> String {
        self.id.to_string()
    }
}

/// Adds a user; without a password hash they cannot sign in yet.
pub fn insert(
    tx: &Transaction<'_>,
    tenant: TenantId,
    new: &UserSpec,
    password_hash: Option<&str>,
) -> Result<User, StoreError> {
    tx.query_row(
        "INSERT INTO user (id, tenant_id, email, name, role, enabled, password_hash, created_at, updated_at)
         VALUES (:id, :tenant, :email, :name, :role, :enabled, :hash, :now, :now) RETURNING *",
        named_params! {
            ":id": UserId::new().to_string(), ":tenant": tenant.to_string(), ":email": new.email,
            ":name": new.name, ":role": new.role.as_str(), ":enabled": new.enabled,
            ":hash": password_hash, ":now": sql::time(Timestamp::now()),
        },
        User::from_row,
    )
    .map_err(|err| StoreError::constraint(err, "user"))
}

/// Changes a user; `password_hash` stays as it is when none is given.
pub fn update(
    tx: &Transaction<'_>,
    tenant: TenantId,
    id: UserId,
    new: &UserSpec,
    password_hash: Option<&str>,
) -> Result<User, StoreError> {
    tx.query_row(
        "UPDATE user SET email = :email, name = :name, role = :role, enabled = :enabled,
                password_hash = coalesce(:hash, password_hash), updated_at = :now
         WHERE id = :id AND tenant_id = :tenant RETURNING *",
        named_params! {
            ":id": id.to_string(), ":tenant": tenant.to_string(), ":email": new.email, ":name": new.name,
            ":role": new.role.as_str(), ":enabled": new.enabled, ":hash": password_hash,
            ":now": sql::time(Timestamp::now()),
        },
        User::from_row,
    )
    .map_err(|err| StoreError::constraint(err, "user"))
}

/// Whoever signs in with this address, in any tenant.
pub fn find_by_email(conn: &Connection, email: &str) -> Result<Option<User>, StoreError> {
    let sql = "SELECT * FROM user WHERE email = ?1 COLLATE NOCASE";
    Ok(conn.query_row(sql, [email], User::from_row).optional()?)
}

/// How many enabled users may manage this tenant: the last of them cannot be removed.
pub fn count_admins(conn: &Connection, tenant: TenantId) -> Result<i64, StoreError> {
    let sql = "SELECT count(*) FROM user WHERE tenant_id = ?1 AND enabled AND role IN ('operator', 'admin')";
    Ok(conn.query_row(sql, [tenant.to_string()], |row| row.get(0))?)
}
