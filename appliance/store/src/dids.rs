//! Telephone numbers on trunks.

use crate::{Record, StoreError, sql};
use jiff::Timestamp;
use rusqlite::{Connection, Row, Transaction, named_params};
use serde::Serialize;
use types::{DialplanId, DidId, E164, TenantId, TrunkId};
use utoipa::ToSchema;

/// What may be set of a DID.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct DidSpec {
    /// E.164, unique on the box.
    #[schema(value_type = String, example = "+31201234567")]
    pub number: E164,
    #[schema(value_type = String)]
    pub trunk_id: TrunkId,
    /// Without one a call ends with `no_rule_matched`.
    #[schema(value_type = Option<String>)]
    pub dialplan_id: Option<DialplanId>,
    #[schema(default = "")]
    pub label: String,
    #[schema(default = true)]
    pub enabled: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Did {
    #[schema(value_type = String)]
    pub id: DidId,
    #[schema(value_type = String)]
    pub tenant_id: TenantId,
    #[serde(flatten)]
    pub spec: DidSpec,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
}

impl Record for Did {
    const TABLE: &'static str = "did";
    const NOUN: &'static str = "did";

    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: sql::parse(row, "id")?,
            tenant_id: sql::parse(row, "tenant_id")?,
            spec: DidSpec {
                number: sql::parse(row, "number")?,
                trunk_id: sql::parse(row, "trunk_id")?,
                dialplan_id: sql::parse_opt(row, "dialplan_id")?,
                label: row.get("label")?,
                enabled: row.get("enabled")?,
            },
            created_at: sql::parse(row, "created_at")?,
            updated_at: sql::parse(row, "updated_at")?,
        })
    }

    fn id(&self) -> String {
        self.id.to_string()
    }
}

pub fn insert(tx: &Transaction<'_>, tenant: TenantId, new: &DidSpec) -> Result<Did, StoreError> {
    tx.query_row(
        "INSERT INTO did (id, tenant_id, number, trunk_id, dialplan_id, label, enabled, created_at, updated_at)
         VALUES (:id, :tenant, :number, :trunk, :dialplan, :label, :enabled, :now, :now) RETURNING *",
        named_params! {
            ":id": DidId::new().to_string(), ":tenant": tenant.to_string(), ":number": new.number.as_str(),
            ":trunk": new.trunk_id.to_string(), ":dialplan": sql::text(new.dialplan_id), ":label": new.label,
            ":enabled": new.enabled, ":now": sql::time(Timestamp::now()),
        },
        Did::from_row,
    )
    .map_err(|err| StoreError::constraint(err, "did"))
}

pub fn update(tx: &Transaction<'_>, tenant: TenantId, id: DidId, new: &DidSpec) -> Result<Did, StoreError> {
    tx.query_row(
        "UPDATE did SET number = :number, trunk_id = :trunk, dialplan_id = :dialplan, label = :label,
                enabled = :enabled, updated_at = :now
         WHERE id = :id AND tenant_id = :tenant RETURNING *",
        named_params! {
            ":id": id.to_string(), ":tenant": tenant.to_string(), ":number": new.number.as_str(),
            ":trunk": new.trunk_id.to_string(), ":dialplan": sql::text(new.dialplan_id), ":label": new.label,
            ":enabled": new.enabled, ":now": sql::time(Timestamp::now()),
        },
        Did::from_row,
    )
    .map_err(|err| StoreError::constraint(err, "did"))
}

/// The trunk's enabled numbers: what its inbound side must accept.
pub fn on_trunk(conn: &Connection, trunk: TrunkId) -> Result<Vec<Did>, StoreError> {
    let mut statement = conn.prepare_cached("SELECT * FROM did WHERE trunk_id = ?1 AND enabled ORDER BY number")?;
    let rows = statement.query_map([trunk.to_string()], Did::from_row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}
