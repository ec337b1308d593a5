//! A dialplan's body as rules, each reference of them checked.

use crate::{
    error::{ApiError, ApiResult, FieldError},
    fields::{self, Fields},
    nouns::References,
};
use dialplan::{NewRule, Reference};
use serde_json::Value;
use store::{Connection, bots::Bot, calendars::Calendar, dialplans::RuleSpec, dids::Did, extensions::Extension};
use types::{RuleId, TenantId};
use utoipa::ToSchema;

/// A dialplan with all its rules.
#[derive(ToSchema)]
#[allow(dead_code)] // describes the body; `read` takes it field by field
pub struct DialplanInput {
    /// Unique in the tenant.
    name: String,
    #[schema(default = json!([]))]
    rules: Vec<RuleInput>,
}

/// A rule inside a dialplan.
#[derive(ToSchema)]
#[allow(dead_code)] // describes the body; `rules` reads it field by field
struct RuleInput {
    /// The rule that it was before; without one it is a new rule.
    id: Option<String>,
    #[serde(flatten)]
    spec: RuleSpec,
}

/// A rule that reads well, with the id that it named.
pub type ReadRule = (Option<RuleId>, NewRule);

/// The name and the rules.
pub fn read(mut fields: Fields) -> ApiResult<(String, Vec<ReadRule>)> {
    let name = fields.req("name", fields::text(1..=80));
    let rules = fields.take("rules").map_or(Ok(Vec::new()), |list| rules(&list));
    let rules = rules.map_err(|errors| fields.extend(errors)).ok();
    fields.build(|| Some((name?, rules?)))
}

/// One rule.
pub fn rule(value: &Value, path: &str) -> ApiResult<ReadRule> {
    let rule = dialplan::parse_rule(value, path);
    let rule = rule.map_err(|errors| ApiError::invalid(errors.into_iter().map(Into::into).collect()))?;
    Ok((None, rule))
}

/// What the rules name must be there; the result is what the database stores.
pub fn checked(
    conn: &Connection,
    tenant: TenantId,
    rules: Vec<ReadRule>,
    path: &str,
) -> ApiResult<Vec<(Option<RuleId>, RuleSpec)>> {
    let mut references = References::new(conn, tenant);
    for (at, (_, rule)) in rules.iter().enumerate() {
        for (field, reference) in rule.references() {
            let field = if path.is_empty() { field.to_owned() } else { format!("{path}[{at}].{field}") };
            match reference {
                Reference::Did(id) => references.check::<Did>(field, Some(&id))?,
                Reference::Extension(id) => references.check::<Extension>(field, Some(&id))?,
                Reference::Bot(id) => references.check::<Bot>(field, Some(&id))?,
                Reference::Calendar(id) => references.check::<Calendar>(field, Some(&id))?,
            }
        }
    }
    references.finish()?;
    rules.into_iter().map(|(id, rule)| Ok((id, stored(&rule)?))).collect()
}

fn rules(list: &Value) -> Result<Vec<ReadRule>, Vec<FieldError>> {
    let parsed = dialplan::parse_rules(list, "rules");
    let parsed = parsed.map_err(|errors| errors.into_iter().map(FieldError::from).collect::<Vec<_>>())?;
    let ids = list.as_array().into_iter().flatten().map(|rule| rule.get("id").filter(|id| !id.is_null()));
    let mut errors = Vec::new();
    let mut rules = Vec::new();
    for (at, (id, rule)) in ids.zip(parsed).enumerate() {
        match id.map(fields::id::<RuleId>).transpose() {
            Ok(id) => rules.push((id, rule)),
            Err(wrong) => errors.push(FieldError::new(format!("rules[{at}].id"), wrong.code, wrong.message)),
        }
    }
    if errors.is_empty() { Ok(rules) } else { Err(errors) }
}

fn stored(rule: &NewRule) -> ApiResult<RuleSpec> {
    Ok(RuleSpec {
        priority: rule.priority,
        match_type: rule.matches.kind().parse().map_err(ApiError::internal)?,
        match_params: rule.matches.params(),
        action_type: rule.action.kind().parse().map_err(ApiError::internal)?,
        action_params: rule.action.params(),
        enabled: rule.enabled,
    })
}
