//! Who is back after a room was lost?
//!
//! When livekit-server is killed nobody says who left, and when Redis is, LiveKit's lists are empty although everybody is
//! still there. The gateway keeps its phones, takes them into their rooms again, and sees who else is there: once it
//! is in the room, a browser or bot that it does not see has left for good. Rooms of calls that ended meanwhile are
//! closed ([`close_ghosts`]).

use super::{actor::Handle, live::Live, restart::open_phones};
use crate::app::{App, LiveKit};
use livekit::api::ApiError;
use livekit_protocol::CreateRoomRequest;
use std::{collections::BTreeSet, time::Duration};
use store::legs::{Leg, LegKind, LegState};
use types::control::LegView;

/// LiveKit's clients try several times, with pauses of up to seven seconds.
const RETURN_PATIENCE: Duration = Duration::from_secs(15);
const AGAIN: Duration = Duration::from_secs(2);
/// To close a room.
const MOST_TRIES: u32 = 10;

/// What the phones of a call see.
#[derive(Debug, PartialEq)]
enum Seen {
    Room(BTreeSet<String>),
    /// Their room is not back yet.
    Nothing,
    /// There is no phone.
    NoPhone,
}

/// Gives everybody time to come back, and ends who did not. A room that stays lost is the gateway's to end.
pub async fn look(app: App, handle: Handle) {
    tokio::time::sleep(RETURN_PATIENCE).await;
    loop {
        let Some(open) = handle.tell(|live| open_phones(live)).await else { return };
        let legs: Vec<LegView> = app.gateway.get("/v1/legs").await.unwrap_or_default();
        match seen(&open, &legs) {
            Seen::NoPhone => return,
            Seen::Nothing => tokio::time::sleep(AGAIN).await,
            Seen::Room(others) => {
                handle.tell(move |live| end_absent(live, &others)).await;
                return;
            }
        }
    }
}

fn seen(open: &[String], legs: &[LegView]) -> Seen {
    let mut seen = Seen::NoPhone;
    for leg in legs.iter().filter(|leg| open.contains(&leg.lk_call_id)) {
        match &leg.others {
            Some(others) => return Seen::Room(others.iter().cloned().collect()),
            None => seen = Seen::Nothing,
        }
    }
    seen
}

fn end_absent(live: &mut Live, others: &BTreeSet<String>) {
    let here = |leg: &&Leg| leg.kind != LegKind::Sip && leg.state == LegState::Active;
    let identities: Vec<_> = live.legs.iter().filter(here).filter_map(|leg| leg.identity.clone()).collect();
    identities.iter().filter(|identity| !others.contains(*identity)).for_each(|identity| live.left(identity));
}

/// Closes what LiveKit still has of calls that ended while it was away.
pub async fn close_ghosts(app: &App, livekit: &LiveKit, rooms: &BTreeSet<String>) -> anyhow::Result<()> {
    for room in rooms.iter().filter(|room| app.calls.find_by_room(room).is_none()) {
        let name = room.clone();
        if app.db.read(move |conn| store::calls::is_room_over(conn, &name)).await? {
            tokio::spawn(close_in_time(app.clone(), livekit.clone(), room.clone()));
        }
    }
    Ok(())
}

/// For some seconds LiveKit still believes that the server that had the room is there.
async fn close_in_time(app: App, livekit: LiveKit, room: String) {
    let (mut tries, mut again) = (0, tokio::time::interval(AGAIN));
    while tries < MOST_TRIES && app.calls.find_by_room(&room).is_none() {
        again.tick().await;
        tries += 1;
        match close(&livekit, &room).await {
            Ok(()) => return tracing::info!(room, "scaidial_ghost_room_closed"),
            Err(error) if tries == MOST_TRIES => tracing::warn!(room, %error, "scaidial_ghost_room_not_closed"),
            Err(_) => {}
        }
    }
}

/// LiveKit has the server that had the room delete it. That one may be gone: creating the room names another.
async fn close(livekit: &LiveKit, room: &str) -> Result<(), ApiError> {
    livekit.api.create_room(&CreateRoomRequest { name: room.to_owned(), ..Default::default() }).await?;
    livekit.api.delete_room(room).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::{CorrelationId, control::Direction};

    fn leg(id: &str, others: Option<&[&str]>) -> LegView {
        LegView {
            lk_call_id: id.into(),
            sip_call_id: "x".into(),
            correlation_id: CorrelationId::new(),
            direction: Direction::Inbound,
            room: "room-1".into(),
            identity: "sip_caller".into(),
            state: types::control::LegState::Active,
            codec: None,
            others: others.map(|others| others.iter().map(|other| (*other).to_owned()).collect()),
        }
    }

    #[test]
    fn the_first_phone_that_is_back_says_who_is_there() {
        let open = ["SCL_1".to_owned(), "SCL_2".to_owned()];
        assert_eq!(seen(&open, &[leg("SCL_9", Some(&["anna"]))]), Seen::NoPhone);
        assert_eq!(seen(&open, &[leg("SCL_1", None)]), Seen::Nothing);
        let legs = [leg("SCL_1", None), leg("SCL_2", Some(&["anna"]))];
        assert_eq!(seen(&open, &legs), Seen::Room(["anna".to_owned()].into()));
    }
}
