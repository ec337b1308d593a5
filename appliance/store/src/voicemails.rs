//! Messages that callers left; the audio itself is in the object store.

use crate::{Page, Record, StoreError, record::list_where, sql};
use jiff::Timestamp;
use rusqlite::{Connection, Row, ToSql, Transaction, named_params, params};
use serde::Serialize;
use types::{CallId, ExtensionId, TenantId, UserId, VoicemailId, control::RecordedVoicemail};
use utoipa::ToSchema;

#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Voicemail {
    #[schema(value_type = String)]
    pub id: VoicemailId,
    #[schema(value_type = String)]
    pub tenant_id: TenantId,
    /// None: the tenant's default box.
    #[schema(value_type = Option<String>)]
    pub extension_id: Option<ExtensionId>,
    #[schema(value_type = Option<String>)]
    pub call_id: Option<CallId>,
    pub caller: String,
    #[schema(value_type = String, format = DateTime)]
    pub received_at: Timestamp,
    pub duration_s: f64,
    #[serde(skip)]
    pub object_key: String,
    pub bytes: i64,
    /// False while the recording waits for the object store.
    pub stored: bool,
    /// `hangup`, `silence`, `digit`, `limit` or `recovered`.
    pub ended_by: String,
    pub transcript: Option<String>,
    pub summary: Option<String>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub read_at: Option<Timestamp>,
}

impl Record for Voicemail {
    const TABLE: &'static str = "voicemail";
    const NOUN: &'static str = "voicemail";
    const NEWEST_FIRST: bool = true;

    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: sql::parse(row, "id")?,
            tenant_id: sql::parse(row, "tenant_id")?,
            extension_id: sql::parse_opt(row, "extension_id")?,
            call_id: sql::parse_opt(row, "call_id")?,
            caller: row.get("caller")?,
            received_at: sql::parse(row, "received_at")?,
            duration_s: row.get::<_, f64>("duration_ms")? / 1000.0,
            object_key: row.get("object_key")?,
            bytes: row.get("bytes")?,
            stored: row.get("stored")?,
            ended_by: row.get("ended_by")?,
            transcript: row.get("transcript")?,
            summary: row.get("summary")?,
            read_at: sql::parse_opt(row, "read_at")?,
        })
    }

    fn id(&self) -> String {
        self.id.to_string()
    }
}

/// Takes in what voice-worker reports, as often as it reports it. True when the message is new.
pub fn record(tx: &Transaction<'_>, new: &RecordedVoicemail) -> Result<bool, StoreError> {
    let known: bool =
        tx.query_row("SELECT EXISTS (SELECT 1 FROM voicemail WHERE id = ?1)", [new.voicemail_id.to_string()], |row| {
            row.get(0)
        })?;
    tx.execute(
        "INSERT INTO voicemail (id, tenant_id, extension_id, call_id, caller, received_at, duration_ms,
                object_key, bytes, stored, ended_by)
         VALUES (:id, :tenant, :extension, :call, :caller, :received, :duration, :key, :bytes, :stored, :ended_by)
         ON CONFLICT (id) DO UPDATE SET duration_ms = :duration, bytes = :bytes, ended_by = :ended_by,
                stored = max(stored, :stored)",
        named_params! {
            ":id": new.voicemail_id.to_string(), ":tenant": new.tenant_id.to_string(),
            ":extension": sql::text(new.extension_id), ":call": new.call_id.to_string(), ":caller": new.caller,
            ":received": sql::time(new.received_at), ":duration": clamp(new.duration_ms),
            ":key": new.object_key, ":bytes": clamp(new.bytes), ":stored": new.stored, ":ended_by": new.ended_by,
        },
    )?;
    Ok(!known)
}

/// Which messages to list; all that are given must hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    pub extension_id: Option<ExtensionId>,
    /// Only those of the extensions that this user owns.
    pub owner: Option<UserId>,
    pub unread: Option<bool>,
}

pub fn list(conn: &Connection, tenant: TenantId, filter: &Filter, page: &Page) -> Result<Vec<Voicemail>, StoreError> {
    let (tenant, extension, owner) = (tenant.to_string(), sql::text(filter.extension_id), sql::text(filter.owner));
    let values: [&dyn ToSql; 7] = [&tenant, &extension, &extension, &owner, &owner, &filter.unread, &filter.unread];
    let condition = "tenant_id = ? AND (? IS NULL OR extension_id = ?)
        AND (? IS NULL OR extension_id IN (SELECT id FROM extension WHERE user_id = ?))
        AND (? IS NULL OR (read_at IS NULL) = ?)";
    list_where(conn, condition, &values, page)
}

/// Marks it read now, or unread.
pub fn mark_read(
    tx: &Transaction<'_>,
    tenant: TenantId,
    id: VoicemailId,
    read_at: Option<Timestamp>,
) -> Result<Voicemail, StoreError> {
    let sql = "UPDATE voicemail SET read_at = ?3 WHERE id = ?1 AND tenant_id = ?2 RETURNING *";
    let found =
        tx.query_row(sql, params![id.to_string(), tenant.to_string(), read_at.map(sql::time)], Voicemail::from_row);
    match found {
        Err(rusqlite::Error::QueryReturnedNoRows) => {
            Err(StoreError::NotFound { noun: Voicemail::NOUN, id: id.to_string() })
        }
        other => Ok(other?),
    }
}

fn clamp(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
