//! Which table follows from what is wanted?
//!
//! [`transaction`] is a pure function: its JSON removes the old table (and the one of early boot), and
//! adds the new one, all in one step of the kernel, so there is no moment without a table.
//!
//! A packet's way through `input`: loopback; bans; broken packets; the ports that only some may reach,
//! each in a chain of its own and looked at for every packet, so that a peer's flood is limited and
//! a manager who is no longer one is cut off; answers to the box; ICMP and DHCP; the ports open to all; drop.
//!
//! The last rule drops although the policy does too: while the kernel swaps tables, a new chain has its
//! rules some microseconds before its policy.

use crate::{
    config::Ports,
    desired::Desired,
    management, networks,
    rules::{
        Count, Rule, Table, accept, any_of, at_most, count, drop, field, goto, is, is_not, meta, state, tcp,
        too_many_from, udp,
    },
};
use ipnet::IpNet;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::{collections::BTreeMap, net::IpAddr};

pub const TABLE: &str = "scaibox";
/// Loaded at early boot, see `hardening/nftables/base.nft`.
pub const BASE_TABLE: &str = "scaibox_base";

/// Why packets are dropped: a counter each.
pub const DROPS: [&str; 8] = [
    "banned",
    "invalid",
    "management_limited",
    "not_management",
    "sip_limited",
    "sip_unknown",
    "ssh_closed",
    "unwanted",
];

/// What one host may send: a carrier with 100 calls starting each second stays far below.
const SIP_PER_SECOND: u32 = 1000;
const SIP_BURST: u32 = 2000;
/// What one host may open on 443: a console needs a handful, a script some dozens.
const NEW_CONNECTIONS_PER_SECOND: u32 = 50;
const NEW_CONNECTIONS_BURST: u32 = 200;
/// How many hosts the limits remember, and how long.
const REMEMBERED: u32 = 65_535;
const REMEMBERED_S: u32 = 60;

const OURS: Table = Table(TABLE);

/// IPv4 or IPv6 in the kernel's words.
#[derive(Clone, Copy)]
struct Family {
    protocol: &'static str,
    address: &'static str,
    suffix: &'static str,
}

const FAMILIES: [Family; 2] = [
    Family { protocol: "ip", address: "ipv4_addr", suffix: "v4" },
    Family { protocol: "ip6", address: "ipv6_addr", suffix: "v6" },
];

impl Family {
    fn source(self) -> Value {
        field(self.protocol, "saddr")
    }

    fn set(self, name: &str) -> String {
        format!("{name}_{}", self.suffix)
    }

    fn is_from(self, set: &str) -> Value {
        is(self.source(), format!("@{}", self.set(set)))
    }

    fn is_not_from(self, set: &str) -> Value {
        is_not(self.source(), format!("@{}", self.set(set)))
    }
}

/// All of it, for `nft -j -f -`. `counted` is what the counters start with.
pub fn transaction(desired: &Desired, ports: &Ports, counted: &BTreeMap<String, Count>, now: Timestamp) -> Value {
    let ssh = desired.ssh_until.is_some_and(|until| until > now);
    let mut all = Vec::from(OURS.emptied());
    all.extend(Table(BASE_TABLE).removed());
    all.extend(DROPS.map(|name| OURS.counter(name, counted.get(name).copied().unwrap_or_default())));
    all.extend(sets(desired, now));
    all.extend(["management", "sip", "sip_known"].map(|chain| OURS.chain(chain)));
    all.extend([OURS.hooked("input", "drop"), OURS.hooked("forward", "drop"), OURS.hooked("output", "accept")]);
    let chains =
        [("management", management_chain()), ("sip", sip()), ("sip_known", sip_known()), ("input", input(ports, ssh))];
    for (chain, rules) in chains {
        all.extend(rules.into_iter().map(|rule| OURS.rule(chain, rule)));
    }
    json!({ "nftables": all })
}

fn sets(desired: &Desired, now: Timestamp) -> Vec<Value> {
    let mut sets = Vec::new();
    sets.extend(networks_set("management", management::in_force(&desired.management)));
    sets.extend(networks_set("phones", &desired.peers.phones));
    sets.extend(networks_set("trunk_peers", &desired.peers.trunks));
    sets.extend(banned(desired, now));
    for name in ["management_rate", "sip_rate"] {
        let more = json!({ "flags": ["timeout"], "timeout": REMEMBERED_S, "size": REMEMBERED });
        sets.extend(FAMILIES.map(|family| OURS.set(&family.set(name), family.address, more.clone())));
    }
    sets
}

fn networks_set(name: &str, list: &[IpNet]) -> [Value; 2] {
    let (v4, v6) = networks::by_family(list);
    let v4: Vec<_> = v4.iter().map(|net| prefix(net.addr(), net.prefix_len())).collect();
    let v6: Vec<_> = v6.iter().map(|net| prefix(net.addr(), net.prefix_len())).collect();
    let set = |family: Family, elements| {
        OURS.set(&family.set(name), family.address, with_elements(json!({ "flags": ["interval"] }), elements))
    };
    [set(FAMILIES[0], v4), set(FAMILIES[1], v6)]
}

fn prefix(address: impl ToString, length: u8) -> Value {
    json!({ "prefix": { "addr": address.to_string(), "len": length } })
}

