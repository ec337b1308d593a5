//! Who is in the room, and whose audio do we ask for?
//!
//! [`Roster`] turns livekit-server's participant lists into joined, updated and left, and keeps
//! the set of tracks this participant subscribes to.

use std::collections::{BTreeSet, HashMap};

use livekit_protocol as proto;

use super::{DisconnectReason, Participant, ParticipantKind, Track};

#[derive(Debug, Default)]
pub(super) struct Roster {
    own_sid: String,
    own_version: u32,
    subscribe_audio: bool,
    /// By participant sid, with the version of what we know.
    people: HashMap<String, (u32, Participant)>,
    subscribed: BTreeSet<String>,
    /// Tracks the owner does not want, whatever `subscribe_audio` says.
    unwanted: BTreeSet<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum RosterChange {
    Joined(Participant),
    Updated(Participant),
    Left(Participant),
    /// Our own attributes.
    Own(HashMap<String, String>),
}

impl Roster {
    pub fn new(subscribe_audio: bool) -> Self {
        Self { subscribe_audio, ..Self::default() }
    }

    /// We joined as `own_sid`; these were there before us.
    pub fn fill(&mut self, own_sid: &str, others: Vec<proto::ParticipantInfo>) -> Vec<Participant> {
        self.own_sid = own_sid.to_owned();
        self.people = others.into_iter().map(|info| (info.sid.clone(), (info.version, participant(info)))).collect();
        self.participants().cloned().collect()
    }

    pub fn own_sid(&self) -> &str {
        &self.own_sid
    }

    pub fn participants(&self) -> impl Iterator<Item = &Participant> {
        self.people.values().map(|(_, participant)| participant)
    }

    /// The identity of the participant who publishes this track.
    pub fn publisher(&self, track_sid: &str) -> Option<&str> {
        self.participants()
            .find(|person| person.tracks.iter().any(|track| track.sid == track_sid))
            .map(|person| person.identity.as_str())
    }

    /// Takes over a participant update.
    pub fn update(&mut self, infos: Vec<proto::ParticipantInfo>) -> Vec<RosterChange> {
        infos.into_iter().filter_map(|info| self.update_one(info)).collect()
    }

    fn update_one(&mut self, info: proto::ParticipantInfo) -> Option<RosterChange> {
        if info.sid == self.own_sid {
            return self.update_own(info);
        }
        if info.state() == proto::participant_info::State::Disconnected {
            return self.remove(&info);
        }
        let known = self.people.get(&info.sid).map(|(version, _)| *version);
        if known.is_some_and(|version| info.version < version) {
            return None;
        }
        let (sid, version) = (info.sid.clone(), info.version);
        let new = participant(info);
        let old = self.people.insert(sid, (version, new.clone()));
        match old {
            None => Some(RosterChange::Joined(new)),
            Some((_, old)) if old == new => None,
            Some((_, old)) => {
                self.forget_tracks(&old, &new);
                Some(RosterChange::Updated(new))
            }
        }
    }

    fn update_own(&mut self, info: proto::ParticipantInfo) -> Option<RosterChange> {
        if info.version < self.own_version || info.state() == proto::participant_info::State::Disconnected {
            return None;
        }
        self.own_version = info.version;
        Some(RosterChange::Own(info.attributes))
    }

    fn remove(&mut self, info: &proto::ParticipantInfo) -> Option<RosterChange> {
        let (_, mut left) = self.people.remove(&info.sid)?;
        for track in &left.tracks {
            self.subscribed.remove(&track.sid);
            self.unwanted.remove(&track.sid);
        }
        left.left_because = info.disconnect_reason();
        Some(RosterChange::Left(left))
    }

    fn forget_tracks(&mut self, old: &Participant, new: &Participant) {
        let gone = old.tracks.iter().filter(|was| new.tracks.iter().all(|is| is.sid != was.sid));
        for track in gone {
            self.subscribed.remove(&track.sid);
            self.unwanted.remove(&track.sid);
        }
    }

    /// Audio tracks that should be subscribed and are not; from now on they count as asked for.
    pub fn take_wanted(&mut self) -> Vec<String> {
        if !self.subscribe_audio {
            return Vec::new();
        }
        let wanted: Vec<String> = self
            .participants()
            .flat_map(|person| &person.tracks)
            .filter(|track| track.audio)
            .filter(|track| !self.subscribed.contains(&track.sid))
            .filter(|track| !self.unwanted.contains(&track.sid))
            .map(|track| track.sid.clone())
            .collect();
        self.subscribed.extend(wanted.iter().cloned());
        wanted
    }

    /// The owner's own choice about one track. False when it changes nothing.
    pub fn set_subscribed(&mut self, track_sid: &str, subscribe: bool) -> bool {
        if subscribe {
            self.unwanted.remove(track_sid);
            self.subscribed.insert(track_sid.to_owned())
        } else {
            self.unwanted.insert(track_sid.to_owned());
            self.subscribed.remove(track_sid)
        }
    }

