//! What does the box's call to itself leave behind, and how is it cleared away?
//!
//! A self-call is known by the SIP Call-ID that its caller chose, so that an old recording is never
//! taken for a new one. Everything here looks at the box's own tenant only.

use crate::{Record, StoreError, sql, voicemails::Voicemail};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Transaction, named_params};
use types::CallId;

/// The call of this SIP Call-ID.
pub fn find(conn: &Connection, sip_call_id: &str) -> Result<Option<CallId>, StoreError> {
    let sql = "SELECT call.id FROM tenant JOIN call ON call.tenant_id = tenant.id JOIN leg ON leg.call_id = call.id
               WHERE tenant.system AND leg.sip_call_id = ?1";
    Ok(conn.query_row(sql, [sip_call_id], |row| sql::parse(row, "id")).optional()?)
}

/// The message that was left in this call.
pub fn message(conn: &Connection, call: CallId) -> Result<Option<Voicemail>, StoreError> {
    let sql = "SELECT voicemail.* FROM voicemail JOIN tenant ON tenant.id = voicemail.tenant_id
               WHERE tenant.system AND voicemail.call_id = ?1";
    Ok(conn.query_row(sql, [call.to_string()], Voicemail::from_row).optional()?)
}

/// Messages of self-calls that nobody came to fetch.
pub fn forgotten(conn: &Connection, before: Timestamp) -> Result<Vec<Voicemail>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT voicemail.* FROM voicemail JOIN tenant ON tenant.id = voicemail.tenant_id
         WHERE tenant.system AND voicemail.received_at < ?1 ORDER BY voicemail.id",
    )?;
    let rows = statement.query_map([sql::time(before)], Voicemail::from_row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Removes a call of the box's own that has ended, with its legs.
pub fn delete(tx: &Transaction<'_>, call: CallId) -> Result<(), StoreError> {
    let sql = "DELETE FROM call WHERE id = ?1 AND state = 'ended' AND tenant_id = (SELECT id FROM tenant WHERE system)";
    tx.execute(sql, [call.to_string()])?;
    Ok(())
}

/// Removes the box's own calls that ended before `before`, with their legs.
pub fn prune(tx: &Transaction<'_>, before: Timestamp) -> Result<usize, StoreError> {
    let sql = "DELETE FROM call WHERE state = 'ended' AND ended_at < :before
                 AND tenant_id = (SELECT id FROM tenant WHERE system)";
    Ok(tx.execute(sql, named_params! { ":before": sql::time(before) })?)
}
