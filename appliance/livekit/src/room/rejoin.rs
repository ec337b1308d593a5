//! A room is lost: when is it joined again, and when is it given up?
//!
//! A `RoomSession` resumes its signalling by itself. When that is hopeless (livekit-server was killed
//! and knows nobody) it ends, and its owner makes another one: [`Rejoin`] says when. It follows the
//! events of all sessions of one participant, keeps the time, and touches nothing.

use std::time::{Duration, Instant};

use super::{Disconnect, DisconnectReason, RoomEvent};

/// How long a lost room is tried for.
pub const PATIENCE: Duration = Duration::from_secs(30);
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// What the owner has to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RejoinDue {
    /// Make a session after the one that ended.
    Join,
    /// The room stays lost.
    GiveUp,
}

/// What an event meant for the stay in the room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stay {
    /// Nothing.
    Same,
    Lost,
    /// Signalling and audio are both there again.
    Back,
    /// It is over: nobody is to come back.
    Over,
}

/// One participant's stay in one room, over any number of sessions.
#[derive(Debug)]
pub struct Rejoin {
    patience: Duration,
    /// We were in the room once; a first join that fails is not tried again.
    was_in: bool,
    signal: bool,
    media: bool,
    lost: Option<Lost>,
}

#[derive(Debug)]
struct Lost {
    give_up_at: Instant,
    /// No session works on it, and the next one is due then.
    next: Option<Instant>,
    pause: Duration,
}

impl Rejoin {
    pub fn new(patience: Duration) -> Self {
        Self { patience, was_in: false, signal: false, media: false, lost: None }
    }

    pub fn is_lost(&self) -> bool {
        self.lost.is_some()
    }

    /// Takes what a session said.
    pub fn follow(&mut self, event: &RoomEvent, now: Instant) -> Stay {
        match event {
            RoomEvent::Joined(_) => (self.was_in, self.signal) = (true, true),
            RoomEvent::Resumed => self.signal = true,
            RoomEvent::MediaConnected => self.media = true,
            RoomEvent::Resuming => self.signal = false,
            RoomEvent::MediaLost => self.media = false,
            RoomEvent::Disconnected { reason, can_rejoin } => {
                (self.signal, self.media) = (false, false);
                if !self.was_in || !is_worth_it(reason, *can_rejoin) {
                    self.lost = None;
                    return Stay::Over;
                }
                let stay = self.lose(now);
                if let Some(lost) = &mut self.lost {
                    lost.next = Some(now + lost.pause);
                    lost.pause = (lost.pause * 2).min(LONGEST_PAUSE);
                }
                return stay;
            }
            _ => return Stay::Same,
        }
        if self.signal && self.media {
            return self.lost.take().map_or(Stay::Same, |_| Stay::Back);
        }
        match event {
            RoomEvent::Resuming | RoomEvent::MediaLost => self.lose(now),
            _ => Stay::Same,
        }
    }

    pub fn handle_timeout(&mut self, now: Instant) -> Option<RejoinDue> {
        let lost = self.lost.as_mut()?;
        if now >= lost.give_up_at {
            self.lost = None;
            return Some(RejoinDue::GiveUp);
        }
        lost.next.take_if(|next| now >= *next).map(|_| RejoinDue::Join)
    }

    /// When [`Rejoin::handle_timeout`] has something to say.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let lost = self.lost.as_ref()?;
        Some(lost.next.map_or(lost.give_up_at, |next| next.min(lost.give_up_at)))
    }

    fn lose(&mut self, now: Instant) -> Stay {
        if self.is_lost() {
            return Stay::Same;
        }
        self.lost = Some(Lost { give_up_at: now + self.patience, next: None, pause: FIRST_PAUSE });
        Stay::Lost
    }
}

