//! When must a trunk register again, and what is to be told of it?
//!
//! Pure: the owner asks [`Registration::poll`] what to send, sends it, and reports the outcome with
//! [`Registration::handle`]; time is an argument. Refresh comes well before expiry, failures back off
//! to five minutes at most, and a password the carrier refuses is not tried in a hurry.

use crate::RegisterOutcome;
use std::time::{Duration, Instant};

const FIRST_RETRY: Duration = Duration::from_secs(5);
const LONGEST_RETRY: Duration = Duration::from_secs(300);
/// Refresh when this share of the granted time is left, in percent.
const RESERVE_PERCENT: u32 = 25;
const SHORTEST_REFRESH: Duration = Duration::from_secs(5);

/// What to send now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Register { expires: Duration },
    Unregister,
}

/// What to show to people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// Never asked, or not asked yet.
    Idle,
    Registering,
    Registered {
        until: Instant,
    },
    /// `since` the first failure of this row; `until` is set while an older registration still holds.
    Failing {
        code: u16,
        reason: String,
        since: Instant,
        retry_at: Instant,
        until: Option<Instant>,
    },
    Unregistered,
}

/// One trunk's registration.
#[derive(Debug, Clone)]
pub struct Registration {
    expires: Duration,
    state: State,
    /// A registration that the carrier holds, until then.
    held: Option<Instant>,
    failure: Option<Failure>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting { at: Instant },
    Asking,
    Leaving,
    LeaveAsked,
    Gone,
}

#[derive(Debug, Clone)]
struct Failure {
    code: u16,
    reason: String,
    since: Instant,
    count: u32,
}

impl Registration {
    /// Registers at the first `poll` from `now` on.
    pub fn new(expires: Duration, now: Instant) -> Self {
        Registration { expires, state: State::Waiting { at: now }, held: None, failure: None }
    }

    /// What to send, if it is time; then `handle` is owed.
    pub fn poll(&mut self, now: Instant) -> Option<Action> {
        match self.state {
            State::Waiting { at } if now >= at => {
                self.state = State::Asking;
                Some(Action::Register { expires: self.expires })
            }
            State::Leaving => {
                self.state = State::LeaveAsked;
                Some(Action::Unregister)
            }
            _ => None,
        }
    }

    /// When to `poll` next; `None` while an answer is owed or all is over.
    pub fn next_wakeup(&self, now: Instant) -> Option<Instant> {
        match self.state {
            State::Waiting { at } => Some(at),
            State::Leaving => Some(now),
            _ => None,
        }
    }

    pub fn handle(&mut self, outcome: &RegisterOutcome, now: Instant) {
        match self.state {
            State::Asking => self.handle_asked(outcome, now),
            State::LeaveAsked => {
                self.state = State::Gone;
                self.held = None;
            }
            // Told to leave while the answer was on its way: it may hold now.
            State::Leaving if is_success(outcome) => self.held = outcome.expires.map(|time| now + time),
            _ => {}
        }
    }

    fn handle_asked(&mut self, outcome: &RegisterOutcome, now: Instant) {
        let at = if is_success(outcome) { self.succeed(outcome, now) } else { self.fail(outcome, now) };
        self.state = State::Waiting { at };
    }

    fn succeed(&mut self, outcome: &RegisterOutcome, now: Instant) -> Instant {
        let granted = outcome.expires.filter(|time| !time.is_zero()).unwrap_or(self.expires);
        self.failure = None;
        self.held = Some(now + granted);
        now + (granted - granted * RESERVE_PERCENT / 100).max(SHORTEST_REFRESH)
    }

    fn fail(&mut self, outcome: &RegisterOutcome, now: Instant) -> Instant {
        let (since, count) = self.failure.as_ref().map_or((now, 0), |failure| (failure.since, failure.count));
        self.failure = Some(Failure { code: outcome.code, reason: outcome.reason.clone(), since, count: count + 1 });
        let wait = match outcome.code {
            // Asking again does not make a password right, and carriers lock out those who hurry.
            401 | 403 | 404 | 407 => LONGEST_RETRY,
            _ => (FIRST_RETRY * 2u32.saturating_pow(count.min(10))).min(LONGEST_RETRY),
        };
        now + outcome.retry_after.map_or(wait, |asked| asked.max(wait).min(LONGEST_RETRY))
    }

    /// The carrier forgot us, or the settings changed: ask again at once.
    pub fn refresh(&mut self, now: Instant) {
        if let State::Waiting { at } = &mut self.state {
            *at = now;
        }
    }

    /// Leaves: unregisters if the carrier may hold anything of ours.
    pub fn stop(&mut self, now: Instant) {
        let holds = self.held.is_some_and(|until| until > now) || self.state == State::Asking;
        if !matches!(self.state, State::LeaveAsked | State::Gone) {
            self.state = if holds { State::Leaving } else { State::Gone };
        }
    }

