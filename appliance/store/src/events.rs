//! What the console, webhooks and softphones are told, in order, also after a restart.
//!
//! An event is a row written in the transaction of the change it tells of. `Db::latest_event` wakes
//! the streams after the commit; they read from where they were.

use crate::{StoreError, sql};
use jiff::{Timestamp, ToSpan};
use rusqlite::{Connection, Row, Transaction, named_params};
use serde::Serialize;
use serde_json::Value;
use types::{TenantId, UserId};
use utoipa::ToSchema;

#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Event {
    /// Counts up over the whole box; the stream's `id`.
    pub id: i64,
    #[serde(rename = "type")]
    pub kind: String,
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    pub data: Value,
}

/// Tells the tenant of something: `call.started`, `trunk.synced`, … Returns the event's number.
pub fn emit(tx: &Transaction<'_>, tenant: TenantId, kind: &str, data: &Value) -> Result<i64, StoreError> {
    append(tx, tenant, None, kind, data)
}

/// The same for something that concerns one user, who sees it too.
pub fn emit_to(
    tx: &Transaction<'_>,
    tenant: TenantId,
    user: UserId,
    kind: &str,
    data: &Value,
) -> Result<i64, StoreError> {
    append(tx, tenant, Some(user), kind, data)
}

fn append(
    tx: &Transaction<'_>,
    tenant: TenantId,
    user: Option<UserId>,
    kind: &str,
    data: &Value,
) -> Result<i64, StoreError> {
    tx.execute(
        "INSERT INTO event (tenant_id, type, at, user_id, data) VALUES (:tenant, :type, :at, :user, :data)",
        named_params! {
            ":tenant": tenant.to_string(), ":type": kind, ":at": sql::time(Timestamp::now()),
            ":user": sql::text(user), ":data": sql::json(data)?,
        },
    )?;
    Ok(tx.last_insert_rowid())
}

/// The tenant's events after number `after`, oldest first; with `only` just those of that user.
pub fn after(
    conn: &Connection,
    tenant: TenantId,
    only: Option<UserId>,
    after: i64,
    limit: u32,
) -> Result<Vec<Event>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT * FROM event WHERE tenant_id = ?1 AND id > ?2 AND (?3 IS NULL OR user_id = ?3) ORDER BY id LIMIT ?4",
    )?;
    let rows = statement.query_map((tenant.to_string(), after, sql::text(only), limit), from_row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Forgets what is older than a week; streams that were away longer read the lists again.
pub fn prune(tx: &Transaction<'_>, now: Timestamp) -> Result<usize, StoreError> {
    let before = now - (7 * 24).hours();
    Ok(tx.execute("DELETE FROM event WHERE at < ?1", [sql::time(before)])?)
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Event> {
    Ok(Event {
        id: row.get("id")?,
        kind: row.get("type")?,
        at: sql::parse(row, "at")?,
        data: sql::from_json(row, "data")?,
    })
}
