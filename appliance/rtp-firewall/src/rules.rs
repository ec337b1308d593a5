//! nftables' JSON, as far as we speak it (libnftables-json(5)).
//!
//! Only names that nft knows by itself: the image has no /etc/protocols and no /etc/services.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The expressions of one rule, left to right.
pub type Rule = Vec<Value>;

/// What a counter has counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    pub packets: u64,
    pub bytes: u64,
}

/// A table of the family `inet`.
#[derive(Clone, Copy)]
pub struct Table(pub &'static str);

impl Table {
    /// Gone, whether it was there or not.
    pub fn removed(self) -> [Value; 2] {
        let table = json!({ "table": { "family": "inet", "name": self.0 } });
        [json!({ "add": table }), json!({ "delete": table })]
    }

    /// Empty, whether it was there or not.
    pub fn emptied(self) -> [Value; 3] {
        let [add, delete] = self.removed();
        [add.clone(), delete, add]
    }

    pub fn counter(self, name: &str, count: Count) -> Value {
        self.add("counter", json!({ "name": name, "packets": count.packets, "bytes": count.bytes }))
    }

    /// A set of addresses; `more` holds what is particular to it.
    pub fn set(self, name: &str, kind: &str, more: Value) -> Value {
        let mut set = json!({ "name": name, "type": kind });
        merge(&mut set, more);
        self.add("set", set)
    }

    pub fn chain(self, name: &str) -> Value {
        self.add("chain", json!({ "name": name }))
    }

    /// A chain that the kernel calls at the hook of the same name.
    pub fn hooked(self, name: &str, policy: &str) -> Value {
        let chain = json!({ "name": name, "type": "filter", "hook": name, "prio": 0, "policy": policy });
        self.add("chain", chain)
    }

    pub fn rule(self, chain: &str, rule: Rule) -> Value {
        self.add("rule", json!({ "chain": chain, "expr": rule }))
    }

    fn add(self, kind: &str, mut object: Value) -> Value {
        merge(&mut object, json!({ "family": "inet", "table": self.0 }));
        json!({ "add": { kind: object } })
    }
}

fn merge(into: &mut Value, more: Value) {
    if let (Value::Object(into), Value::Object(more)) = (into, more) {
        into.extend(more);
    }
}

pub fn is(left: Value, right: impl Into<Value>) -> Value {
    json!({ "match": { "op": "==", "left": left, "right": right.into() } })
}

pub fn is_not(left: Value, right: impl Into<Value>) -> Value {
    json!({ "match": { "op": "!=", "left": left, "right": right.into() } })
}

pub fn any_of(list: &[&str]) -> Value {
    json!({ "set": list })
}

pub fn meta(key: &str) -> Value {
    json!({ "meta": { "key": key } })
}

pub fn field(protocol: &str, field: &str) -> Value {
    json!({ "payload": { "protocol": protocol, "field": field } })
}

/// To a port, or to the ports `{"range": [first, last]}`.
pub fn udp(port: impl Into<Value>) -> Value {
    is(field("udp", "dport"), port)
}

pub fn tcp(port: impl Into<Value>) -> Value {
    is(field("tcp", "dport"), port)
}

/// The connection is in one of these states.
pub fn state(states: &[&str]) -> Value {
    json!({ "match": { "op": "in", "left": { "ct": { "key": "state" } }, "right": states } })
}

/// Up to `rate` packets a second in all.
pub fn at_most(rate: u32, burst: u32) -> Value {
    json!({ "limit": { "rate": rate, "per": "second", "burst": burst } })
}

/// More than `rate` packets a second from one `source`; `set` remembers the sources.
pub fn too_many_from(source: Value, set: &str, rate: u32, burst: u32) -> Value {
    let limit = json!({ "limit": { "rate": rate, "per": "second", "burst": burst, "inv": true } });
    json!({ "set": { "op": "add", "elem": source, "set": format!("@{set}"), "stmt": [limit] } })
}

pub fn count(counter: &str) -> Value {
    json!({ "counter": counter })
}

pub fn goto(chain: &str) -> Value {
    json!({ "goto": { "target": chain } })
}

pub fn accept() -> Value {
    json!({ "accept": null })
}

pub fn drop() -> Value {
    json!({ "drop": null })
}
