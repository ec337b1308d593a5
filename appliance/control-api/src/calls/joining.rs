//! How do two calls of one phone or browser become one? (attended transfer)
//!
//! It talks to two and wants them to talk to each other. Each call is a room. One of the two moves into the
//! other's room and takes the phone's place there, so that call goes on; the one it left ends as `transferred`. Only what
//! is a SIP leg can move, because the gateway joins rooms for it: a browser or an agent stays where it is.

use super::{actor::Handle, effects::Effect, live::Live};
use crate::app::App;
use call::{Input, Party};
use jiff::Timestamp;
use store::legs::{Leg, LegKind, LegState};
use types::control::{Move, ReferralAnswer, Report};

/// One of the two calls, seen from whoever joins them.
pub(super) struct Side {
    pub handle: Handle,
    room: String,
    phone: Leg,
    partner: Leg,
}

impl Side {
    /// As seen from the party that `own` names, if it talks to somebody.
    pub async fn seen_from<F>(handle: Handle, own: F) -> Option<Self>
    where
        F: FnOnce(&Live) -> Option<Party> + Send + 'static,
    {
        let found = handle.tell(move |live| {
            let own = own(live)?;
            let (phone, partner) = (live.party(own.0)?.clone(), live.partner(own)?.clone());
            Some((live.call.room.clone()?, phone, partner))
        });
        let (room, phone, partner) = found.await.flatten()?;
        Some(Self { handle, room, phone, partner })
    }
}

/// 202 as soon as it is clear who moves; `referring` is the leg that hears of it.
pub(super) async fn join(app: &App, referring: &str, other: &str) -> ReferralAnswer {
    let (Some(here), Some(there)) = (side(app, referring).await, side(app, other).await) else {
        return ReferralAnswer::Refused { code: 481 };
    };
    let one_phone = here.handle.tenant == there.handle.tenant && may_join(&here.phone, &there.phone);
    if !one_phone || here.handle.id == there.handle.id {
        return ReferralAnswer::Refused { code: 481 };
    }
    let Some((going, staying)) = who_moves(here, there) else {
        return ReferralAnswer::Refused { code: 603 };
    };
    let (app, referring) = (app.clone(), referring.to_owned());
    tokio::spawn(async move {
        if let Err(code) = unite(&app, going, staying).await {
            app.gateway.act_with(&format!("/v1/legs/{referring}/report"), &Report { code }).await.ok();
        }
    });
    ReferralAnswer::Accepted
}

/// Two legs that one phone may name: of desk phones, or of one carrier.
fn may_join(one: &Leg, other: &Leg) -> bool {
    let desk_phones = one.extension_id.is_some() && other.extension_id.is_some();
    desk_phones || (one.trunk_id.is_some() && one.trunk_id == other.trunk_id)
}

/// The call whose other end moves, and the one that goes on; `None` when neither can move.
pub(super) fn who_moves(here: Side, there: Side) -> Option<(Side, Side)> {
    match (can_move(&here.partner), can_move(&there.partner)) {
        (true, _) => Some((here, there)),
        (false, true) => Some((there, here)),
        (false, false) => None,
    }
}

/// The call of a phone's leg.
async fn side(app: &App, lk_call_id: &str) -> Option<Side> {
    let handle = app.calls.find_by_leg(lk_call_id)?;
    let lk_call_id = lk_call_id.to_owned();
    Side::seen_from(handle, move |live| live.leg_by_lk(&lk_call_id).map(|leg| Party(leg.party))).await
}

fn can_move(leg: &Leg) -> bool {
    leg.kind == LegKind::Sip && leg.lk_call_id.is_some() && matches!(leg.state, LegState::Active | LegState::Held)
}

/// Moves, then books it: first where it leaves, for a leg belongs to one call. An error is the SIP code of what went wrong.
pub(super) async fn unite(app: &App, going: Side, staying: Side) -> Result<(), u16> {
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
    pub(super) fn partner(&self, of: Party) -> Option<&Leg> {
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
        self.let_go(aside);
    }

    /// A phone hears that it is not needed any more and hangs up; a browser is put out.
    fn let_go(&mut self, party: u16) {
        let Some(leg) = self.party(party) else { return };
        if leg.lk_call_id.is_some() {
            return self.report(party, 200);
        }
        let identity = leg.identity.clone();
        self.edit(party, |leg| leg.end_cause = Some("transferred".to_owned()));
        self.set_leg(party, LegState::Ended);
        self.effect(Effect::Drop { lk_call_id: None, identity });
    }
}
