//! What keeps guessing slow and checking keys fast?
//!
//! Five wrong passwords for one account within a quarter of an hour close the
//! door for the rest of it. An API key that has passed argon2 once is known by its SHA-256 after that;
//! its row is still read on every request, so a deleted key is out at once.

use crate::error::ApiError;
use axum::http::StatusCode;
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    time::{Duration, Instant},
};
use types::KeyId;

const WINDOW: Duration = Duration::from_secs(15 * 60);
const MOST_FAILURES: usize = 5;
const MOST_KEYS: usize = 10_000;

#[derive(Default)]
pub struct Guard {
    failures: Mutex<HashMap<String, Vec<Instant>>>,
    verified: Mutex<HashMap<String, KeyId>>,
}

impl Guard {
    /// Refuses with 429 when `who` has failed too often; counts nothing.
    pub fn admit(&self, who: &str, now: Instant) -> Result<(), ApiError> {
        let mut failures = self.failures.lock();
        let Some(times) = failures.get_mut(who) else { return Ok(()) };
        times.retain(|at| now.duration_since(*at) < WINDOW);
        if times.len() < MOST_FAILURES {
            return Ok(());
        }
        let wait = times.first().map_or(WINDOW, |at| WINDOW.saturating_sub(now.duration_since(*at)));
        let refusal = ApiError::new(StatusCode::TOO_MANY_REQUESTS, "too_many_attempts", "too many wrong passwords");
        Err(refusal.hint("wait, then try again").retry_after(wait.as_secs().max(1)))
    }

    /// Counts a wrong password and says how long to wait before answering.
    pub fn failed(&self, who: &str, now: Instant) -> Duration {
        let mut failures = self.failures.lock();
        failures.retain(|_, times| times.iter().any(|at| now.duration_since(*at) < WINDOW));
        let times = failures.entry(who.to_owned()).or_default();
        times.push(now);
        Duration::from_millis(100) * u32::try_from(times.len()).unwrap_or(u32::MAX).min(10)
    }

    pub fn succeeded(&self, who: &str) {
        self.failures.lock().remove(who);
    }

    /// The id of a key that has been verified before.
    pub fn known_key(&self, sha256: &str) -> Option<KeyId> {
        self.verified.lock().get(sha256).copied()
    }

    pub fn remember_key(&self, sha256: String, id: KeyId) {
        let mut verified = self.verified.lock();
        if verified.len() >= MOST_KEYS {
            verified.clear();
        }
        verified.insert(sha256, id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_wrong_passwords_close_the_door_for_a_quarter_of_an_hour() {
        let (guard, t0) = (Guard::default(), Instant::now());
        for _ in 0..5 {
            assert!(guard.admit("anna", t0).is_ok());
            guard.failed("anna", t0);
        }
        assert_eq!(guard.admit("anna", t0).unwrap_err().status(), StatusCode::TOO_MANY_REQUESTS);
        assert!(guard.admit("ben", t0).is_ok());
        assert!(guard.admit("anna", t0 + WINDOW).is_ok());
    }

    #[test]
    fn a_right_password_forgives_the_wrong_ones() {
        let (guard, t0) = (Guard::default(), Instant::now());
        for _ in 0..4 {
            guard.failed("anna", t0);
        }
        guard.succeeded("anna");
        guard.failed("anna", t0);
        assert!(guard.admit("anna", t0).is_ok());
    }
}
