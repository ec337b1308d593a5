//! Destinations: a person's browsers, a bot, a mailbox, a telephone elsewhere.

use crate::{Record, StoreError, sql};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, named_params, params};
use serde::{Deserialize, Serialize};
use types::{BotId, ExtensionId, TenantId, UserId};
use utoipa::ToSchema;

crate::choices! {
    ExtensionType {
        /// Rings the owner's browsers.
        Wave = "wave",
        Bot = "bot",
        Voicemail = "voicemail",
        /// An E.164 number or SIP URI through a trunk.
        External = "external",
        /// A desk phone or SIP URI.
        SipEndpoint = "sip_endpoint",
    }

    TimeoutAction {
        Voicemail = "voicemail",
        RingBot = "ring_bot",
        Forward = "forward",
        Hangup = "hangup",
        RingExtension = "ring_extension",
    }

    /// When a forwarding applies.
    ForwardWhen { Always = "always", Busy = "busy", NoAnswer = "no_answer" }
}

/// Calls go to all of `to` at once, whoever answers first has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Forwarding {
    pub when: ForwardWhen,
    /// E.164 numbers, SIP URIs or extension ids.
    pub to: Vec<String>,
    #[schema(default = true)]
    pub enabled: bool,
}

/// What may be set of an extension.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct ExtensionSpec {
    /// Unique in the tenant.
    #[schema(example = "100")]
    pub number: String,
    pub name: String,
    #[serde(rename = "type")]
    pub kind: ExtensionType,
    /// The owner; `wave` needs one.
    #[schema(value_type = Option<String>)]
    pub user_id: Option<UserId>,
    /// `bot` needs one.
    #[schema(value_type = Option<String>)]
    pub bot_id: Option<BotId>,
    /// An E.164 number or SIP URI; `external` needs one, `sip_endpoint` this or SIP credentials.
    pub target: Option<String>,
    /// A desk phone registers with it; unique on the box.
    pub sip_username: Option<String>,
    #[serde(skip_serializing_if = "sql::never_shown")]
    #[schema(write_only)]
    pub sip_password: Option<String>,
    #[schema(default = false)]
    pub dnd: bool,
    #[schema(default = json!([]))]
    pub forwarding: Vec<Forwarding>,
    #[schema(default = 25)]
    pub ring_timeout_s: u32,
    #[schema(default = "voicemail")]
    pub timeout_action: TimeoutAction,
    /// A bot id, an extension id, or an E.164 number or SIP URI, as `timeout_action` needs.
    pub timeout_forward_to: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Extension {
    #[schema(value_type = String)]
    pub id: ExtensionId,
    #[schema(value_type = String)]
    pub tenant_id: TenantId,
    #[serde(flatten)]
    pub spec: ExtensionSpec,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
}

impl Record for Extension {
    const TABLE: &'static str = "extension";
    const NOUN: &'static str = "extension";

    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: sql::parse(row, "id")?,
            tenant_id: sql::parse(row, "tenant_id")?,
            spec: spec_from_row(row)?,
            created_at: sql::parse(row, "created_at")?,
            updated_at: sql::parse(row, "updated_at")?,
        })
    }

    fn id(&self) -> String {
        self.id.to_string()
    }
}

pub fn insert(tx: &Transaction<'_>, tenant: TenantId, new: &ExtensionSpec) -> Result<Extension, StoreError> {
    let (id, now) = (ExtensionId::new(), sql::time(Timestamp::now()));
    tx.execute(
        "INSERT INTO extension (id, tenant_id, number, name, type, dnd, forwarding, ring_timeout_s,
                timeout_action, created_at, updated_at)
         VALUES (?1, ?2, ?3, '', '', 0, '[]', 0, '', ?4, ?4)",
        params![id.to_string(), tenant.to_string(), new.number, now],
    )
    .map_err(|err| StoreError::constraint(err, "extension"))?;
    update(tx, tenant, id, new)
}

