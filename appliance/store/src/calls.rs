//! What is stored of a call: its row while it lives, and its CDR and metering once it has ended.

use crate::{
    Page, Record, StoreError,
    legs::{self, Direction, Leg},
    record::list_where,
    sql, tenants,
};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, ToSql, Transaction, named_params, params, types::Type};
use serde::Serialize;
use serde_json::{Value, json};
use types::{CallId, CorrelationId, DialplanId, DidId, EndReason, ExtensionId, RuleId, TenantId, TrunkId, UserId};
use utoipa::ToSchema;

crate::choices! {
    CallKind { Phone = "phone", Room = "room" }

    CallState { Routing = "routing", Ringing = "ringing", Active = "active", Held = "held", Ended = "ended" }
}

#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Call {
    #[schema(value_type = String)]
    pub id: CallId,
    #[schema(value_type = String)]
    pub tenant_id: TenantId,
    pub kind: CallKind,
    pub direction: Direction,
    #[schema(value_type = Option<String>)]
    pub trunk_id: Option<TrunkId>,
    #[schema(value_type = Option<String>)]
    pub did_id: Option<DidId>,
    pub caller: String,
    pub callee: String,
    /// Who dialled out.
    #[schema(value_type = Option<String>)]
    pub from_extension_id: Option<ExtensionId>,
    /// The extension that rang last.
    #[schema(value_type = Option<String>)]
    pub extension_id: Option<ExtensionId>,
    /// The user who dialled, or who answered.
    #[schema(value_type = Option<String>)]
    pub user_id: Option<UserId>,
    #[schema(value_type = Option<String>)]
    pub dialplan_id: Option<DialplanId>,
    #[schema(value_type = Option<String>)]
    pub matched_rule_id: Option<RuleId>,
    pub state: CallState,
    #[schema(value_type = String, format = DateTime)]
    pub started_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub answered_at: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended_at: Option<Timestamp>,
    #[schema(value_type = Option<String>)]
    pub end_reason: Option<EndReason>,
    /// What exactly went wrong, where the reason alone does not say it: `no_bot_worker`, …
    pub end_code: Option<String>,
    pub sip_code: Option<u16>,
    #[serde(skip)]
    pub room: Option<String>,
    #[schema(value_type = String)]
    pub correlation_id: CorrelationId,
    /// How the dialplan decided.
    #[schema(value_type = Option<Object>)]
    pub trace: Option<Value>,
    /// What the call's state machine needs to go on after a restart.
    #[serde(skip)]
    pub machine: Option<Value>,
}

impl Record for Call {
    const TABLE: &'static str = "call";
    const NOUN: &'static str = "call";
    const NEWEST_FIRST: bool = true;

    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        let correlation: String = row.get("correlation_id")?;
        Ok(Self {
            id: sql::parse(row, "id")?,
            tenant_id: sql::parse(row, "tenant_id")?,
            kind: sql::parse(row, "kind")?,
            direction: sql::parse(row, "direction")?,
            trunk_id: sql::parse_opt(row, "trunk_id")?,
            did_id: sql::parse_opt(row, "did_id")?,
            caller: row.get("caller")?,
            callee: row.get("callee")?,
            from_extension_id: sql::parse_opt(row, "from_extension_id")?,
            extension_id: sql::parse_opt(row, "extension_id")?,
            user_id: sql::parse_opt(row, "user_id")?,
            dialplan_id: sql::parse_opt(row, "dialplan_id")?,
            matched_rule_id: sql::parse_opt(row, "matched_rule_id")?,
            state: sql::parse(row, "state")?,
            started_at: sql::parse(row, "started_at")?,
            answered_at: sql::parse_opt(row, "answered_at")?,
            ended_at: sql::parse_opt(row, "ended_at")?,
            end_reason: reason(row)?,
            end_code: row.get("end_code")?,
            sip_code: row.get("sip_code")?,
            room: row.get("room")?,
            correlation_id: CorrelationId::adopt(&correlation),
            trace: sql::from_json_opt(row, "trace")?,
            machine: sql::from_json_opt(row, "machine")?,
        })
    }

    fn id(&self) -> String {
        self.id.to_string()
    }
}

