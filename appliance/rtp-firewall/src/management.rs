//! What happens when the management networks change?
//!
//! A change that keeps everybody in is final at once. One that narrows is on trial: in force, but back
//! to the confirmed networks after [`TRIAL`] unless somebody confirms. Whoever locked themselves out
//! cannot confirm, because the rules look at every packet to 443 and not only at new connections.
//!
//! Pure: time is an argument.

use crate::{networks, refused::Refused};
use ipnet::IpNet;
use jiff::{SignedDuration, Timestamp};
use types::firewall::{Management, ManagementChange, PendingManagement};

/// How long a narrowing change waits for its confirmation.
pub const TRIAL: SignedDuration = SignedDuration::from_secs(120);

/// The networks that may manage the box now.
pub fn in_force(management: &Management) -> &[IpNet] {
    management.pending.as_ref().map_or(&management.networks, |pending| &pending.networks)
}

/// Takes new networks: for good, or on trial when the confirmed ones held somebody that these do not.
pub fn change(management: &mut Management, new: Vec<IpNet>, now: Timestamp) -> Result<ManagementChange, Refused> {
    if new.is_empty() {
        return Err(Refused::NobodyManages);
    }
    if !networks::narrower(&management.networks, &new) {
        *management = Management { networks: new, pending: None };
        return Ok(ManagementChange { confirm_by: None });
    }
    let revert_at = now + TRIAL;
    management.pending = Some(PendingManagement { networks: new, revert_at });
    Ok(ManagementChange { confirm_by: Some(revert_at) })
}

/// The trial went well.
pub fn confirm(management: &mut Management, now: Timestamp) -> Result<(), Refused> {
    expire(management, now);
    let pending = management.pending.take().ok_or(Refused::NothingToConfirm)?;
    management.networks = pending.networks;
    Ok(())
}

/// Ends a trial that nobody confirmed; true when there was one.
///
/// A clock that was set back must not make a trial longer: one that seems to end later than it could ends now.
pub fn expire(management: &mut Management, now: Timestamp) -> bool {
    let over = |pending: &mut PendingManagement| now >= pending.revert_at || pending.revert_at > now + TRIAL;
    management.pending.take_if(over).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAN: &str = "192.168.0.0/16";
    const OFFICE: &str = "192.168.7.0/24";

    fn nets(list: &[&str]) -> Vec<IpNet> {
        list.iter().map(|net| net.parse().unwrap()).collect()
    }

    fn after(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    fn lan() -> Management {
        Management { networks: nets(&[LAN]), pending: None }
    }

    #[test]
    fn a_narrowing_change_holds_at_once_and_is_taken_back_when_nobody_confirms() {
        let mut management = lan();
        let change = change(&mut management, nets(&[OFFICE]), after(0)).unwrap();
        assert_eq!(change.confirm_by, Some(after(120)));
        assert_eq!(in_force(&management), nets(&[OFFICE]));

        assert!(!expire(&mut management, after(119)));
        assert_eq!(in_force(&management), nets(&[OFFICE]));

        assert!(expire(&mut management, after(120)));
        assert_eq!(management, lan());
    }

    #[test]
    fn a_confirmed_change_stays() {
        let mut management = lan();
        change(&mut management, nets(&[OFFICE]), after(0)).unwrap();
        confirm(&mut management, after(119)).unwrap();
        assert!(!expire(&mut management, after(500)));
        assert_eq!(management, Management { networks: nets(&[OFFICE]), pending: None });
    }

    #[test]
    fn a_confirmation_that_comes_too_late_is_refused() {
        let mut management = lan();
        change(&mut management, nets(&[OFFICE]), after(0)).unwrap();
        assert_eq!(confirm(&mut management, after(120)), Err(Refused::NothingToConfirm));
        assert_eq!(management, lan());
    }

    #[test]
    fn a_change_that_keeps_everybody_in_needs_no_confirmation() {
        let mut management = lan();
        let wider = nets(&[LAN, "10.0.0.0/8"]);
        assert_eq!(change(&mut management, wider.clone(), after(0)).unwrap().confirm_by, None);
        assert_eq!(management, Management { networks: wider, pending: None });
    }

    #[test]
    fn the_confirmed_networks_end_a_trial() {
        let mut management = lan();
        change(&mut management, nets(&[OFFICE]), after(0)).unwrap();
        change(&mut management, nets(&[LAN]), after(5)).unwrap();
        assert_eq!(management, lan());
    }

    #[test]
    fn a_second_trial_falls_back_to_the_confirmed_networks_and_not_to_the_first() {
        let mut management = lan();
        change(&mut management, nets(&[OFFICE]), after(0)).unwrap();
        change(&mut management, nets(&["192.168.7.1/32"]), after(100)).unwrap();
        assert!(!expire(&mut management, after(130)));
        assert!(expire(&mut management, after(220)));
        assert_eq!(management, lan());
    }

    #[test]
    fn a_clock_that_was_set_back_does_not_make_the_trial_longer() {
        let mut management = lan();
        change(&mut management, nets(&[OFFICE]), after(0)).unwrap();
        assert!(expire(&mut management, after(-3600)));
        assert_eq!(management, lan());
    }

    #[test]
    fn an_empty_list_is_refused() {
        assert_eq!(change(&mut lan(), vec![], after(0)), Err(Refused::NobodyManages));
    }
}
