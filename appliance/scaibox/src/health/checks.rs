//! How is each part of the box asked whether it works?
//!
//! A check is tried until it passes or its time is over, because the daemons may still be starting;
//! what it saw last is its reason. The self-call is made once: it waits for what it needs itself.

use super::decide::Step;
use crate::neighbours::{self, Neighbours, explain};
use anyhow::{Context, bail};
use serde::Deserialize;
use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    process::Stdio,
    time::Duration,
};
use tokio::process::Command;

/// What the checks need to know.
pub struct Checks {
    pub neighbours: Neighbours,
    pub self_call: PathBuf,
}

#[derive(Deserialize)]
struct FirewallState {
    loaded: bool,
    problem: Option<String>,
}

#[derive(Deserialize)]
struct Ready {
    ready: bool,
    cause: Option<String>,
}

/// The summary of a self-call that failed.
#[derive(Deserialize)]
struct SelfCall {
    failed: String,
    reason: String,
}

#[derive(Deserialize)]
struct Claim {
    claimed: bool,
}

impl Checks {
    /// What was seen; an error is the reason why the step fails.
    pub async fn run(&self, step: Step, limit: Duration) -> Result<String, String> {
        if limit.is_zero() {
            return Err("there was no time left for it".to_owned());
        }
        if step == Step::SelfCall {
            return self.self_call(limit).await;
        }
        persist(limit, async || self.ask(step).await).await
    }

    async fn ask(&self, step: Step) -> anyhow::Result<String> {
        match step {
            Step::Firewall => self.firewall().await,
            Step::Api => api().await,
            Step::Database => self.database().await,
            Step::Storage | Step::SelfCall => storage().await,
        }
    }

    async fn firewall(&self) -> anyhow::Result<String> {
        let state: FirewallState = self.neighbours.rtp_firewall.get("/v1/state").await.map_err(explain)?;
        match state {
            FirewallState { loaded: true, .. } => Ok("the ruleset is loaded".into()),
            FirewallState { problem: Some(problem), .. } => bail!(problem),
            FirewallState { .. } => bail!("the ruleset is not loaded"),
        }
    }

    async fn database(&self) -> anyhow::Result<String> {
        let claim: Claim = self.neighbours.control_api.get("/internal/v1/claim").await.map_err(explain)?;
        Ok(format!("open, the box is {}", if claim.claimed { "claimed" } else { "not claimed yet" }))
    }

    async fn self_call(&self, limit: Duration) -> Result<String, String> {
        let child = Command::new(&self.self_call)
            .arg("--control")
            .arg(self.neighbours.control_api.socket())
            .args(["--json", "--limit", &own_limit(limit).to_string()])
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let name = self.self_call.display();
        match tokio::time::timeout(limit, child).await {
            Err(_) => Err(no_answer(limit)),
            Ok(Err(error)) => Err(format!("{name} does not start: {error}")),
            Ok(Ok(output)) if output.status.success() => Ok("the recording holds what was said".into()),
            Ok(Ok(output)) => Err(last_word(&output.stdout)
                .or_else(|| last_line(&output.stderr))
                .unwrap_or_else(|| format!("{name} ended with {}", output.status))),
        }
    }
}

/// Waits until calls can be made.
pub async fn until_ready(limit: Duration) -> Result<String, String> {
    persist(limit, api).await
}

/// Asks once a second until it passes; what was seen last is the reason why it never did.
async fn persist(limit: Duration, ask: impl AsyncFn() -> anyhow::Result<String>) -> Result<String, String> {
    let mut seen = no_answer(limit);
    let passes = async {
        let mut tick = tokio::time::interval(AGAIN);
        loop {
            tick.tick().await;
            match ask().await {
                Ok(detail) => break detail,
                Err(reason) => seen = format!("{reason:#}"),
            }
        }
    };
    tokio::time::timeout(limit, passes).await.map_err(|_| seen)
}

/// Ready as `GET /v1/ready` means it.
async fn api() -> anyhow::Result<String> {
    let (_, body) = neighbours::get_loopback(loopback(API), "/v1/ready").await.context("control-api")?;
    let answer: Ready = serde_json::from_str(&body).context("/v1/ready answered something else than expected")?;
    if !answer.ready {
        bail!(answer.cause.unwrap_or_else(|| "not ready".into()));
    }
    Ok("calls can be made".into())
}

async fn storage() -> anyhow::Result<String> {
    let (status, _) = neighbours::get_loopback(loopback(MINIO), "/minio/health/live").await.context("minio")?;
    if !status.is_success() {
        bail!("minio answered {status}");
    }
    Ok("the object store answers".into())
}