/// Whoever was put out, or has taken another seat, stays out.
fn is_worth_it(reason: &Disconnect, can_rejoin: bool) -> bool {
    use DisconnectReason::{ConnectionTimeout, MediaFailure, Migration, ServerShutdown, SignalClose, StateMismatch};
    match reason {
        Disconnect::Left => false,
        Disconnect::Server(
            ConnectionTimeout | MediaFailure | Migration | ServerShutdown | SignalClose | StateMismatch,
        ) => true,
        Disconnect::Server(_) => can_rejoin,
        // A server that has just started refuses, too.
        Disconnect::Refused { .. } | Disconnect::Unreachable(_) | Disconnect::ResumeFailed | Disconnect::Media(_) => {
            true
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Joined;
    use super::*;

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    fn joined() -> RoomEvent {
        let text = String::new;
        let (participant_sid, identity, room_name, room_sid) = (text(), text(), text(), text());
        RoomEvent::Joined(Joined { participant_sid, identity, room_name, room_sid, others: Vec::new() })
    }

    fn ended(reason: Disconnect) -> RoomEvent {
        RoomEvent::Disconnected { reason, can_rejoin: false }
    }

    fn unreachable() -> RoomEvent {
        ended(Disconnect::Unreachable("connection refused".to_owned()))
    }

    fn inside(t0: Instant) -> Rejoin {
        let mut stay = Rejoin::new(PATIENCE);
        for event in [joined(), RoomEvent::MediaConnected] {
            assert_eq!(stay.follow(&event, t0), Stay::Same);
        }
        stay
    }

    #[test]
    fn a_resumed_session_is_back_and_no_other_is_made() {
        let t0 = Instant::now();
        let mut stay = inside(t0);
        assert_eq!(stay.follow(&RoomEvent::Resuming, t0), Stay::Lost);
        assert_eq!(stay.follow(&RoomEvent::MediaLost, t0), Stay::Same);
        assert_eq!(stay.follow(&RoomEvent::Resumed, t0 + ms(500)), Stay::Same, "without audio it is not back");
        assert_eq!(stay.handle_timeout(t0 + ms(900)), None);
        assert_eq!(stay.follow(&RoomEvent::MediaConnected, t0 + ms(900)), Stay::Back);
        assert_eq!(stay.poll_timeout(), None);
    }

    #[test]
    fn a_server_that_knows_nobody_is_joined_again_with_growing_pauses() {
        let t0 = Instant::now();
        let mut stay = inside(t0);
        stay.follow(&RoomEvent::Resuming, t0);
        let mut now = t0 + ms(100);
        let mut pauses = Vec::new();
        for event in [ended(Disconnect::ResumeFailed), unreachable(), unreachable(), unreachable(), unreachable()] {
            stay.follow(&event, now);
            assert_eq!(stay.handle_timeout(now), None);
            let next = stay.poll_timeout().unwrap();
            pauses.push((next - now).as_millis());
            assert_eq!(stay.handle_timeout(next), Some(RejoinDue::Join));
            assert_eq!(stay.handle_timeout(next), None, "one session at a time");
            now = next;
        }
        assert_eq!(pauses, [250, 500, 1000, 2000, 2000]);
        assert_eq!(stay.follow(&joined(), now), Stay::Same);
        assert_eq!(stay.follow(&RoomEvent::MediaConnected, now), Stay::Back);
        stay.follow(&ended(Disconnect::ResumeFailed), now);
        assert_eq!(stay.poll_timeout(), Some(now + ms(250)), "the next loss starts anew");
    }

    #[test]
    fn a_room_that_stays_lost_is_given_up_once_30_s_after_the_loss() {
        let t0 = Instant::now();
        let mut stay = inside(t0);
        stay.follow(&RoomEvent::Resuming, t0);
        stay.follow(&unreachable(), t0 + ms(29_900));
        assert_eq!(stay.poll_timeout(), Some(t0 + PATIENCE));
        assert_eq!(stay.handle_timeout(t0 + PATIENCE), Some(RejoinDue::GiveUp));
        assert_eq!(stay.handle_timeout(t0 + PATIENCE * 2), None);
    }

    #[test]
    fn a_first_join_that_fails_is_over() {
        let mut stay = Rejoin::new(PATIENCE);
        assert_eq!(stay.follow(&unreachable(), Instant::now()), Stay::Over);
        assert!(!stay.is_lost());
    }

    #[test]
    fn whoever_was_put_out_stays_out_and_a_server_that_goes_is_waited_for() {
        use DisconnectReason::*;
        let t0 = Instant::now();
        for reason in [ParticipantRemoved, RoomDeleted, RoomClosed, DuplicateIdentity, ClientInitiated] {
            assert_eq!(inside(t0).follow(&ended(Disconnect::Server(reason)), t0), Stay::Over, "{reason:?}");
        }
        assert_eq!(inside(t0).follow(&ended(Disconnect::Left), t0), Stay::Over);
        for reason in [ServerShutdown, StateMismatch, MediaFailure] {
            assert_eq!(inside(t0).follow(&ended(Disconnect::Server(reason)), t0), Stay::Lost, "{reason:?}");
        }
    }
}
