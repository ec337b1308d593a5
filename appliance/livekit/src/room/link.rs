//! Is the signalling WebSocket up, and what is next when it is not?
//!
//! [`Link`] keeps the time: pings, silence, attempts and their pauses. It knows nothing of what
//! travels over the socket. `RoomSession` asks it what is due and tells it what happened.

use std::time::{Duration, Instant};

use livekit_protocol as proto;

/// A first join that takes longer has failed.
const JOIN_DEADLINE: Duration = Duration::from_secs(10);
/// Signalling that is lost for longer is given up.
const RESUME_DEADLINE: Duration = Duration::from_secs(30);
/// From [`Due::Connect`] to the server's first message.
const ATTEMPT_DEADLINE: Duration = Duration::from_secs(5);
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Opening -> Live -> Waiting -> Opening ...; nothing leaves Closed.
#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Opening { until: Instant },
    Live,
    Waiting { until: Instant },
    Closed,
}

/// What the owner has to do now.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Due {
    /// Open a socket: the attempt of this number.
    Connect(u32),
    Ping(proto::Ping),
    /// The socket is silent: treat it as closed.
    Silent,
    GiveUp,
}

#[derive(Debug)]
pub(super) struct Link {
    state: State,
    started: Instant,
    attempt: u32,
    /// Attempts that failed since the link was up.
    failures: u32,
    give_up_at: Option<Instant>,
    ping_interval: Duration,
    ping_timeout: Duration,
    next_ping: Instant,
    heard_at: Instant,
    rtt_ms: i64,
}

impl Link {
    /// A link whose first attempt is due at once.
    pub fn new(now: Instant) -> Self {
        Self {
            state: State::Waiting { until: now },
            started: now,
            attempt: 0,
            failures: 0,
            give_up_at: Some(now + JOIN_DEADLINE),
            ping_interval: Duration::from_secs(5),
            ping_timeout: Duration::from_secs(15),
            next_ping: now,
            heard_at: now,
            rtt_ms: 0,
        }
    }

    /// A link for another session. Attempts are counted on, so that late news of the old sockets is known as such.
    pub fn again(&self, now: Instant) -> Self {
        Self { attempt: self.attempt, ..Self::new(now) }
    }

    pub fn is_live(&self) -> bool {
        self.state == State::Live
    }

    /// No socket is wanted now: what an older one still says does not count.
    pub fn is_waiting(&self) -> bool {
        matches!(self.state, State::Waiting { .. })
    }

    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// The server accepted us (JOIN or RECONNECT); `join` says how it wants to be pinged.
    pub fn accepted(&mut self, join: Option<&proto::JoinResponse>, now: Instant) {
        if let Some(join) = join {
            self.ping_interval = seconds(join.ping_interval).unwrap_or(self.ping_interval);
            self.ping_timeout = seconds(join.ping_timeout).unwrap_or(self.ping_timeout);
        }
        self.state = State::Live;
        self.failures = 0;
        self.give_up_at = None;
        self.heard_at = now;
        self.next_ping = now + self.ping_interval;
    }

    /// Any frame shows that the server is there.
    pub fn heard(&mut self, now: Instant) {
        self.heard_at = now;
    }

    pub fn pong(&mut self, pong: &proto::Pong, now: Instant) {
        self.rtt_ms = (self.millis(now) - pong.last_ping_timestamp).max(0);
    }

    /// The socket is gone. The next attempt comes at once after a link that was up.
    pub fn lost(&mut self, now: Instant) {
        let pause = match self.state {
            State::Live => Duration::ZERO,
            State::Opening { .. } => pause_after(self.failures),
            State::Waiting { .. } | State::Closed => return,
        };
        self.failures += u32::from(!pause.is_zero());
        self.give_up_at.get_or_insert(now + RESUME_DEADLINE);
        self.state = State::Waiting { until: now + pause };
    }

    /// Nothing more is due.
    pub fn close(&mut self) {
        self.state = State::Closed;
    }

    pub fn handle_timeout(&mut self, now: Instant) -> Option<Due> {
        if self.state != State::Closed && self.give_up_at.is_some_and(|at| now >= at) {
            return Some(Due::GiveUp);
        }
        match self.state {
            State::Waiting { until } if now >= until => Some(self.connect(now)),
            State::Opening { until } if now >= until => Some(Due::Silent),
            State::Live if now >= self.heard_at + self.ping_timeout => Some(Due::Silent),
            State::Live if now >= self.next_ping => Some(self.ping(now)),
            _ => None,
        }
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        let due = match self.state {
            State::Waiting { until } | State::Opening { until } => until,
            State::Live => self.next_ping.min(self.heard_at + self.ping_timeout),
            State::Closed => return None,
        };
        Some(self.give_up_at.map_or(due, |at| at.min(due)))
    }

