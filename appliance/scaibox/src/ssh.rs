//! How does an operator get a shell for a while?
//!
//! With a key, never with a password. The server runs only while the firewall lets the management
//! networks in, and both end by themselves: the firewall shuts the port when the time is over, a timer
//! stops the server and whoever is still signed in.

use crate::{
    firewall::{allow_ssh, hours_from, second},
    neighbours::Neighbours,
    places::Places,
};
use anyhow::{Context, anyhow, bail};
use daemon::{
    files,
    units::{Systemd, is_no_such_unit},
};
use jiff::Timestamp;
use std::{fs::DirBuilder, os::unix::fs::DirBuilderExt, path::Path};
use tokio::process::Command;
use types::ssh::PublicKey;

/// Returns when it ends. The server first: nobody reaches it before the firewall opens.
pub async fn open(places: &Places, hours: u32, key: Option<PublicKey>) -> anyhow::Result<Timestamp> {
    match key {
        Some(key) => allow_key(&places.ssh_keys(), &key)?,
        None if !places.ssh_keys().exists() => bail!("nobody could sign in: name a public key with --key"),
        None => {}
    }
    let systemd = Systemd::connect().await?;
    systemd.start(UNIT).await.map_err(explain)?;
    let until = second(hours_from(Timestamp::now(), hours));
    if let Err(error) = let_in(&Neighbours::at(places), until).await {
        systemd.stop(UNIT).await.context("ssh.service still runs, though nobody can reach it")?;
        return Err(error);
    }
    Ok(until)
}

pub async fn close(neighbours: &Neighbours) -> anyhow::Result<()> {
    allow_ssh(neighbours, None).await?;
    let systemd = Systemd::connect().await?;
    systemd.stop(TIMER).await?;
    // Last: this may be the end of the session that asked for it.
    systemd.stop(UNIT).await
}

async fn let_in(neighbours: &Neighbours, until: Timestamp) -> anyhow::Result<()> {
    stop_at(until).await?;
    allow_ssh(neighbours, Some(until)).await.map(drop)
}

/// Only this key.
fn allow_key(path: &Path, key: &PublicKey) -> anyhow::Result<()> {
    let write = || -> std::io::Result<()> {
        let folder = path.parent().unwrap_or(Path::new("."));
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        files::replace(path, format!("{key}\n").as_bytes(), files::PRIVATE)
    };
    write().with_context(|| format!("could not write {}", path.display()))
}

/// A second window takes the place of the first one's timer.
async fn stop_at(until: Timestamp) -> anyhow::Result<()> {
    Systemd::connect().await?.stop(TIMER).await?;
    let end = until.strftime("%Y-%m-%d %H:%M:%S UTC").to_string();
    let timer = format!("--unit={}", TIMER.trim_end_matches(".timer"));
    let mut command = Command::new("systemd-run");
    command.args(["--quiet", "--collect", &timer, "--on-calendar", &end, "/usr/bin/systemctl", "stop", UNIT]);
    let run = command.output().await.context("systemd-run does not start")?;
    match run.status.success() {
        true => Ok(()),
        false => {
            bail!("the end of the SSH window could not be planned: {}", String::from_utf8_lossy(&run.stderr).trim())
        }
    }
}

fn explain(error: anyhow::Error) -> anyhow::Error {
    if is_no_such_unit(&error) { anyhow!("this image has no SSH server (there is no {UNIT})") } else { error }
}

const UNIT: &str = "ssh.service";
const TIMER: &str = "scaibox-ssh-end.timer";

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::PermissionsExt};

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ operator";

    #[test]
    fn a_key_takes_the_place_of_all_others_and_is_for_root_alone() {
        let root = tempfile::tempdir().unwrap();
        let path = Places::under(root.path()).ssh_keys();
        for key in ["ssh-rsa AAAAB3 old", KEY] {
            allow_key(&path, &key.parse().unwrap()).unwrap();
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{KEY}\n"));
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
    }

    #[tokio::test]
    async fn ssh_stays_closed_while_nobody_could_sign_in() {
        let root = tempfile::tempdir().unwrap();
        let text = open(&Places::under(root.path()), 1, None).await.unwrap_err().to_string();
        assert_eq!(text, "nobody could sign in: name a public key with --key");
    }
}