    pub fn is_over(&self) -> bool {
        self.state == State::Gone
    }

    pub fn report(&self, now: Instant) -> Report {
        let until = self.held.filter(|until| *until > now);
        match (self.state, &self.failure, until) {
            (State::Leaving | State::LeaveAsked | State::Gone, ..) => Report::Unregistered,
            (state, Some(failure), until) => Report::Failing {
                code: failure.code,
                reason: failure.reason.clone(),
                since: failure.since,
                retry_at: if let State::Waiting { at } = state { at } else { now },
                until,
            },
            (_, None, Some(until)) => Report::Registered { until },
            (State::Asking, None, None) => Report::Registering,
            (State::Waiting { .. }, None, None) => Report::Idle,
        }
    }
}

fn is_success(outcome: &RegisterOutcome) -> bool {
    (200..300).contains(&outcome.code)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn said(code: u16, expires: Option<u64>) -> RegisterOutcome {
        RegisterOutcome {
            code,
            reason: format!("says {code}"),
            expires: expires.map(Duration::from_secs),
            retry_after: None,
        }
    }

    fn after(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    #[test]
    fn it_refreshes_when_a_quarter_of_the_granted_time_is_left() {
        let t0 = Instant::now();
        let mut registration = Registration::new(HOUR, t0);
        assert_eq!(registration.poll(t0), Some(Action::Register { expires: HOUR }));
        assert_eq!(registration.poll(t0), None, "one at a time");
        registration.handle(&said(200, Some(120)), t0);
        assert_eq!(registration.report(t0), Report::Registered { until: after(t0, 120) });
        assert_eq!(registration.next_wakeup(t0), Some(after(t0, 90)));
        assert_eq!(registration.poll(after(t0, 89)), None);
        assert!(registration.poll(after(t0, 90)).is_some());
    }

    #[test]
    fn failures_back_off_to_five_minutes_and_success_forgets_them() {
        let mut now = Instant::now();
        let start = now;
        let mut registration = Registration::new(HOUR, now);
        let mut waits = Vec::new();
        for _ in 0..9 {
            registration.poll(now).unwrap();
            registration.handle(&said(408, None), now);
            let next = registration.next_wakeup(now).unwrap();
            waits.push((next - now).as_secs());
            now = next;
        }
        assert_eq!(waits, [5, 10, 20, 40, 80, 160, 300, 300, 300]);
        assert!(matches!(registration.report(now), Report::Failing { code: 408, since, .. } if since == start));
        registration.poll(now).unwrap();
        registration.handle(&said(200, None), now);
        assert_eq!(registration.report(now), Report::Registered { until: now + HOUR });
    }

    #[test]
    fn a_refused_password_waits_and_a_retry_after_is_honoured_within_bounds() {
        let t0 = Instant::now();
        for (outcome, wait) in [
            (said(403, None), 300),
            (RegisterOutcome { retry_after: Some(Duration::from_secs(60)), ..said(503, None) }, 60),
            (RegisterOutcome { retry_after: Some(Duration::from_secs(9999)), ..said(503, None) }, 300),
        ] {
            let mut registration = Registration::new(HOUR, t0);
            registration.poll(t0).unwrap();
            registration.handle(&outcome, t0);
            assert_eq!(registration.next_wakeup(t0), Some(after(t0, wait)), "{outcome:?}");
        }
    }

    #[test]
    fn a_failed_refresh_says_how_long_the_old_registration_holds() {
        let t0 = Instant::now();
        let mut registration = Registration::new(HOUR, t0);
        registration.poll(t0).unwrap();
        registration.handle(&said(200, Some(100)), t0);
        registration.poll(after(t0, 75)).unwrap();
        registration.handle(&said(503, None), after(t0, 75));
        let report = registration.report(after(t0, 76));
        assert!(
            matches!(report, Report::Failing { code: 503, until: Some(until), .. } if until == after(t0, 100)),
            "{report:?}"
        );
        let report = registration.report(after(t0, 101));
        assert!(matches!(report, Report::Failing { until: None, .. }));
    }

    #[test]
    fn leaving_unregisters_only_what_the_carrier_holds() {
        let t0 = Instant::now();
        let mut never = Registration::new(HOUR, t0);
        never.stop(t0);
        assert!(never.is_over());
        let mut held = Registration::new(HOUR, t0);
        held.poll(t0).unwrap();
        held.handle(&said(200, None), t0);
        held.stop(after(t0, 1));
        assert_eq!(held.poll(after(t0, 1)), Some(Action::Unregister));
        held.handle(&said(408, None), after(t0, 2));
        assert!(held.is_over(), "the carrier's silence does not keep us");
        assert_eq!(held.report(after(t0, 2)), Report::Unregistered);
    }
}
