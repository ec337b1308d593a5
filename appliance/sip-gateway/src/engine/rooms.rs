//! Who of livekit-sip's is in LiveKit's rooms?
//!
//! No webhook tells of a changed attribute, so LiveKit is asked: once a second while somebody waits for an answer, else
//! now and then. The control plane asks for the legs whenever a webhook says that somebody came or left, and is
//! answered by a look of its own. While livekit-server does not answer nothing changes.

use super::{
    legs::{Seen, Told},
    state::Shared,
};
use livekit::{
    api::ApiError,
    protocol::{ParticipantInfo, participant_info::Kind},
};
use std::{sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

/// While a leg is not answered.
const SOON: Duration = Duration::from_secs(1);
const LATER: Duration = Duration::from_secs(5);

/// Looks until `stop`.
pub async fn watch(shared: Arc<Shared>, stop: CancellationToken) {
    while !stop.is_cancelled() {
        look(&shared).await;
        let pause = if shared.ledger.lock().waits() { SOON } else { LATER };
        tokio::select! {
            () = stop.cancelled() => {}
            () = shared.looked.notified() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Looks now; what has changed is told.
pub async fn look(shared: &Shared) {
    let _turn = shared.looking.lock().await; // an older list must not come after a newer one
    if !shared.condition.borrow().serves() {
        return; // whoever is in a room now was left behind
    }
    match legs(shared).await {
        Ok(seen) => tell(shared, shared.ledger.lock().look(&seen)),
        Err(error) => tracing::debug!(%error, "livekit-server does not say who is there"),
    }
}

/// The legs of a program that has ended: told of, and put out of rooms that still believe in them.
pub async fn all_gone(shared: &Shared) {
    let places: Vec<_> = {
        let mut ledger = shared.ledger.lock();
        let places = ledger.views().into_iter().map(|leg| (leg.room, leg.identity)).collect();
        tell(shared, ledger.all_gone());
        places
    };
    for (room, identity) in places {
        if let Err(error) = shared.livekit.remove_participant(&room, &identity).await {
            tracing::warn!(room, %error, "a leg of livekit-sip's that is gone is still in its room");
        }
    }
}

fn tell(shared: &Shared, told: Vec<Told>) {
    for (correlation_id, event) in told {
        shared.spool.append(Some(&correlation_id), event);
    }
}

async fn legs(shared: &Shared) -> Result<Vec<Seen>, ApiError> {
    let mut seen = Vec::new();
    for room in shared.livekit.list_rooms(&[]).await? {
        let everybody = shared.livekit.list_participants(&room.name).await?;
        seen.extend(
            everybody.iter().filter(|one| one.kind == Kind::Sip as i32).map(|leg| of(&room.name, leg, &everybody)),
        );
    }
    Ok(seen)
}

fn of(room: &str, leg: &ParticipantInfo, everybody: &[ParticipantInfo]) -> Seen {
    let others = everybody.iter().filter(|other| other.identity != leg.identity);
    Seen {
        room: room.to_owned(),
        identity: leg.identity.clone(),
        attributes: leg.attributes.clone(),
        others: others.map(|other| other.identity.clone()).collect(),
    }
}