fn reason(row: &Row<'_>) -> rusqlite::Result<Option<EndReason>> {
    let text: Option<String> = row.get("end_reason")?;
    let read = |text| serde_json::from_value(Value::String(text));
    let damaged = |err: serde_json::Error| rusqlite::Error::FromSqlConversionFailure(0, Type::Text, err.into());
    text.map(|text| read(text).map_err(damaged)).transpose()
}

/// Adds the call, or writes down how it is now, with its legs.
pub fn put(tx: &Transaction<'_>, call: &Call, legs: &[Leg]) -> Result<(), StoreError> {
    put_call(tx, call)?;
    legs.iter().try_for_each(|leg| legs::put(tx, call.tenant_id, leg))
}

fn put_call(tx: &Transaction<'_>, call: &Call) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO call (id, tenant_id, kind, direction, trunk_id, did_id, caller, callee, from_extension_id,
                extension_id, user_id, dialplan_id, matched_rule_id, state, started_at, answered_at, ended_at,
                end_reason, end_code, sip_code, room, correlation_id, trace, machine)
         VALUES (:id, :tenant, :kind, :direction, :trunk, :did, :caller, :callee, :from_extension,
                :extension, :user, :dialplan, :rule, :state, :started, :answered, :ended,
                :reason, :code, :sip_code, :room, :correlation, :trace, :machine)
         ON CONFLICT (id) DO UPDATE SET extension_id = :extension, user_id = :user, state = :state,
                answered_at = :answered, ended_at = :ended, end_reason = :reason, end_code = :code,
                sip_code = :sip_code, machine = :machine",
        named_params! {
            ":id": call.id.to_string(), ":tenant": call.tenant_id.to_string(), ":kind": call.kind.as_str(),
            ":direction": call.direction.as_str(), ":trunk": sql::text(call.trunk_id),
            ":did": sql::text(call.did_id), ":caller": call.caller, ":callee": call.callee,
            ":from_extension": sql::text(call.from_extension_id), ":extension": sql::text(call.extension_id),
            ":user": sql::text(call.user_id), ":dialplan": sql::text(call.dialplan_id),
            ":rule": sql::text(call.matched_rule_id), ":state": call.state.as_str(),
            ":started": sql::time(call.started_at), ":answered": call.answered_at.map(sql::time),
            ":ended": call.ended_at.map(sql::time), ":reason": call.end_reason.map(EndReason::as_str),
            ":code": call.end_code, ":sip_code": call.sip_code, ":room": call.room,
            ":correlation": call.correlation_id.as_str(),
            ":trace": call.trace.as_ref().map(sql::json).transpose()?,
            ":machine": call.machine.as_ref().map(sql::json).transpose()?,
        },
    )?;
    Ok(())
}

/// Writes the CDR and the metering rows of an ended call; doing it again changes nothing. True the first time.
/// The box's calls to itself have neither.
pub fn finish(tx: &Transaction<'_>, call: &Call, legs: &[Leg]) -> Result<bool, StoreError> {
    let (Some(ended), Some(reason)) = (call.ended_at, call.end_reason) else { return Ok(false) };
    if tenants::is_system(tx, call.tenant_id)? {
        return Ok(false);
    }
    let seconds = |from: Timestamp| ended.duration_since(from).as_secs_f64().max(0.0);
    let billable = call.answered_at.map_or(0.0, seconds);
    let record = json!({ "call": call, "legs": legs });
    let new = tx.execute(
        "INSERT OR IGNORE INTO cdr (call_id, tenant_id, ended_at, end_reason, sip_code, duration_s, billable_s, record)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![
            call.id.to_string(),
            call.tenant_id.to_string(),
            sql::time(ended),
            reason.as_str(),
            call.sip_code,
            seconds(call.started_at),
            billable,
            sql::json(&record)?
        ],
    )?;
    for (metric, quantity) in [("calls", 1.0), ("call_seconds", billable)] {
        tx.execute(
            "INSERT OR IGNORE INTO metering (tenant_id, call_id, metric, quantity, at) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![call.tenant_id.to_string(), call.id.to_string(), metric, quantity, sql::time(ended)],
        )?;
    }
    Ok(new == 1)
}

