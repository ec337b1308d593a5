//! What does one of our own desk phones want when it dials?
//!
//! An extension's number rings that extension, as its own settings say; a number of the world goes out
//! through the tenant's trunk. National numbers are understood by the tenant's country code.

use super::{
    inbound::{Found, Way, caller_number},
    outbound::RING_TIMEOUT,
    phone,
};
use call::{Heir, Input};
use dialplan::{Action, Destination};
use store::{Connection, StoreError, extensions, tenants};
use types::{E164, ExtensionId, TenantId};

/// What was dialled.
pub(super) enum Dialled {
    Extension {
        id: ExtensionId,
        number: String,
    },
    Number(E164),
    /// Neither an extension nor a telephone number.
    Nothing(String),
}

impl Dialled {
    pub fn read(conn: &Connection, tenant: TenantId, text: &str, country: Option<&str>) -> Result<Dialled, StoreError> {
        if let Some(extension) = extensions::with_number(conn, tenant, text)? {
            return Ok(Dialled::Extension { id: extension.id, number: extension.spec.number });
        }
        let number = caller_number(text, country).parse().ok();
        Ok(number.map_or_else(|| Dialled::Nothing(text.to_owned()), Dialled::Number))
    }

    /// For the call's state machine.
    pub fn input(&self) -> Input {
        match self {
            Dialled::Extension { id, .. } => Input::Routed(Action::RingExtension { extension_id: *id }),
            Dialled::Number(number) => {
                Input::Dialed { to: Destination::Number(number.clone()), ring_timeout: RING_TIMEOUT }
            }
            Dialled::Nothing(_) => Input::NoRuleMatched,
        }
    }

    /// Who takes the place of a phone that hands its call over.
    pub fn heir(&self) -> Option<Heir> {
        match self {
            Dialled::Extension { id, .. } => Some(Heir::Extension(*id)),
            Dialled::Number(number) => Some(Heir::Outside(Destination::Number(number.clone()))),
            Dialled::Nothing(_) => None,
        }
    }

    /// For the log.
    pub fn kind(&self) -> &'static str {
        match self {
            Dialled::Extension { .. } => "ring_extension",
            Dialled::Number(_) => "dial",
            Dialled::Nothing(_) => "none",
        }
    }

    /// For the record.
    pub fn shown(&self) -> String {
        match self {
            Dialled::Extension { number, .. } | Dialled::Nothing(number) => number.clone(),
            Dialled::Number(number) => number.as_str().to_owned(),
        }
    }
}

/// `None`: the extension is gone since the phone registered.
pub(super) fn locate(conn: &Connection, id: ExtensionId, dialled: &str) -> Result<Option<Found>, StoreError> {
    let Some(extension) = extensions::find_anywhere(conn, id)? else { return Ok(None) };
    let tenant = tenants::find(conn, extension.tenant_id)?;
    let dialled = Dialled::read(conn, tenant.id, dialled, tenant.spec.country_code.as_deref())?;
    let caller = match dialled {
        Dialled::Number(_) => phone::line(conn, tenant.id, None)?.and_then(|(_, number)| number),
        Dialled::Extension { .. } | Dialled::Nothing(_) => None,
    };
    let caller = caller.unwrap_or_else(|| extension.spec.number.clone());
    Ok(Some(Found { tenant, way: Way::Phone { extension: Box::new(extension), dialled }, caller }))
}