    fn connect(&mut self, now: Instant) -> Due {
        self.attempt += 1;
        self.state = State::Opening { until: now + ATTEMPT_DEADLINE };
        Due::Connect(self.attempt)
    }

    fn ping(&mut self, now: Instant) -> Due {
        self.next_ping = now + self.ping_interval;
        Due::Ping(proto::Ping { timestamp: self.millis(now), rtt: self.rtt_ms })
    }

    /// The session has no calendar; the server only sends our number back.
    fn millis(&self, now: Instant) -> i64 {
        let passed = now.saturating_duration_since(self.started);
        i64::try_from(passed.as_millis()).unwrap_or(i64::MAX)
    }
}

fn seconds(value: i32) -> Option<Duration> {
    u64::try_from(value).ok().filter(|value| *value > 0).map(Duration::from_secs)
}

fn pause_after(failures: u32) -> Duration {
    (FIRST_PAUSE * 2u32.saturating_pow(failures.min(8))).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    fn joined(t0: Instant) -> Link {
        let mut link = Link::new(t0);
        assert_eq!(link.handle_timeout(t0), Some(Due::Connect(1)));
        let join = proto::JoinResponse { ping_interval: 5, ping_timeout: 15, ..Default::default() };
        link.accepted(Some(&join), t0);
        link
    }

    #[test]
    fn a_live_link_pings_at_the_interval_the_server_asked_for() {
        let t0 = Instant::now();
        let mut link = joined(t0);
        assert_eq!(link.poll_timeout(), Some(t0 + secs(5)));
        assert_eq!(link.handle_timeout(t0 + secs(4)), None);
        let ping = proto::Ping { timestamp: 5_000, rtt: 0 };
        assert_eq!(link.handle_timeout(t0 + secs(5)), Some(Due::Ping(ping)));
        assert_eq!(link.handle_timeout(t0 + secs(5)), None);

        let heard = t0 + secs(5) + Duration::from_millis(30);
        link.heard(heard);
        link.pong(&proto::Pong { last_ping_timestamp: 5_000, timestamp: 0 }, heard);
        let ping = proto::Ping { timestamp: 10_000, rtt: 30 };
        assert_eq!(link.handle_timeout(t0 + secs(10)), Some(Due::Ping(ping)));
    }

    #[test]
    fn a_silent_server_is_left_after_the_ping_timeout() {
        let t0 = Instant::now();
        let mut link = joined(t0);
        for at in [5, 10] {
            assert!(matches!(link.handle_timeout(t0 + secs(at)), Some(Due::Ping(_))));
        }
        assert_eq!(link.handle_timeout(t0 + secs(15)), Some(Due::Silent));
    }

    #[test]
    fn a_lost_link_is_tried_at_once_and_then_with_growing_pauses() {
        let t0 = Instant::now();
        let mut link = joined(t0);
        link.lost(t0);
        let mut now = t0;
        let mut pauses = Vec::new();
        for attempt in 2..8 {
            assert_eq!(link.handle_timeout(now), Some(Due::Connect(attempt)));
            link.lost(now);
            let next = link.poll_timeout().unwrap();
            pauses.push((next - now).as_millis());
            now = next;
        }
        assert_eq!(pauses, [200, 400, 800, 1600, 2000, 2000]);
    }

    #[test]
    fn a_link_that_stays_lost_is_given_up() {
        let t0 = Instant::now();
        let mut link = joined(t0);
        link.lost(t0);
        assert_eq!(link.handle_timeout(t0 + secs(30)), Some(Due::GiveUp));
        link.close();
        assert_eq!(link.handle_timeout(t0 + secs(60)), None);
        assert_eq!(link.poll_timeout(), None);
    }

    #[test]
    fn a_first_join_has_ten_seconds() {
        let t0 = Instant::now();
        let mut link = Link::new(t0);
        assert_eq!(link.handle_timeout(t0), Some(Due::Connect(1)));
        assert_eq!(link.handle_timeout(t0 + secs(5)), Some(Due::Silent));
        link.lost(t0 + secs(5));
        assert_eq!(link.handle_timeout(t0 + secs(6)), Some(Due::Connect(2)));
        assert_eq!(link.handle_timeout(t0 + secs(10)), Some(Due::GiveUp));
    }

    #[test]
    fn a_resumed_link_starts_counting_anew() {
        let t0 = Instant::now();
        let mut link = joined(t0);
        link.lost(t0);
        assert_eq!(link.handle_timeout(t0), Some(Due::Connect(2)));
        link.accepted(None, t0 + secs(1));
        assert!(link.is_live());
        assert_eq!(link.poll_timeout(), Some(t0 + secs(6)));
        assert!(matches!(link.handle_timeout(t0 + secs(31)), Some(Due::Silent)));
    }
}
