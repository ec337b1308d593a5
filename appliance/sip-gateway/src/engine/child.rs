//! How does livekit-sip's process start and end?
//!
//! It must never be left behind, however this process goes, and the kernel can see to that
//! (`PR_SET_PDEATHSIG`). Only the new process itself may ask for it, so this program is started once more and becomes
//! livekit-sip ([`become_it`]). The kernel follows the thread that started it: [`start`] belongs into the main task.

use anyhow::Context;
use nix::{
    sys::{
        prctl,
        signal::{Signal, kill},
    },
    unistd::{Pid, getppid},
};
use serde_json::json;
use std::{
    convert::Infallible,
    env,
    ffi::OsString,
    io,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::Path,
    process::{self, ExitCode, Stdio},
};
use tokio::process::{Child, Command};

/// `sip-gateway --become PARENT PROGRAM ARGUMENT…`
const BECOME: &str = "--become";
/// As shells have it.
const NOT_RUN: u8 = 126;
/// What systemd tells us is not meant for it.
const NOT_INHERITED: [&str; 6] =
    ["JOURNAL_STREAM", "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID"];

/// Can it be started at all? Otherwise the setting that is wrong.
pub fn check(program: &Path) -> anyhow::Result<()> {
    let shown = program.display();
    let meta = program.metadata().with_context(|| format!("sip.livekit_sip_bin: there is no {shown}"))?;
    let runs = meta.is_file() && meta.permissions().mode() & 0o111 != 0;
    anyhow::ensure!(runs, "sip.livekit_sip_bin: {shown} is no program: name livekit-sip's, and make it executable");
    Ok(())
}

/// Starts `program` with its output in pipes; it gets no signal that a terminal sends to us.
pub fn start(program: &Path, configuration: &Path) -> io::Result<Child> {
    let mut command = Command::new("/proc/self/exe");
    command.arg(BECOME).arg(process::id().to_string()).arg(program).arg("--config").arg(configuration);
    for variable in NOT_INHERITED {
        command.env_remove(variable);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.process_group(0).kill_on_drop(true).spawn()
}

/// One that has ended already needs no signal.
pub fn tell(child: &Child, signal: Signal) {
    if let Some(pid) = child.id().and_then(|pid| i32::try_from(pid).ok()) {
        kill(Pid::from_raw(pid), signal).ok();
    }
}

/// Was this process started to become livekit-sip? Then it does, and returns only if it cannot.
pub fn become_it() -> Option<ExitCode> {
    let mut args = env::args_os().skip(1);
    if args.next()? != BECOME {
        return None;
    }
    let (parent, program) = (args.next()?, args.next()?);
    let Err(error) = replace(parent, program.clone(), args);
    // Whoever reads its log reads this, too.
    let msg = format!("{} cannot be run", program.display());
    eprintln!("{}", json!({ "level": "fatal", "msg": msg, "error": error.to_string() }));
    Some(ExitCode::from(NOT_RUN))
}

fn replace(parent: OsString, program: OsString, args: impl Iterator<Item = OsString>) -> io::Result<Infallible> {
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    if parent.to_str() != Some(&getppid().to_string()) {
        return Err(io::Error::other("whoever started this is gone"));
    }
    Err(process::Command::new(program).args(args).exec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_path_that_leads_to_no_program_is_named_with_its_setting() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("livekit-sip");
        let refused = |path: &Path| check(path).unwrap_err().to_string();
        assert!(refused(&path).starts_with("sip.livekit_sip_bin: there is no /"), "{}", refused(&path));
        assert!(refused(folder.path()).contains("is no program"));
        fs::write(&path, "").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(refused(&path).contains("make it executable"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
        check(&path).unwrap();
    }
}
