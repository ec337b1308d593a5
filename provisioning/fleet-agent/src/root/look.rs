//! What runs, is it blessed, what else could boot, and what failed?

use super::{
    Places, RootError, esp,
    places::at,
    program::{self, QUICK},
};
use crate::{
    boot::{Bless, BootState, Failure},
    version::Version,
};
use std::fs;

pub(super) async fn look(places: &Places) -> Result<BootState, RootError> {
    Ok(BootState {
        running: running(places)?,
        bless: bless(places).await?,
        entries: esp::entries(places)?,
        failures: failures(places)?,
    })
}

/// `IMAGE_VERSION` of the verified root, which nobody can change.
fn running(places: &Places) -> Result<Version, RootError> {
    let text = fs::read_to_string(&places.os_release).map_err(at(&places.os_release))?;
    let value = text.lines().find_map(|line| line.strip_prefix("IMAGE_VERSION="));
    let version = value.and_then(|value| value.trim_matches(['"', '\'']).parse().ok());
    version.ok_or_else(|| RootError::NoVersion(places.os_release.clone()))
}

async fn bless(places: &Places) -> Result<Bless, RootError> {
    let said = program::run(&places.bless_boot, &["status"], QUICK).await?;
    Bless::parse(&said).ok_or(RootError::Bless(said))
}

/// What the health gate and roll-backs wrote down; a file that is no JSON is no reason to stop.
fn failures(places: &Places) -> Result<Vec<Failure>, RootError> {
    let Ok(files) = fs::read_dir(&places.health) else { return Ok(Vec::new()) };
    let mut failures = Vec::new();
    for file in files {
        let path = file.map_err(at(&places.health))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !(name.starts_with("failed-") && name.ends_with(".json")) {
            continue;
        }
        match serde_json::from_slice(&fs::read(&path).map_err(at(&path))?) {
            Ok(failure) => failures.push(failure),
            Err(error) => tracing::warn!(%error, path = %path.display(), "a health report cannot be read"),
        }
    }
    Ok(failures)
}
