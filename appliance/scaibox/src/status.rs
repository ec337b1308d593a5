//! How is the box?
//!
//! Everybody is asked at the same time; who does not answer is shown with the reason, and the rest is
//! told all the same.

use crate::{
    firewall::second,
    health::record::{self, Last},
    neighbours::{Neighbours, explain},
    places::Places,
    report::Known,
    update::{self, UpdateState},
};
use daemon::units::Systemd;
use serde::{Deserialize, Serialize};
use std::{
    fmt::{self, Display},
    net::IpAddr,
};
use types::{network::NetworkState, units::DAEMONS};

#[derive(Debug, PartialEq, Serialize)]
pub struct Status {
    pub version: String,
    pub claimed: Known<bool>,
    pub active_calls: Known<u64>,
    pub network: Known<NetworkState>,
    pub daemons: Known<Vec<Daemon>>,
    /// None before the first health check.
    pub health: Option<Last>,
    pub update: Known<UpdateState>,
}

#[derive(Debug, PartialEq, Serialize)]
pub struct Daemon {
    pub name: String,
    pub state: String,
}

#[derive(Deserialize)]
struct Claim {
    claimed: bool,
}

#[derive(Deserialize)]
struct Activity {
    active_calls: u64,
}

pub async fn status(places: &Places) -> Status {
    let neighbours = Neighbours::at(places);
    let (claimed, active_calls, network, daemons, update) = tokio::join!(
        async { neighbours.control_api.get("/internal/v1/claim").await.map(|claim: Claim| claim.claimed) },
        async { neighbours.control_api.get("/internal/v1/activity").await.map(|a: Activity| a.active_calls) },
        neighbours.network_info.get("/v1/network-info"),
        daemons(),
        update::state(&neighbours),
    );
    Status {
        version: places.version(),
        claimed: claimed.map_err(explain).into(),
        active_calls: active_calls.map_err(explain).into(),
        network: network.map_err(explain).into(),
        daemons: daemons.into(),
        health: record::read_last(&places.health()),
        update: update.into(),
    }
}

async fn daemons() -> anyhow::Result<Vec<Daemon>> {
    let units = DAEMONS.map(|name| format!("{name}.service"));
    let states = Systemd::connect().await?.states(&units.each_ref().map(String::as_str)).await?;
    let name = |unit: &str| unit.trim_end_matches(".service").to_owned();
    Ok(states.into_iter().map(|(unit, state)| Daemon { name: name(&unit), state }).collect())
}

impl Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "version      {}", self.version)?;
        let claimed =
            self.claimed.words(|claimed| if *claimed { "yes" } else { "no, see `scaibox claim-code`" }.into());
        writeln!(f, "claimed      {claimed}")?;
        writeln!(f, "calls        {}", self.active_calls.words(u64::to_string))?;
        self.network_lines(f)?;
        self.daemon_lines(f)?;
        let health = self.health.as_ref().map_or("not checked yet".to_owned(), health_words);
        writeln!(f, "health       {health}")?;
        write!(f, "update       {}", self.update.words(update_words))
    }
}

impl Status {
    fn network_lines(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let addresses = self.network.words(|network| spaced(network.local_addresses.iter()));
        writeln!(f, "addresses    {addresses}")?;
        let Some(network) = self.network.is() else { return Ok(()) };
        let outside: Vec<IpAddr> = network.egress_ip.into_iter().chain(network.egress_ip6).collect();
        writeln!(f, "seen from    {}", if outside.is_empty() { "nowhere".into() } else { spaced(outside.iter()) })?;
        match &network.problem {
            Some(problem) => writeln!(f, "problem      {problem}"),
            None => Ok(()),
        }
    }

    /// One word when all is well.
    fn daemon_lines(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let daemons = self.daemons.words(|daemons| {
            let down: Vec<_> = daemons.iter().filter(|daemon| daemon.state != "active").collect();
            let words = down.iter().map(|daemon| format!("{} {}", daemon.name, daemon.state));
            if down.is_empty() { "all active".into() } else { words.collect::<Vec<_>>().join(", ") }
        });
        writeln!(f, "daemons      {daemons}")
    }
}

