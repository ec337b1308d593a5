//! What went on with the calls while we were away?
//!
//! [`start`] takes the unfinished calls up again, timers included, before any news comes in.
//! [`reconcile`] compares them with what the gateway and LiveKit have: a phone that is gone ends its
//! call, after a moment in which the gateway's spool may still say why. Who else is left: `lost_room`.

use super::{
    actor::{self, Handle},
    ingest::GATEWAY,
    live::Live,
    lost_room,
};
use crate::app::App;
use anyhow::Context;
use std::{collections::BTreeSet, time::Duration};
use store::{
    StoreError,
    calls::Call,
    legs::{self, LegKind, LegState},
};
use types::{
    EndReason,
    control::{GatewayHealth, LegView},
};

/// The gateway repeats its spool every second or so; its word is better than our guess.
pub const SPOOL_PATIENCE: Duration = Duration::from_secs(3);

/// Takes up the unfinished calls. Call it before anything that brings news.
pub async fn start(app: &App) -> anyhow::Result<()> {
    Ok(resume_once(app).await?)
}

pub async fn resume_once(app: &App) -> Result<(), StoreError> {
    app.calls.resumed.get_or_try_init(|| resume(app)).await.copied()
}

async fn resume(app: &App) -> Result<(), StoreError> {
    let unfinished = app
        .db
        .read(|conn| {
            let calls = store::calls::unfinished(conn)?;
            let with_legs = |call: Call| Ok((legs::of_call(conn, call.id)?, call));
            calls.into_iter().map(with_legs).collect::<Result<Vec<_>, StoreError>>()
        })
        .await?;
    for (legs, call) in unfinished {
        let id = call.id;
        match Live::restore(call, legs) {
            Some(live) => {
                tracing::info!(correlation_id = %live.call.correlation_id, call.id = %id, "scaidial_call_resumed");
                actor::spawn(app, live);
            }
            None => tracing::error!(call.id = %id, "scaidial_call_not_resumed"),
        }
    }
    Ok(())
}

/// Compares our calls with what is. Called once the neighbours answer, and again after one was lost.
pub async fn reconcile(app: &App) -> anyhow::Result<()> {
    resume_once(app).await?;
    // First what we have, then what is there: what is new in between is not missed.
    let known = inventory(app).await;
    let health: GatewayHealth = app.gateway.get("/v1/health").await.context("no health from sip-gateway")?;
    let present: Vec<LegView> = app.gateway.get("/v1/legs").await.context("no legs from sip-gateway")?;
    let present: BTreeSet<String> = present.into_iter().map(|leg| leg.lk_call_id).collect();
    let livekit = app.livekit.as_ref().context("no LiveKit settings")?;
    let rooms = livekit.api.list_rooms(&[]).await.context("no rooms from livekit-server")?;
    let rooms: BTreeSet<String> = rooms.into_iter().map(|room| room.name).collect();
    let last = app.db.read(|conn| store::calls::last_instance(conn, GATEWAY)).await?;
    let restarted = last.is_some_and(|last| last != health.instance);
    let reason = if restarted { EndReason::GatewayRestart } else { EndReason::Completed };
    for Known { handle, legs, room } in known {
        let (held, gone): (Vec<_>, Vec<_>) = legs.into_iter().partition(|leg| present.contains(leg));
        if !held.is_empty() {
            tokio::spawn(lost_room::look(app.clone(), handle.clone()));
        }
        // The gateway takes its phones back into a room that is gone.
        let room_gone = held.is_empty() && room.is_some_and(|room| !rooms.contains(&room));
        if !gone.is_empty() || room_gone {
            tokio::spawn(end_later(handle, gone, room_gone, reason));
        }
    }
    lost_room::close_ghosts(app, livekit, &rooms).await?;
    hang_up_strays(app, &present).await
}

/// A call with the phones and the room it should have.
struct Known {
    handle: Handle,
    legs: Vec<String>,
    room: Option<String>,
}

async fn inventory(app: &App) -> Vec<Known> {
    let mut all = Vec::new();
    for handle in app.calls.all() {
        let seen = handle.tell(|live| (open_phones(live), live.call.room.clone()));
        if let Some((legs, room)) = seen.await {
            all.push(Known { handle, legs, room });
        }
    }
    all
}

/// As LiveKit calls them.
pub fn open_phones(live: &Live) -> Vec<String> {
    let open = |leg: &&legs::Leg| leg.state != LegState::Ended;
    live.legs.iter().filter(open).filter_map(|leg| leg.lk_call_id.clone()).collect()
}

async fn end_later(handle: Handle, gone: Vec<String>, room_gone: bool, reason: EndReason) {
    tokio::time::sleep(SPOOL_PATIENCE).await;
    let end = move |live: &mut Live| {
        end_legs(live, reason, |leg| gone.iter().any(|gone| gone == leg));
        if room_gone {
            end_browsers(live);
        }
    };
    handle.tell(end).await;
}

/// Phones that the gateway does not have (any more).
pub fn end_missing(live: &mut Live, present: &[String], reason: EndReason) {
    end_legs(live, reason, |leg| !present.iter().any(|present| present == leg));
}

fn end_legs(live: &mut Live, reason: EndReason, gone: impl Fn(&str) -> bool) {
    let lost = |leg: &&legs::Leg| {
        let gone = leg.lk_call_id.as_deref().is_some_and(&gone);
        leg.kind == LegKind::Sip && leg.state != LegState::Ended && gone
    };
    let parties: Vec<u16> = live.legs.iter().filter(lost).map(|leg| leg.party).collect();
    parties.into_iter().for_each(|party| live.leg_gone(party, reason));
}

/// Without its room nobody of it is left.
fn end_browsers(live: &mut Live) {
    let open = |leg: &&legs::Leg| leg.kind != LegKind::Sip && leg.state == LegState::Active;
    let identities: Vec<_> = live.legs.iter().filter(open).filter_map(|leg| leg.identity.clone()).collect();
    identities.iter().for_each(|identity| live.left(identity));
}

/// Phones of calls that ended in our books: what we wanted done about them was lost.
async fn hang_up_strays(app: &App, present: &BTreeSet<String>) -> anyhow::Result<()> {
    for lk_call_id in present {
        if app.calls.find_by_leg(lk_call_id).is_some() {
            continue;
        }
        let id = lk_call_id.clone();
        let ours = app.db.read(move |conn| legs::find_by_lk(conn, &id)).await?;
        if ours.is_some() {
            tracing::warn!(lk_call_id, "scaidial_stray_leg_hung_up");
            app.gateway.act(&format!("/v1/legs/{lk_call_id}/hangup")).await.ok();
        }
    }
    Ok(())
}
