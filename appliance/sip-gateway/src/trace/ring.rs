//! Of which legs is something kept, and which gives way?
//!
//! A leg is kept for an hour after it was last heard of, unless [`MAX_LEGS`] or [`MAX_BYTES`] are reached: then the one
//! that was silent for longest goes. Knocks that became no call have only [`MAX_KNOCKS`] places, so that a scan of the
//! box does not wipe out the calls.

use super::facts::Facts;
use super::record::Record;
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, HashMap};
use types::trace::{LegTrace, SipMessage};

pub const MAX_LEGS: usize = 500;
pub const MAX_KNOCKS: usize = 100;
/// Octets of all messages.
pub const MAX_BYTES: usize = 16 * 1024 * 1024;
const KEPT: SignedDuration = SignedDuration::from_hours(1);
/// Names of one record: a caller who is challenged gets a tag with each answer.
const MAX_NAMES: usize = 8;

type Id = u64;

#[derive(Debug, Default)]
pub struct Ring {
    records: BTreeMap<Id, Record>,
    /// By our tag, LiveKit's id of the leg.
    names: HashMap<String, Id>,
    /// By Call-ID, of calls that came in.
    callers: HashMap<String, Id>,
    next: Id,
    bytes: usize,
}

impl Ring {
    /// Is a message of these facts kept? Asked before anything is copied.
    pub fn wants(&self, facts: &Facts) -> bool {
        facts.opens || self.find(facts).is_some()
    }

    /// Keeps a message, if it belongs to a leg or opens one.
    pub fn message(&mut self, facts: &Facts, message: SipMessage) {
        let Some(id) = self.find(facts).or_else(|| self.open(facts, message.at)) else { return };
        if let (true, Some(tag)) = (facts.sent, &facts.our_tag) {
            self.name(id, tag);
        }
        let now = message.at;
        if let Some(record) = self.records.get_mut(&id) {
            self.bytes -= record.bytes();
            record.message(message);
            self.bytes += record.bytes();
        }
        self.make_room(now);
    }

    /// A leg has come into being: its knock was one of a call. An INVITE of ours may be still to be sent.
    pub fn is_call(&mut self, name: &str, call_id: &str, now: Timestamp) {
        let known = self.names.get(name).or_else(|| self.callers.get(call_id)).copied();
        let id = known.unwrap_or_else(|| self.begin(now));
        self.name(id, name);
        if let Some(record) = self.records.get_mut(&id) {
            record.is_call = true;
        }
    }

    /// The record of a leg by its name.
    pub fn record(&mut self, name: &str) -> Option<&mut Record> {
        self.records.get_mut(self.names.get(name)?)
    }

    /// What is kept of a leg.
    pub fn trace(&mut self, name: &str, now: Timestamp) -> Option<LegTrace> {
        self.make_room(now);
        self.record(name).map(|record| record.trace())
    }

    fn find(&self, facts: &Facts) -> Option<Id> {
        let named = facts.our_tag.as_ref().and_then(|tag| self.names.get(tag));
        // Requests to us and our answers: what a caller's dialog has.
        let called = || self.callers.get(&facts.call_id).filter(|_| !facts.opens || !facts.sent);
        named.or_else(called).copied()
    }

    fn open(&mut self, facts: &Facts, now: Timestamp) -> Option<Id> {
        let id = facts.opens.then(|| self.begin(now))?;
        if !facts.sent {
            self.callers.insert(facts.call_id.clone(), id);
        }
        Some(id)
    }

    fn begin(&mut self, now: Timestamp) -> Id {
        let id = self.next;
        self.next += 1;
        self.records.insert(id, Record::new(now));
        id
    }

    fn name(&mut self, id: Id, name: &str) {
        let names = self.names.values().filter(|named| **named == id).count();
        if names < MAX_NAMES && !self.names.contains_key(name) {
            self.names.insert(name.to_owned(), id);
        }
    }

    fn make_room(&mut self, now: Timestamp) {
        while let Some(id) = self.who_gives_way(now) {
            self.bytes -= self.records.remove(&id).map_or(0, |record| record.bytes());
            self.names.retain(|_, named| *named != id);
            self.callers.retain(|_, called| *called != id);
        }
    }

    fn who_gives_way(&self, now: Timestamp) -> Option<Id> {
        let knocks = self.records.values().filter(|record| !record.is_call).count();
        let crowded = knocks > MAX_KNOCKS;
        let full = crowded || self.records.len() > MAX_LEGS || self.bytes > MAX_BYTES;
        let silent = self.records.iter().filter(|(_, record)| !(crowded && record.is_call));
        let (id, record) = silent.min_by_key(|(_, record)| record.touched)?;
        (full || now.duration_since(record.touched) > KEPT).then_some(*id)
    }
}

#[cfg(test)]
mod tests;
