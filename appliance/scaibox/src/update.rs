//! Which version runs, which could, and what became of the last attempt?
//!
//! `fleet-agent` decides and acts; this is its command line.

use crate::{
    firewall::second,
    neighbours::{Neighbours, explain},
    report::Done,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::{
    fmt::{self, Display},
    time::Duration,
};

/// `GET /v1/update` of `fleet-agent`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UpdateState {
    /// Unknown until root has looked once.
    #[serde(default)]
    pub current: Option<String>,
    #[serde(default)]
    pub previous: Option<String>,
    /// This boot has proved itself.
    pub blessed: bool,
    #[serde(default)]
    pub available: Option<Available>,
    /// `idle`, `downloading`, `installing`, `waiting`, `rebooting` or `failed`.
    pub state: String,
    /// Percent of the download.
    #[serde(default)]
    pub progress: Option<u8>,
    #[serde(default)]
    pub waiting_for: Option<String>,
    #[serde(default)]
    pub failed: Vec<FailedVersion>,
    #[serde(default)]
    pub last_check: Option<Timestamp>,
    #[serde(default)]
    pub problem: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Available {
    pub version: String,
    #[serde(default)]
    pub notes: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FailedVersion {
    pub version: String,
    #[serde(default)]
    pub at: Option<Timestamp>,
    #[serde(default)]
    pub reason: Option<String>,
}

/// `POST /v1/update/apply`
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Apply {
    /// The newest one when it is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// An address, or `usb`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Neither wait for the window nor for calls to end.
    pub now: bool,
    /// Also a version that failed before.
    pub force: bool,
}

pub async fn state(neighbours: &Neighbours) -> anyhow::Result<UpdateState> {
    neighbours.fleet_agent.get("/v1/update").await.map_err(explain)
}

/// Asks the channel and waits for its answer, or for the reason why there is none.
pub async fn check(neighbours: &Neighbours) -> anyhow::Result<UpdateState> {
    let before = state(neighbours).await?;
    neighbours.fleet_agent.act("/v1/update/check").await.map_err(explain)?;
    let answered = async {
        let mut tick = tokio::time::interval(AGAIN);
        loop {
            tick.tick().await;
            let now = state(neighbours).await?;
            if now.is_answer_after(&before) {
                break anyhow::Ok(now);
            }
        }
    };
    match tokio::time::timeout(CHECK, answered).await {
        Ok(answer) => answer,
        Err(_) => state(neighbours).await,
    }
}

pub async fn apply(neighbours: &Neighbours, wanted: &Apply) -> anyhow::Result<Done> {
    neighbours.fleet_agent.act_with("/v1/update/apply", wanted).await.map_err(explain)?;
    let version = wanted.version.as_deref().map_or("the newest version".to_owned(), |v| format!("version {v}"));
    Ok(Done::new(format!("{version} is being installed: `scaibox update status` tells how far it is")))
}

pub async fn roll_back(neighbours: &Neighbours) -> anyhow::Result<Done> {
    neighbours.fleet_agent.act("/v1/update/rollback").await.map_err(explain)?;
    Ok(Done::new("the box restarts with its previous version"))
}

impl UpdateState {
    fn is_answer_after(&self, before: &Self) -> bool {
        self.last_check != before.last_check || (self.problem.is_some() && before.problem.is_none())
    }
}

impl Display for UpdateState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let proved = if self.blessed { "has proved itself" } else { "has not proved itself yet" };
        writeln!(f, "current      {} ({proved})", self.current.as_deref().unwrap_or("not looked up yet"))?;
        writeln!(f, "previous     {}", self.previous.as_deref().unwrap_or("none"))?;
        match &self.available {
            None => writeln!(f, "available    nothing newer")?,
            Some(Available { version, notes }) => {
                writeln!(
                    f,
                    "available    {version}{}",
                    notes.as_deref().map(|n| format!(": {n}")).unwrap_or_default()
                )?;
            }
        }
        let progress = self.progress.map(|percent| format!(" {percent} %")).unwrap_or_default();
        let waiting = self.waiting_for.as_ref().map(|what| format!(" for {what}")).unwrap_or_default();
        writeln!(f, "state        {}{progress}{waiting}", self.state)?;
        if let Some(problem) = &self.problem {
            writeln!(f, "problem      {problem}")?;
        }
        for failed in &self.failed {
            writeln!(f, "failed       {}", failed.words())?;
        }
        let checked = self.last_check.map_or("never".to_owned(), |at| second(at).to_string());
        write!(f, "last check   {checked}")
    }
}

impl FailedVersion {
    fn words(&self) -> String {
        let at = self.at.map(|at| format!(" at {}", second(at))).unwrap_or_default();
        format!("{}{at}: {}", self.version, self.reason.as_deref().unwrap_or("no reason is known"))
    }
}

/// A channel on a slow line; the agent goes on asking after it.
const CHECK: Duration = Duration::from_secs(60);
const AGAIN: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_tells_why_a_version_failed() {
        let answer = serde_json::json!({
            "current": "7", "previous": "6", "blessed": true, "state": "waiting", "waiting_for": "2 calls to end",
            "available": {"version": "9", "notes": "quieter comfort noise"},
            "failed": [{"version": "8", "at": "2026-11-25T10:00:00.5Z", "reason": "self-call: no tone"}, {"version": "5"}],
            "last_check": "2026-11-25T11:00:00Z", "a key of a later version": 1
        });
        let state: UpdateState = serde_json::from_value(answer).unwrap();
        let expected = "\
current      7 (has proved itself)
previous     6
available    9: quieter comfort noise
state        waiting for 2 calls to end
failed       8 at 2026-11-25T10:00:01Z: self-call: no tone
failed       5: no reason is known
last check   2026-11-25T11:00:00Z";
        assert_eq!(state.to_string(), expected);
    }

    #[test]
    fn an_agent_that_has_just_started_is_understood() {
        let answer = r#"{"current":null,"previous":null,"blessed":false,"available":null,"state":"downloading",
            "progress":40,"waiting_for":null,"failed":[],"last_check":null,"problem":null}"#;
        let state: UpdateState = serde_json::from_str(answer).unwrap();
        let expected = "\
current      not looked up yet (has not proved itself yet)
previous     none
available    nothing newer
state        downloading 40 %
last check   never";
        assert_eq!(state.to_string(), expected);
    }

    #[test]
    fn only_what_was_asked_for_is_sent() {
        let json = |apply: &Apply| serde_json::to_value(apply).unwrap();
        assert_eq!(json(&Apply::default()), serde_json::json!({"now": false, "force": false}));
        let usb = Apply { version: Some("9".into()), source: Some("usb".into()), now: true, force: true };
        let expected = serde_json::json!({"version": "9", "source": "usb", "now": true, "force": true});
        assert_eq!(json(&usb), expected);
    }

    #[test]
    fn a_check_is_answered_by_a_new_time_or_a_new_problem() {
        let state = |checked: Option<&str>, problem: Option<&str>| -> UpdateState {
            let (blessed, state) = (true, "idle");
            let answer = serde_json::json!({
                "blessed": blessed, "state": state, "last_check": checked, "problem": problem
            });
            serde_json::from_value(answer).unwrap()
        };
        let before = state(None, None);
        assert!(!before.is_answer_after(&before));
        assert!(state(Some("2026-11-25T11:00:00Z"), None).is_answer_after(&before));
        assert!(state(None, Some("the channel does not answer")).is_answer_after(&before));
        let known = state(None, Some("the channel does not answer"));
        assert!(!known.is_answer_after(&known));
    }
}
