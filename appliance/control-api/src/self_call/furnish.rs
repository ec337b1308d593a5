//! What must be there for the box to ring itself: a trunk for callers on this machine, a number on
//! it, and a dialplan that records them. Made once, in the box's own tenant.

use serde_json::json;
use store::{
    Page, Record, StoreError, Transaction,
    dialplans::{self, ActionType, DialplanSpec, MatchType, RuleSpec},
    dids::{self, Did, DidSpec},
    extensions::{self, ExtensionSpec, ExtensionType, TimeoutAction},
    tenants,
    trunks::{self, AuthMode, Codec, MediaEncryption, NumberFormat, SipTransport, Trunk, TrunkSpec},
};
use types::{E164, TenantId, TrunkId};

/// No carrier has it: ITU-T has given country code 999 to nobody. Nor may a tenant, see `dids`.
///
/// LiveKit matches the dialled number first, so a tenant's trunk for this machine is never in the way.
pub const NUMBER: &str = "+999000000000001";

/// The gateway listens on every address of the box; nothing outside of it can come from this one.
pub const HOST: &str = "127.0.0.1";

const NAME: &str = "self-call";

/// Everything in place, and the trunk about to be made known to LiveKit once more.
pub fn furnish(tx: &Transaction<'_>, sip_port: u16) -> Result<Trunk, StoreError> {
    let tenant = tenants::system(tx)?.id;
    let trunk = put_trunk(tx, tenant, sip_port)?;
    if first::<Did>(tx, tenant)?.is_none() {
        put_number(tx, tenant, trunk.id)?;
    }
    Ok(trunk)
}

fn put_trunk(tx: &Transaction<'_>, tenant: TenantId, sip_port: u16) -> Result<Trunk, StoreError> {
    let spec = trunk(sip_port);
    match first::<Trunk>(tx, tenant)? {
        None => trunks::insert(tx, tenant, &spec),
        Some(known) if known.spec == spec => trunks::mark_pending(tx, tenant, known.id),
        Some(known) => trunks::update(tx, tenant, known.id, &spec),
    }
}

fn put_number(tx: &Transaction<'_>, tenant: TenantId, trunk_id: TrunkId) -> Result<(), StoreError> {
    let mailbox = extensions::insert(tx, tenant, &mailbox())?.id;
    let rule = RuleSpec {
        priority: 100,
        match_type: MatchType::Always,
        match_params: json!({}),
        action_type: ActionType::Voicemail,
        action_params: json!({ "extension_id": mailbox }),
        enabled: true,
    };
    let plan = DialplanSpec { name: NAME.into(), rules: vec![(None, rule)] };
    let plan = dialplans::insert(tx, tenant, &plan)?.id;
    let number: Result<E164, _> = NUMBER.parse();
    let Ok(number) = number else { return Ok(()) }; // it is one: see the test
    let did = DidSpec { number, trunk_id, dialplan_id: Some(plan), label: NAME.into(), enabled: true };
    dids::insert(tx, tenant, &did).map(drop)
}

fn first<R: Record>(tx: &Transaction<'_>, tenant: TenantId) -> Result<Option<R>, StoreError> {
    Ok(store::list(tx, tenant, &Page { limit: 1, after: None })?.into_iter().next())
}

fn trunk(sip_port: u16) -> TrunkSpec {
    TrunkSpec {
        name: NAME.into(),
        sip_server_address: format!("{HOST}:{sip_port}"),
        sip_transport: SipTransport::Udp,
        auth_mode: AuthMode::Ip,
        sip_auth_username: None,
        sip_auth_password: None,
        register: false,
        allowed_addresses: vec![format!("{HOST}/32")],
        media_encryption: MediaEncryption::Disable,
        codecs: vec![Codec::Pcmu],
        accept_transfers: false,
        number_format: NumberFormat::PlusE164,
        priority: 100,
        enabled: true,
    }
}

fn mailbox() -> ExtensionSpec {
    ExtensionSpec {
        number: "1".into(),
        name: NAME.into(),
        kind: ExtensionType::Voicemail,
        user_id: None,
        bot_id: None,
        target: None,
        sip_username: None,
        sip_password: None,
        dnd: false,
        forwarding: Vec::new(),
        ring_timeout_s: 25,
        timeout_action: TimeoutAction::Voicemail,
        timeout_forward_to: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_is_one_that_the_box_can_store() {
        assert_eq!(NUMBER.parse::<E164>().unwrap().as_str(), NUMBER);
    }
}
