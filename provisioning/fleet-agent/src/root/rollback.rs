//! How does the box go back to the version before?
//!
//! systemd-boot starts the newest version that still has tries, so the running one is renamed to have none: it comes
//! last then, whatever its version. That is done only when an older one can take its place, kernel image and root
//! partition; a newer one that waits for its first boot would be started instead, so then there is nothing to go back to.

use super::{Places, RootError, esp, look::look, places::at};
use crate::boot::{BootState, Entry, Failure};
use jiff::Timestamp;
use std::fs;

pub(super) async fn give_up_running(places: &Places) -> Result<(), RootError> {
    let state = look(places).await?;
    check(places, &state)?;
    let running = running(&state).ok_or(RootError::NothingToRollBackTo)?;
    write_reason(places, running)?;
    esp::give_up(places, running)
}

fn check(places: &Places, state: &BootState) -> Result<(), RootError> {
    let previous = match (state.waiting(), state.previous()) {
        (None, Some(previous)) => previous,
        _ => return Err(RootError::NothingToRollBackTo),
    };
    let partition = places.partitions.join(format!("{}_{}", places.product, previous.version));
    match partition.exists() {
        true => Ok(()),
        false => Err(RootError::NoPartition { version: previous.version.clone(), partition }),
    }
}

fn running(state: &BootState) -> Option<&Entry> {
    state.entries.iter().find(|entry| entry.version == state.running)
}

/// So that nobody wonders later why the version is not offered any more.
fn write_reason(places: &Places, running: &Entry) -> Result<(), RootError> {
    let failure = Failure {
        version: running.version.clone(),
        at: Timestamp::now(),
        step: "rollback".into(),
        reason: "the operator went back to the version before".into(),
    };
    let path = places.health.join(format!("failed-{}.json", running.version));
    fs::create_dir_all(&places.health).map_err(at(&places.health))?;
    let json = serde_json::to_vec(&failure).map_err(|error| at(&path)(error.into()))?;
    fs::write(&path, json).map_err(at(&path))
}
