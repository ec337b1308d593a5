//! Whom does the firewall let in, and how is that changed?
//!
//! Everything is decided and kept by `rtp-firewall`; this is its command line.

use crate::{
    neighbours::{Neighbours, explain},
    report::Done,
};
use ipnet::IpNet;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use std::{
    fmt::{self, Display},
    net::IpAddr,
};
use types::firewall::{Ban, FirewallState, ManagementChange, ManagementNetworks, NewBan, SshWindow};

/// The state, in words by `Display`.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct State(pub FirewallState);

pub async fn state(neighbours: &Neighbours) -> anyhow::Result<State> {
    neighbours.rtp_firewall.get("/v1/state").await.map(State).map_err(explain)
}

pub async fn ban(neighbours: &Neighbours, address: IpAddr, seconds: u32, reason: String) -> anyhow::Result<Done> {
    let ban = NewBan { address, seconds, reason };
    let made: Ban = neighbours.rtp_firewall.post("/v1/bans", &ban).await.map_err(explain)?;
    Ok(Done::new(format!("{} gets nothing from the box until {}", made.address, second(made.until))))
}

pub async fn unban(neighbours: &Neighbours, address: IpAddr) -> anyhow::Result<Done> {
    neighbours.rtp_firewall.delete(&format!("/v1/bans/{address}")).await.map_err(explain)?;
    Ok(Done::new(format!("{address} is no longer banned")))
}

pub async fn set_management(neighbours: &Neighbours, networks: Vec<IpNet>) -> anyhow::Result<Done> {
    let wanted = ManagementNetworks { networks };
    let change: ManagementChange = neighbours.rtp_firewall.put("/v1/management", &wanted).await.map_err(explain)?;
    Ok(Done::new(management_words(&wanted.networks, change.confirm_by)))
}

pub async fn confirm_management(neighbours: &Neighbours) -> anyhow::Result<Done> {
    neighbours.rtp_firewall.act("/v1/management/confirm").await.map_err(explain)?;
    Ok(Done::new("the management networks are confirmed and stay"))
}

/// Opens SSH for the management networks until then, or closes it.
pub async fn allow_ssh(neighbours: &Neighbours, until: Option<Timestamp>) -> anyhow::Result<SshWindow> {
    neighbours.rtp_firewall.put("/v1/ssh", &SshWindow { until }).await.map_err(explain)
}

fn management_words(networks: &[IpNet], confirm_by: Option<Timestamp>) -> String {
    let networks = list(networks);
    match confirm_by {
        None => format!("the box is managed from {networks}"),
        Some(by) => format!(
            "the box is managed from {networks} for now: this could lock somebody out and is undone at {} \
             unless you can still run `scaibox firewall management confirm`",
            second(by)
        ),
    }
}

impl Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let FirewallState { loaded, generation, peers, management, bans, ssh_until, drops, problem } = &self.0;
        let loaded = if *loaded { "loaded" } else { "NOT LOADED" };
        writeln!(f, "ruleset      {loaded} (generation {generation})")?;
        if let Some(problem) = problem {
            writeln!(f, "problem      {problem}")?;
        }
        writeln!(f, "trunks       {}", list(&peers.trunks))?;
        writeln!(f, "phones       {}", list(&peers.phones))?;
        writeln!(f, "management   {}", list(&management.networks))?;
        if let Some(trial) = &management.pending {
            writeln!(f, "  on trial   {} until {}", list(&trial.networks), second(trial.revert_at))?;
        }
        let ssh = ssh_until.map_or("closed".to_owned(), |until| format!("open until {}", second(until)));
        writeln!(f, "ssh          {ssh}")?;
        writeln!(f, "bans         {}", bans.len())?;
        for ban in bans {
            writeln!(f, "  {} until {}: {}", ban.address, second(ban.until), ban.reason)?;
        }
        let drops: Vec<_> = drops.iter().map(|(reason, packets)| format!("{reason} {packets}")).collect();
        write!(f, "dropped      {}", if drops.is_empty() { "nothing".into() } else { drops.join(", ") })
    }
}

/// Nobody reads the fractions.
pub fn second(at: Timestamp) -> Timestamp {
    at.round(jiff::Unit::Second).unwrap_or(at)
}

/// That many hours from now.
pub fn hours_from(now: Timestamp, hours: u32) -> Timestamp {
    now.saturating_add(SignedDuration::from_hours(i64::from(hours))).unwrap_or(now)
}

fn list(networks: &[IpNet]) -> String {
    let networks: Vec<_> = networks.iter().map(IpNet::to_string).collect();
    if networks.is_empty() { "none".into() } else { networks.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::firewall::{Management, Peers, PendingManagement};

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn the_state_is_one_screen() {
        let state = FirewallState {
            loaded: true,
            generation: 12,
            peers: Peers { trunks: vec!["203.0.113.0/24".parse().unwrap()], phones: vec![] },
            management: Management {
                networks: vec!["10.0.0.0/8".parse().unwrap(), "fe80::/10".parse().unwrap()],
                pending: Some(PendingManagement {
                    networks: vec!["10.1.2.0/24".parse().unwrap()],
                    revert_at: at("2026-11-25T10:02:00.123Z"),
                }),
            },
            bans: vec![Ban {
                address: "198.51.100.9".parse().unwrap(),
                until: at("2026-11-26T10:00:00Z"),
                reason: "guessed passwords".into(),
            }],
            ssh_until: None,
            drops: [("ban".to_owned(), 7), ("default".to_owned(), 1024)].into(),
            problem: None,
        };
        let expected = "\
ruleset      loaded (generation 12)
trunks       203.0.113.0/24
phones       none
management   10.0.0.0/8 fe80::/10
  on trial   10.1.2.0/24 until 2026-11-25T10:02:00Z
ssh          closed
bans         1
  198.51.100.9 until 2026-11-26T10:00:00Z: guessed passwords
dropped      ban 7, default 1024";
        assert_eq!(State(state).to_string(), expected);
    }

    #[test]
    fn a_change_that_could_lock_out_says_how_to_keep_it() {
        let networks = ["10.1.2.0/24".parse().unwrap()];
        assert_eq!(management_words(&networks, None), "the box is managed from 10.1.2.0/24");
        let words = management_words(&networks, Some(at("2026-11-25T10:02:00Z")));
        assert!(words.contains("undone at 2026-11-25T10:02:00Z"), "{words}");
        assert!(words.contains("`scaibox firewall management confirm`"), "{words}");
    }
}
