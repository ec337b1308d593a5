//! Was this request with an `Idempotency-Key` already answered?

use crate::{StoreError, sql};
use jiff::{Timestamp, ToSpan};
use rusqlite::{OptionalExtension, Transaction, params};
use types::TenantId;

/// What is known of a key.
#[derive(Clone, Debug, PartialEq)]
pub enum Claim {
    /// Never seen: it is the caller's now; answer it and [`store`] the answer.
    Fresh,
    /// Another request with this key is being worked on.
    InProgress,
    /// The same key came with another request before.
    Mismatch,
    /// This is what was answered.
    Answered { status: u16, body: String },
}

/// Takes the key, or tells what became of it. Keys are kept for a day.
pub fn claim(tx: &Transaction<'_>, tenant: TenantId, key: &str, request_hash: &str) -> Result<Claim, StoreError> {
    let now = Timestamp::now();
    tx.execute("DELETE FROM idempotency WHERE created_at < ?1", [sql::time(now - 24.hours())])?;
    let known: Option<(String, Option<u16>, Option<String>)> = tx
        .query_row(
            "SELECT request_hash, status, body FROM idempotency WHERE tenant_id = ?1 AND key = ?2",
            params![tenant.to_string(), key],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .optional()?;
    match known {
        Some((hash, ..)) if hash != request_hash => Ok(Claim::Mismatch),
        Some((_, Some(status), Some(body))) => Ok(Claim::Answered { status, body }),
        Some(_) => Ok(Claim::InProgress),
        None => {
            tx.execute(
                "INSERT INTO idempotency (tenant_id, key, request_hash, created_at) VALUES (?1, ?2, ?3, ?4)",
                params![tenant.to_string(), key, request_hash, sql::time(now)],
            )?;
            Ok(Claim::Fresh)
        }
    }
}

/// Keeps the answer for whoever repeats the request.
pub fn store(tx: &Transaction<'_>, tenant: TenantId, key: &str, status: u16, body: &str) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE idempotency SET status = ?3, body = ?4 WHERE tenant_id = ?1 AND key = ?2",
        params![tenant.to_string(), key, status, body],
    )?;
    Ok(())
}

/// Gives the key back: the request failed and may be tried again.
pub fn release(tx: &Transaction<'_>, tenant: TenantId, key: &str) -> Result<(), StoreError> {
    tx.execute("DELETE FROM idempotency WHERE tenant_id = ?1 AND key = ?2", params![tenant.to_string(), key])?;
    Ok(())
}

/// After a start: nobody works on what was in progress when the process ended.
pub fn release_unanswered(tx: &Transaction<'_>) -> Result<(), StoreError> {
    tx.execute("DELETE FROM idempotency WHERE status IS NULL", [])?;
    Ok(())
}
