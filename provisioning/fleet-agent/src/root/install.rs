//! May this version be written into the other slot, and was it?
//!
//! The writing itself is systemd-sysupdate's: it takes the files from the agent's loopback server, checks the GPG
//! signature over SHA256SUMS and the sums, writes verity, root and kernel image in this order, and protects the
//! running version.

use super::{Places, RootError, esp, look::look, places::at, program};
use crate::{
    boot::{BootState, Entry},
    version::Version,
};
use std::{fs, time::Duration};

/// 350 MB of compressed data onto a slow disk; a hang is an error that somebody sees.
const WRITE_LIMIT: Duration = Duration::from_secs(45 * 60);

pub(super) async fn install(places: &Places, version: &Version, force: bool) -> Result<(), RootError> {
    let state = look(places).await?;
    check(&state, version, force)?;
    if force {
        forget(places, &state, version)?;
    }
    program::run(&places.sysupdate, &["update", &version.to_string()], WRITE_LIMIT).await?;
    let waits = |entry: &Entry| entry.version == *version && !entry.is_given_up();
    match esp::entries(places)?.iter().any(waits) {
        true => Ok(()),
        false => Err(RootError::NotInstalled(version.clone())),
    }
}

fn check(state: &BootState, version: &Version, force: bool) -> Result<(), RootError> {
    if *version <= state.running {
        return Err(RootError::NotNewer { wanted: version.clone(), running: state.running.clone() });
    }
    if !state.bless.is_proved() {
        return Err(RootError::NotBlessed(format!("{:?}", state.bless).to_lowercase()));
    }
    match state.failure(version) {
        Some(failure) if !force => {
            let reason = format!("{}: {}", failure.step, failure.reason);
            Err(RootError::FailedBefore { version: version.clone(), reason })
        }
        _ => Ok(()),
    }
}

/// Takes away what is left of the failed try; systemd-sysupdate would take the version for installed.
fn forget(places: &Places, state: &BootState, version: &Version) -> Result<(), RootError> {
    for entry in state.entries.iter().filter(|entry| entry.version == *version && entry.is_given_up()) {
        esp::remove(places, entry)?;
    }
    let reason = places.health.join(format!("failed-{version}.json"));
    match fs::remove_file(&reason) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(at(&reason)(error)),
        _ => Ok(()),
    }
}
