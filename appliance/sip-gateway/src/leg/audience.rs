//! Is there somebody for the caller to talk to?
//!
//! Whoever publishes audio that we hear; another phone counts as soon as it is in the room (as
//! upstream has it), unless it is one that we dial for this very call and nobody has picked up yet.

use livekit::{Participant, ParticipantKind, RoomEvent};
use std::collections::{HashMap, HashSet};

/// Everybody else in the room.
#[derive(Debug, Default)]
pub struct Audience {
    heard: HashSet<String>,
    others: HashMap<String, Kind>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    /// A phone that we dial and that is not answered.
    Dialled,
    Phone,
    Other,
}

impl Audience {
    /// True when somebody is there to talk to.
    pub fn follow(&mut self, event: &RoomEvent) -> bool {
        match event {
            RoomEvent::Joined(joined) => joined.others.iter().for_each(|other| self.see(other)),
            RoomEvent::ParticipantJoined(other) | RoomEvent::ParticipantUpdated(other) => self.see(other),
            RoomEvent::ParticipantLeft(other) => {
                self.others.remove(&other.identity);
                self.heard.remove(&other.identity);
            }
            RoomEvent::TrackSubscribed { participant_identity, .. } => {
                self.heard.insert(participant_identity.clone());
            }
            RoomEvent::TrackUnsubscribed { participant_identity, .. } => {
                self.heard.remove(participant_identity);
            }
            _ => {}
        }
        self.is_there()
    }

    /// Identities of everybody else.
    pub fn others(&self) -> Vec<String> {
        self.others.keys().cloned().collect()
    }

    fn see(&mut self, other: &Participant) {
        self.others.insert(other.identity.clone(), kind_of(other));
    }

    fn is_there(&self) -> bool {
        let phone = self.others.values().any(|kind| *kind == Kind::Phone);
        phone || self.heard.iter().any(|identity| self.others.get(identity) != Some(&Kind::Dialled))
    }
}

/// A caller has a dispatch rule, a phone that we dial has none.
fn kind_of(other: &Participant) -> Kind {
    let status = other.attributes.get("sip.callStatus").map(String::as_str);
    match (other.kind, status) {
        (ParticipantKind::Sip, Some("dialing" | "ringing")) if !other.attributes.contains_key("sip.ruleID") => {
            Kind::Dialled
        }
        (ParticipantKind::Sip, _) => Kind::Phone,
        _ => Kind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use livekit::DisconnectReason;

    fn somebody(identity: &str, kind: ParticipantKind, attributes: &[(&str, &str)]) -> Participant {
        Participant {
            sid: format!("PA_{identity}"),
            identity: identity.into(),
            name: String::new(),
            kind,
            attributes: attributes.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            metadata: String::new(),
            tracks: Vec::new(),
            left_because: DisconnectReason::UnknownReason,
        }
    }

    fn heard(identity: &str) -> RoomEvent {
        RoomEvent::TrackSubscribed { track_sid: format!("TR_{identity}"), participant_identity: identity.into() }
    }

    #[test]
    fn a_person_counts_once_their_audio_is_heard() {
        let mut room = Audience::default();
        assert!(!room.follow(&RoomEvent::ParticipantJoined(somebody("anna", ParticipantKind::Standard, &[]))));
        assert!(room.follow(&heard("anna")));
    }

    #[test]
    fn a_phone_that_we_dial_counts_only_when_it_is_answered() {
        let mut room = Audience::default();
        let desk = |status| somebody("desk", ParticipantKind::Sip, &[("sip.callStatus", status)]);
        assert!(!room.follow(&RoomEvent::ParticipantJoined(desk("dialing"))));
        assert!(!room.follow(&heard("desk")));
        assert!(!room.follow(&RoomEvent::ParticipantUpdated(desk("ringing"))));
        assert!(room.follow(&RoomEvent::ParticipantUpdated(desk("active"))));
    }

    #[test]
    fn another_caller_counts_at_once() {
        let mut room = Audience::default();
        let caller = somebody("sip_1", ParticipantKind::Sip, &[("sip.callStatus", "ringing"), ("sip.ruleID", "SDR_1")]);
        assert!(room.follow(&RoomEvent::ParticipantJoined(caller)));
    }

    #[test]
    fn somebody_who_left_does_not_count() {
        let mut room = Audience::default();
        let anna = somebody("anna", ParticipantKind::Standard, &[]);
        room.follow(&RoomEvent::ParticipantJoined(anna.clone()));
        room.follow(&heard("anna"));
        assert!(!room.follow(&RoomEvent::ParticipantLeft(anna)));
    }
}
