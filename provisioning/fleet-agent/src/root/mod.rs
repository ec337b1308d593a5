//! What does the root part do, whoever asks?
//!
//! `scaibox-update@WHAT.service` runs `fleet-agent root-step WHAT`. It believes nothing that the agent knows: it reads
//! the ESP, the boot's blessing and the health gate's reasons itself, and systemd-sysupdate checks the GPG signature.
//! Every step ends by writing what it found to /run, for the agent to read.

mod esp;
mod install;
mod look;
mod places;
mod program;
mod rollback;

pub use places::Places;

use crate::version::Version;
use serde::{Deserialize, Serialize};
use std::{fmt, path::PathBuf, str::FromStr, time::Duration};

/// The instance name of `scaibox-update@….service`.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    Look,
    Install(Version),
    /// Also when the version failed before.
    Force(Version),
    Reboot,
    Rollback,
}

impl FromStr for What {
    type Err = crate::version::NoVersion;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "look" => Self::Look,
            "reboot" => Self::Reboot,
            "rollback" => Self::Rollback,
            _ => match text.strip_prefix("force-") {
                Some(version) => Self::Force(version.parse()?),
                None => Self::Install(text.parse()?),
            },
        })
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Look => f.write_str("look"),
            Self::Install(version) => write!(f, "{version}"),
            Self::Force(version) => write!(f, "force-{version}"),
            Self::Reboot => f.write_str("reboot"),
            Self::Rollback => f.write_str("rollback"),
        }
    }
}

/// How the last root step ended; `/run/scaibox-update/last.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    pub what: String,
    pub error: Option<String>,
}

/// Why a root step did nothing, or not all.
#[derive(Debug, thiserror::Error)]
pub enum RootError {
    #[error("another update step is running")]
    Busy,
    #[error("{path} could not be used: {source}")]
    File { path: PathBuf, source: std::io::Error },
    #[error("{0} names no IMAGE_VERSION")]
    NoVersion(PathBuf),
    #[error("no EFI/Linux folder in {0:?}: the ESP is not mounted")]
    NoEsp(Vec<PathBuf>),
    #[error("{program} could not be started: {source}")]
    NotStarted { program: PathBuf, source: std::io::Error },
    #[error("{program} failed ({status}): {said}")]
    Failed { program: PathBuf, status: std::process::ExitStatus, said: String },
    #[error("{program} was stopped: it took longer than {limit:?}")]
    TookTooLong { program: PathBuf, limit: Duration },
    #[error("systemd-bless-boot said something unknown: {0}")]
    Bless(String),
    #[error("version {wanted} is not newer than {running}, which is running; only a roll-back goes back")]
    NotNewer { wanted: Version, running: Version },
    #[error("the running version has not proved itself yet ({0}); the slot it could fall back to is not overwritten")]
    NotBlessed(String),
    #[error("version {version} failed before ({reason}); name it with force to try it again")]
    FailedBefore { version: Version, reason: String },
    #[error("version {0} was written but its kernel image does not wait on the ESP")]
    NotInstalled(Version),
    #[error("there is no older version on this box that could boot")]
    NothingToRollBackTo,
    #[error("version {version} is on the ESP but its root partition {partition} is gone")]
    NoPartition { version: Version, partition: PathBuf },
}

/// Runs one step and writes down how it ended.
pub async fn run(places: &Places, what: &What) -> Result<(), RootError> {
    let _only_one = places.lock()?;
    let done = step(places, what).await;
    tell(places, what, &done)?;
    done?;
    if !matches!(what, What::Reboot | What::Rollback) {
        return Ok(());
    }
    // Only now: the result is there for the agent, and the reboot cannot take it away.
    let reboots = program::run(&places.systemctl, &["reboot"], program::QUICK).await.map(drop);
    tell(places, what, &reboots)?;
    reboots
}

fn tell(places: &Places, what: &What, done: &Result<(), RootError>) -> Result<(), RootError> {
    let error = done.as_ref().err().map(RootError::to_string);
    places.write("last.json", &Outcome { what: what.to_string(), error })
}

async fn step(places: &Places, what: &What) -> Result<(), RootError> {
    match what {
        What::Install(version) => install::install(places, version, false).await?,
        What::Force(version) => install::install(places, version, true).await?,
        What::Rollback => rollback::give_up_running(places).await?,
        What::Look | What::Reboot => {}
    }
    places.write("boot.json", &look::look(places).await?)
}
