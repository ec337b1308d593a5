//! What does a call have to know of an extension?
//!
//! Translates the stored extension for the state machine, with its forwarding resolved: numbers and
//! URIs as they are, extensions to what they would ring themselves (one level deep).

use call::{Extension, Kind, Onward, Ring, TimeoutAction};
use dialplan::Destination;
use std::time::Duration;
use store::{
    Connection, StoreError,
    extensions::{self, ExtensionType, ForwardWhen},
};
use types::{ExtensionId, TenantId, control::phones_uri};

/// `None`: there is no such extension in this tenant.
pub fn load(conn: &Connection, tenant: TenantId, id: ExtensionId) -> Result<Option<Extension>, StoreError> {
    let Some(stored) = find(conn, tenant, id)? else { return Ok(None) };
    let forward = |when| forwarding(conn, tenant, &stored, when);
    Ok(Some(Extension {
        id,
        kind: kind(&stored),
        dnd: stored.spec.dnd,
        always: forward(ForwardWhen::Always)?,
        busy: forward(ForwardWhen::Busy)?,
        no_answer: forward(ForwardWhen::NoAnswer)?,
        ring_timeout: Duration::from_secs(u64::from(stored.spec.ring_timeout_s)),
        timeout_action: timeout_action(&stored),
    }))
}

fn find(conn: &Connection, tenant: TenantId, id: ExtensionId) -> Result<Option<extensions::Extension>, StoreError> {
    match store::find(conn, tenant, &id) {
        Ok(found) => Ok(Some(found)),
        Err(StoreError::NotFound { .. }) => Ok(None),
        Err(err) => Err(err),
    }
}

fn kind(stored: &extensions::Extension) -> Kind {
    let spec = &stored.spec;
    let target = spec.target.as_deref().and_then(|target| target.parse::<Destination>().ok());
    match (spec.kind, spec.user_id, spec.bot_id, target) {
        (ExtensionType::Wave, Some(user), ..) => Kind::Wave { user },
        (ExtensionType::Bot, _, Some(bot), _) => Kind::Bot { bot },
        (ExtensionType::Voicemail, ..) => Kind::Voicemail,
        (ExtensionType::External | ExtensionType::SipEndpoint, _, _, Some(to)) => Kind::Outside { to },
        (ExtensionType::SipEndpoint, ..) if spec.sip_username.is_some() => {
            Kind::Outside { to: Destination::Uri(phones_uri(stored.id)) }
        }
        _ => Kind::Unreachable,
    }
}

fn timeout_action(stored: &extensions::Extension) -> TimeoutAction {
    use extensions::TimeoutAction as Stored;
    let to = stored.spec.timeout_forward_to.as_deref().unwrap_or_default();
    let found = match stored.spec.timeout_action {
        Stored::Voicemail => Some(TimeoutAction::Voicemail),
        Stored::Hangup => Some(TimeoutAction::Hangup),
        Stored::RingBot => to.parse().ok().map(TimeoutAction::RingBot),
        Stored::Forward => to.parse().ok().map(TimeoutAction::Forward),
        Stored::RingExtension => to.parse().ok().map(TimeoutAction::RingExtension),
    };
    found.unwrap_or(TimeoutAction::Hangup)
}

fn forwarding(
    conn: &Connection,
    tenant: TenantId,
    stored: &extensions::Extension,
    when: ForwardWhen,
) -> Result<Option<Onward>, StoreError> {
    let rules = stored.spec.forwarding.iter().filter(|rule| rule.enabled && rule.when == when);
    let mut rings = Vec::new();
    for target in rules.flat_map(|rule| &rule.to) {
        match resolve(conn, tenant, stored.id, target)? {
            Some(Onward::Ring(more)) => rings.extend(more),
            // A bot or a mailbox answers at once: nothing else would get to ring.
            Some(onward) => return Ok(Some(onward)),
            None => {}
        }
    }
    Ok((!rings.is_empty()).then_some(Onward::Ring(rings)))
}

fn resolve(conn: &Connection, tenant: TenantId, own: ExtensionId, target: &str) -> Result<Option<Onward>, StoreError> {
    let Ok(id) = target.parse::<ExtensionId>() else {
        let to = target.parse::<Destination>().ok();
        return Ok(to.map(|to| Onward::Ring(vec![Ring::Outside { to, extension: Some(own) }])));
    };
    let Some(other) = find(conn, tenant, id)? else { return Ok(None) };
    Ok(match kind(&other) {
        _ if other.spec.dnd && id != own => None,
        Kind::Wave { user } => Some(Onward::Ring(vec![Ring::User { user, extension: id }])),
        Kind::Outside { to } => Some(Onward::Ring(vec![Ring::Outside { to, extension: Some(id) }])),
        Kind::Bot { bot } => Some(Onward::Bot(bot)),
        Kind::Voicemail => Some(Onward::Voicemail(Some(id))),
        Kind::Unreachable => None,
    })
}