/// A message turned up after its call had ended: then the reason is `voicemail`, whoever hung up.
pub fn amend_to_voicemail(tx: &Transaction<'_>, call: CallId) -> Result<bool, StoreError> {
    let late = "end_reason IN ('caller_hangup', 'completed', 'media_timeout', 'gateway_restart', 'failed')";
    let id = call.to_string();
    let changed = tx.execute(
        &format!(
            "UPDATE call SET end_reason = 'voicemail', end_code = NULL
             WHERE id = ?1 AND state = 'ended' AND answered_at IS NOT NULL AND {late}"
        ),
        [&id],
    )?;
    if changed == 1 {
        tx.execute("UPDATE cdr SET end_reason = 'voicemail' WHERE call_id = ?1", [&id])?;
    }
    Ok(changed == 1)
}

/// Which calls to list; all that are given must hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    pub state: Option<CallState>,
    pub kind: Option<CallKind>,
    pub direction: Option<Direction>,
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
    pub extension_id: Option<ExtensionId>,
    pub did_id: Option<DidId>,
    pub caller: Option<String>,
    pub end_reason: Option<String>,
    /// Found anywhere in caller or callee.
    pub q: Option<String>,
    /// Only those with a part of this user in them.
    pub user: Option<UserId>,
}

/// A page of the tenant's calls, newest first.
pub fn list(conn: &Connection, tenant: TenantId, filter: &Filter, page: &Page) -> Result<Vec<Call>, StoreError> {
    let mut condition = "tenant_id = ?".to_owned();
    let mut values: Vec<Box<dyn ToSql>> = vec![Box::new(tenant.to_string())];
    let mut and = |sql: &str, value: Option<String>| {
        if let Some(value) = value {
            condition.push_str(" AND ");
            condition.push_str(sql);
            for _ in 0..sql.matches('?').count() {
                values.push(Box::new(value.clone()));
            }
        }
    };
    and("state = ?", sql::text(filter.state));
    and("kind = ?", sql::text(filter.kind));
    and("direction = ?", sql::text(filter.direction));
    and("started_at >= ?", filter.from.map(sql::time));
    and("started_at < ?", filter.to.map(sql::time));
    and(
        "(extension_id = ? OR from_extension_id = ? OR EXISTS (SELECT 1 FROM leg WHERE leg.call_id = call.id AND leg.extension_id = ?))",
        sql::text(filter.extension_id),
    );
    and("did_id = ?", sql::text(filter.did_id));
    and("caller = ?", filter.caller.clone());
    and("end_reason = ?", filter.end_reason.clone());
    and("(instr(caller, ?) > 0 OR instr(callee, ?) > 0 OR id = ?)", filter.q.clone());
    and(
        "(user_id = ? OR EXISTS (SELECT 1 FROM leg WHERE leg.call_id = call.id AND leg.user_id = ?))",
        sql::text(filter.user),
    );
    let values: Vec<&dyn ToSql> = values.iter().map(AsRef::as_ref).collect();
    list_where(conn, &condition, &values, page)
}

/// Does this user have a part in the call?
pub fn concerns(conn: &Connection, call: &Call, user: UserId) -> Result<bool, StoreError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM leg WHERE call_id = ?1 AND user_id = ?2)";
    let leg: bool = conn.query_row(sql, [call.id.to_string(), user.to_string()], |row| row.get(0))?;
    Ok(leg || call.user_id == Some(user))
}

