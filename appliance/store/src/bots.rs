//! Bots: which LiveKit agent answers when a call rings one.

use crate::{Record, StoreError, sql};
use jiff::Timestamp;
use rusqlite::{Row, Transaction, named_params};
use serde::Serialize;
use types::{BotId, TenantId};
use utoipa::ToSchema;

/// What may be set of a bot.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct BotSpec {
    /// Unique in the tenant.
    pub name: String,
    #[schema(default = "")]
    pub description: String,
    /// The name that the worker registered with LiveKit.
    pub agent_name: String,
    #[schema(default = true)]
    pub enabled: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Bot {
    #[schema(value_type = String)]
    pub id: BotId,
    #[schema(value_type = String)]
    pub tenant_id: TenantId,
    #[serde(flatten)]
    pub spec: BotSpec,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
}

impl Record for Bot {
    const TABLE: &'static str = "bot";
    const NOUN: &'static str = "bot";

    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: sql::parse(row, "id")?,
            tenant_id: sql::parse(row, "tenant_id")?,
            spec: BotSpec {
                name: row.get("name")?,
                description: row.get("description")?,
                agent_name: row.get("agent_name")?,
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

pub fn insert(tx: &Transaction<'_>, tenant: TenantId, new: &BotSpec) -> Result<Bot, StoreError> {
    tx.query_row(
        "INSERT INTO bot (id, tenant_id, name, description, agent_name, enabled, created_at, updated_at)
         VALUES (:id, :tenant, :name, :description, :agent, :enabled, :now, :now) RETURNING *",
        named_params! {
            ":id": BotId::new().to_string(), ":tenant": tenant.to_string(), ":name": new.name,
            ":description": new.description, ":agent": new.agent_name, ":enabled": new.enabled,
            ":now": sql::time(Timestamp::now()),
        },
        Bot::from_row,
    )
    .map_err(|err| StoreError::constraint(err, "bot"))
}

pub fn update(tx: &Transaction<'_>, tenant: TenantId, id: BotId, new: &BotSpec) -> Result<Bot, StoreError> {
    tx.query_row(
        "UPDATE bot SET name = :name, description = :description, agent_name = :agent, enabled = :enabled,
                updated_at = :now
         WHERE id = :id AND tenant_id = :tenant RETURNING *",
        named_params! {
            ":id": id.to_string(), ":tenant": tenant.to_string(), ":name": new.name,
            ":description": new.description, ":agent": new.agent_name, ":enabled": new.enabled,
            ":now": sql::time(Timestamp::now()),
        },
        Bot::from_row,
    )
    .map_err(|err| StoreError::constraint(err, "bot"))
}
