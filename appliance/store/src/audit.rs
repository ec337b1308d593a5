//! Who changed what? Written in the transaction of the change, each row chained to the one before.
//!
//! `hash` covers the row and the hash of the row before it, so a row that is altered or taken out
//! later shows: [`first_break`] finds it.

use crate::{Page, StoreError, sql};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, named_params};
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use types::{AuditId, CorrelationId, TenantId};
use utoipa::ToSchema;

/// A change about to be recorded.
#[derive(Clone, Debug)]
pub struct NewAudit {
    /// None for changes of the box itself.
    pub tenant_id: Option<TenantId>,
    /// A user's or key's id, or `system`.
    pub actor: String,
    /// `trunk.create`, `session.refused`, …
    pub action: &'static str,
    pub object_id: Option<String>,
    /// What was set; never a secret.
    pub detail: Value,
    pub correlation_id: CorrelationId,
}

#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Audit {
    #[schema(value_type = String)]
    pub id: AuditId,
    #[serde(skip)]
    pub seq: i64,
    #[schema(value_type = Option<String>)]
    pub tenant_id: Option<TenantId>,
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    pub actor: String,
    pub action: String,
    pub object_id: Option<String>,
    pub detail: Value,
    pub correlation_id: String,
    pub previous_hash: String,
    pub hash: String,
}

pub fn append(tx: &Transaction<'_>, new: &NewAudit) -> Result<(), StoreError> {
    let previous: Option<String> =
        tx.query_row("SELECT hash FROM audit ORDER BY seq DESC LIMIT 1", [], |row| row.get(0)).optional()?;
    let previous = previous.unwrap_or_default();
    let (id, at, detail) = (AuditId::new().to_string(), sql::time(Timestamp::now()), sql::json(&new.detail)?);
    let tenant = sql::text(new.tenant_id);
    let correlation = new.correlation_id.as_str();
    let parts = [&id, tenant.as_deref().unwrap_or(""), &at, &new.actor, new.action].into_iter().chain([
        new.object_id.as_deref().unwrap_or(""),
        &detail,
        correlation,
        &previous,
    ]);
    tx.execute(
        "INSERT INTO audit (id, tenant_id, at, actor, action, object_id, detail, correlation_id, previous_hash, hash)
         VALUES (:id, :tenant, :at, :actor, :action, :object, :detail, :correlation, :previous, :hash)",
        named_params! {
            ":id": id, ":tenant": tenant, ":at": at, ":actor": new.actor, ":action": new.action,
            ":object": new.object_id, ":detail": detail, ":correlation": correlation,
            ":previous": previous, ":hash": chain_hash(parts),
        },
    )?;
    Ok(())
}

/// Newest first; `tenant` none gives the whole box.
pub fn list(conn: &Connection, tenant: Option<TenantId>, page: &Page) -> Result<Vec<Audit>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT * FROM audit WHERE (?1 IS NULL OR tenant_id = ?1)
           AND (?2 IS NULL OR seq < (SELECT seq FROM audit WHERE id = ?2)) ORDER BY seq DESC LIMIT ?3",
    )?;
    let limit = i64::try_from(page.limit).unwrap_or(i64::MAX - 1) + 1;
    let rows = statement.query_map((sql::text(tenant), &page.after, limit), from_row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The first row that is not what was written, if any.
pub fn first_break(conn: &Connection) -> Result<Option<String>, StoreError> {
    let mut statement = conn.prepare("SELECT * FROM audit ORDER BY seq")?;
    let mut rows = statement.query([])?;
    let mut previous = String::new();
    while let Some(row) = rows.next()? {
        let text = |column: &str| -> rusqlite::Result<String> {
            Ok(row.get::<_, Option<String>>(column)?.unwrap_or_default())
        };
        let columns = ["id", "tenant_id", "at", "actor", "action", "object_id", "detail", "correlation_id"];
        let mut parts = columns.into_iter().map(text).collect::<Result<Vec<_>, _>>()?;
        parts.push(previous);
        let hash: String = row.get("hash")?;
        if chain_hash(parts.iter().map(String::as_str)) != hash {
            return Ok(Some(row.get("id")?));
        }
        previous = hash;
    }
    Ok(None)
}

/// Lengths are part of it, so that no two rows have the same text to hash.
fn chain_hash<'a>(parts: impl Iterator<Item = &'a str>) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    hex::encode(hasher.finalize())
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Audit> {
    Ok(Audit {
        id: sql::parse(row, "id")?,
        seq: row.get("seq")?,
        tenant_id: sql::parse_opt(row, "tenant_id")?,
        at: sql::parse(row, "at")?,
        actor: row.get("actor")?,
        action: row.get("action")?,
        object_id: row.get("object_id")?,
        detail: sql::from_json(row, "detail")?,
        correlation_id: row.get("correlation_id")?,
        previous_hash: row.get("previous_hash")?,
        hash: row.get("hash")?,
    })
}
