//! Who tries passwords on us?
//!
//! Only wrong answers to a challenge of ours count: whoever gives one has read our nonce, so its address is not made
//! up. What becomes of an offender is for others to decide. Pure: `now` is an argument.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// The last failure that is borne within [`WINDOW`].
const MOST: usize = 9;
const WINDOW: Duration = Duration::from_secs(600);
/// Addresses that are remembered; the one that was quiet longest makes room.
const MOST_ADDRESSES: usize = 4096;

/// An address that failed too often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offender {
    pub address: IpAddr,
    /// Wrong passwords within ten minutes.
    pub failures: usize,
}

/// When each address failed.
#[derive(Default)]
pub(crate) struct Offenders(HashMap<IpAddr, VecDeque<Instant>>);

impl Offenders {
    /// A wrong password came from there. Its count begins anew once it is an offender.
    pub fn failed(&mut self, address: IpAddr, now: Instant) -> Option<Offender> {
        self.make_room(address, now);
        let failures = self.0.entry(address).or_default();
        failures.push_back(now);
        while failures.front().is_some_and(|first| now.duration_since(*first) > WINDOW) {
            failures.pop_front();
        }
        if failures.len() <= MOST {
            return None;
        }
        let failures = self.0.remove(&address)?.len();
        Some(Offender { address, failures })
    }

    /// A right one came: whoever mistyped is forgiven.
    pub fn proved(&mut self, address: IpAddr) {
        self.0.remove(&address);
    }

    fn make_room(&mut self, newcomer: IpAddr, now: Instant) {
        if self.0.len() < MOST_ADDRESSES || self.0.contains_key(&newcomer) {
            return;
        }
        self.0.retain(|_, failures| failures.back().is_some_and(|last| now.duration_since(*last) <= WINDOW));
        let quietest = self.0.iter().min_by_key(|(_, failures)| failures.back().copied()).map(|(address, _)| *address);
        if let Some(quietest) = quietest.filter(|_| self.0.len() >= MOST_ADDRESSES) {
            self.0.remove(&quietest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn address(number: u32) -> IpAddr {
        IpAddr::V4(Ipv4Addr::from_bits(0xCB00_7100 + number))
    }

    #[test]
    fn the_tenth_wrong_password_in_ten_minutes_makes_an_offender_and_the_count_begins_anew() {
        let (mut offenders, now) = (Offenders::default(), Instant::now());
        let mut failed = |seconds| offenders.failed(address(1), now + Duration::from_secs(seconds));
        assert!((0..9).all(|n| failed(60 * n).is_none()));
        assert_eq!(failed(600), Some(Offender { address: address(1), failures: 10 }));
        assert_eq!(failed(601), None);
    }

    #[test]
    fn a_phone_that_tries_a_wrong_password_every_two_minutes_is_none() {
        let (mut offenders, now) = (Offenders::default(), Instant::now());
        assert!((0..100).all(|n| offenders.failed(address(1), now + Duration::from_secs(120 * n)).is_none()));
    }

    #[test]
    fn a_right_password_forgives_the_wrong_ones() {
        let (mut offenders, now) = (Offenders::default(), Instant::now());
        assert!((0..9).all(|_| offenders.failed(address(1), now).is_none()));
        offenders.proved(address(1));
        assert!((0..9).all(|_| offenders.failed(address(1), now).is_none()));
    }

    #[test]
    fn many_addresses_fill_no_memory_and_the_busiest_is_still_found() {
        let (mut offenders, now) = (Offenders::default(), Instant::now());
        let mut found = None;
        for n in 0..20_000 {
            let at = now + Duration::from_millis(n.into());
            offenders.failed(address(1000 + n), at);
            found = found.or(if n % 1000 == 0 { offenders.failed(address(1), at) } else { None });
        }
        assert!(offenders.0.len() <= MOST_ADDRESSES);
        assert_eq!(found, Some(Offender { address: address(1), failures: 10 }));
    }
}
