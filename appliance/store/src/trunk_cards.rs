//! What was a trunk's carrier able to do, when it was last tried out?

use crate::{StoreError, sql};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use serde::Serialize;
use types::{TrunkId, probe::ProbeReport};
use utoipa::ToSchema;

/// A trunk's capability card.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct TrunkCard {
    #[schema(value_type = String)]
    pub trunk_id: TrunkId,
    #[schema(value_type = String, format = DateTime)]
    pub probed_at: Timestamp,
    /// The trunk was changed since.
    pub outdated: bool,
    pub report: ProbeReport,
}

/// Takes the place of the card before; `updated_at` is that of the trunk which was tried out. Answers the card as it is
/// read from now on.
pub fn put(
    tx: &Transaction<'_>,
    trunk: TrunkId,
    updated_at: Timestamp,
    report: &ProbeReport,
) -> Result<TrunkCard, StoreError> {
    let (id, updated_at, now) = (trunk.to_string(), sql::time(updated_at), sql::time(Timestamp::now()));
    tx.execute(
        "INSERT OR REPLACE INTO trunk_card (trunk_id, trunk_updated_at, probed_at, report) VALUES (?1, ?2, ?3, ?4)",
        params![id, updated_at, now, sql::json(report)?],
    )?;
    find(tx, trunk)?.ok_or_else(|| StoreError::NotFound { noun: "trunk", id: trunk.to_string() })
}

/// None when the trunk was never tried out.
pub fn find(conn: &Connection, trunk: TrunkId) -> Result<Option<TrunkCard>, StoreError> {
    let sql = "SELECT trunk_card.*, trunk.updated_at <> trunk_updated_at AS outdated
               FROM trunk_card JOIN trunk ON trunk.id = trunk_id WHERE trunk_id = ?1";
    Ok(conn.query_row(sql, [trunk.to_string()], from_row).optional()?)
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<TrunkCard> {
    Ok(TrunkCard {
        trunk_id: sql::parse(row, "trunk_id")?,
        probed_at: sql::parse(row, "probed_at")?,
        outdated: row.get("outdated")?,
        report: sql::from_json(row, "report")?,
    })
}