fn banned(desired: &Desired, now: Timestamp) -> [Value; 2] {
    FAMILIES.map(|family| {
        let bans = desired.bans.iter().filter(|ban| family_of(ban.address) == family.suffix);
        let elements = bans.filter_map(|ban| {
            let left = seconds_left(ban.until, now)?;
            Some(json!({ "elem": { "val": ban.address.to_string(), "timeout": left } }))
        });
        let more = with_elements(json!({ "flags": ["timeout"] }), elements.collect());
        OURS.set(&family.set("banned"), family.address, more)
    })
}

fn family_of(address: IpAddr) -> &'static str {
    if address.is_ipv4() { "v4" } else { "v6" }
}

/// Rounded up: a ban never ends before its time.
fn seconds_left(until: Timestamp, now: Timestamp) -> Option<i64> {
    let left = until.duration_since(now);
    left.is_positive().then(|| left.as_secs() + i64::from(left.subsec_nanos() > 0))
}

/// nft takes no empty list.
fn with_elements(mut set: Value, elements: Vec<Value>) -> Value {
    if !elements.is_empty() {
        set["elem"] = elements.into();
    }
    set
}

/// 443, and 22 while it is open.
fn management_chain() -> Vec<Rule> {
    let mut rules = per_family(|family| vec![family.is_not_from("management"), count("not_management"), drop()]);
    rules.extend(per_family(|family| {
        let set = family.set("management_rate");
        let flood = too_many_from(family.source(), &set, NEW_CONNECTIONS_PER_SECOND, NEW_CONNECTIONS_BURST);
        vec![state(&["new"]), flood, count("management_limited"), drop()]
    }));
    rules.push(vec![accept()]);
    rules
}

/// From carriers and phones, and answers to what we sent; nobody else fills the sets of the limits.
fn sip() -> Vec<Rule> {
    let mut rules = vec![vec![state(&["established", "related"]), goto("sip_known")]];
    for set in ["trunk_peers", "phones"] {
        rules.extend(per_family(|family| vec![family.is_from(set), goto("sip_known")]));
    }
    rules.push(vec![count("sip_unknown"), drop()]);
    rules
}

fn sip_known() -> Vec<Rule> {
    let mut rules = per_family(|family| {
        let flood = too_many_from(family.source(), &family.set("sip_rate"), SIP_PER_SECOND, SIP_BURST);
        vec![flood, count("sip_limited"), drop()]
    });
    rules.push(vec![accept()]);
    rules
}

fn input(ports: &Ports, ssh: bool) -> Vec<Rule> {
    let mut rules = vec![vec![is(meta("iifname"), "lo"), accept()]];
    rules.extend(per_family(|family| vec![family.is_from("banned"), count("banned"), drop()]));
    rules.push(vec![state(&["invalid"]), count("invalid"), drop()]);
    rules.push(vec![tcp(ports.https), goto("management")]);
    rules.push(match ssh {
        true => vec![tcp(ports.ssh), goto("management")],
        // before the answers: it ends what was open, too
        false => vec![tcp(ports.ssh), count("ssh_closed"), drop()],
    });
    rules.extend([udp(ports.sip), tcp(ports.sip), tcp(ports.sip_tls)].map(|port| vec![port, goto("sip")]));
    rules.push(vec![state(&["established", "related"]), accept()]);
    rules.extend(icmp());
    rules.extend(dhcp());
    rules.push(vec![udp(json!({ "range": [ports.rtp.start, ports.rtp.end] })), accept()]);
    rules.extend([vec![udp(ports.livekit_udp), accept()], vec![tcp(ports.livekit_tcp), accept()]]);
    rules.push(vec![count("unwanted"), drop()]);
    rules
}

/// Ping and errors have limits. Neighbours and routers have none: without them there is no IPv6, and a
/// limit would let a flood on the LAN use it up.
fn icmp() -> Vec<Rule> {
    let errors = ["destination-unreachable", "time-exceeded", "parameter-problem"];
    let errors_v6 = ["destination-unreachable", "packet-too-big", "time-exceeded", "parameter-problem"];
    let neighbours = ["nd-neighbor-solicit", "nd-neighbor-advert", "nd-router-advert", "mld-listener-query"];
    let (v4, v6) = (|| field("icmp", "type"), || field("icmpv6", "type"));
    vec![
        vec![is(v6(), any_of(&neighbours)), accept()],
        vec![is(v4(), any_of(&errors)), at_most(100, 200), accept()],
        vec![is(v6(), any_of(&errors_v6)), at_most(100, 200), accept()],
        vec![is(v4(), "echo-request"), at_most(20, 50), accept()],
        vec![is(v6(), "echo-request"), at_most(20, 50), accept()],
    ]
}

/// Answers of DHCP servers.
fn dhcp() -> Vec<Rule> {
    let from_to = |from: u16, to: u16| [is(field("udp", "sport"), from), udp(to), accept()];
    let v4 = is(meta("nfproto"), "ipv4");
    let v6 = is(field("ip6", "saddr"), prefix("fe80::", 10));
    [(v4, from_to(67, 68)), (v6, from_to(547, 546))]
        .map(|(family, ports)| [family].into_iter().chain(ports).collect())
        .into()
}

fn per_family(rule: impl Fn(Family) -> Rule) -> Vec<Rule> {
    FAMILIES.map(rule).into()
}

#[cfg(test)]
mod tests;
