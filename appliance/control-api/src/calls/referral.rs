//! May a desk phone put somebody else in its place?
//!
//! It may hand its call to whoever it could call itself: an extension of its tenant, or a number through the tenant's
//! trunk. The gateway asks, having made sure that the phone is one of ours; how it goes on is the call's own business.

use super::{desk_phone::Dialled, joining};
use crate::app::App;
use call::{Input, Party};
use store::{StoreError, extensions, tenants};
use types::{
    TenantId,
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
    let Some(dialled) = read(app, handle.tenant, &request).await? else { return Ok(refused(403)) };
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

/// What the phone asks for; `None` when its extension is not of the call's tenant.
async fn read(app: &App, tenant: TenantId, request: &ReferralRequest) -> Result<Option<Dialled>, StoreError> {
    let (extension, to) = (request.extension_id, request.to.clone());
    app.db
        .read(move |conn| {
            let own = extensions::find_anywhere(conn, extension)?.is_some_and(|found| found.tenant_id == tenant);
            if !own {
                return Ok(None);
            }
            let country = tenants::find(conn, tenant)?.spec.country_code;
            Dialled::read(conn, tenant, &to, country.as_deref()).map(Some)
        })
        .await
}

fn refused(code: u16) -> ReferralAnswer {
    ReferralAnswer::Refused { code }
}
