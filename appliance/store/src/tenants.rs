//! The customers of the box. A tenant is its own tenant: its row is found by its own id.
//!
//! One tenant is no customer but the box itself ([`system`]): it owns what the self-call rings, and
//! nobody is shown it.

use crate::{Page, StoreError, sql};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, named_params, params};
use serde::Serialize;
use types::TenantId;
use utoipa::ToSchema;

/// What may be set of a tenant.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct TenantSpec {
    /// Unique on the box.
    pub name: String,
    /// Telephone country code without `+`, for numbers that carriers deliver as `020…`.
    #[schema(nullable, example = "31")]
    pub country_code: Option<String>,
    /// IANA name.
    #[schema(default = "UTC")]
    pub timezone: String,
    /// Spoken before the beep; the box has a default.
    pub voicemail_greeting: Option<String>,
    /// Opt-in; messages from before it was switched on stay without.
    #[schema(default = false)]
    pub voicemail_transcripts: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Tenant {
    #[schema(value_type = String)]
    pub id: TenantId,
    #[serde(flatten)]
    pub spec: TenantSpec,
    /// The box's own.
    #[serde(skip)]
    pub system: bool,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
}

pub fn insert(tx: &Transaction<'_>, new: &TenantSpec) -> Result<Tenant, StoreError> {
    tx.query_row(
        "INSERT INTO tenant (id, name, country_code, timezone, voicemail_greeting, voicemail_transcripts, created_at, updated_at)
         VALUES (:id, :name, :country_code, :timezone, :greeting, :transcripts, :now, :now)
         RETURNING *",
        named_params! {
            ":id": TenantId::new().to_string(), ":name": new.name, ":country_code": new.country_code,
            ":timezone": new.timezone, ":greeting": new.voicemail_greeting,
            ":transcripts": new.voicemail_transcripts, ":now": sql::time(Timestamp::now()),
        },
        from_row,
    )
    .map_err(|err| StoreError::constraint(err, "tenant"))
}

pub fn update(tx: &Transaction<'_>, id: TenantId, new: &TenantSpec) -> Result<Tenant, StoreError> {
    tx.query_row(
        "UPDATE tenant SET name = :name, country_code = :country_code, timezone = :timezone,
                voicemail_greeting = :greeting, voicemail_transcripts = :transcripts, updated_at = :now
         WHERE id = :id RETURNING *",
        named_params! {
            ":id": id.to_string(), ":name": new.name, ":country_code": new.country_code,
            ":timezone": new.timezone, ":greeting": new.voicemail_greeting,
            ":transcripts": new.voicemail_transcripts, ":now": sql::time(Timestamp::now()),
        },
        from_row,
    )
    .map_err(|err| StoreError::constraint(err, "tenant"))
}

pub fn find(conn: &Connection, id: TenantId) -> Result<Tenant, StoreError> {
    let found = conn.query_row("SELECT * FROM tenant WHERE id = ?1", [id.to_string()], from_row);
    found.map_err(|err| match err {
        rusqlite::Error::QueryReturnedNoRows => StoreError::NotFound { noun: "tenant", id: id.to_string() },
        other => other.into(),
    })
}

/// The same for whoever asks from outside: there the box's own tenant does not exist.
pub fn find_customer(conn: &Connection, id: TenantId) -> Result<Tenant, StoreError> {
    let hidden = || StoreError::NotFound { noun: "tenant", id: id.to_string() };
    Some(find(conn, id)?).filter(|tenant| !tenant.system).ok_or_else(hidden)
}

/// The box's own tenant; made when it is asked for first.
pub fn system(tx: &Transaction<'_>) -> Result<Tenant, StoreError> {
    if let Some(tenant) = tx.query_row("SELECT * FROM tenant WHERE system", [], from_row).optional()? {
        return Ok(tenant);
    }
    let id = TenantId::new().to_string();
    let (name, greeting, now) = (format!("system {id}"), SYSTEM_GREETING, sql::time(Timestamp::now()));
    let sql = "INSERT INTO tenant (id, name, timezone, voicemail_greeting, system, created_at, updated_at)
               VALUES (?1, ?2, 'UTC', ?3, 1, ?4, ?4) RETURNING *";
    Ok(tx.query_row(sql, params![id, name, greeting, now], from_row)?)
}

/// Is this the box's own tenant?
pub fn is_system(conn: &Connection, id: TenantId) -> Result<bool, StoreError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM tenant WHERE id = ?1 AND system)";
    Ok(conn.query_row(sql, [id.to_string()], |row| row.get(0))?)
}

/// All tenants for the operator, one for everybody else.
pub fn list(conn: &Connection, only: Option<TenantId>, page: &Page) -> Result<Vec<Tenant>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT * FROM tenant WHERE NOT system AND (?1 IS NULL OR id = ?1) AND (?2 IS NULL OR id > ?2)
         ORDER BY id LIMIT ?3",
    )?;
    let limit = i64::try_from(page.limit).unwrap_or(i64::MAX - 1) + 1;
    let rows = statement.query_map((sql::text(only), &page.after, limit), from_row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub fn delete(tx: &Transaction<'_>, id: TenantId) -> Result<(), StoreError> {
    match tx.execute("DELETE FROM tenant WHERE id = ?1", [id.to_string()]) {
        Ok(0) => Err(StoreError::NotFound { noun: "tenant", id: id.to_string() }),
        Ok(_) => Ok(()),
        Err(err) => Err(StoreError::constraint(err, "tenant")),
    }
}

/// True on a box that nobody has claimed yet.
pub fn none_yet(conn: &Connection) -> Result<bool, StoreError> {
    Ok(conn.query_row("SELECT NOT EXISTS (SELECT 1 FROM tenant WHERE NOT system)", [], |row| row.get(0))?)
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Tenant> {
    Ok(Tenant {
        id: sql::parse(row, "id")?,
        spec: TenantSpec {
            name: row.get("name")?,
            country_code: row.get("country_code")?,
            timezone: row.get("timezone")?,
            voicemail_greeting: row.get("voicemail_greeting")?,
            voicemail_transcripts: row.get("voicemail_transcripts")?,
        },
        system: row.get("system")?,
        created_at: sql::parse(row, "created_at")?,
        updated_at: sql::parse(row, "updated_at")?,
    })
}

/// What the self-call hears before the beep: short, so that it takes little time.
const SYSTEM_GREETING: &str = "Self test.";