fn health_words(last: &Last) -> String {
    let at = second(last.at);
    match last.checks.iter().find(|check| !check.passed) {
        _ if last.healthy => format!("good at {at}"),
        Some(check) => format!("FAILED at {at}: {}: {}", check.step, check.detail),
        None => format!("FAILED at {at}"),
    }
}

fn update_words(update: &UpdateState) -> String {
    let available = update.available.as_ref().map(|a| format!(", {} is available", a.version)).unwrap_or_default();
    let problem = update.problem.as_ref().map(|problem| format!(": {problem}")).unwrap_or_default();
    format!("{}{available}{problem}", update.state)
}

fn spaced(addresses: impl Iterator<Item = impl ToString>) -> String {
    let all: Vec<_> = addresses.map(|address| address.to_string()).collect();
    if all.is_empty() { "none".into() } else { all.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::decide::{Blessing, Outcome, Step};
    use types::network::{Nat, Source};

    fn healthy() -> Status {
        let daemon = |name: &str| Daemon { name: name.into(), state: "active".into() };
        Status {
            version: "7".into(),
            claimed: Known::Is(true),
            active_calls: Known::Is(3),
            network: Known::Is(NetworkState {
                egress_ip: Some("203.0.113.7".parse().unwrap()),
                egress_ip6: None,
                source: Source::Stun,
                checked_at: "2026-11-25T10:00:00Z".parse().unwrap(),
                local_addresses: vec!["192.168.1.5".parse().unwrap()],
                networks: vec!["192.168.1.0/24".parse().unwrap()],
                nat: Nat::EndpointIndependent,
                problem: None,
            }),
            daemons: Known::Is(vec![daemon("sip-gateway"), daemon("control-api")]),
            health: Some(Last {
                version: "7".into(),
                at: "2026-11-25T09:30:00.25Z".parse().unwrap(),
                healthy: true,
                blessing: Blessing::Good,
                checks: vec![],
            }),
            update: Known::Is(
                serde_json::from_str(
                    r#"{"current":"7","blessed":true,"state":"idle","available":{"version":"8","notes":null}}"#,
                )
                .unwrap(),
            ),
        }
    }

    #[test]
    fn a_box_that_is_well_fits_on_a_few_lines() {
        let expected = "\
version      7
claimed      yes
calls        3
addresses    192.168.1.5
seen from    203.0.113.7
daemons      all active
health       good at 2026-11-25T09:30:00Z
update       idle, 8 is available";
        assert_eq!(healthy().to_string(), expected);
    }

    #[test]
    fn what_is_wrong_or_unknown_is_said() {
        let mut status = healthy();
        let problem = |text: &str| text.to_owned();
        status.claimed = Known::Is(false);
        status.active_calls = Known::Unknown { problem: problem("control-api does not answer") };
        status.network = Known::Unknown { problem: problem("network-info does not answer") };
        status.update = Known::Unknown { problem: problem("fleet-agent does not answer") };
        if let Known::Is(daemons) = &mut status.daemons {
            daemons[1].state = "failed".into();
        }
        let last = status.health.as_mut().unwrap();
        last.healthy = false;
        last.checks = vec![Outcome { step: Step::SelfCall, passed: false, detail: "no tone".into(), took_ms: 9_000 }];
        let expected = "\
version      7
claimed      no, see `scaibox claim-code`
calls        unknown: control-api does not answer
addresses    unknown: network-info does not answer
daemons      control-api failed
health       FAILED at 2026-11-25T09:30:00Z: self-call: no tone
update       unknown: fleet-agent does not answer";
        assert_eq!(status.to_string(), expected);
    }

    #[test]
    fn a_program_reads_the_reason_where_the_value_would_be() {
        let mut status = healthy();
        status.claimed = Known::Unknown { problem: "control-api does not answer".into() };
        let json = serde_json::to_value(&status).unwrap();
        assert_eq!(json["claimed"], serde_json::json!({"problem": "control-api does not answer"}));
        assert_eq!(json["active_calls"], 3);
        assert_eq!(json["network"]["egress_ip"], "203.0.113.7");
    }
}
