//! What should the firewall let in?
//!
//! [`Desired`] is all that is wanted, and all that is remembered over a restart. Its methods are the
//! only way it changes; each says no with a [`Refused`] and leaves everything as it was.
//! Pure: time is an argument. The rules that follow from it: [`crate::ruleset`].

use crate::{management, networks, refused::Refused};
use ipnet::IpNet;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use types::firewall::{Ban, Management, ManagementChange, NewBan, Peers};

/// SSH is never open for longer.
pub const LONGEST_SSH: SignedDuration = SignedDuration::from_hours(8);
/// A year.
pub const LONGEST_BAN_S: u32 = 365 * 24 * 3600;
/// Bounds the table, whatever asks for bans.
const MOST_BANS: usize = 16_384;
const MOST_NETWORKS: usize = 4096;

/// The wanted state. What an older version does not know, it ignores.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Desired {
    pub generation: u64,
    pub peers: Peers,
    pub management: Management,
    /// What the configuration said about management networks when we last looked.
    configured: Vec<IpNet>,
    pub bans: Vec<Ban>,
    pub ssh_until: Option<Timestamp>,
}

impl Desired {
    /// Nobody may send SIP yet; the configured networks manage.
    pub fn new(configured: &[IpNet]) -> Self {
        Self {
            generation: 0,
            peers: Peers::default(),
            management: Management { networks: configured.to_vec(), pending: None },
            configured: configured.to_vec(),
            bans: Vec::new(),
            ssh_until: None,
        }
    }

    /// A configuration that somebody edited since wins over what was set on the socket.
    pub fn reconfigure(&mut self, configured: &[IpNet]) {
        if self.configured != configured {
            self.configured = configured.to_vec();
            self.management = Management { networks: configured.to_vec(), pending: None };
            self.lift_forbidden_bans();
        }
    }

    pub fn set_peers(&mut self, peers: Peers) -> Result<(), Refused> {
        few("trunks", &peers.trunks)?;
        few("phones", &peers.phones)?;
        self.peers = peers;
        self.lift_forbidden_bans();
        Ok(())
    }

    pub fn set_management(&mut self, new: Vec<IpNet>, now: Timestamp) -> Result<ManagementChange, Refused> {
        few("networks", &new)?;
        let change = management::change(&mut self.management, new, now)?;
        self.lift_forbidden_bans();
        Ok(change)
    }

    pub fn confirm_management(&mut self, now: Timestamp) -> Result<(), Refused> {
        management::confirm(&mut self.management, now)
    }

    /// Bans an address anew: the last word on its length and reason counts.
    pub fn ban(&mut self, new: NewBan, now: Timestamp) -> Result<Ban, Refused> {
        let address = new.address.to_canonical();
        if !(1..=LONGEST_BAN_S).contains(&new.seconds) {
            return Err(Refused::BanLength(new.seconds));
        }
        self.may_be_banned(address)?;
        self.bans.retain(|ban| ban.address != address && ban.until > now);
        if self.bans.len() >= MOST_BANS {
            return Err(Refused::TooManyBans(self.bans.len()));
        }
        let until = now + SignedDuration::from_secs(new.seconds.into());
        let ban = Ban { address, until, reason: new.reason };
        self.bans.push(ban.clone());
        Ok(ban)
    }

    pub fn unban(&mut self, address: IpAddr) -> Result<(), Refused> {
        let address = address.to_canonical();
        let at = self.bans.iter().position(|ban| ban.address == address).ok_or(Refused::NotBanned(address))?;
        self.bans.remove(at);
        Ok(())
    }

    pub fn set_ssh(&mut self, until: Option<Timestamp>, now: Timestamp) -> Result<(), Refused> {
        match until {
            Some(until) if until <= now => return Err(Refused::SshOver(until)),
            Some(until) if until > now + LONGEST_SSH => return Err(Refused::SshTooLong(until)),
            _ => self.ssh_until = until,
        }
        Ok(())
    }

    /// Ends what is over: a trial, SSH, bans. True when the rules change by it (a ban ends by itself in the kernel).
    pub fn expire(&mut self, now: Timestamp) -> bool {
        self.bans.retain(|ban| ban.until > now);
        let reverted = management::expire(&mut self.management, now);
        // later than it could be: the clock was set back
        let closed = self.ssh_until.take_if(|until| *until <= now || *until > now + LONGEST_SSH).is_some();
        if reverted {
            self.lift_forbidden_bans();
        }
        reverted || closed
    }

    /// When [`Self::expire`] next changes the rules.
    pub fn next_change(&self) -> Option<Timestamp> {
        let revert_at = self.management.pending.as_ref().map(|pending| pending.revert_at);
        revert_at.into_iter().chain(self.ssh_until).min()
    }

    fn may_be_banned(&self, address: IpAddr) -> Result<(), Refused> {
        if address.is_loopback() || address.is_unspecified() || address.is_multicast() {
            return Err(Refused::NotAHost(address));
        }
        if networks::hold(&self.peers.trunks, address) {
            return Err(Refused::BansTrunk(address));
        }
        let on_trial = management::in_force(&self.management);
        if networks::hold(&self.management.networks, address) || networks::hold(on_trial, address) {
            return Err(Refused::BansManagement(address));
        }
        Ok(())
    }

    /// Who became a trunk or a manager is not banned any longer.
    fn lift_forbidden_bans(&mut self) {
        let bans = std::mem::take(&mut self.bans);
        self.bans = bans.into_iter().filter(|ban| self.may_be_banned(ban.address).is_ok()).collect();
    }
}

fn few(field: &'static str, networks: &[IpNet]) -> Result<(), Refused> {
    match networks.len() {
        count if count > MOST_NETWORKS => Err(Refused::TooManyNetworks { field, count, limit: MOST_NETWORKS }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
