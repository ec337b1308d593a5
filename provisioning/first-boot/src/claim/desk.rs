//! Does this code open the box?
//!
//! Unclaimed -> Claimed, once. Four wrong tries are free; from the fifth on each costs a wait that
//! doubles from ten seconds to five minutes, and a right code waits too. Time is an argument and
//! counts from the start of the machine, so a clock that jumps neither ends a code nor a wait.

use super::code::{ClaimCode, CodeHash};
use crate::files;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::{io, path::Path, time::Duration};

/// How long after the start of the machine its code is good.
pub const LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);
const FREE_TRIES: u32 = 4;
const FIRST_WAIT: Duration = Duration::from_secs(10);
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// What is remembered over a restart of the daemon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum State {
    /// `salt` names the code that the tries were for; a new code starts afresh.
    Unclaimed {
        salt: String,
        wrong: u32,
        blocked_until_ms: u64,
    },
    Claimed {
        at: Timestamp,
    },
}

/// What a try came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Right,
    Wrong,
    /// Not even looked at.
    Wait(Duration),
    Expired,
    AlreadyClaimed,
}

#[derive(Clone, Debug)]
pub struct Desk {
    state: State,
    code: Option<CodeHash>,
}

impl Desk {
    /// `code` is the one of this start; `remembered` may be about an older one.
    pub fn new(code: Option<CodeHash>, remembered: State) -> Self {
        let salt = code.as_ref().map_or(String::new(), |code| code.salt.clone());
        let state = match remembered {
            State::Unclaimed { salt: old, .. } if old != salt => {
                State::Unclaimed { salt, wrong: 0, blocked_until_ms: 0 }
            }
            same => same,
        };
        Self { state, code }
    }

    /// Counts a try and says what it came to; `now` is the time since the machine started.
    pub fn try_code(&mut self, typed: &ClaimCode, now: Duration) -> Answer {
        let State::Unclaimed { wrong, blocked_until_ms, .. } = &mut self.state else { return Answer::AlreadyClaimed };
        let Some(code) = self.code.as_ref().filter(|_| now < LIFETIME) else { return Answer::Expired };
        let until = Duration::from_millis(*blocked_until_ms);
        if now < until {
            return Answer::Wait(until - now);
        }
        if code.matches(typed) {
            return Answer::Right;
        }
        *wrong = wrong.saturating_add(1);
        *blocked_until_ms = wait_after(*wrong).map_or(0, |wait| millis(now + wait));
        Answer::Wrong
    }

    /// The code is used up.
    pub fn claimed(&mut self, at: Timestamp) {
        self.state = State::Claimed { at };
        self.code = None;
    }

    pub fn is_claimed(&self) -> bool {
        matches!(self.state, State::Claimed { .. })
    }

    pub fn state(&self) -> &State {
        &self.state
    }
}

fn wait_after(wrong: u32) -> Option<Duration> {
    let doublings = wrong.checked_sub(FREE_TRIES + 1)?;
    Some(FIRST_WAIT.saturating_mul(2u32.saturating_pow(doublings)).min(LONGEST_WAIT))
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

impl State {
    pub fn fresh() -> Self {
        Self::Unclaimed { salt: String::new(), wrong: 0, blocked_until_ms: 0 }
    }

    /// A file that is missing or broken is a box that nobody claimed: `control-api` still knows better.
    pub fn load(path: &Path) -> Self {
        let text = files::read(path).unwrap_or_else(|error| {
            tracing::error!(%error, path = %path.display(), "claim_state_unreadable");
            None
        });
        text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_else(Self::fresh)
    }

    pub fn save(&self, path: &Path) -> io::Result<()> {
        files::write(path, &serde_json::to_string(self)?).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RIGHT: &str = "ABCDE-23456";
    const WRONG: &str = "ZZZZZ-ZZZZZ";

    fn code(typed: &str) -> ClaimCode {
        ClaimCode::parse(typed).unwrap()
    }

    fn hash(salt: &str) -> CodeHash {
        CodeHash::of(&code(RIGHT), salt.into()).unwrap()
    }

    fn desk() -> Desk {
        Desk::new(Some(hash("salt")), State::fresh())
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// The wait after each of the next `tries` wrong codes, each tried as soon as it is allowed.
    fn waits(desk: &mut Desk, tries: usize) -> Vec<u64> {
        let mut now = at(0);
        let mut waits = vec![];
        for _ in 0..tries {
            assert_eq!(desk.try_code(&code(WRONG), now), Answer::Wrong);
            let wait = match desk.try_code(&code(RIGHT), now) {
                Answer::Wait(wait) => wait,
                _ => at(0),
            };
            waits.push(wait.as_secs());
            now += wait;
        }
        waits
    }

    #[test]
    fn the_right_code_opens_the_box_once() {
        let mut desk = desk();
        assert_eq!(desk.try_code(&code(RIGHT), at(60)), Answer::Right);
        desk.claimed(Timestamp::UNIX_EPOCH);
        assert_eq!(desk.try_code(&code(RIGHT), at(61)), Answer::AlreadyClaimed);
    }

    #[test]
    fn a_right_code_stays_good_while_the_claim_has_not_gone_through() {
        let mut desk = desk();
        assert_eq!(desk.try_code(&code(RIGHT), at(60)), Answer::Right);
        assert_eq!(desk.try_code(&code(RIGHT), at(61)), Answer::Right);
    }

    #[test]
    fn from_the_fifth_wrong_try_on_the_wait_doubles_to_five_minutes() {
        assert_eq!(waits(&mut desk(), 11), [0, 0, 0, 0, 10, 20, 40, 80, 160, 300, 300]);
    }

    #[test]
    fn a_try_during_the_wait_is_not_counted() {
        let mut desk = desk();
        waits(&mut desk, 5);
        for _ in 0..100 {
            assert_eq!(desk.try_code(&code(WRONG), at(5)), Answer::Wait(at(5)));
        }
        assert_eq!(desk.try_code(&code(RIGHT), at(10)), Answer::Right);
    }

    #[test]
    fn the_wait_survives_a_restart_of_the_daemon() {
        let mut before = desk();
        waits(&mut before, 5);
        let mut after = Desk::new(Some(hash("salt")), before.state().clone());
        assert_eq!(after.try_code(&code(RIGHT), at(1)), Answer::Wait(at(9)));
    }

    #[test]
    fn a_new_code_starts_afresh() {
        let mut before = desk();
        waits(&mut before, 9);
        let mut after = Desk::new(Some(hash("of the next start")), before.state().clone());
        assert_eq!(after.try_code(&code(RIGHT), at(1)), Answer::Right);
    }

    #[test]
    fn a_code_ends_a_day_after_the_start() {
        let mut desk = desk();
        assert_eq!(desk.try_code(&code(RIGHT), LIFETIME - at(1)), Answer::Right);
        assert_eq!(desk.try_code(&code(RIGHT), LIFETIME), Answer::Expired);
    }

    #[test]
    fn a_box_without_a_code_opens_to_nobody() {
        assert_eq!(Desk::new(None, State::fresh()).try_code(&code(RIGHT), at(1)), Answer::Expired);
    }

    #[test]
    fn a_claim_is_remembered_and_a_broken_memory_is_a_fresh_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("claim.json");
        let claimed = State::Claimed { at: Timestamp::UNIX_EPOCH };
        claimed.save(&path).unwrap();
        assert_eq!(State::load(&path), claimed);
        std::fs::write(&path, "{\"state\":\"cla").unwrap();
        assert_eq!(State::load(&path), State::fresh());
    }
}