pub fn update(
    tx: &Transaction<'_>,
    tenant: TenantId,
    id: ExtensionId,
    new: &ExtensionSpec,
) -> Result<Extension, StoreError> {
    tx.query_row(
        "UPDATE extension SET number = :number, name = :name, type = :type, user_id = :user, bot_id = :bot,
                target = :target, sip_username = :username, sip_password = :password, dnd = :dnd,
                forwarding = :forwarding, ring_timeout_s = :ring_timeout, timeout_action = :timeout_action,
                timeout_forward_to = :timeout_to, updated_at = :now
         WHERE id = :id AND tenant_id = :tenant RETURNING *",
        named_params! {
            ":id": id.to_string(), ":tenant": tenant.to_string(), ":number": new.number, ":name": new.name,
            ":type": new.kind.as_str(), ":user": sql::text(new.user_id), ":bot": sql::text(new.bot_id),
            ":target": new.target, ":username": new.sip_username, ":password": new.sip_password,
            ":dnd": new.dnd, ":forwarding": sql::json(&new.forwarding)?, ":ring_timeout": new.ring_timeout_s,
            ":timeout_action": new.timeout_action.as_str(), ":timeout_to": new.timeout_forward_to,
            ":now": sql::time(Timestamp::now()),
        },
        Extension::from_row,
    )
    .map_err(|err| StoreError::constraint(err, "extension"))
}

/// What a user owns.
pub fn of_user(conn: &Connection, tenant: TenantId, user: UserId) -> Result<Vec<Extension>, StoreError> {
    let sql = "SELECT * FROM extension WHERE tenant_id = ?1 AND user_id = ?2 ORDER BY number";
    let mut statement = conn.prepare_cached(sql)?;
    let rows = statement.query_map([tenant.to_string(), user.to_string()], Extension::from_row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The name of an extension that sends calls on to this object, if there is one.
pub fn that_uses(conn: &Connection, tenant: TenantId, object: &str) -> Result<Option<String>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT name FROM extension WHERE tenant_id = ?1 AND (timeout_forward_to = ?2 OR EXISTS (
             SELECT 1 FROM json_each(forwarding) AS entry, json_each(entry.value, '$.to') AS target
             WHERE target.value = ?2)) LIMIT 1",
    )?;
    let mut rows = statement.query([tenant.to_string().as_str(), object])?;
    Ok(rows.next()?.map(|row| row.get(0)).transpose()?)
}

/// Every tenant's desk phones.
pub fn desk_phones(conn: &Connection) -> Result<Vec<Extension>, StoreError> {
    let mut statement = conn.prepare_cached("SELECT * FROM extension WHERE type = 'sip_endpoint' ORDER BY id")?;
    let rows = statement.query_map([], Extension::from_row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// In whatever tenant; a phone that proved its password names nothing else.
pub fn find_anywhere(conn: &Connection, id: ExtensionId) -> Result<Option<Extension>, StoreError> {
    let sql = "SELECT * FROM extension WHERE id = ?1";
    Ok(conn.query_row(sql, [id.to_string()], Extension::from_row).optional()?)
}

/// Whose phones register under this name, in whatever tenant.
pub fn with_username(conn: &Connection, username: &str) -> Result<Option<ExtensionId>, StoreError> {
    let sql = "SELECT id FROM extension WHERE sip_username = ?1 ORDER BY id LIMIT 1";
    Ok(conn.query_row(sql, [username], |row| sql::parse(row, "id")).optional()?)
}

/// The tenant's extension with this number.
pub fn with_number(conn: &Connection, tenant: TenantId, number: &str) -> Result<Option<Extension>, StoreError> {
    let sql = "SELECT * FROM extension WHERE tenant_id = ?1 AND number = ?2";
    Ok(conn.query_row(sql, [tenant.to_string().as_str(), number], Extension::from_row).optional()?)
}

fn spec_from_row(row: &Row<'_>) -> rusqlite::Result<ExtensionSpec> {
    Ok(ExtensionSpec {
        number: row.get("number")?,
        name: row.get("name")?,
        kind: sql::parse(row, "type")?,
        user_id: sql::parse_opt(row, "user_id")?,
        bot_id: sql::parse_opt(row, "bot_id")?,
        target: row.get("target")?,
        sip_username: row.get("sip_username")?,
        sip_password: row.get("sip_password")?,
        dnd: row.get("dnd")?,
        forwarding: sql::from_json(row, "forwarding")?,
        ring_timeout_s: row.get("ring_timeout_s")?,
        timeout_action: sql::parse(row, "timeout_action")?,
        timeout_forward_to: row.get("timeout_forward_to")?,
    })
}
