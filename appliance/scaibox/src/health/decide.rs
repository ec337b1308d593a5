//! Is this version good, and if not, what follows?
//!
//! Pure: what the checks saw and what systemd-bless-boot says come in, a [`Decision`] comes out.
//! Only a version that has not proved itself yet is rebooted: boot counting then ends the attempt
//! and, after the last one, returns to the old slot. A proven version stays up whatever the checks
//! say: rebooting it for a full disk or a dead daemon would never end.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr, time::Duration};

/// What is checked, in this order: each needs the ones before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// The ruleset is loaded: the box never runs open.
    Firewall,
    /// control-api, livekit-server, Redis and sip-gateway work together.
    Api,
    /// The database was opened, its schema brought up to date, and it answers.
    Database,
    /// The object store answers.
    Storage,
    /// A call to ourselves was answered, recorded, and the recording holds what was said.
    SelfCall,
}

impl Step {
    pub const ALL: [Self; 5] = [Self::Firewall, Self::Api, Self::Database, Self::Storage, Self::SelfCall];

    pub fn name(self) -> &'static str {
        match self {
            Self::Firewall => "firewall",
            Self::Api => "api",
            Self::Database => "database",
            Self::Storage => "storage",
            Self::SelfCall => "self-call",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Step {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|step| step.name() == name).ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            format!("`{name}` is no check: it is one of {names}")
        })
    }
}

/// What one check saw.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    pub step: Step,
    pub passed: bool,
    pub detail: String,
    pub took_ms: u64,
}

/// `systemd-bless-boot status`, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Blessing {
    /// Proven in an earlier boot, or in this one.
    Good,
    /// Every attempt was used up.
    Bad,
    /// This boot decides.
    Indeterminate,
    /// Boot counting is not used for this version.
    Clean,
    /// It could not be asked, as on a machine without EFI.
    Unknown,
}

impl Blessing {
    pub fn from_status(text: &str) -> Self {
        match text.trim() {
            "good" => Self::Good,
            "bad" => Self::Bad,
            "indeterminate" => Self::Indeterminate,
            "clean" => Self::Clean,
            _ => Self::Unknown,
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// The first check that failed, and why.
    pub failure: Option<(Step, String)>,
    pub reboot: bool,
}

impl Decision {
    pub fn healthy(&self) -> bool {
        self.failure.is_none()
    }
}

/// Healthy when every check has passed; one that was never made counts as failed.
pub fn decide(outcomes: &[Outcome], blessing: Blessing) -> Decision {
    let failure = Step::ALL.into_iter().find_map(|step| match outcomes.iter().find(|outcome| outcome.step == step) {
        Some(outcome) if outcome.passed => None,
        Some(outcome) => Some((step, outcome.detail.clone())),
        None => Some((step, "was not checked".to_owned())),
    });
    let reboot = failure.is_some() && blessing == Blessing::Indeterminate;
    Decision { failure, reboot }
}

/// How long each check may take, and all together.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    pub total: Duration,
    /// Takes the place of a check's own default.
    pub own: Vec<(Step, Duration)>,
}

impl Limits {
    /// What `step` may take after `spent`; nothing when the time is used up.
    pub fn left(&self, step: Step, spent: Duration) -> Duration {
        let own = self.own.iter().rev().find(|(known, _)| *known == step);
        own.map_or_else(|| usual(step), |(_, limit)| *limit).min(self.total.saturating_sub(spent))
    }
}

/// Generous: an emulated machine needs minutes for what takes a second elsewhere.
fn usual(step: Step) -> Duration {
    Duration::from_secs(match step {
        Step::Firewall => 60,
        Step::Api => 120,
        Step::Database => 30,
        Step::Storage => 120,
        Step::SelfCall => 240,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(step: Step, passed: bool) -> Outcome {
        Outcome { step, passed, detail: format!("{step} said so"), took_ms: 1 }
    }

    fn passed(steps: &[Step]) -> Vec<Outcome> {
        steps.iter().map(|step| outcome(*step, true)).collect()
    }

    #[test]
    fn a_version_that_passes_everything_is_healthy_and_stays_up() {
        let decision = decide(&passed(&Step::ALL), Blessing::Indeterminate);
        assert_eq!(decision, Decision { failure: None, reboot: false });
    }

    #[test]
    fn an_unproven_version_that_fails_is_rebooted() {
        let mut outcomes = passed(&Step::ALL[..4]);
        outcomes.push(outcome(Step::SelfCall, false));
        let decision = decide(&outcomes, Blessing::Indeterminate);
        assert_eq!(decision.failure, Some((Step::SelfCall, "self-call said so".into())));
        assert!(decision.reboot);
    }

    #[test]
    fn a_proven_version_that_fails_is_never_rebooted() {
        for blessing in [Blessing::Good, Blessing::Bad, Blessing::Clean, Blessing::Unknown] {
            let decision = decide(&[outcome(Step::Firewall, false)], blessing);
            assert!(!decision.healthy() && !decision.reboot, "{blessing:?}");
        }
    }

    #[test]
    fn the_first_failure_is_the_reason() {
        let decision = decide(&[outcome(Step::Firewall, true), outcome(Step::Api, false)], Blessing::Good);
        assert_eq!(decision.failure.map(|(step, _)| step), Some(Step::Api));
    }

    #[test]
    fn a_check_that_was_never_made_is_no_pass() {
        let decision = decide(&passed(&Step::ALL[..3]), Blessing::Good);
        assert_eq!(decision.failure, Some((Step::Storage, "was not checked".into())));
        assert!(!decide(&[], Blessing::Good).healthy());
    }

    #[test]
    fn a_check_gets_its_own_limit_but_never_more_than_is_left_in_all() {
        let limits = Limits {
            total: Duration::from_secs(600),
            own: vec![(Step::Api, Duration::from_secs(400)), (Step::Api, Duration::from_secs(100))],
        };
        assert_eq!(limits.left(Step::Firewall, Duration::ZERO), Duration::from_secs(60));
        assert_eq!(limits.left(Step::Api, Duration::ZERO), Duration::from_secs(100));
        assert_eq!(limits.left(Step::SelfCall, Duration::from_secs(590)), Duration::from_secs(10));
        assert_eq!(limits.left(Step::SelfCall, Duration::from_secs(700)), Duration::ZERO);
    }

    #[test]
    fn the_words_of_systemd_bless_boot_are_understood() {
        assert_eq!(Blessing::from_status("indeterminate\n"), Blessing::Indeterminate);
        assert_eq!(Blessing::from_status("good"), Blessing::Good);
        assert_eq!(Blessing::from_status(""), Blessing::Unknown);
    }

    #[test]
    fn a_check_is_named_as_it_is_printed() {
        assert_eq!("self-call".parse::<Step>(), Ok(Step::SelfCall));
        let refusal = "sip".parse::<Step>().unwrap_err();
        assert_eq!(refusal, "`sip` is no check: it is one of firewall, api, database, storage, self-call");
    }
}
