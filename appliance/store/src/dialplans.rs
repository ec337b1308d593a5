//! Dialplans and their rules. What a rule means is for the `dialplan` crate; here it is type and JSON.

use crate::{Record, StoreError, sql};
use jiff::Timestamp;
use rusqlite::{Connection, Row, Transaction, params, types::Type};
use serde::Serialize;
use serde_json::Value;
use types::{DialplanId, RuleId, TenantId};
use utoipa::ToSchema;

crate::choices! {
    MatchType {
        Always = "always",
        Did = "did",
        Extension = "extension",
        CallerPrefix = "caller_prefix",
        TimeWindow = "time_window",
        Holiday = "holiday",
    }

    ActionType {
        RingExtension = "ring_extension",
        RingBot = "ring_bot",
        Voicemail = "voicemail",
        Forward = "forward",
        Hangup = "hangup",
        PlayMessage = "play_message",
    }
}

/// What may be set of a rule.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct RuleSpec {
    /// Lower is tried first; equal ones in order of creation.
    #[schema(default = 100)]
    pub priority: i32,
    pub match_type: MatchType,
    #[schema(default = json!({}), value_type = Object)]
    pub match_params: Value,
    pub action_type: ActionType,
    #[schema(default = json!({}), value_type = Object)]
    pub action_params: Value,
    #[schema(default = true)]
    pub enabled: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Rule {
    #[schema(value_type = String)]
    pub id: RuleId,
    #[serde(flatten)]
    pub spec: RuleSpec,
}

/// What may be set of a dialplan; rules given with an `id` keep it.
#[derive(Clone, Debug, PartialEq)]
pub struct DialplanSpec {
    /// Unique in the tenant.
    pub name: String,
    pub rules: Vec<(Option<RuleId>, RuleSpec)>,
}

/// A dialplan with its rules in the order in which they are tried.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Dialplan {
    #[schema(value_type = String)]
    pub id: DialplanId,
    #[schema(value_type = String)]
    pub tenant_id: TenantId,
    pub name: String,
    pub rules: Vec<Rule>,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
}

/// Read without its rules; see [`with_rules`].
impl Record for Dialplan {
    const TABLE: &'static str = "dialplan";
    const NOUN: &'static str = "dialplan";

    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: sql::parse(row, "id")?,
            tenant_id: sql::parse(row, "tenant_id")?,
            name: row.get("name")?,
            rules: Vec::new(),
            created_at: sql::parse(row, "created_at")?,
            updated_at: sql::parse(row, "updated_at")?,
        })
    }

    fn id(&self) -> String {
        self.id.to_string()
    }
}

/// Fills in the rules.
pub fn with_rules(conn: &Connection, dialplan: Dialplan) -> Result<Dialplan, StoreError> {
    let rules = rules(conn, dialplan.id)?;
    Ok(Dialplan { rules, ..dialplan })
}

/// The dialplan as it is evaluated.
pub fn load(conn: &Connection, tenant: TenantId, id: DialplanId) -> Result<Option<dialplan::Dialplan>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT rule.* FROM rule JOIN dialplan ON dialplan.id = rule.dialplan_id
         WHERE dialplan.id = ?1 AND dialplan.tenant_id = ?2 ORDER BY rule.seq",
    )?;
    let known: bool = conn.query_row(
        "SELECT EXISTS (SELECT 1 FROM dialplan WHERE id = ?1 AND tenant_id = ?2)",
        [id.to_string(), tenant.to_string()],
        |row| row.get(0),
    )?;
    let rows = statement.query_map([id.to_string(), tenant.to_string()], evaluable_from_row)?;
    let rules = rows.collect::<Result<_, _>>()?;
    Ok(known.then_some(dialplan::Dialplan { id, rules }))
}

fn evaluable_from_row(row: &Row<'_>) -> rusqlite::Result<dialplan::Rule> {
    let part = |kind: &str, params: &str| -> rusqlite::Result<(String, Value)> {
        Ok((row.get(kind)?, sql::from_json(row, params)?))
    };
    let damaged = |err: serde_json::Error| rusqlite::Error::FromSqlConversionFailure(0, Type::Text, err.into());
    let (match_type, match_params) = part("match_type", "match_params")?;
    let (action_type, action_params) = part("action_type", "action_params")?;
    Ok(dialplan::Rule {
        id: sql::parse(row, "id")?,
        priority: row.get("priority")?,
        matches: dialplan::Match::from_parts(&match_type, match_params).map_err(damaged)?,
        action: dialplan::Action::from_parts(&action_type, action_params).map_err(damaged)?,
        enabled: row.get("enabled")?,
    })
}

