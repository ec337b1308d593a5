//! How does the agent, which is nobody, get something done as root?
//!
//! It starts `scaibox-update@WHAT.service` over D-Bus; a polkit rule allows it that and nothing else. The step leaves
//! its result in /run.

use crate::{
    boot::BootState,
    root::{Outcome, What},
};
use async_trait::async_trait;
use serde::de::DeserializeOwned;
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// Why a root step did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    #[error("{0}")]
    Refused(String),
    #[error("systemd could not be asked: {0:#}")]
    Bus(anyhow::Error),
    #[error("{unit} ended with `{result}`; its journal says why")]
    Failed { unit: String, result: String },
    #[error("{unit} did not end within {limit:?}")]
    TookTooLong { unit: String, limit: Duration },
    #[error("could not read {path}: {source}")]
    Unreadable { path: PathBuf, source: std::io::Error },
}

/// Runs root steps; the box does it with systemd.
#[async_trait]
pub trait RootSteps: Send + Sync {
    async fn run(&self, what: &What) -> Result<(), StepError>;

    /// What the last step saw of the boot.
    fn boot_state(&self) -> Result<BootState, StepError>;
}

/// systemd, by its D-Bus interface.
pub struct Systemd {
    pub results: PathBuf,
}

/// A little more than the root step's own limits.
fn limit(what: &What) -> Duration {
    match what {
        What::Install(_) | What::Force(_) => Duration::from_secs(50 * 60),
        What::Look | What::Reboot | What::Rollback => Duration::from_secs(120),
    }
}

#[async_trait]
impl RootSteps for Systemd {
    async fn run(&self, what: &What) -> Result<(), StepError> {
        let (unit, limit) = (format!("scaibox-update@{what}.service"), limit(what));
        let ended = tokio::time::timeout(limit, start_and_wait(&unit)).await;
        let result = ended.unwrap_or(Err(StepError::TookTooLong { unit: unit.clone(), limit }))?;
        if result == "done" {
            return Ok(());
        }
        let told = read::<Outcome>(&self.results.join("last.json"));
        match told.ok().filter(|outcome| outcome.what == what.to_string()).and_then(|outcome| outcome.error) {
            Some(error) => Err(StepError::Refused(error)),
            None => Err(StepError::Failed { unit, result }),
        }
    }

    fn boot_state(&self) -> Result<BootState, StepError> {
        read(&self.results.join("boot.json"))
    }
}

async fn start_and_wait(unit: &str) -> Result<String, StepError> {
    let systemd = daemon::units::Systemd::connect().await.map_err(StepError::Bus)?;
    systemd.start_alone(unit).await.map_err(StepError::Bus)
}

/// Reads a result that a root step wrote.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<T, StepError> {
    let json = std::fs::read(path).map_err(|source| StepError::Unreadable { path: path.to_owned(), source })?;
    serde_json::from_slice(&json).map_err(|error| StepError::Unreadable { path: path.to_owned(), source: error.into() })
}
