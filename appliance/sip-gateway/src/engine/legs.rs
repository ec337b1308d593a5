//! Which legs are there, and what has happened to them since we looked last?
//!
//! livekit-sip tells nobody what becomes of its calls; LiveKit's rooms show it. A participant with `sip.callID` is a
//! leg, `sip.callStatus` says how far it is (its contract, sections 4 and 7). [`Ledger`] is pure: what is seen goes
//! in, the events that our own engine would tell come out. Why a leg ended nobody says.

use std::collections::{BTreeMap, HashMap};
use types::{
    CorrelationId,
    control::{Direction, Event, InboundLeg, LegEnd, LegEndCause, LegState, LegStats, LegView},
};

/// A participant of LiveKit's kind SIP.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub room: String,
    pub identity: String,
    pub attributes: HashMap<String, String>,
    /// Everybody else in the room.
    pub others: Vec<String>,
}

/// An event, and whose it is.
pub type Told = (CorrelationId, Event);

/// The legs of livekit-sip.
#[derive(Debug, Default)]
pub struct Ledger(BTreeMap<String, LegView>);

impl Ledger {
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Is anybody dialled, or ringing?
    pub fn waits(&self) -> bool {
        self.0.values().any(|leg| leg.state != LegState::Active)
    }

    pub fn views(&self) -> Vec<LegView> {
        self.0.values().cloned().collect()
    }

    /// Where a leg is: room and identity.
    pub fn place(&self, lk_call_id: &str) -> Option<(String, String)> {
        self.0.get(lk_call_id).map(|leg| (leg.room.clone(), leg.identity.clone()))
    }

    /// All that is there now; what is not seen any more has ended.
    pub fn look(&mut self, seen: &[Seen]) -> Vec<Told> {
        let (mut told, mut now) = (Vec::new(), BTreeMap::new());
        for one in seen {
            let Some(id) = one.attribute("sip.callID") else { continue };
            let state = one.state();
            if state == LegState::Ended {
                continue;
            }
            let mut leg = match self.0.remove(&id) {
                Some(leg) => leg,
                None => one.begins(id.clone(), &mut told),
            };
            follow(&mut leg, state, one, &mut told);
            now.insert(id, leg);
        }
        for leg in std::mem::replace(&mut self.0, now).into_values() {
            let cause = probable_end(&leg);
            told.push(ended(leg, cause));
        }
        told
    }

    /// Their program has ended.
    pub fn all_gone(&mut self) -> Vec<Told> {
        std::mem::take(&mut self.0).into_values().map(|leg| ended(leg, LegEndCause::GatewayStopping)).collect()
    }
}

impl Seen {
    fn attribute(&self, name: &str) -> Option<String> {
        self.attributes.get(name).filter(|value| !value.is_empty()).cloned()
    }

    fn state(&self) -> LegState {
        match self.attributes.get("sip.callStatus").map(String::as_str) {
            Some("active" | "automation") => LegState::Active,
            Some("hangup") => LegState::Ended,
            Some("dialing") => LegState::Dialing,
            _ => LegState::Ringing,
        }
    }

    /// A dispatch rule let it in, or somebody asked for it.
    fn direction(&self) -> Direction {
        match self.attributes.contains_key("sip.ruleID") {
            true => Direction::Inbound,
            false => Direction::Outbound,
        }
    }

    fn begins(&self, lk_call_id: String, told: &mut Vec<Told>) -> LegView {
        let leg = LegView {
            sip_call_id: self.attribute("sip.callIDFull").unwrap_or_default(),
            correlation_id: CorrelationId::new(),
            direction: self.direction(),
            room: self.room.clone(),
            identity: self.identity.clone(),
            state: LegState::Dialing,
            codec: None,
            others: None,
            lk_call_id,
        };
        let event = match leg.direction {
            Direction::Inbound => self.rings(&leg),
            Direction::Outbound => self.is_dialled(&leg),
        };
        told.push((leg.correlation_id.clone(), event));
        leg
    }

    fn rings(&self, leg: &LegView) -> Event {
        let inbound = InboundLeg {
            lk_call_id: leg.lk_call_id.clone(),
            sip_call_id: leg.sip_call_id.clone(),
            lk_trunk_id: self.attribute("sip.trunkID"),
            from: self.attribute("sip.phoneNumber").unwrap_or_default(),
            to: self.attribute("sip.trunkPhoneNumber").unwrap_or_default(),
            source: self.attribute("sip.hostname").unwrap_or_default(),
            transport: String::new(),
            extension_id: None,
        };
        Event::InboundRinging {
            leg: inbound,
            room: leg.room.clone(),
            identity: leg.identity.clone(),
            dispatch_rule_id: self.attribute("sip.ruleID"),
        }
    }

    fn is_dialled(&self, leg: &LegView) -> Event {
        Event::OutboundDialing {
            lk_call_id: leg.lk_call_id.clone(),
            sip_call_id: leg.sip_call_id.clone(),
            lk_trunk_id: self.attribute("sip.trunkID"),
            room: leg.room.clone(),
            identity: leg.identity.clone(),
            to: self.attribute("sip.phoneNumber").unwrap_or_default(),
        }
    }
}

