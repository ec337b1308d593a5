//! Is this an extension that can ring?
//!
//! [`read`] checks the body alone: every type has what it needs, every action has its target.
//! [`check`] checks what it names against the database.

use crate::{
    error::{ApiResult, FieldError},
    fields::{self, Fields, Wrong},
    nouns::References,
};
use dialplan::Destination;
use serde_json::Value;
use store::{
    Connection,
    bots::Bot,
    extensions::{Extension, ExtensionSpec, ExtensionType, Forwarding, TimeoutAction},
    users::User,
};
use types::{BotId, ExtensionId, TenantId};

const RING_TIMEOUTS: std::ops::RangeInclusive<i64> = 5..=120;

/// Reads the whole of an extension.
pub fn read(mut fields: Fields) -> ApiResult<ExtensionSpec> {
    let number = fields.req("number", fields::dialable(1..=10));
    let name = fields.req("name", fields::text(1..=80));
    let kind = fields.req("type", fields::choice);
    let user_id = fields.opt("user_id", fields::id);
    let bot_id = fields.opt("bot_id", fields::id);
    let target = fields.opt("target", fields::spelled::<Destination>("invalid_destination"));
    let sip_username = fields.opt("sip_username", fields::text(1..=80));
    let sip_password = fields.opt("sip_password", fields::secret(8..=128));
    let dnd = fields.or("dnd", false, fields::boolean);
    let forwarding = fields.or("forwarding", Vec::new(), fields::list(10, forwarding));
    let ring_timeout_s = fields.or("ring_timeout_s", 25, ring_timeout);
    let timeout_action = fields.or("timeout_action", TimeoutAction::Voicemail, fields::choice);
    let timeout_forward_to = fields.opt("timeout_forward_to", fields::text(1..=200));
    if let Some(kind) = kind {
        let has = Parts {
            user: user_id != Some(None),
            bot: bot_id != Some(None),
            target: target != Some(None),
            login: sip_username != Some(None) && sip_password != Some(None),
        };
        needs(&mut fields, kind, &has);
    }
    if let (Some(action), Some(to)) = (timeout_action, &timeout_forward_to) {
        timeout_target(&mut fields, action, to.as_deref());
    }
    fields.build(|| {
        Some(ExtensionSpec {
            number: number?,
            name: name?,
            kind: kind?,
            user_id: user_id?,
            bot_id: bot_id?,
            target: target?,
            sip_username: sip_username?,
            sip_password: sip_password?,
            dnd: dnd?,
            forwarding: forwarding?,
            ring_timeout_s: ring_timeout_s?,
            timeout_action: timeout_action?,
            timeout_forward_to: timeout_forward_to?,
        })
    })
}

/// What the extension names must be there.
pub fn check(conn: &Connection, tenant: TenantId, spec: &ExtensionSpec) -> ApiResult<()> {
    let mut references = References::new(conn, tenant);
    references.check::<User>("user_id", spec.user_id.as_ref())?;
    references.check::<Bot>("bot_id", spec.bot_id.as_ref())?;
    let to = spec.timeout_forward_to.as_ref();
    match spec.timeout_action {
        TimeoutAction::RingBot => references.check::<Bot>("timeout_forward_to", to)?,
        TimeoutAction::RingExtension => references.check::<Extension>("timeout_forward_to", to)?,
        _ => {}
    }
    for (at, entry) in spec.forwarding.iter().enumerate() {
        for (target, to) in entry.to.iter().enumerate().filter(|(_, to)| to.parse::<ExtensionId>().is_ok()) {
            references.check::<Extension>(format!("forwarding[{at}].to[{target}]"), Some(to))?;
        }
    }
    references.finish()
}

struct Parts {
    user: bool,
    bot: bool,
    target: bool,
    login: bool,
}

/// Each type needs something to ring.
fn needs(fields: &mut Fields, kind: ExtensionType, has: &Parts) {
    let missing = match kind {
        ExtensionType::Wave if !has.user => Some(("user_id", "an extension of type wave needs its owner")),
        ExtensionType::Bot if !has.bot => Some(("bot_id", "an extension of type bot needs one")),
        ExtensionType::External if !has.target => {
            Some(("target", "an extension of type external needs an E.164 number or SIP URI"))
        }
        ExtensionType::SipEndpoint if !has.target && !has.login => {
            Some(("target", "an extension of type sip_endpoint needs a SIP URI, or sip_username and sip_password"))
        }
        _ => None,
    };
    if let Some((field, message)) = missing {
        fields.extend([FieldError::new(field, "required", message)]);
    }
}

/// What stands in `timeout_forward_to` depends on the action.
fn timeout_target(fields: &mut Fields, action: TimeoutAction, to: Option<&str>) {
    let fits = |to: &str| match action {
        TimeoutAction::RingBot => to.parse::<BotId>().map(drop).map_err(|err| err.to_string()),
        TimeoutAction::RingExtension => to.parse::<ExtensionId>().map(drop).map_err(|err| err.to_string()),
        TimeoutAction::Forward => to.parse::<Destination>().map(drop).map_err(|err| err.to_string()),
        TimeoutAction::Voicemail | TimeoutAction::Hangup => Err(format!("{action} takes no target")),
    };
    let takes_none = matches!(action, TimeoutAction::Voicemail | TimeoutAction::Hangup);
    match to.map(fits) {
        None if takes_none => {}
        None => fields.wrong("timeout_forward_to", Wrong::new("required", format!("{action} needs a target"))),
        Some(Ok(())) => {}
        Some(Err(why)) => fields.wrong("timeout_forward_to", Wrong::new("invalid_target", why)),
    }
}

/// Seconds until `timeout_action`.
pub fn ring_timeout(value: &Value) -> Result<u32, Wrong> {
    fields::integer(RING_TIMEOUTS)(value)
}

/// One entry of `forwarding`.
pub fn forwarding(value: &Value) -> Result<Forwarding, Wrong> {
    fields::only(value, &["when", "to", "enabled"])?;
    let to = fields::member(value, "to", fields::list(5, forward_target))?;
    if to.is_empty() {
        return Err(Wrong { at: ".to".into(), ..Wrong::new("required", "names nobody") });
    }
    let enabled = value.get("enabled").map_or(Ok(true), |_| fields::member(value, "enabled", fields::boolean));
    Ok(Forwarding { when: fields::member(value, "when", fields::choice)?, to, enabled: enabled? })
}

fn forward_target(value: &Value) -> Result<String, Wrong> {
    let text = value.as_str().unwrap_or_default();
    let fine = text.parse::<ExtensionId>().is_ok() || text.parse::<Destination>().is_ok();
    fine.then(|| text.to_owned()).ok_or_else(|| {
        Wrong::new("invalid_destination", format!("`{text}` is no E.164 number, SIP URI or extension id"))
    })
}
