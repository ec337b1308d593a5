//! How do two calls of one phone become one? (attended transfer)
//!
//! The phone talks to two and wants them to talk to each other. Each call is a room. One of the two moves into the
//! other's room and takes the phone's place there, so that call goes on; the one it left ends as `transferred`. Only what
//! is a SIP leg can move, because the gateway joins rooms for it: a browser or an agent stays where it is.

use super::{actor::Handle, live::Live};
use crate::app::App;
use call::{Input, Party};
use jiff::Timestamp;
use store::legs::{Leg, LegKind, LegState};
use types::control::{Move, ReferralAnswer, Report};

/// One of the two calls, seen from the phone that joins them.
struct Side {
    handle: Handle,
    room: String,
    phone: Leg,
    partner: Leg,
}

/// 202 as soon as it is clear who moves; `referring` is the leg that hears of it.
pub(super) async fn join(app: &App, referring: &str, other: &str) -> ReferralAnswer {
    let (Some(here), Some(there)) = (side(app, referring).await, side(app, other).await) else {
        return ReferralAnswer::Refused { code: 481 };
    };
    if here.handle.tenant != there.handle.tenant || here.handle.id == there.handle.id {
        return ReferralAnswer::Refused { code: 481 };
    }
    let (going, staying) = match (can_move(&here.partner), can_move(&there.partner)) {
        (true, _) => (here, there),
        (false, true) => (there, here),
        (false, false) => return ReferralAnswer::Refused { code: 603 },
    };
    let (app, referring) = (app.clone(), referring.to_owned());
    tokio::spawn(async move {
        if let Err(code) = unite(&app, going, staying).await {
            app.gateway.act_with(&format!("/v1/legs/{referring}/report"), &Report { code }).await.ok();
        }
    });
    ReferralAnswer::Accepted
}

/// The call of a phone's leg, if it talks to somebody.
async fn side(app: &App, lk_call_id: &str) -> Option<Side> {
    let handle = app.calls.find_by_leg(lk_call_id)?;
    let lk_call_id = lk_call_id.to_owned();
    let found = handle.tell(move |live| {
        let phone = live.leg_by_lk(&lk_call_id)?.clone();
        let partner = live.partner(Party(phone.party))?.clone();
        Some((live.call.room.clone()?, phone, partner))
    });
    let (room, phone, partner) = found.await.flatten()?;
    phone.extension_id?;
    Some(Side { handle, room, phone, partner })
}

fn can_move(leg: &Leg) -> bool {
    leg.kind == LegKind::Sip && leg.lk_call_id.is_some() && matches!(leg.state, LegState::Active | LegState::Held)
}

/// Moves, then books it: first where it leaves, for a leg belongs to one call.
async fn unite(app: &App, going: Side, staying: Side) -> Result<(), u16> {
    // Nobody else takes the leg that appears in the other room for a new call.
    let _turn = app.calls.beginning.lock().await;
    let heir = heir(&going.partner, &staying);
    let lk_call_id = going.partner.lk_call_id.clone().unwrap_or_default();
    let place = Move { room: staying.room.clone(), identity: heir.id.to_string() };
    if let Err(error) = app.gateway.act_with(&format!("/v1/legs/{lk_call_id}/move"), &place).await {
        tracing::warn!(%error, lk_call_id, "scaidial_leg_not_moved");
        return Err(503);
    }
    let (party, phone) = (going.partner.party, going.phone.party);
    let left = going.handle.tell(move |live| live.depart(party, phone)).await;
    if left != Some(true) {
        return Err(480);
    }
    app.calls.forget_leg(&lk_call_id);
    let phone = staying.phone.party;
    staying.handle.tell(move |live| live.take_place(phone, heir)).await.ok_or(480_u16)
}

/// The one that moves, as a leg of the call that it comes into.
fn heir(partner: &Leg, staying: &Side) -> Leg {
    let (now, phone) = (Timestamp::now(), &staying.phone);
    let mut leg = Leg::new(phone.call_id, staying.handle.tenant, phone.party, LegKind::Sip, LegState::Active, now);
    leg.identity = Some(leg.id.to_string());
    leg.answered_at = Some(now);
    Leg {
        direction: partner.direction,
        lk_call_id: partner.lk_call_id.clone(),
        sip_call_id: partner.sip_call_id.clone(),
        address: partner.address.clone(),
        trunk_id: partner.trunk_id,
        extension_id: partner.extension_id,
        user_id: partner.user_id,
        codec: partner.codec.clone(),
        ..leg
    }
}

impl Live {
    /// Whom this party talks to, if the two of them are all there is.
    fn partner(&self, of: Party) -> Option<&Leg> {
        self.party(self.machine.partner(of)?.0)
    }

    /// A party goes on in another call; this one ends, and the phone that wanted it leaves. False when there is nobody to go.
    fn depart(&mut self, party: u16, phone: u16) -> bool {
        if self.ended() || !self.party(party).is_some_and(can_move) {
            return false;
        }
        self.edit(party, |leg| {
            leg.lk_call_id = None; // the other call has it now
            leg.end_cause = Some("transferred".to_owned());
        });
        self.set_leg(party, LegState::Ended);
        self.leaving = Some(phone);
        self.input(Input::Joined);
        true
    }

    /// Another leg is this party from now on; the phone that was it leaves.
    fn take_place(&mut self, of: u16, heir: Leg) {
        let aside = self.machine.retire().0;
        self.edit(of, |leg| leg.party = aside);
        self.legs.push(heir);
        self.leg_news(of);
        self.input(Input::Unheld(Party(of)));
        self.report(aside, 200);
    }
}
