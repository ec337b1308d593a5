//! What does a message of livekit-server change?
//!
//! One function per message that matters. The order of a join is JOIN, TRACK_PUBLISHED, ANSWER,
//! candidates; a subscription is answered by MEDIA_SECTIONS_REQUIREMENT, which wants a new offer.

use std::time::Instant;

use livekit_protocol as proto;
use proto::signal_request::Message as Request;
use proto::signal_response::Message as Response;

use super::join::TRACK_CID;
use super::offers::Wanted;
use super::peer::TrackMove;
use super::roster::RosterChange;
use super::{
    Disconnect, Joined, MEDIA_DEADLINE, Output, Phase, RoomError, RoomEvent, RoomSession, SubscriptionFailure,
};

impl RoomSession {
    pub(super) fn handle_message(&mut self, message: Option<Response>, now: Instant) {
        match message {
            Some(Response::Join(join)) => self.handle_join(join, now),
            Some(Response::Reconnect(_)) => self.handle_reconnect(now),
            Some(Response::Answer(answer)) => self.handle_answer(&answer),
            Some(Response::Trickle(trickle)) => self.handle_trickle(&trickle),
            Some(Response::Update(update)) => self.handle_update(update),
            Some(Response::TrackPublished(published)) => self.handle_published(published),
            Some(Response::TrackUnpublished(gone)) => self.handle_withdrawn(gone.track_sid),
            Some(Response::TrackSubscribed(heard)) => {
                self.event(RoomEvent::TrackHeard { track_sid: heard.track_sid });
            }
            Some(Response::Leave(leave)) => self.handle_leave(&leave, now),
            Some(Response::Mute(mute)) => {
                self.event(RoomEvent::TrackMuted { track_sid: mute.sid, muted: mute.muted });
            }
            Some(Response::RefreshToken(token)) => self.token = token,
            Some(Response::PongResp(pong)) => self.link.pong(&pong, now),
            Some(Response::MediaSectionsRequirement(more)) => {
                self.want_offer(Wanted { audios: more.num_audios, ice_restart: false });
            }
            Some(Response::SubscriptionResponse(failed)) => self.handle_refused_track(failed),
            Some(Response::RequestResponse(response)) => report_request(&response),
            Some(Response::RoomMoved(moved)) => self.token = moved.token,
            Some(Response::Offer(_)) => {
                tracing::warn!("livekit-server sent an offer, which one connection does not need");
            }
            _ => {}
        }
    }

    fn handle_join(&mut self, join: proto::JoinResponse, now: Instant) {
        self.link.accepted(Some(&join), now);
        self.phase = Phase::Joined;
        self.media_deadline = Some((now + MEDIA_DEADLINE, "the server was not reached"));
        let own = join.participant.unwrap_or_default();
        let room = join.room.unwrap_or_default();
        let others = self.roster.fill(&own.sid, join.other_participants);
        self.event(RoomEvent::Joined(Joined {
            participant_sid: own.sid,
            identity: own.identity,
            room_name: room.name,
            room_sid: room.sid,
            others,
        }));
        self.release_held();
        self.subscribe_wanted();
    }

    /// The server knows us still: tell it what we had, and negotiate again.
    fn handle_reconnect(&mut self, now: Instant) {
        self.link.accepted(None, now);
        self.phase = Phase::Joined;
        let state = self.sync_state();
        self.push_signal(Request::SyncState(state));
        if let Some(offer) = self.peer.repeat_offer() {
            self.push_signal(Request::Offer(offer));
        }
        let ice_restart = !self.peer.is_connected();
        self.want_offer(Wanted { audios: 0, ice_restart });
        self.release_held();
        self.event(RoomEvent::Resumed);
    }

    fn sync_state(&self) -> proto::SyncState {
        let published = self
            .published
            .clone()
            .map(|track| proto::TrackPublishedResponse { cid: TRACK_CID.to_owned(), track: Some(track) });
        proto::SyncState {
            answer: self.peer.offers().last_answer().cloned(),
            offer: self.peer.offers().last_offer().cloned(),
            subscription: Some(proto::UpdateSubscription {
                track_sids: self.roster.subscribed(),
                subscribe: true,
                ..Default::default()
            }),
            publish_tracks: published.into_iter().collect(),
            ..Default::default()
        }
    }

    fn release_held(&mut self) {
        for request in std::mem::take(&mut self.held) {
            self.push_signal(request);
        }
    }

    fn subscribe_wanted(&mut self) {
        let wanted = self.roster.take_wanted();
        self.subscribe(wanted, true);
    }

