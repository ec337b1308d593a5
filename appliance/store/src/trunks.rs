//! Carrier connections: what was asked for, and how far the reconciler has got with it.

use crate::{Record, StoreError, sql};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, named_params, params};
use serde::{Deserialize, Serialize};
use types::{TenantId, TrunkId, control::RegistrationView};
use utoipa::ToSchema;

crate::choices! {
    SipTransport { Udp = "udp", Tcp = "tcp", Tls = "tls" }

    /// Who vouches for us at the carrier: a user name and password, or our address.
    AuthMode { Credentials = "credentials", Ip = "ip" }

    MediaEncryption { Disable = "disable", Allow = "allow", Require = "require" }

    /// G.711 passes as it is, G.722 carries sound up to 7 kHz and is transcoded.
    Codec { Pcmu = "pcmu", Pcma = "pcma", G722 = "g722", Opus = "opus" }

    /// How the carrier spells the dialled number; `any` expects all of them.
    NumberFormat {
        Any = "any",
        /// `+31201234567`
        PlusE164 = "plus_e164",
        /// `31201234567`
        E164 = "e164",
        /// `0031201234567`
        International = "international",
        /// `0201234567`, by the tenant's country code
        National = "national",
    }

    SyncStatus { Pending = "pending", Synced = "synced", Error = "error" }
}

/// What may be set of a trunk.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct TrunkSpec {
    /// Unique in the tenant.
    pub name: String,
    /// `host` or `host:port`.
    #[schema(example = "sip.carrier.example:5060")]
    pub sip_server_address: String,
    #[schema(default = "udp")]
    pub sip_transport: SipTransport,
    #[schema(default = "credentials")]
    pub auth_mode: AuthMode,
    pub sip_auth_username: Option<String>,
    #[serde(skip_serializing_if = "sql::never_shown")]
    #[schema(write_only)]
    pub sip_auth_password: Option<String>,
    /// Register with the carrier; false by default when `auth_mode` is `ip`.
    #[schema(default = true)]
    pub register: bool,
    /// Addresses or networks that calls may come from, beside those of the server itself.
    #[schema(default = json!([]))]
    pub allowed_addresses: Vec<String>,
    #[schema(default = "disable")]
    pub media_encryption: MediaEncryption,
    /// What calls of this trunk may speak, best first; nothing else is offered or taken.
    #[schema(default = json!(["pcmu", "pcma", "g722"]))]
    pub codecs: Vec<Codec>,
    /// The carrier may hand its end of a call to another (REFER, Replaces); numbers that it names are called at your cost.
    #[schema(default = false)]
    pub accept_transfers: bool,
    #[schema(default = "any")]
    pub number_format: NumberFormat,
    /// Lower goes first.
    #[schema(default = 100)]
    pub priority: u32,
    #[schema(default = true)]
    pub enabled: bool,
}

/// The last answer to our OPTIONS; never changes `sync_status`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TrunkHealth {
    pub reachable: bool,
    #[schema(value_type = String, format = DateTime)]
    pub checked_at: Timestamp,
    pub detail: String,
}

/// What the carrier says to our REGISTER.
#[derive(ToSchema)]
#[allow(dead_code)] // describes `types::control::RegistrationView` in the API document
struct Registration {
    trunk_id: String,
    #[schema(pattern = "registering|registered|failed")]
    state: String,
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
    last_response: Option<CarrierAnswer>,
    /// Failed tries since the last success.
    failures: u32,
    #[schema(value_type = Option<String>, format = DateTime)]
    next_try_at: Option<Timestamp>,
}

/// A carrier's own words; 408 when nothing came back, 503 when its name did not resolve.
#[derive(ToSchema)]
#[allow(dead_code)] // describes `types::control::SipAnswer` in the API document
struct CarrierAnswer {
    code: u16,
    reason: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Trunk {
    #[schema(value_type = String)]
    pub id: TrunkId,
    #[schema(value_type = String)]
    pub tenant_id: TenantId,
    #[serde(flatten)]
    pub spec: TrunkSpec,
    pub sync_status: SyncStatus,
    /// The carrier's, or LiveKit's, own words.
    pub sync_last_error: Option<String>,
    /// What to do about it.
    pub sync_hint: Option<String>,
    /// Failed tries since the last success.
    pub sync_attempts: u32,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub next_sync_at: Option<Timestamp>,
    /// LiveKit's id of the outbound trunk; null while the trunk is not synced.
    pub sip_trunk_id: Option<String>,
    #[serde(skip)]
    pub lk_inbound_trunk_id: Option<String>,
    #[serde(skip)]
    pub lk_dispatch_rule_id: Option<String>,
    /// What the server's name resolved to.
    pub resolved_addresses: Vec<String>,
    #[schema(value_type = Option<Registration>)]
    pub registration: Option<RegistrationView>,
    pub health: Option<TrunkHealth>,
    #[serde(skip)]
    pub revision: i64,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
}

impl Record for Trunk {
    const TABLE: &'static str = "trunk";
    const NOUN: &'static str = "trunk";

    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: sql::parse(row, "id")?,
            tenant_id: sql::parse(row, "tenant_id")?,
            spec: spec_from_row(row)?,
            sync_status: sql::parse(row, "sync_status")?,
            sync_last_error: row.get("sync_last_error")?,
            sync_hint: row.get("sync_hint")?,
            sync_attempts: row.get("sync_attempts")?,
            next_sync_at: sql::parse_opt(row, "next_sync_at")?,
            sip_trunk_id: row.get("sip_trunk_id")?,
            lk_inbound_trunk_id: row.get("lk_inbound_trunk_id")?,
            lk_dispatch_rule_id: row.get("lk_dispatch_rule_id")?,
            resolved_addresses: sql::from_json(row, "resolved_addresses")?,
            registration: sql::from_json_opt(row, "registration")?,
            health: sql::from_json_opt(row, "health")?,
            revision: row.get("revision")?,
            created_at: sql::parse(row, "created_at")?,
            updated_at: sql::parse(row, "updated_at")?,
        })
    }

    fn id(&self) -> String {
        self.id.to_string()
    }
}

