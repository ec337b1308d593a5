//! What does the kernel say it has, and is it what we loaded?
//!
//! nft lists a table in other words than it was loaded with, so the listing right after loading is
//! remembered and later ones are compared with it. Left out is what changes by itself: handles, what
//! counters counted, and elements with a timeout; bans are compared one by one. Pure.

use crate::{
    desired::Desired,
    rules::Count,
    ruleset::{BASE_TABLE, TABLE},
};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

/// A ban that ends about now may be on one side only.
const ABOUT_NOW_S: i64 = 5;

/// The tables of `nft -j list ruleset inet` that concern us.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observed {
    /// Our table without what changes by itself; empty when it is not there.
    pub shape: Vec<Value>,
    /// The early table of the boot is there: it drops what ours lets in.
    pub base: bool,
    pub drops: BTreeMap<String, Count>,
    /// Seconds to go by address.
    bans: BTreeMap<IpAddr, i64>,
}

/// Why the table must be loaded again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Difference {
    #[error("the table was removed")]
    Gone,
    #[error("the rules were changed")]
    Changed,
    #[error("the bans were changed")]
    Bans,
    #[error("the table of early boot is there again")]
    Base,
}

impl Observed {
    pub fn read(listing: &Value) -> Self {
        let mut observed = Self::default();
        for entry in listing["nftables"].as_array().into_iter().flatten() {
            for (kind, object) in entry.as_object().into_iter().flatten() {
                observed.take(kind, object);
            }
        }
        observed
    }

    fn take(&mut self, kind: &str, object: &Value) {
        let name = object["name"].as_str().unwrap_or_default();
        self.base |= kind == "table" && name == BASE_TABLE;
        let table = if kind == "table" { name } else { object["table"].as_str().unwrap_or_default() };
        if table != TABLE {
            return;
        }
        match kind {
            "counter" => {
                self.drops.extend(serde_json::from_value(object.clone()).map(|count| (name.to_owned(), count)).ok())
            }
            "set" if name.starts_with("banned_") => self.bans.extend(elements(object)),
            _ => {}
        }
        self.shape.push(Value::Object([(kind.to_owned(), constant(object))].into_iter().collect()));
    }

    /// What is not as it was `loaded`, or not as `desired` has it now.
    pub fn differs(&self, loaded: &[Value], desired: &Desired, now: Timestamp) -> Option<Difference> {
        if self.shape.is_empty() {
            return Some(Difference::Gone);
        }
        if self.base {
            return Some(Difference::Base);
        }
        if self.shape != loaded {
            return Some(Difference::Changed);
        }
        (!self.bans_as(desired, now)).then_some(Difference::Bans)
    }

    fn bans_as(&self, desired: &Desired, now: Timestamp) -> bool {
        let soon = now + SignedDuration::from_secs(ABOUT_NOW_S);
        let wanted: BTreeSet<IpAddr> = desired.bans.iter().map(|ban| ban.address).collect();
        let lasting = desired.bans.iter().filter(|ban| ban.until > soon);
        let missing = lasting.into_iter().any(|ban| !self.bans.contains_key(&ban.address));
        let foreign = self.bans.iter().any(|(address, left)| *left > ABOUT_NOW_S && !wanted.contains(address));
        !missing && !foreign
    }
}

/// An object without what changes by itself.
fn constant(object: &Value) -> Value {
    let mut object = object.clone();
    let Value::Object(fields) = &mut object else { return object };
    for volatile in ["handle", "packets", "bytes"] {
        fields.remove(volatile);
    }
    if fields.get("flags").is_some_and(|flags| flags.to_string().contains("timeout")) {
        fields.remove("elem");
    }
    object
}

/// Addresses with the seconds they still have; one without an end was put there by somebody else.
fn elements(set: &Value) -> impl Iterator<Item = (IpAddr, i64)> {
    set["elem"].as_array().into_iter().flatten().filter_map(|element| {
        let inner = element.get("elem").unwrap_or(element);
        let address = inner.get("val").unwrap_or(inner).as_str()?.parse().ok()?;
        Some((address, inner["expires"].as_i64().unwrap_or(i64::MAX)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use types::firewall::NewBan;

    fn now() -> Timestamp {
        Timestamp::from_second(1_800_000_000).unwrap()
    }

    fn desired() -> Desired {
        let mut desired = Desired::new(&["192.168.0.0/16".parse().unwrap()]);
        let ban = NewBan { address: "198.51.100.66".parse().unwrap(), seconds: 60, reason: "scans".into() };
        desired.ban(ban, now()).unwrap();
        desired
    }

    fn listing(handle: u32, packets: u64, policy: &str, bans: Value) -> Value {
        json!({ "nftables": [
            { "metainfo": { "version": "1.0.6" } },
            { "table": { "family": "inet", "name": "scaibox", "handle": handle } },
            { "table": { "family": "inet", "name": "somebody_else", "handle": 1 } },
            { "counter": { "name": "banned", "table": "scaibox", "handle": handle, "packets": packets, "bytes": 60 } },
            { "set": { "name": "banned_v4", "table": "scaibox", "flags": ["timeout"], "elem": bans } },
            { "chain": { "name": "input", "table": "scaibox", "policy": policy } },
        ] })
    }

    fn banned(expires: u32) -> Value {
        json!([{ "elem": { "val": "198.51.100.66", "timeout": 60, "expires": expires } }])
    }

    fn difference(listing: &Value) -> Option<Difference> {
        let loaded = Observed::read(&self::listing(1, 0, "drop", banned(60))).shape;
        Observed::read(listing).differs(&loaded, &desired(), now())
    }

    #[test]
    fn handles_counters_and_passing_time_are_no_difference() {
        assert_eq!(difference(&listing(9, 77, "drop", banned(31))), None);
    }

    #[test]
    fn a_table_that_is_gone_is_noticed() {
        assert_eq!(difference(&json!({ "nftables": [] })), Some(Difference::Gone));
    }

    #[test]
    fn an_opened_policy_is_noticed() {
        assert_eq!(difference(&listing(1, 0, "accept", banned(60))), Some(Difference::Changed));
    }

    #[test]
    fn a_ban_that_somebody_removed_or_added_is_noticed() {
        assert_eq!(difference(&listing(1, 0, "drop", json!([]))), Some(Difference::Bans));
        let foreign = json!([banned(60)[0], "203.0.113.9"]);
        assert_eq!(difference(&listing(1, 0, "drop", foreign)), Some(Difference::Bans));
    }

    #[test]
    fn a_ban_that_ends_about_now_may_be_on_one_side_only() {
        let loaded = Observed::read(&listing(1, 0, "drop", banned(60))).shape;
        let gone = Observed::read(&listing(1, 0, "drop", json!([])));
        assert_eq!(gone.differs(&loaded, &desired(), now() + SignedDuration::from_secs(56)), None);
        let late = Observed::read(&listing(1, 0, "drop", banned(1)));
        assert_eq!(late.differs(&loaded, &Desired::new(&[]), now()), None);
    }

    #[test]
    fn the_early_table_is_noticed() {
        let mut listing = listing(1, 0, "drop", banned(60));
        listing["nftables"].as_array_mut().unwrap().push(json!({ "table": { "name": "scaibox_base" } }));
        assert_eq!(difference(&listing), Some(Difference::Base));
    }

    #[test]
    fn counters_are_read() {
        let drops = Observed::read(&listing(1, 77, "drop", banned(60))).drops;
        assert_eq!(drops["banned"], Count { packets: 77, bytes: 60 });
    }
}