/// Every tenant's calls that have not ended.
pub fn unfinished(conn: &Connection) -> Result<Vec<Call>, StoreError> {
    let mut statement = conn.prepare_cached("SELECT * FROM call WHERE state <> 'ended' ORDER BY id")?;
    let rows = statement.query_map([], Call::from_row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Was this a room of calls, of which none goes on?
pub fn is_room_over(conn: &Connection, room: &str) -> Result<bool, StoreError> {
    let sql = "SELECT coalesce(min(state = 'ended'), false) FROM call WHERE room = ?1";
    Ok(conn.query_row(sql, [room], |row| row.get(0))?)
}

/// How many customers' calls go on.
pub fn count_unfinished(conn: &Connection) -> Result<u32, StoreError> {
    let sql = "SELECT count(*) FROM call JOIN tenant ON tenant.id = call.tenant_id
               WHERE call.state <> 'ended' AND NOT tenant.system";
    Ok(conn.query_row(sql, [], |row| row.get(0))?)
}

/// How far a spool has been taken in; 0 when it is new.
pub fn ingested(conn: &Connection, source: &str, instance: &str) -> Result<u64, StoreError> {
    let sql = "SELECT through FROM ingest WHERE source = ?1 AND instance = ?2";
    let through: Option<i64> = conn.query_row(sql, [source, instance], |row| row.get(0)).optional()?;
    Ok(through.and_then(|through| u64::try_from(through).ok()).unwrap_or(0))
}

/// Remembers how far; never goes back.
pub fn mark_ingested(tx: &Transaction<'_>, source: &str, instance: &str, through: u64) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO ingest (source, instance, through, updated_at) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (source, instance) DO UPDATE SET through = max(through, ?3), updated_at = ?4",
        params![source, instance, i64::try_from(through).unwrap_or(i64::MAX), sql::time(Timestamp::now())],
    )?;
    Ok(())
}

/// The spool that this source wrote last.
pub fn last_instance(conn: &Connection, source: &str) -> Result<Option<String>, StoreError> {
    let sql = "SELECT instance FROM ingest WHERE source = ?1 ORDER BY updated_at DESC LIMIT 1";
    Ok(conn.query_row(sql, [source], |row| row.get(0)).optional()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Db,
        legs::{LegKind, LegState},
        tenants::TenantSpec,
    };

    fn tenant(tx: &Transaction<'_>) -> TenantId {
        let spec = TenantSpec {
            name: "Acme".into(),
            country_code: None,
            timezone: "UTC".into(),
            voicemail_greeting: None,
            voicemail_transcripts: false,
        };
        tenants::insert(tx, &spec).unwrap().id
    }

    fn call(tenant: TenantId) -> Call {
        Call {
            id: CallId::new(),
            tenant_id: tenant,
            kind: CallKind::Phone,
            direction: Direction::Inbound,
            trunk_id: None,
            did_id: None,
            caller: "+31612345678".into(),
            callee: "+31201234567".into(),
            from_extension_id: None,
            extension_id: None,
            user_id: None,
            dialplan_id: None,
            matched_rule_id: None,
            state: CallState::Ringing,
            started_at: "2026-03-02T10:00:00Z".parse().unwrap(),
            answered_at: None,
            ended_at: None,
            end_reason: None,
            end_code: None,
            sip_code: None,
            room: Some("room".into()),
            correlation_id: CorrelationId::new(),
            trace: None,
            machine: Some(json!({"step": 1})),
        }
    }

    /// Runs in the writer of a fresh database file.
    async fn with_db<T: Send + 'static>(work: impl FnOnce(&Transaction<'_>) -> T + Send + 'static) -> T {
        let folder = tempfile::tempdir().unwrap();
        let db = Db::open(&folder.path().join("test.sqlite")).unwrap();
        db.write(|tx| Ok::<_, StoreError>(work(tx))).await.unwrap()
    }

    fn count(tx: &Transaction<'_>, table: &str) -> i64 {
        tx.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
    }

    #[tokio::test]
    async fn a_call_and_its_legs_read_back_as_they_were_put() {
        with_db(|tx| {
            let mut call = call(tenant(tx));
            let mut leg = Leg::new(call.id, call.tenant_id, 0, LegKind::Sip, LegState::Ringing, call.started_at);
            leg.lk_call_id = Some("SCL_1".into());
            put(tx, &call, &[leg.clone()]).unwrap();
            call.state = CallState::Active;
            leg.state = LegState::Active;
            leg.stats = Some(Stats {
                packets: 50,
                lost: 1,
                jitter_ms: Some(2.5),
                mos: None,
                rtt_ms: Some(31.0),
                far_end: Some(FarEnd { lost: 2, jitter_ms: 1.5, mos: 4.3 }),
            });
            put(tx, &call, &[leg.clone()]).unwrap();
            assert_eq!(crate::find::<Call>(tx, call.tenant_id, &call.id).unwrap(), call);
            assert_eq!(legs::of_call(tx, call.id).unwrap(), [leg.clone()]);
            assert_eq!(legs::find_by_lk(tx, "SCL_1").unwrap(), Some(leg));
            assert_eq!(unfinished(tx).unwrap(), [call]);
        })
        .await;
    }

    #[tokio::test]
    async fn a_room_is_over_when_none_of_its_calls_goes_on() {
        with_db(|tx| {
            assert!(!is_room_over(tx, "room").unwrap(), "it is none of ours");
            let tenant = tenant(tx);
            let (mut first, second) = (call(tenant), call(tenant));
            first.state = CallState::Ended;
            put(tx, &first, &[]).unwrap();
            assert!(is_room_over(tx, "room").unwrap());
            put(tx, &second, &[]).unwrap();
            assert!(!is_room_over(tx, "room").unwrap());
        })
        .await;
    }

    use crate::legs::{FarEnd, Stats};

    #[tokio::test]
    async fn a_call_has_one_cdr_and_is_metered_once() {
        with_db(|tx| {
            let mut call = call(tenant(tx));
            call.answered_at = Some("2026-03-02T10:00:05Z".parse().unwrap());
            call.ended_at = Some("2026-03-02T10:01:05Z".parse().unwrap());
            call.end_reason = Some(EndReason::CallerHangup);
            call.state = CallState::Ended;
            put(tx, &call, &[]).unwrap();
            assert!(finish(tx, &call, &[]).unwrap());
            assert!(!finish(tx, &call, &[]).unwrap());
            assert_eq!((count(tx, "cdr"), count(tx, "metering")), (1, 2));
            let seconds: f64 = tx.query_row("SELECT billable_s FROM cdr", [], |row| row.get(0)).unwrap();
            assert!((seconds - 60.0).abs() < 1e-9);
            assert!(amend_to_voicemail(tx, call.id).unwrap());
            assert!(!amend_to_voicemail(tx, call.id).unwrap());
            let reason: String = tx.query_row("SELECT end_reason FROM cdr", [], |row| row.get(0)).unwrap();
            assert_eq!(reason, "voicemail");
        })
        .await;
    }

    #[tokio::test]
    async fn the_boxs_call_to_itself_is_neither_metered_nor_counted() {
        with_db(|tx| {
            let customer = call(tenant(tx));
            let mut own = call(tenants::system(tx).unwrap().id);
            put(tx, &customer, &[]).unwrap();
            put(tx, &own, &[]).unwrap();
            assert_eq!((unfinished(tx).unwrap().len(), count_unfinished(tx).unwrap()), (2, 1));
            own.ended_at = Some(Timestamp::now());
            own.end_reason = Some(EndReason::Voicemail);
            assert!(!finish(tx, &own, &[]).unwrap());
            assert_eq!((count(tx, "cdr"), count(tx, "metering")), (0, 0));
        })
        .await;
    }

    #[tokio::test]
    async fn every_filter_narrows_the_list() {
        with_db(|tx| {
            let call = call(tenant(tx));
            put(tx, &call, &[]).unwrap();
            let found = |filter: Filter| {
                let page = Page { limit: 10, after: None };
                list(tx, call.tenant_id, &filter, &page).unwrap().len()
            };
            assert_eq!(found(Filter::default()), 1);
            assert_eq!(found(Filter { q: Some("6123".into()), ..Filter::default() }), 1);
            assert_eq!(found(Filter { caller: Some("+31612345678".into()), ..Filter::default() }), 1);
            assert_eq!(found(Filter { from: Some(call.started_at), ..Filter::default() }), 1);
            for other in [
                Filter { q: Some("999".into()), ..Filter::default() },
                Filter { state: Some(CallState::Ended), ..Filter::default() },
                Filter { kind: Some(CallKind::Room), ..Filter::default() },
                Filter { direction: Some(Direction::Outbound), ..Filter::default() },
                Filter { to: Some(call.started_at), ..Filter::default() },
                Filter { user: Some(UserId::new()), ..Filter::default() },
                Filter { extension_id: Some(ExtensionId::new()), ..Filter::default() },
                Filter { end_reason: Some("busy".into()), ..Filter::default() },
            ] {
                assert_eq!(found(other.clone()), 0, "{other:?}");
            }
        })
        .await;
    }

    #[tokio::test]
    async fn a_spool_is_taken_in_further_and_never_back() {
        with_db(|tx| {
            assert_eq!(ingested(tx, "sip-gateway", "a").unwrap(), 0);
            mark_ingested(tx, "sip-gateway", "a", 7).unwrap();
            mark_ingested(tx, "sip-gateway", "a", 5).unwrap();
            assert_eq!(ingested(tx, "sip-gateway", "a").unwrap(), 7);
            assert_eq!(last_instance(tx, "sip-gateway").unwrap().as_deref(), Some("a"));
        })
        .await;
    }
}
