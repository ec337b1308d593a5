//! Which daemons must stand still while data is exchanged, and how do they come back?
//!
//! Only those that ran are started again. The firewall stays up throughout, so that the box never
//! runs open; it takes up the restored rules by a restart at the end.

use super::BackupError;
use crate::health::checks;
use daemon::units::Systemd;
use std::time::Duration;

/// The daemons of this machine, as they ran.
pub struct Services {
    systemd: Systemd,
    /// In the order in which they start.
    ran: Vec<&'static str>,
}

impl Services {
    /// Looks at what runs; nothing is stopped yet.
    pub async fn look() -> anyhow::Result<Self> {
        let systemd = Systemd::connect().await?;
        let states = systemd.states(ORDER).await?;
        let runs = |unit: &&&str| states.iter().any(|(name, state)| name == **unit && state == "active");
        Ok(Self { systemd, ran: ORDER.iter().filter(runs).copied().collect() })
    }

    pub async fn stop(&self) -> anyhow::Result<()> {
        for unit in self.ran.iter().rev() {
            self.systemd.stop(unit).await?;
        }
        Ok(())
    }

    /// With the configuration and keys of the data that is in place now.
    pub async fn start(&self) -> anyhow::Result<()> {
        self.systemd.restart(PREPARE).await?;
        for unit in &self.ran {
            self.systemd.start(unit).await?;
        }
        for unit in AFTERWARDS {
            self.systemd.restart(unit).await?;
        }
        Ok(())
    }

    /// The proof of the new data: control-api says that calls can be made.
    pub async fn prove(&self) -> Result<(), BackupError> {
        checks::until_ready(PROOF).await.map(drop).map_err(BackupError::NotReady)
    }
}

const PREPARE: &str = "scaibox-prepare.service";

/// Whatever holds restored data or secrets, or acts when they change.
const ORDER: &[&str] = &[
    "redis.service",
    "minio.service",
    "livekit-server.service",
    "sip-gateway.service",
    "control-api.service",
    "voice-worker.service",
    "first-boot.service",
    "fleet-agent.service",
    "scaibox-follow.service",
];

const AFTERWARDS: &[&str] = &["rtp-firewall.service", "network-info.service"];

const PROOF: Duration = Duration::from_secs(300);
