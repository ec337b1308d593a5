//! What do livekit-sip's figures call the end of a call?
//!
//! A result says whose doing it was, a reason what happened. Reasons of upstream's are used where they fit; ours are
//! `not-admitted`, `rejected` (both the control plane's) and `max-duration`. Pure.

use super::calls::Progress;
use std::borrow::Cow;
use types::control::{Direction, InboundOutcome, LegEnd, LegEndCause};

/// A label value that nothing is known for.
pub const UNKNOWN: &str = "unknown";

const SUCCESS: &str = "success";
/// Ours.
const SERVER: &str = "server_error";
/// Of who calls or is called.
const CLIENT: &str = "client_error";
/// Of the carrier.
const UPSTREAM: &str = "upstream_error";
/// Nobody can tell.
const OPEN: &str = "indeterminate";

/// The labels `result` and `reason`.
#[derive(Debug, PartialEq, Eq)]
pub struct Termination {
    pub result: &'static str,
    pub reason: Cow<'static, str>,
}

impl Termination {
    fn new(result: &'static str, reason: impl Into<Cow<'static, str>>) -> Self {
        Self { result, reason: reason.into() }
    }

    pub fn is_error(&self) -> bool {
        self.result != SUCCESS
    }
}

/// An INVITE that never got into a room.
pub fn of_refusal(outcome: InboundOutcome, progress: Progress) -> Termination {
    use InboundOutcome::*;
    let (result, reason) = match (outcome, progress) {
        (NoTrunk, _) => (CLIENT, "no-trunk"),
        (Unauthorized, _) => (CLIENT, "unauthorized"),
        (NotAdmitted, _) => (CLIENT, "not-admitted"),
        (Rejected, _) => (CLIENT, "no-dispatch"),
        (Dropped, _) => (CLIENT, "flood"),
        (BadOffer, _) => (CLIENT, "sdp-error"),
        (Cancelled, _) => (SUCCESS, "cancelled"),
        (LimitReached, Progress::Invited | Progress::Checked) => (CLIENT, "quota-exceeded"),
        (LimitReached, _) => (SERVER, "media-failed"),
        (Unavailable, Progress::Invited) => (SERVER, "shutdown"),
        (Unavailable, Progress::Checked) => (SERVER, "auth-error"),
        (Unavailable, Progress::Accepted) => (SERVER, "dispatch-error"),
        (Unavailable, _) => (SERVER, "participant-failed"),
    };
    Termination::new(result, reason)
}

/// A call that was in a room or on its way there.
pub fn of_end(end: &LegEnd, direction: Direction) -> Termination {
    use LegEndCause::*;
    let (result, reason) = match (end.cause, direction) {
        (Cancelled, _) => (SUCCESS, "cancelled"),
        (PeerHangup, Direction::Inbound) => (SUCCESS, "hangup"),
        (PeerHangup, Direction::Outbound) => (SUCCESS, "bye"),
        (LocalHangup, _) => (SUCCESS, "removed"),
        (Transferred, _) => (SUCCESS, "call transferred"),
        (MaxDuration, _) => (SUCCESS, "max-duration"),
        (RingTimeout, _) => (CLIENT, "no-answer"),
        (MediaTimeout, _) => (OPEN, "media-timeout"),
        (RoomLost, _) => (SERVER, "room-failed"),
        (GatewayStopping, _) => (SERVER, "shutdown"),
        (Rejected, Direction::Inbound) => (CLIENT, "rejected"),
        (Rejected, Direction::Outbound) => return of_answer(end.sip_code.unwrap_or_default()),
    };
    Termination::new(result, reason)
}

/// A phone's refusal.
fn of_answer(code: u16) -> Termination {
    match code {
        401 | 407 => Termination::new(CLIENT, "auth-required"),
        403 => Termination::new(CLIENT, "forbidden"),
        404 => Termination::new(CLIENT, "not-found"),
        408 => Termination::new(CLIENT, "request-timeout"),
        480 => Termination::new(CLIENT, "unavailable"),
        486 => Termination::new(CLIENT, "busy"),
        488 => Termination::new(CLIENT, "not-acceptable"),
        400..500 => Termination::new(CLIENT, format!("client-error-{code}")),
        500..600 => Termination::new(UPSTREAM, format!("upstream-server-error-{code}")),
        600..700 => Termination::new(CLIENT, format!("global-decline-{code}")),
        _ => Termination::new(SERVER, "invite-failed"),
    }
}

/// A code with its usual words, as in `486-BusyHere`.
pub fn status(code: Option<u16>) -> Cow<'static, str> {
    match code {
        Some(code) => format!("{code}-{}", sip::message::reason_phrase(code).replace(' ', "")).into(),
        None => "other".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::control::LegStats;

    fn end(cause: LegEndCause, sip_code: Option<u16>) -> LegEnd {
        LegEnd { cause, sip_code, detail: String::new(), stats: LegStats::default() }
    }

    #[test]
    fn an_unavailable_livekit_is_named_by_what_it_was_asked() {
        let reason = |progress| of_refusal(InboundOutcome::Unavailable, progress).reason;
        assert_eq!(reason(Progress::Invited), "shutdown");
        assert_eq!(reason(Progress::Checked), "auth-error");
        assert_eq!(reason(Progress::Accepted), "dispatch-error");
        assert_eq!(reason(Progress::Dispatched), "participant-failed");
    }

    #[test]
    fn a_refusal_is_the_carriers_error_only_from_500_to_599() {
        for (code, result, reason) in [
            (486, CLIENT, "busy"),
            (404, CLIENT, "not-found"),
            (484, CLIENT, "client-error-484"),
            (503, UPSTREAM, "upstream-server-error-503"),
            (603, CLIENT, "global-decline-603"),
            (302, SERVER, "invite-failed"),
        ] {
            let of_phone = of_end(&end(LegEndCause::Rejected, Some(code)), Direction::Outbound);
            assert_eq!(of_phone, Termination::new(result, reason), "{code}");
        }
    }

    #[test]
    fn who_hangs_up_makes_no_error() {
        for cause in [LegEndCause::PeerHangup, LegEndCause::LocalHangup, LegEndCause::Transferred] {
            assert!(!of_end(&end(cause, None), Direction::Inbound).is_error(), "{cause:?}");
        }
        assert!(of_end(&end(LegEndCause::GatewayStopping, None), Direction::Inbound).is_error());
    }
}
