//! How are units started, stopped and looked at?
//!
//! Over D-Bus: a job is waited for, so that whoever asks knows that it ended, and how.

use anyhow::{Context, bail};
use futures_util::StreamExt;
use zbus::{OwnedObjectPath, proxy};

/// A connection to systemd.
pub struct Systemd(ManagerProxy<'static>);

impl Systemd {
    pub async fn connect() -> anyhow::Result<Self> {
        let bus = zbus::Connection::system().await.context("systemd cannot be reached over D-Bus")?;
        let manager = ManagerProxy::new(&bus).await?;
        manager.subscribe().await.context("systemd does not tell about its jobs")?;
        Ok(Self(manager))
    }

    pub async fn start(&self, unit: &str) -> anyhow::Result<()> {
        self.job(unit, self.0.start_unit(unit, "replace")).await.with_context(|| format!("could not start {unit}"))
    }

    /// Starts a unit that nothing else may have a job for, and answers how the job ended: `done`, `failed`, `timeout`...
    pub async fn start_alone(&self, unit: &str) -> anyhow::Result<String> {
        self.result(self.0.start_unit(unit, "fail")).await.with_context(|| format!("could not start {unit}"))
    }

    pub async fn restart(&self, unit: &str) -> anyhow::Result<()> {
        self.job(unit, self.0.restart_unit(unit, "replace")).await.with_context(|| format!("could not restart {unit}"))
    }

    /// A unit that does not exist is a unit that does not run.
    pub async fn stop(&self, unit: &str) -> anyhow::Result<()> {
        match self.job(unit, self.0.stop_unit(unit, "replace")).await {
            Err(error) if is_no_such_unit(&error) => Ok(()),
            other => other.with_context(|| format!("could not stop {unit}")),
        }
    }

    /// `active`, `failed`, `inactive`...; `not installed` for a unit without a file.
    pub async fn states(&self, units: &[&str]) -> anyhow::Result<Vec<(String, String)>> {
        let found = self.0.list_units_by_names(units).await.context("systemd does not list its units")?;
        Ok(found.into_iter().map(|unit| (unit.0, state(&unit.2, &unit.3))).collect())
    }

    async fn job(&self, unit: &str, ask: impl Future<Output = zbus::Result<OwnedObjectPath>>) -> anyhow::Result<()> {
        judge(unit, &self.result(ask).await?)
    }

    async fn result(&self, ask: impl Future<Output = zbus::Result<OwnedObjectPath>>) -> anyhow::Result<String> {
        let mut ended = self.0.receive_job_removed().await?;
        let job = ask.await?;
        while let Some(signal) = ended.next().await {
            let end = signal.args()?;
            if end.job == job {
                return Ok(end.result);
            }
        }
        bail!("the connection to systemd ended")
    }
}

/// True when systemd said that it has no such unit.
pub fn is_no_such_unit(error: &anyhow::Error) -> bool {
    error.chain().filter_map(|cause| cause.downcast_ref::<zbus::Error>()).any(|cause| match cause {
        zbus::Error::MethodError(name, ..) => name.as_str() == "org.freedesktop.systemd1.NoSuchUnit",
        _ => false,
    })
}

fn judge(unit: &str, result: &str) -> anyhow::Result<()> {
    match result {
        "done" | "skipped" => Ok(()),
        other => bail!("the job ended with `{other}` (see `journalctl -u {unit}`)"),
    }
}

fn state(load: &str, active: &str) -> String {
    if load == "not-found" { "not installed".into() } else { active.into() }
}

/// Name, description, load state, active state, sub state, followed, path, job id, job type, job path.
type UnitRow = (String, String, String, String, String, String, OwnedObjectPath, u32, String, OwnedObjectPath);

#[proxy(
    interface = "org.freedesktop.systemd1.Manager",
    default_service = "org.freedesktop.systemd1",
    default_path = "/org/freedesktop/systemd1"
)]
trait Manager {
    fn subscribe(&self) -> zbus::Result<()>;
    fn start_unit(&self, name: &str, mode: &str) -> zbus::Result<OwnedObjectPath>;
    fn stop_unit(&self, name: &str, mode: &str) -> zbus::Result<OwnedObjectPath>;
    fn restart_unit(&self, name: &str, mode: &str) -> zbus::Result<OwnedObjectPath>;
    fn list_units_by_names(&self, names: &[&str]) -> zbus::Result<Vec<UnitRow>>;
    #[zbus(signal)]
    fn job_removed(&self, id: u32, job: OwnedObjectPath, unit: String, result: String) -> zbus::Result<()>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_that_did_not_end_well_says_where_to_look() {
        assert!(judge("ssh.service", "done").is_ok());
        let text = judge("ssh.service", "failed").unwrap_err().to_string();
        assert_eq!(text, "the job ended with `failed` (see `journalctl -u ssh.service`)");
    }

    #[test]
    fn a_unit_without_a_file_is_not_merely_inactive() {
        assert_eq!(state("not-found", "inactive"), "not installed");
        assert_eq!(state("loaded", "failed"), "failed");
    }
}