/// The rules in the order in which they are tried.
pub fn rules(conn: &Connection, dialplan: DialplanId) -> Result<Vec<Rule>, StoreError> {
    let mut statement = conn.prepare_cached("SELECT * FROM rule WHERE dialplan_id = ?1 ORDER BY priority, seq")?;
    let rows = statement.query_map([dialplan.to_string()], rule_from_row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub fn insert(tx: &Transaction<'_>, tenant: TenantId, new: &DialplanSpec) -> Result<Dialplan, StoreError> {
    let (id, now) = (DialplanId::new(), sql::time(Timestamp::now()));
    tx.execute(
        "INSERT INTO dialplan (id, tenant_id, name, created_at, updated_at) VALUES (?1, ?2, ?3, ?4, ?4)",
        params![id.to_string(), tenant.to_string(), new.name, now],
    )
    .map_err(|err| StoreError::constraint(err, "dialplan"))?;
    update(tx, tenant, id, new)
}

/// Sets the name and exactly these rules. A rule that keeps its id keeps its place among equals.
pub fn update(
    tx: &Transaction<'_>,
    tenant: TenantId,
    id: DialplanId,
    new: &DialplanSpec,
) -> Result<Dialplan, StoreError> {
    let sql = "UPDATE dialplan SET name = ?3, updated_at = ?4 WHERE id = ?1 AND tenant_id = ?2 RETURNING *";
    let now = sql::time(Timestamp::now());
    let dialplan = tx
        .query_row(sql, params![id.to_string(), tenant.to_string(), new.name, now], Dialplan::from_row)
        .map_err(|err| StoreError::constraint(err, "dialplan"))?;
    let kept: Vec<String> = new.rules.iter().filter_map(|(rule, _)| sql::text(*rule)).collect();
    tx.execute(
        "DELETE FROM rule WHERE dialplan_id = ?1 AND id NOT IN (SELECT value FROM json_each(?2))",
        params![id.to_string(), sql::json(&kept)?],
    )?;
    for (rule, spec) in &new.rules {
        put_rule(tx, id, rule.unwrap_or_else(RuleId::new), spec)?;
    }
    with_rules(tx, dialplan)
}

/// Adds the rule, or changes the one with this id.
pub fn put_rule(tx: &Transaction<'_>, dialplan: DialplanId, id: RuleId, rule: &RuleSpec) -> Result<Rule, StoreError> {
    let result = tx.query_row(
        "INSERT INTO rule (id, dialplan_id, priority, match_type, match_params, action_type, action_params, enabled)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
         ON CONFLICT (id) DO UPDATE SET priority = ?3, match_type = ?4, match_params = ?5,
                action_type = ?6, action_params = ?7, enabled = ?8
         WHERE dialplan_id = ?2
         RETURNING *",
        params![
            id.to_string(),
            dialplan.to_string(),
            rule.priority,
            rule.match_type.as_str(),
            sql::json(&rule.match_params)?,
            rule.action_type.as_str(),
            sql::json(&rule.action_params)?,
            rule.enabled
        ],
        rule_from_row,
    );
    match result {
        // The id is a rule of another dialplan.
        Err(rusqlite::Error::QueryReturnedNoRows) => Err(StoreError::NotFound { noun: "rule", id: id.to_string() }),
        other => Ok(other?),
    }
}

pub fn delete_rule(tx: &Transaction<'_>, dialplan: DialplanId, id: RuleId) -> Result<(), StoreError> {
    let sql = "DELETE FROM rule WHERE id = ?1 AND dialplan_id = ?2";
    match tx.execute(sql, [id.to_string(), dialplan.to_string()])? {
        0 => Err(StoreError::NotFound { noun: "rule", id: id.to_string() }),
        _ => Ok(()),
    }
}

/// The name of a dialplan of the tenant whose rules name this object, if there is one.
pub fn that_uses(conn: &Connection, tenant: TenantId, object: &str) -> Result<Option<String>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT dialplan.name FROM rule JOIN dialplan ON dialplan.id = rule.dialplan_id
         WHERE dialplan.tenant_id = ?1 AND (
             EXISTS (SELECT 1 FROM json_each(match_params) WHERE value = ?2)
             OR EXISTS (SELECT 1 FROM json_each(action_params) WHERE value = ?2)) LIMIT 1",
    )?;
    let mut rows = statement.query([tenant.to_string().as_str(), object])?;
    Ok(rows.next()?.map(|row| row.get(0)).transpose()?)
}

fn rule_from_row(row: &Row<'_>) -> rusqlite::Result<Rule> {
    Ok(Rule {
        id: sql::parse(row, "id")?,
        spec: RuleSpec {
            priority: row.get("priority")?,
            match_type: sql::parse(row, "match_type")?,
            match_params: sql::from_json(row, "match_params")?,
            action_type: sql::parse(row, "action_type")?,
            action_params: sql::from_json(row, "action_params")?,
            enabled: row.get("enabled")?,
        },
    })
}
