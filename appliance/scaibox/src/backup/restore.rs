//! In which order does a box become the one in the backup?
//!
//! Unpack and verify; stop the daemons; exchange the data; start them; wait until calls can be made.
//! Whatever fails after the exchange began, the old data comes back and the daemons with it.

use super::{
    BackupError, create, database,
    manifest::Manifest,
    place::Store,
    seal::Key,
    services::Services,
    stage,
    swap::{self, Swap},
};
use crate::places::Places;

/// What the operator asked for.
pub struct Request {
    pub from: Store,
    pub key: Key,
    /// Also where somebody's data would be replaced.
    pub force: bool,
    /// False for a disk that no system runs from.
    pub services: bool,
}

pub async fn restore(places: &Places, request: Request) -> anyhow::Result<Manifest> {
    if !request.force && database::is_claimed(&places.database())? {
        return Err(BackupError::Claimed.into());
    }
    let services = if request.services { Some(Services::look().await?) } else { None };
    settle(places)?;
    let swap = Swap::at(places);
    let manifest = unpack(&swap, request).await?;
    if let Err(error) = exchange(&swap, services.as_ref()).await {
        return Err(give_back(&swap, services.as_ref(), error).await);
    }
    swap.forget()?;
    Ok(manifest)
}

/// Ends what an earlier restore or backup left unfinished. Runs at each start, before the daemons.
pub fn settle(places: &Places) -> Result<bool, BackupError> {
    create::tidy(places)?;
    swap::settle(places)
}

/// Reading and decrypting block, so they have a thread of their own.
async fn unpack(swap: &Swap, request: Request) -> anyhow::Result<Manifest> {
    let folder = swap.new_data();
    let work = move || stage::stage(request.from.read()?, &request.key, &folder);
    let staged = tokio::task::spawn_blocking(work).await?;
    if staged.is_err() {
        swap.forget()?;
    }
    Ok(staged?)
}

async fn exchange(swap: &Swap, services: Option<&Services>) -> anyhow::Result<()> {
    let Some(services) = services else { return Ok(swap.move_in()?) };
    services.stop().await?;
    swap.move_in()?;
    services.start().await?;
    Ok(services.prove().await?)
}

/// The old data, and the error that made it necessary.
async fn give_back(swap: &Swap, services: Option<&Services>, error: anyhow::Error) -> anyhow::Error {
    let back = async {
        if let Some(services) = services {
            services.stop().await?;
        }
        swap.move_out()?;
        if let Some(services) = services {
            services.start().await?;
        }
        anyhow::Ok(swap.forget()?)
    };
    match back.await {
        Ok(()) => error.context("the restore did not work, the box has its old data again"),
        Err(worse) => error.context(format!("the old data could not be put back either ({worse:#}): restart the box")),
    }
}