    fn handle_answer(&mut self, answer: &proto::SessionDescription) {
        let moves = match self.peer.accept_answer(answer) {
            Ok(moves) => moves,
            Err(error) => return self.end(Disconnect::Media(error.to_string()), true),
        };
        self.announce_published();
        for change in moves {
            let event = self.track_event(change);
            self.event(event);
        }
    }

    fn track_event(&self, change: TrackMove) -> RoomEvent {
        let (TrackMove::On(track_sid) | TrackMove::Off(track_sid)) = &change;
        let track_sid = track_sid.to_string();
        let participant_identity = self.roster.publisher(&track_sid).unwrap_or_default().to_owned();
        match change {
            TrackMove::On(_) => RoomEvent::TrackSubscribed { track_sid, participant_identity },
            TrackMove::Off(_) => RoomEvent::TrackUnsubscribed { track_sid, participant_identity },
        }
    }

    fn handle_trickle(&mut self, trickle: &proto::TrickleRequest) {
        let added = candidate(&trickle.candidate_init)
            .and_then(|candidate| candidate.map_or(Ok(()), |it| self.peer.add_candidate(&it)));
        if let Err(error) = added {
            tracing::debug!(%error, "a candidate was skipped");
        }
    }

    fn handle_update(&mut self, update: proto::ParticipantUpdate) {
        for change in self.roster.update(update.participants) {
            self.event(match change {
                RosterChange::Joined(who) => RoomEvent::ParticipantJoined(who),
                RosterChange::Updated(who) => RoomEvent::ParticipantUpdated(who),
                RosterChange::Left(who) => RoomEvent::ParticipantLeft(who),
                RosterChange::Own(attributes) => RoomEvent::OwnAttributes(attributes),
            });
        }
        self.subscribe_wanted();
    }

    fn handle_published(&mut self, published: proto::TrackPublishedResponse) {
        self.published = published.track;
        self.announce_published();
    }

    /// The codec is known once the answer and the track are both there.
    fn announce_published(&mut self) {
        let Some(track) = self.published.as_ref().filter(|_| !self.published_announced) else {
            return;
        };
        let wanted = self.options.published_codec();
        let mut offered = self.peer.published_codecs();
        let first = offered.next();
        let codec = first.filter(|first| Some(*first) == wanted);
        let Some(codec) = codec.or_else(|| offered.find(|it| Some(*it) == wanted)).or(first) else {
            return;
        };
        drop(offered);
        let event = RoomEvent::TrackPublished { track_sid: track.sid.clone(), codec };
        self.published_announced = true;
        self.event(event);
    }

    fn handle_withdrawn(&mut self, track_sid: String) {
        if self.published_track_sid() == Some(track_sid.as_str()) {
            self.published = None;
        }
        self.event(RoomEvent::TrackWithdrawn { track_sid });
    }

    fn handle_refused_track(&mut self, refused: proto::SubscriptionResponse) {
        let reason = match refused.err() {
            proto::SubscriptionError::SeCodecUnsupported => SubscriptionFailure::Codec,
            proto::SubscriptionError::SeTrackNotfound => SubscriptionFailure::NotFound,
            proto::SubscriptionError::SeUnknown => SubscriptionFailure::Unknown,
        };
        self.event(RoomEvent::SubscriptionFailed { track_sid: refused.track_sid, reason });
    }

    fn handle_leave(&mut self, leave: &proto::LeaveRequest, now: Instant) {
        use proto::leave_request::Action;

        match leave.action() {
            Action::Resume => {
                self.outputs.push_back(Output::CloseSignal);
                self.lose_link("the server wants a resume".to_owned(), now);
                self.run_link(now);
            }
            Action::Reconnect if self.phase == Phase::Resuming => {
                self.end(Disconnect::ResumeFailed, true);
            }
            Action::Reconnect => self.end(Disconnect::Server(leave.reason()), true),
            Action::Disconnect => self.end(Disconnect::Server(leave.reason()), leave.can_reconnect),
        }
    }
}

/// The candidate in a trickle message; none at the end of them.
fn candidate(init: &str) -> Result<Option<String>, RoomError> {
    let json: serde_json::Value = serde_json::from_str(init).map_err(|_| RoomError::Candidate(init.to_owned()))?;
    let text = json.get("candidate").and_then(serde_json::Value::as_str).unwrap_or_default();
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

fn report_request(response: &proto::RequestResponse) {
    use proto::request_response::Reason;

    if !matches!(response.reason(), Reason::Ok | Reason::Queued) {
        let reason = response.reason().as_str_name();
        tracing::warn!(reason, message = response.message, "livekit-server refused a request");
    }
}
