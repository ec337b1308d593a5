//! May a phone put somebody else in its place?
//!
//! A desk phone may hand its call to whoever it could call itself: an extension of its tenant, or a number through the
//! tenant's trunk. So may a carrier whose trunk accepts transfers. The gateway asks, having made sure that a desk phone is
//! one of ours; how it goes on is the call's own business.

use super::{actor::Handle, desk_phone::Dialled, joining};
use crate::app::App;
use call::{Input, Party};
use store::{Connection, StoreError, extensions, tenants, trunks::Trunk};
use types::{
    ExtensionId, TenantId, TrunkId,
    control::{ReferralAnswer, ReferralRequest},
};

/// 202 as soon as somebody is being called.
pub async fn decide(app: &App, request: ReferralRequest) -> ReferralAnswer {
    let lk_call_id = request.lk_call_id.clone();
    let answer = hand_over(app, request).await.unwrap_or_else(|error| {
        tracing::error!(%error, "scaidial_referral_failed");
        refused(503)
    });
    tracing::info!(lk_call_id, ?answer, "scaidial_referral_decision");
    answer
}

async fn hand_over(app: &App, request: ReferralRequest) -> Result<ReferralAnswer, StoreError> {
    let Some(handle) = app.calls.find_by_leg(&request.lk_call_id) else { return Ok(refused(481)) };
    let trunk = trunk_of(&handle, &request).await;
    let dialled = match read(app, handle.tenant, trunk, &request).await? {
        Ok(dialled) => dialled,
        Err(code) => return Ok(refused(code)),
    };
    if let Some(other) = &request.replaces {
        return Ok(joining::join(app, &request.lk_call_id, other).await);
    }
    let Some(to) = dialled.heir() else { return Ok(refused(404)) };
    let done = handle.tell(move |live| {
        let Some(by) = live.leg_by_lk(&request.lk_call_id).map(|leg| Party(leg.party)) else { return refused(481) };
        if !live.may_hand_over(by) {
            return refused(603);
        }
        live.input(Input::HandOver { by, to });
        ReferralAnswer::Accepted
    });
    Ok(done.await.unwrap_or(refused(481)))
}

/// The carrier's trunk, if a carrier asks.
async fn trunk_of(handle: &Handle, request: &ReferralRequest) -> Option<TrunkId> {
    let lk_call_id = request.lk_call_id.clone();
    handle.tell(move |live| live.leg_by_lk(&lk_call_id)?.trunk_id).await.flatten()
}

/// What the phone asks for, or the SIP code of why it may not.
async fn read(
    app: &App,
    tenant: TenantId,
    trunk: Option<TrunkId>,
    request: &ReferralRequest,
) -> Result<Result<Dialled, u16>, StoreError> {
    let (extension, to) = (request.extension_id, request.to.clone());
    app.db
        .read(move |conn| {
            if let Err(code) = may_ask(conn, tenant, extension, trunk)? {
                return Ok(Err(code));
            }
            let country = tenants::find(conn, tenant)?.spec.country_code;
            Dialled::read(conn, tenant, &to, country.as_deref()).map(Ok)
        })
        .await
}

/// 403 for a phone of another tenant, 603 for a carrier that is not trusted to.
fn may_ask(
    conn: &Connection,
    tenant: TenantId,
    extension: Option<ExtensionId>,
    trunk: Option<TrunkId>,
) -> Result<Result<(), u16>, StoreError> {
    if let Some(extension) = extension {
        let own = extensions::find_anywhere(conn, extension)?.is_some_and(|found| found.tenant_id == tenant);
        return Ok(if own { Ok(()) } else { Err(403) });
    }
    let Some(trunk) = trunk else { return Ok(Err(603)) };
    let accepts = store::find::<Trunk>(conn, tenant, &trunk)?.spec.accept_transfers;
    Ok(if accepts { Ok(()) } else { Err(603) })
}

fn refused(code: u16) -> ReferralAnswer {
    ReferralAnswer::Refused { code }
}
