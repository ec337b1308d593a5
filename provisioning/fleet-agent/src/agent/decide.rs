//! What should the box do about updates now?
//!
//! [`decide`] is a pure function: facts, rules and time in, one step or the reason for resting out. Newer? Not failed
//! before? Downloaded? Current boot proved? In the window, and no call to cut? Only then something changes.
//!
//! Who acts on it: [`super::Agent`]. Everything here is checked again by the root part where safety depends on it.

use super::window::Window;
use crate::{boot::Bless, channel::Catalogue, version::Version};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{collections::BTreeSet, fmt, time::Duration};

/// What the operator configured.
#[derive(Clone, Debug)]
pub struct Rules {
    pub automatic: bool,
    pub window: Window,
    /// After so long in an open window, calls are no reason to wait any more.
    pub calls_limit: Duration,
}

/// What the operator asked for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Wish {
    /// Absent: what the channel says is current.
    pub version: Option<Version>,
    /// "usb", an URL, or absent for the configured mirrors.
    pub source: Option<String>,
    /// Do not wait for the window, nor for calls to end.
    pub now: bool,
    /// Also when that very version failed before.
    pub force: bool,
}

/// Everything that matters for the decision.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    pub running: &'a Version,
    pub bless: Bless,
    pub offer: Option<&'a Catalogue>,
    pub failed: &'a BTreeSet<Version>,
    pub wish: Option<&'a Wish>,
    /// Downloaded completely.
    pub staged: Option<&'a Version>,
    /// Written into the other slot, not booted yet.
    pub installed: Option<&'a Version>,
    pub machine_id: &'a str,
    /// Unknown when control-api does not answer.
    pub active_calls: Option<u32>,
    /// Since when calls are what it waits for.
    pub waiting_since: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    Rest(Why),
    Download(Version),
    Install(Version),
    Reboot(Version),
}

/// Why nothing happens now.
#[derive(Clone, Debug, PartialEq)]
pub enum Why {
    NothingOffered,
    UpToDate,
    NotNewer(Version),
    NotOffered(Version),
    FailedBefore(Version),
    TooOld { version: Version, needs: Version },
    NotAutomatic(Version),
    NotOurTurn(Version),
    NotProved,
    Window(jiff::civil::Time),
    Calls(Option<u32>),
}

/// The next step, or why there is none.
pub fn decide(facts: &Facts, rules: &Rules, now: Timestamp) -> Step {
    let target = match (target(facts, rules), facts.installed) {
        (Ok(version), Some(installed)) => version.max(installed.clone()),
        (Ok(version), None) => version,
        // What is installed is booted, also when the channel cannot be read any more.
        (Err(_), Some(installed)) => installed.clone(),
        (Err(why), None) => return Step::Rest(why),
    };
    let installed = facts.installed == Some(&target);
    if !installed && facts.staged != Some(&target) {
        return Step::Download(target);
    }
    if !installed && !facts.bless.is_proved() {
        return Step::Rest(Why::NotProved);
    }
    match reason_to_wait(facts, rules, now) {
        Some(why) => Step::Rest(why),
        None if installed => Step::Reboot(target),
        None => Step::Install(target),
    }
}

/// The version that the box should have.
fn target(facts: &Facts, rules: &Rules) -> Result<Version, Why> {
    let offer = facts.offer.ok_or(Why::NothingOffered)?;
    let named = facts.wish.and_then(|wish| wish.version.clone());
    let version = named.clone().unwrap_or_else(|| next_stop(offer, facts.running));
    if version <= *facts.running {
        return Err(if named.is_some() { Why::NotNewer(version) } else { Why::UpToDate });
    }
    if !offer.releases.contains_key(&version) {
        return Err(Why::NotOffered(version));
    }
    if let Some(needs) = missing_stop(offer, facts.running, &version) {
        return Err(Why::TooOld { version, needs });
    }
    let forced = named.is_some() && facts.wish.is_some_and(|wish| wish.force);
    if facts.failed.contains(&version) && !forced {
        return Err(Why::FailedBefore(version));
    }
    if facts.wish.is_some() {
        return Ok(version);
    }
    if !rules.automatic {
        return Err(Why::NotAutomatic(version));
    }
    if ticket(facts.machine_id, &version) >= offer.document.percent {
        return Err(Why::NotOurTurn(version));
    }
    Ok(version)
}

/// The current version, or the one to take before it.
fn next_stop(offer: &Catalogue, running: &Version) -> Version {
    let current = &offer.document.version;
    let stop = missing_stop(offer, running, current).filter(|stop| offer.releases.contains_key(stop));
    stop.unwrap_or_else(|| current.clone())
}

fn missing_stop(offer: &Catalogue, running: &Version, version: &Version) -> Option<Version> {
    let needs = offer.document.min_version.as_ref().filter(|_| *version == offer.document.version)?;
    (running < needs).then(|| needs.clone())
}

/// This box's place among a hundred, another one for each version, so that not always the same boxes go first.
fn ticket(machine_id: &str, version: &Version) -> u8 {
    let hash = Sha256::digest(format!("{machine_id}/{version}"));
    let number = u64::from_be_bytes(hash[..8].try_into().unwrap_or_default());
    (number % 100) as u8
}

fn reason_to_wait(facts: &Facts, rules: &Rules, now: Timestamp) -> Option<Why> {
    if facts.wish.is_some_and(|wish| wish.now) {
        return None;
    }
    if !rules.window.is_open(now) {
        return Some(Why::Window(rules.window.start));
    }
    let limit = SignedDuration::try_from(rules.calls_limit).unwrap_or(SignedDuration::MAX);
    let waited_enough = facts.waiting_since.is_some_and(|since| now.duration_since(since) >= limit);
    match facts.active_calls {
        Some(0) => None,
        _ if waited_enough => None,
        calls => Some(Why::Calls(calls)),
    }
}

impl Why {
    /// A wish that meets this will never come true.
    pub fn is_final(&self) -> bool {
        matches!(
            self,
            Self::UpToDate | Self::NotNewer(_) | Self::NotOffered(_) | Self::FailedBefore(_) | Self::TooOld { .. }
        )
    }

    /// Something is ready and only waits.
    pub fn is_waiting(&self) -> bool {
        matches!(self, Self::NotProved | Self::Window(_) | Self::Calls(_))
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NothingOffered => f.write_str("the channel has not been read yet"),
            Self::UpToDate => f.write_str("the running version is the current one"),
            Self::NotNewer(version) => write!(f, "version {version} is not newer than the running one"),
            Self::NotOffered(version) => write!(f, "the channel does not offer version {version}"),
            Self::FailedBefore(version) => {
                write!(f, "version {version} failed on this box; name it with force to try it again")
            }
            Self::TooOld { version, needs } => {
                write!(f, "version {version} can only be reached from {needs} or later: take {needs} first")
            }
            Self::NotAutomatic(version) => write!(f, "version {version} waits until somebody applies it"),
            Self::NotOurTurn(version) => write!(f, "version {version} goes to other boxes first"),
            Self::NotProved => f.write_str("the running version has not proved itself yet"),
            Self::Window(start) => write!(f, "waits for the window that opens at {}", start.strftime("%H:%M")),
            Self::Calls(Some(calls)) => write!(f, "waits for {calls} calls to end"),
            Self::Calls(None) => f.write_str("waits: nobody says how many calls there are"),
        }
    }
}

#[cfg(test)]
#[path = "decide_tests.rs"]
mod tests;
