//! Holiday calendars: the days that the `holiday` match knows.

use crate::{Record, StoreError, sql};
use jiff::{Timestamp, civil::Date};
use rusqlite::{Row, Transaction, named_params};
use serde::{Deserialize, Serialize};
use types::{CalendarId, TenantId};
use utoipa::ToSchema;

/// One day off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Holiday {
    #[schema(value_type = String, format = Date)]
    pub date: Date,
    pub name: String,
}

/// What may be set of a calendar.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct CalendarSpec {
    /// Unique in the tenant.
    pub name: String,
    /// Where the days begin and end; IANA name.
    #[schema(default = "UTC")]
    pub timezone: String,
    #[schema(default = json!([]))]
    pub days: Vec<Holiday>,
}

#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Calendar {
    #[schema(value_type = String)]
    pub id: CalendarId,
    #[schema(value_type = String)]
    pub tenant_id: TenantId,
    #[serde(flatten)]
    pub spec: CalendarSpec,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
}

impl Record for Calendar {
    const TABLE: &'static str = "calendar";
    const NOUN: &'static str = "calendar";

    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: sql::parse(row, "id")?,
            tenant_id: sql::parse(row, "tenant_id")?,
            spec: CalendarSpec {
                name: row.get("name")?,
                timezone: row.get("timezone")?,
                days: sql::from_json(row, "days")?,
            },
            created_at: sql::parse(row, "created_at")?,
            updated_at: sql::parse(row, "updated_at")?,
        })
    }

    fn id(&self) -> String {
        self.id.to_string()
    }
}

pub fn insert(tx: &Transaction<'_>, tenant: TenantId, new: &CalendarSpec) -> Result<Calendar, StoreError> {
    tx.query_row(
        "INSERT INTO calendar (id, tenant_id, name, timezone, days, created_at, updated_at)
         VALUES (:id, :tenant, :name, :timezone, :days, :now, :now) RETURNING *",
        named_params! {
            ":id": CalendarId::new().to_string(), ":tenant": tenant.to_string(), ":name": new.name,
            ":timezone": new.timezone, ":days": sql::json(&new.days)?, ":now": sql::time(Timestamp::now()),
        },
        Calendar::from_row,
    )
    .map_err(|err| StoreError::constraint(err, "calendar"))
}

pub fn update(
    tx: &Transaction<'_>,
    tenant: TenantId,
    id: CalendarId,
    new: &CalendarSpec,
) -> Result<Calendar, StoreError> {
    tx.query_row(
        "UPDATE calendar SET name = :name, timezone = :timezone, days = :days, updated_at = :now
         WHERE id = :id AND tenant_id = :tenant RETURNING *",
        named_params! {
            ":id": id.to_string(), ":tenant": tenant.to_string(), ":name": new.name,
            ":timezone": new.timezone, ":days": sql::json(&new.days)?, ":now": sql::time(Timestamp::now()),
        },
        Calendar::from_row,
    )
    .map_err(|err| StoreError::constraint(err, "calendar"))
}
