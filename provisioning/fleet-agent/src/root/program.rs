//! How is a program of systemd run: with a limit, and with its last words when it fails?

use super::RootError;
use std::{path::Path, process::Stdio, time::Duration};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    process::Command,
};

pub(super) const QUICK: Duration = Duration::from_secs(30);
const LINES_KEPT: usize = 4;

/// Runs it to its end; its lines go on to the journal, the last of stdout are returned.
pub(super) async fn run(program: &Path, args: &[&str], limit: Duration) -> Result<String, RootError> {
    let mut child = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|source| RootError::NotStarted { program: program.to_owned(), source })?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let all = async { tokio::join!(last_lines(out), last_lines(err), child.wait()) };
    let Ok((out, err, status)) = tokio::time::timeout(limit, all).await else {
        return Err(RootError::TookTooLong { program: program.to_owned(), limit });
    };
    let status = status.map_err(|source| RootError::NotStarted { program: program.to_owned(), source })?;
    if status.success() {
        return Ok(out);
    }
    let said = if err.is_empty() { out } else { err };
    Err(RootError::Failed { program: program.to_owned(), status, said })
}

async fn last_lines(stream: Option<impl AsyncRead + Unpin>) -> String {
    let Some(stream) = stream else { return String::new() };
    let mut lines = BufReader::new(stream).lines();
    let mut kept = Vec::new();
    while let Ok(Some(line)) = lines.next_line().await {
        tracing::info!("{line}");
        kept.push(line);
        if kept.len() > LINES_KEPT {
            kept.remove(0);
        }
    }
    kept.join(" / ")
}