/// Seconds that self-call gives itself: it ends before we end it, and so can say where it stands.
fn own_limit(limit: Duration) -> u64 {
    limit.as_secs().saturating_sub(5).clamp(20, 3600)
}

/// Which of its steps self-call names, and why.
fn last_word(stdout: &[u8]) -> Option<String> {
    let summary: SelfCall = serde_json::from_str(&last_line(stdout)?).ok()?;
    Some(format!("{}: {}", summary.failed, summary.reason))
}

/// What a program says that could not even begin.
fn last_line(text: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(text);
    text.lines().rev().map(str::trim).find(|line| !line.is_empty()).map(str::to_owned)
}

fn no_answer(limit: Duration) -> String {
    format!("no answer within {} s", limit.as_secs())
}

fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

const API: u16 = 8080;
const MINIO: u16 = 9000;
const AGAIN: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::places::Places;
    use std::{fs, os::unix::fs::PermissionsExt};

    #[tokio::test(start_paused = true)]
    async fn a_check_is_tried_until_it_passes() {
        let tries = std::cell::Cell::new(0);
        let ask = async || {
            tries.set(tries.get() + 1);
            if tries.get() < 4 { bail!("still starting") } else { Ok("up".to_owned()) }
        };
        assert_eq!(persist(Duration::from_secs(60), ask).await, Ok("up".into()));
        assert_eq!(tries.get(), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_seen_last_is_the_reason() {
        let ask = async || bail!("the ruleset is not loaded");
        assert_eq!(persist(Duration::from_secs(60), ask).await, Err("the ruleset is not loaded".into()));
        let silent = async || std::future::pending().await;
        assert_eq!(persist(Duration::from_secs(60), silent).await, Err("no answer within 60 s".into()));
    }

    /// A program in place of self-call: only what any program does, an exit status and words, matters here.
    fn program(script: &str) -> (tempfile::TempDir, Checks) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("program");
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        let neighbours = Neighbours::at(&Places::under(folder.path()));
        (folder, Checks { neighbours, self_call: path })
    }

    #[tokio::test]
    async fn a_self_call_that_fails_is_reported_with_its_step_and_reason() {
        let summary = r#"{"ok":false,"failed":"tone","reason":"the code is not in the recording","steps":[]}"#;
        let (_folder, checks) = program(&format!("echo a warning >&2; echo '{summary}'; exit 1"));
        let seen = checks.run(Step::SelfCall, Duration::from_secs(60)).await;
        assert_eq!(seen, Err("tone: the code is not in the recording".into()));
    }

    #[tokio::test]
    async fn a_self_call_that_cannot_begin_is_reported_with_its_last_line() {
        let (_folder, checks) = program("echo 'error: unexpected argument' >&2; echo >&2; exit 2");
        let seen = checks.run(Step::SelfCall, Duration::from_secs(60)).await;
        assert_eq!(seen, Err("error: unexpected argument".into()));
        let (folder, checks) = program("exit 3");
        let seen = checks.run(Step::SelfCall, Duration::from_secs(60)).await;
        assert_eq!(seen, Err(format!("{} ended with exit status: 3", folder.path().join("program").display())));
    }

    #[tokio::test]
    async fn a_self_call_knows_the_control_socket_and_is_asked_for_json() {
        let (folder, checks) = program(r#"echo "$@" > "$0.args""#);
        assert!(checks.run(Step::SelfCall, Duration::from_secs(60)).await.is_ok());
        let args = fs::read_to_string(folder.path().join("program.args")).unwrap();
        let socket = folder.path().join("run/control-api/control.sock");
        assert_eq!(args.trim(), format!("--control {} --json --limit 55", socket.display()));
    }

    #[tokio::test]
    async fn a_self_call_that_hangs_is_ended_at_its_limit() {
        let (_folder, checks) = program("exec sleep 1000");
        let seen = checks.run(Step::SelfCall, Duration::from_millis(50)).await;
        assert_eq!(seen, Err("no answer within 0 s".into()));
    }

    #[tokio::test]
    async fn a_program_that_is_missing_and_time_that_is_up_are_failures() {
        let neighbours = Neighbours::at(&Places::under("/nowhere"));
        let checks = Checks { neighbours, self_call: "/nowhere/self-call".into() };
        let seen = checks.run(Step::SelfCall, Duration::from_secs(60)).await.unwrap_err();
        assert!(seen.starts_with("/nowhere/self-call does not start"), "{seen}");
        let seen = checks.run(Step::Firewall, Duration::ZERO).await;
        assert_eq!(seen, Err("there was no time left for it".into()));
    }
}