/// Adds a trunk that neither LiveKit nor the carrier knows yet.
pub fn insert(tx: &Transaction<'_>, tenant: TenantId, new: &TrunkSpec) -> Result<Trunk, StoreError> {
    let id = TrunkId::new();
    let now = sql::time(Timestamp::now());
    tx.execute(
        "INSERT INTO trunk (id, tenant_id, name, sip_server_address, sip_transport, auth_mode, register,
                allowed_addresses, media_encryption, codecs, number_format, priority, enabled,
                sync_status, revision, created_at, updated_at)
         VALUES (?1, ?2, ?3, '', '', '', 0, '[]', '', '[]', '', 0, 0, 'pending', 0, ?4, ?4)",
        params![id.to_string(), tenant.to_string(), new.name, now],
    )
    .map_err(|err| StoreError::constraint(err, "trunk"))?;
    update(tx, tenant, id, new)
}

/// Changes what is asked for; the trunk is `pending` until the reconciler has done it.
pub fn update(tx: &Transaction<'_>, tenant: TenantId, id: TrunkId, new: &TrunkSpec) -> Result<Trunk, StoreError> {
    tx.query_row(
        "UPDATE trunk SET name = :name, sip_server_address = :address, sip_transport = :transport,
                auth_mode = :auth_mode, sip_auth_username = :username, sip_auth_password = :password,
                register = :register, allowed_addresses = :allowed, media_encryption = :encryption,
                codecs = :codecs, accept_transfers = :transfers, number_format = :number_format, priority = :priority, enabled = :enabled,
                sync_status = 'pending', next_sync_at = NULL, revision = revision + 1, updated_at = :now
         WHERE id = :id AND tenant_id = :tenant RETURNING *",
        named_params! {
            ":id": id.to_string(), ":tenant": tenant.to_string(), ":name": new.name,
            ":address": new.sip_server_address, ":transport": new.sip_transport.as_str(),
            ":auth_mode": new.auth_mode.as_str(), ":username": new.sip_auth_username,
            ":password": new.sip_auth_password, ":register": new.register,
            ":allowed": sql::json(&new.allowed_addresses)?, ":encryption": new.media_encryption.as_str(),
            ":codecs": sql::json(&new.codecs)?, ":transfers": new.accept_transfers, ":number_format": new.number_format.as_str(),
            ":priority": new.priority, ":enabled": new.enabled, ":now": sql::time(Timestamp::now()),
        },
        Trunk::from_row,
    )
    .map_err(|err| StoreError::constraint(err, "trunk"))
}

/// Asks for another sync: after `resync`, and when a DID of the trunk changed.
pub fn mark_pending(tx: &Transaction<'_>, tenant: TenantId, id: TrunkId) -> Result<Trunk, StoreError> {
    let sql = "UPDATE trunk SET sync_status = 'pending', next_sync_at = NULL, revision = revision + 1
               WHERE id = ?1 AND tenant_id = ?2 RETURNING *";
    match tx.query_row(sql, [id.to_string(), tenant.to_string()], Trunk::from_row) {
        Err(rusqlite::Error::QueryReturnedNoRows) => {
            Err(StoreError::NotFound { noun: Trunk::NOUN, id: id.to_string() })
        }
        other => Ok(other?),
    }
}

/// What a sync found out.
#[derive(Clone, Debug, PartialEq)]
pub struct SyncResult {
    pub status: SyncStatus,
    pub error: Option<String>,
    pub hint: Option<String>,
    pub attempts: u32,
    pub next_sync_at: Option<Timestamp>,
    pub sip_trunk_id: Option<String>,
    pub lk_inbound_trunk_id: Option<String>,
    pub lk_dispatch_rule_id: Option<String>,
    pub resolved_addresses: Vec<String>,
    pub registration: Option<RegistrationView>,
}

