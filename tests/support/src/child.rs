//! How does one process start and end?

use crate::{data::DataDir, parts::Part};
use anyhow::Context;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{
    fs::File,
    process::{ExitStatus, Stdio},
    time::Duration,
};
use tokio::process::{Child, Command};

/// How long a process may take to end once it is told to.
const GRACE: Duration = Duration::from_secs(10);

/// What a supervisor above us would say to us is not meant for our children.
const NOT_INHERITED: [&str; 6] =
    ["JOURNAL_STREAM", "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID"];

/// Starts `part` with its output in its log file.
///
/// It is killed when this process goes, however that happens (`setpriv --pdeathsig`), and a Ctrl-C of the
/// terminal does not reach it: we end our children in order.
pub fn spawn(part: &Part, data: &DataDir) -> anyhow::Result<Child> {
    let log = File::options().create(true).append(true).open(data.log(part.name.as_str()))?;
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(&part.program).args(&part.args);
    for variable in NOT_INHERITED {
        command.env_remove(variable);
    }
    command
        .envs(part.env.iter().map(|(key, value)| (key, value)))
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("cannot start {}", part.program.display()))
}

/// SIGTERM, and SIGKILL when that does not help in time.
pub async fn end(part: &Part, child: &mut Child) {
    terminate(child);
    if let Some(pause) = part.second_sigterm {
        if tokio::time::timeout(pause, child.wait()).await.is_ok() {
            return;
        }
        terminate(child);
    }
    if tokio::time::timeout(GRACE, child.wait()).await.is_err() {
        eprintln!("box: {} did not end within {GRACE:?} and is killed", part.name.as_str());
        if let Err(error) = child.kill().await {
            eprintln!("box: cannot kill {}: {error}", part.name.as_str());
        }
    }
}

fn terminate(child: &Child) {
    let Some(pid) = child.id().and_then(|pid| i32::try_from(pid).ok()) else {
        return;
    };
    // It may have ended by itself: then it is a zombie until we wait for it, and the signal does nothing.
    let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
}

/// `exit status: 1`, `signal: 9 (SIGKILL)`.
pub fn describe(status: std::io::Result<ExitStatus>) -> String {
    match status {
        Ok(status) => status.to_string(),
        Err(error) => format!("could not be waited for: {error}"),
    }
}
