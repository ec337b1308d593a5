//! Somebody who talks to two wants them to talk to each other, and says so through the API.
//!
//! Both are calls of one person, in a browser or at a desk phone; an admin may do it for them. How the two become one:
//! `joining`.

use super::{
    control,
    joining::{Side, unite, who_moves},
    live::Live,
};
use crate::{
    app::App,
    audit,
    auth::Caller,
    error::{ApiError, ApiResult},
};
use call::Party;
use serde_json::json;
use store::{
    calls::Call,
    legs::{Leg, LegState},
};
use types::{CallId, LegId};

/// `leg` of `call` goes to whom the same person talks to in `other`.
pub async fn transfer(app: &App, caller: &Caller, call: CallId, leg: LegId, other: CallId) -> ApiResult<Call> {
    let (here, there) = (control::find(app, caller, call).await?, control::find(app, caller, other).await?);
    control::open_leg(&here, leg).await?;
    let owner = here.tell(move |live| owner(live, leg)).await.flatten().ok_or_else(nobody_talks)?;
    let person = owner.clone();
    let here = Side::seen_from(here, move |_| Some(Party(owner.party))).await.ok_or_else(nobody_talks)?;
    let there = Side::seen_from(there, move |live| own_party(live, &person)).await.ok_or_else(not_in_both)?;
    let (going, staying) = who_moves(here, there).ok_or_else(nobody_moves)?;
    audit::note(app, caller, "leg.transfer", Some(leg.to_string()), json!({ "to_call_id": other })).await?;
    unite(app, going, staying).await.map_err(|code| match code {
        503 => control::unavailable("gateway_unavailable", "transfer failed: sip-gateway did not move the leg"),
        _ => control::ended("call"),
    })?;
    let tenant = caller.tenant_id;
    app.db.read(move |conn| Ok(store::find::<Call>(conn, tenant, &call)?)).await
}

/// Who talks to the leg.
fn owner(live: &Live, leg: LegId) -> Option<Leg> {
    live.partner(Party(live.leg(leg)?.party)).cloned()
}

/// The same person's party in another call.
fn own_party(live: &Live, person: &Leg) -> Option<Party> {
    let own = |leg: &&Leg| leg.state != LegState::Ended && is_same_person(leg, person);
    live.legs.iter().find(own).map(|leg| Party(leg.party))
}

fn is_same_person(one: &Leg, other: &Leg) -> bool {
    (one.user_id.is_some() && one.user_id == other.user_id)
        || (one.extension_id.is_some() && one.extension_id == other.extension_id)
}

fn refused(detail: &str, hint: &'static str) -> ApiError {
    ApiError::conflict("transfer_unsupported", format!("transfer failed: {detail}")).hint(hint)
}

fn nobody_talks() -> ApiError {
    refused("nobody talks to this leg who could hand it over", "transfer it once the call is answered")
}

fn not_in_both() -> ApiError {
    refused(
        "who talks to this leg does not talk to anybody in the call `to_call_id`",
        "call whom it shall go to, and transfer once that call is answered",
    )
}

fn nobody_moves() -> ApiError {
    refused("neither of the two is a sip leg, and only a sip leg can go into another call", "use mode `blind`")
}