/// Stores it, unless the trunk was changed since `revision`: then the newer sync has the word. False tells.
pub fn mark_synced(tx: &Transaction<'_>, id: TrunkId, revision: i64, result: &SyncResult) -> Result<bool, StoreError> {
    let changed = tx.execute(
        "UPDATE trunk SET sync_status = :status, sync_last_error = :error, sync_hint = :hint,
                sync_attempts = :attempts, next_sync_at = :next, sip_trunk_id = :outbound,
                lk_inbound_trunk_id = :inbound, lk_dispatch_rule_id = :rule,
                resolved_addresses = :resolved, registration = :registration
         WHERE id = :id AND revision = :revision",
        named_params! {
            ":id": id.to_string(), ":revision": revision, ":status": result.status.as_str(),
            ":error": result.error, ":hint": result.hint, ":attempts": result.attempts,
            ":next": result.next_sync_at.map(sql::time), ":outbound": result.sip_trunk_id,
            ":inbound": result.lk_inbound_trunk_id, ":rule": result.lk_dispatch_rule_id,
            ":resolved": sql::json(&result.resolved_addresses)?,
            ":registration": result.registration.as_ref().map(sql::json).transpose()?,
        },
    )?;
    Ok(changed == 1)
}

/// What the carrier said to our OPTIONS; neither a change of the trunk nor of its sync.
pub fn set_health(tx: &Transaction<'_>, id: TrunkId, health: &TrunkHealth) -> Result<(), StoreError> {
    tx.execute("UPDATE trunk SET health = ?1 WHERE id = ?2", (sql::json(health)?, id.to_string()))?;
    Ok(())
}

/// Nobody asks the carrier any more: what it said once is no news.
pub fn forget_health(tx: &Transaction<'_>, id: TrunkId) -> Result<(), StoreError> {
    tx.execute("UPDATE trunk SET health = NULL WHERE id = ?1", [id.to_string()])?;
    Ok(())
}

/// Every tenant's trunks but the box's own.
pub fn of_customers(conn: &Connection) -> Result<Vec<Trunk>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT trunk.* FROM trunk JOIN tenant ON tenant.id = trunk.tenant_id WHERE NOT tenant.system ORDER BY trunk.id",
    )?;
    let rows = statement.query_map([], Trunk::from_row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Failed trunks need not wait for their next try.
pub fn retry_now(tx: &Transaction<'_>) -> Result<(), StoreError> {
    tx.execute("UPDATE trunk SET next_sync_at = NULL WHERE sync_status = 'error'", [])?;
    Ok(())
}

/// Every tenant's trunks, for the reconciler.
pub fn all(conn: &Connection) -> Result<Vec<Trunk>, StoreError> {
    let mut statement = conn.prepare_cached("SELECT * FROM trunk ORDER BY id")?;
    let rows = statement.query_map([], Trunk::from_row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The trunk that LiveKit let a call in by (`ST_…`); none for somebody else's.
pub fn find_by_inbound(conn: &Connection, lk_trunk_id: &str) -> Result<Option<Trunk>, StoreError> {
    let sql = "SELECT * FROM trunk WHERE lk_inbound_trunk_id = ?1";
    Ok(conn.query_row(sql, [lk_trunk_id], Trunk::from_row).optional()?)
}

/// The trunk for an outbound call: the oldest synced one, until there is least-cost routing. One that
/// was synced and is being synced again serves meanwhile.
pub fn find_outbound(conn: &Connection, tenant: TenantId) -> Result<Option<Trunk>, StoreError> {
    let sql = "SELECT * FROM trunk WHERE tenant_id = ?1 AND enabled AND sync_status <> 'error'
                 AND sip_trunk_id IS NOT NULL ORDER BY created_at, id LIMIT 1";
    Ok(conn.query_row(sql, [tenant.to_string()], Trunk::from_row).optional()?)
}

fn spec_from_row(row: &Row<'_>) -> rusqlite::Result<TrunkSpec> {
    Ok(TrunkSpec {
        name: row.get("name")?,
        sip_server_address: row.get("sip_server_address")?,
        sip_transport: sql::parse(row, "sip_transport")?,
        auth_mode: sql::parse(row, "auth_mode")?,
        sip_auth_username: row.get("sip_auth_username")?,
        sip_auth_password: row.get("sip_auth_password")?,
        register: row.get("register")?,
        allowed_addresses: sql::from_json(row, "allowed_addresses")?,
        media_encryption: sql::parse(row, "media_encryption")?,
        codecs: sql::from_json(row, "codecs")?,
        accept_transfers: row.get("accept_transfers")?,
        number_format: sql::parse(row, "number_format")?,
        priority: row.get("priority")?,
        enabled: row.get("enabled")?,
    })
}
