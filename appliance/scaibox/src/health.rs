//! May this version keep the box?
//!
//! `scaibox health-gate` runs once per boot, before `boot-complete.target`: when it fails, the target
//! is not reached and the version is not blessed. It checks ([`checks`]), decides ([`decide`]),
//! remembers ([`record`]) and, if that was decided, asks for the reboot.

pub mod checks;
pub mod decide;
pub mod record;

use crate::{neighbours::Neighbours, places::Places, report};
use anyhow::{Context, bail};
use checks::Checks;
use decide::{Blessing, Decision, Limits, Outcome, Step, decide};
use jiff::Timestamp;
use std::{path::PathBuf, time::Instant};
use tokio::process::Command;

/// What the gate is told on its command line.
pub struct Gate {
    pub limits: Limits,
    pub self_call: PathBuf,
    pub bless_boot: PathBuf,
}

/// Checks everything; an error ends the program with a status that keeps `boot-complete.target` away.
pub async fn gate(places: &Places, gate: Gate) -> anyhow::Result<()> {
    let checks = Checks { neighbours: Neighbours::at(places), self_call: gate.self_call };
    let outcomes = check_all(&checks, &gate.limits).await?;
    let blessing = blessing(&gate.bless_boot).await;
    let decision = decide(&outcomes, blessing);
    let healthy = decision.healthy();
    let last = record::Last { version: places.version(), at: Timestamp::now(), healthy, blessing, checks: outcomes };
    let written = record::write(&places.health(), &last, &decision);
    act(&last.version, &decision).await?;
    written
}

async fn check_all(checks: &Checks, limits: &Limits) -> anyhow::Result<Vec<Outcome>> {
    let begun = Instant::now();
    let mut outcomes = Vec::new();
    for step in Step::ALL {
        let started = Instant::now();
        let seen = checks.run(step, limits.left(step, begun.elapsed())).await;
        let took_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let passed = seen.is_ok();
        let outcome = Outcome { step, passed, detail: seen.unwrap_or_else(|reason| reason), took_ms };
        report::say(&line(&outcome))?;
        outcomes.push(outcome);
        if !passed {
            break;
        }
    }
    Ok(outcomes)
}

async fn act(version: &str, decision: &Decision) -> anyhow::Result<()> {
    let Some((step, reason)) = &decision.failure else {
        return report::say(&format!("health: version {version} is good"));
    };
    if decision.reboot {
        report::say(&format!("health: version {version} has not proved itself: restarting"))?;
        reboot().await?;
    }
    bail!("version {version} failed its health check at {step}: {reason}")
}

/// `systemctl` also works where D-Bus does not.
pub async fn reboot() -> anyhow::Result<()> {
    let status = Command::new("systemctl").args(["--no-block", "reboot"]).status().await;
    match status.context("could not ask for a restart")? {
        status if status.success() => Ok(()),
        status => bail!("could not ask for a restart: systemctl ended with {status}"),
    }
}

async fn blessing(program: &PathBuf) -> Blessing {
    match Command::new(program).arg("status").output().await {
        Ok(output) => Blessing::from_status(&String::from_utf8_lossy(&output.stdout)),
        Err(_) => Blessing::Unknown,
    }
}

fn line(outcome: &Outcome) -> String {
    let word = if outcome.passed { "ok" } else { "FAILED" };
    let Outcome { step, detail, took_ms, .. } = outcome;
    format!("health: {step} {word} after {}.{} s: {detail}", took_ms / 1000, took_ms % 1000 / 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_is_one_line_for_the_console() {
        let outcome =
            Outcome { step: Step::Api, passed: false, detail: "sip-gateway does not answer".into(), took_ms: 12_345 };
        assert_eq!(line(&outcome), "health: api FAILED after 12.3 s: sip-gateway does not answer");
    }
}