    /// Everything we subscribe to, for the server to compare with after a resume.
    pub fn subscribed(&self) -> Vec<String> {
        self.subscribed.iter().cloned().collect()
    }
}

fn participant(info: proto::ParticipantInfo) -> Participant {
    Participant {
        kind: ParticipantKind::try_from(info.kind).unwrap_or(ParticipantKind::Standard),
        left_because: DisconnectReason::UnknownReason,
        tracks: info.tracks.into_iter().map(track).collect(),
        sid: info.sid,
        identity: info.identity,
        name: info.name,
        attributes: info.attributes,
        metadata: info.metadata,
    }
}

fn track(info: proto::TrackInfo) -> Track {
    Track {
        audio: info.r#type() == proto::TrackType::Audio,
        sid: info.sid,
        name: info.name,
        muted: info.muted,
        mime_type: info.mime_type,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(sid: &str, version: u32, tracks: &[(&str, proto::TrackType)]) -> proto::ParticipantInfo {
        let tracks = tracks.iter().map(|(sid, kind)| proto::TrackInfo {
            sid: (*sid).to_owned(),
            r#type: (*kind).into(),
            ..Default::default()
        });
        proto::ParticipantInfo {
            sid: sid.to_owned(),
            identity: format!("identity of {sid}"),
            version,
            state: proto::participant_info::State::Active.into(),
            tracks: tracks.collect(),
            ..Default::default()
        }
    }

    const AUDIO: proto::TrackType = proto::TrackType::Audio;
    const VIDEO: proto::TrackType = proto::TrackType::Video;

    #[test]
    fn audio_is_wanted_once_and_video_never() {
        let mut roster = Roster::new(true);
        roster.fill("PA_me", vec![info("PA_1", 1, &[("TR_a", AUDIO), ("TR_v", VIDEO)])]);
        assert_eq!(roster.take_wanted(), ["TR_a"]);
        assert!(roster.take_wanted().is_empty());

        roster.update(vec![info("PA_2", 1, &[("TR_b", AUDIO)])]);
        assert_eq!(roster.take_wanted(), ["TR_b"]);
        assert_eq!(roster.subscribed(), ["TR_a", "TR_b"]);
        assert_eq!(roster.publisher("TR_b"), Some("identity of PA_2"));
    }

    #[test]
    fn joining_updating_and_leaving_are_told_apart() {
        let mut roster = Roster::new(true);
        roster.fill("PA_me", vec![]);
        let joined = roster.update(vec![info("PA_1", 1, &[])]);
        assert!(matches!(&joined[..], [RosterChange::Joined(who)] if who.sid == "PA_1"));
        assert!(roster.update(vec![info("PA_1", 2, &[])]).is_empty(), "nothing new in it");
        let updated = roster.update(vec![info("PA_1", 3, &[("TR_a", AUDIO)])]);
        assert!(matches!(&updated[..], [RosterChange::Updated(_)]));

        let mut gone = info("PA_1", 4, &[]);
        gone.state = proto::participant_info::State::Disconnected.into();
        gone.disconnect_reason = proto::DisconnectReason::UserRejected.into();
        let left = roster.update(vec![gone]);
        let [RosterChange::Left(who)] = &left[..] else { panic!("{left:?}") };
        assert_eq!(who.left_because, DisconnectReason::UserRejected);
        assert_eq!(roster.participants().count(), 0);
    }

    #[test]
    fn an_older_update_changes_nothing_and_our_own_entry_nobody_else() {
        let mut roster = Roster::new(true);
        roster.fill("PA_me", vec![info("PA_1", 5, &[("TR_a", AUDIO)])]);
        assert!(roster.update(vec![info("PA_1", 4, &[])]).is_empty());
        let own = roster.update(vec![info("PA_me", 9, &[("TR_me", AUDIO)]), info("PA_me", 8, &[])]);
        assert_eq!(own, [RosterChange::Own(HashMap::new())], "the older one is not told");
        assert_eq!(roster.take_wanted(), ["TR_a"]);
    }

    #[test]
    fn a_track_the_owner_dropped_is_not_taken_again() {
        let mut roster = Roster::new(true);
        roster.fill("PA_me", vec![info("PA_1", 1, &[("TR_a", AUDIO)])]);
        roster.take_wanted();
        assert!(roster.set_subscribed("TR_a", false));
        assert!(roster.take_wanted().is_empty());
        assert!(roster.set_subscribed("TR_a", true));
        assert!(!roster.set_subscribed("TR_a", true), "it is subscribed already");
    }

    #[test]
    fn who_does_not_subscribe_to_audio_asks_for_nothing() {
        let mut roster = Roster::new(false);
        roster.fill("PA_me", vec![info("PA_1", 1, &[("TR_a", AUDIO)])]);
        assert!(roster.take_wanted().is_empty());
        assert!(roster.set_subscribed("TR_a", true));
        assert_eq!(roster.subscribed(), ["TR_a"]);
    }
}