/// What is new about a leg.
fn follow(leg: &mut LegView, state: LegState, seen: &Seen, told: &mut Vec<Told>) {
    let before = std::mem::replace(&mut leg.state, state);
    leg.others = Some(seen.others.clone());
    let lk_call_id = leg.lk_call_id.clone();
    let news = match (state, leg.direction) {
        _ if before == state => return,
        (LegState::Active, _) => Event::LegAnswered { lk_call_id, codec: String::new() },
        (LegState::Ringing, Direction::Outbound) => Event::OutboundRinging { lk_call_id },
        _ => return,
    };
    told.push((leg.correlation_id.clone(), news));
}

/// Of a leg that left its room.
fn probable_end(leg: &LegView) -> LegEndCause {
    match (leg.state, leg.direction) {
        (LegState::Active, _) => LegEndCause::PeerHangup,
        (_, Direction::Inbound) => LegEndCause::Cancelled,
        (_, Direction::Outbound) => LegEndCause::RingTimeout,
    }
}

fn ended(leg: LegView, cause: LegEndCause) -> Told {
    let detail = match cause {
        LegEndCause::GatewayStopping => "livekit-sip ended",
        _ => "left the room; livekit-sip does not tell why",
    };
    let end = LegEnd { cause, sip_code: None, detail: detail.into(), stats: LegStats::default() };
    (leg.correlation_id, Event::LegEnded { lk_call_id: leg.lk_call_id, end })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(id: &str, status: &str, more: &[(&str, &str)]) -> Seen {
        let fixed = [("sip.callID", id), ("sip.callStatus", status), ("sip.phoneNumber", "+31612345678")];
        let attributes = fixed.iter().chain(more).map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        Seen { room: "call_1".into(), identity: "sip_caller".into(), attributes: attributes.collect(), others: vec![] }
    }

    fn inbound(id: &str, status: &str) -> Seen {
        seen(id, status, &[("sip.ruleID", "SDR_1"), ("sip.trunkID", "ST_1"), ("sip.trunkPhoneNumber", "+31201234567")])
    }

    fn names(told: &[Told]) -> Vec<String> {
        let name = |(_, event): &Told| serde_json::to_value(event).unwrap()["type"].as_str().unwrap().to_owned();
        told.iter().map(name).collect()
    }

    fn cause(told: &[Told]) -> LegEndCause {
        match told {
            [(_, Event::LegEnded { end, .. })] => end.cause,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_callers_leg_rings_is_answered_and_ends() {
        let mut ledger = Ledger::default();
        let told = ledger.look(&[inbound("SCL_1", "ringing")]);
        let [(_, Event::InboundRinging { leg, room, .. })] = told.as_slice() else { panic!("{told:?}") };
        assert_eq!((leg.to.as_str(), room.as_str()), ("+31201234567", "call_1"));
        assert_eq!(leg.lk_trunk_id.as_deref(), Some("ST_1"));
        assert!(ledger.look(&[inbound("SCL_1", "ringing")]).is_empty() && ledger.waits(), "nothing new");
        assert_eq!(names(&ledger.look(&[inbound("SCL_1", "active")])), ["leg_answered"]);
        assert_eq!((ledger.views()[0].state, ledger.waits()), (LegState::Active, false));
        assert_eq!(cause(&ledger.look(&[])), LegEndCause::PeerHangup);
        assert_eq!(ledger.len(), 0);
    }

    #[test]
    fn whoever_leaves_unanswered_gave_up_or_was_not_there() {
        let mut ledger = Ledger::default();
        ledger.look(&[inbound("SCL_1", "ringing")]);
        assert_eq!(cause(&ledger.look(&[])), LegEndCause::Cancelled);
        assert_eq!(names(&ledger.look(&[seen("SCL_2", "dialing", &[])])), ["outbound_dialing"]);
        assert_eq!(names(&ledger.look(&[seen("SCL_2", "ringing", &[])])), ["outbound_ringing"]);
        assert_eq!(cause(&ledger.look(&[])), LegEndCause::RingTimeout);
    }

    #[test]
    fn a_leg_that_was_answered_between_two_looks_is_told_of_in_order() {
        let mut ledger = Ledger::default();
        assert_eq!(names(&ledger.look(&[inbound("SCL_1", "active")])), ["inbound_ringing", "leg_answered"]);
        assert_eq!(names(&ledger.look(&[inbound("SCL_1", "hangup")])), ["leg_ended"]);
    }

    #[test]
    fn with_its_program_every_leg_is_gone() {
        let mut ledger = Ledger::default();
        ledger.look(&[inbound("SCL_1", "active")]);
        assert_eq!(cause(&ledger.all_gone()), LegEndCause::GatewayStopping);
        assert!(ledger.views().is_empty());
    }

    #[test]
    fn participants_without_a_call_are_no_legs() {
        let mut other = inbound("SCL_1", "active");
        other.attributes.remove("sip.callID");
        assert!(Ledger::default().look(&[other]).is_empty());
    }
}
