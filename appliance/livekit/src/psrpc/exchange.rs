//! May this request go on?
//!
//! The rules of a request's life, without Redis: [`Exchange`] on the client's side, the functions
//! below it on the server's.

use super::{ErrorCode, RpcError};
use crate::proto::internal::{ClaimRequest, ClaimResponse, Request, Response};
use std::time::{Duration, Instant};

/// How long a client waits for a server to claim its request.
const CLAIM_TIMEOUT: Duration = Duration::from_secs(1);

/// A request of ours: nobody has it, then a server has claimed it, then it is answered.
pub struct Exchange {
    request_id: String,
    claimed: bool,
    claim_by: Instant,
    answer_by: Instant,
}

impl Exchange {
    pub fn new(request_id: String, timeout: Duration, now: Instant) -> Self {
        let (claim_by, answer_by) = (now + timeout.min(CLAIM_TIMEOUT), now + timeout);
        Self { request_id, claimed: false, claim_by, answer_by }
    }

    /// A server offers itself: the first gets the request, later ones hear nothing.
    pub fn claim(&mut self, claim: ClaimRequest) -> Option<ClaimResponse> {
        if self.claimed || claim.request_id != self.request_id || claim.affinity < 0.0 {
            return None;
        }
        self.claimed = true;
        Some(ClaimResponse { request_id: claim.request_id, server_id: claim.server_id })
    }

    /// When to give up, as things stand.
    pub fn deadline(&self) -> Instant {
        if self.claimed { self.answer_by } else { self.claim_by }
    }

    /// What to say when [`deadline`](Self::deadline) has passed.
    pub fn timed_out(&self) -> RpcError {
        if self.claimed { RpcError::new(ErrorCode::DeadlineExceeded, "request timed out") } else { no_server() }
    }
}

/// Nobody answers to this method.
pub fn no_server() -> RpcError {
    RpcError::unavailable("no response from servers")
}

/// The marshalled result in a response, or its error.
pub fn result_of(response: Response) -> Result<Vec<u8>, RpcError> {
    if response.error.is_empty() && response.code.is_empty() {
        return Ok(response.raw_response);
    }
    let code = ErrorCode::parse(&response.code);
    Err(RpcError { code, message: response.error, details: response.error_details })
}

/// How long somebody still waits for the answer to `request`; none: drop it.
pub fn time_left(request: &Request, unix_now: i64) -> Option<Duration> {
    let left = request.expiry.checked_sub(unix_now)?;
    u64::try_from(left).ok().filter(|left| *left > 0).map(Duration::from_nanos)
}

/// The answer that carries `result`.
pub fn response_to(request_id: &str, server_id: &str, result: Result<Vec<u8>, RpcError>, unix_now: i64) -> Response {
    let head = Response {
        request_id: request_id.to_owned(),
        server_id: server_id.to_owned(),
        sent_at: unix_now,
        ..Response::default()
    };
    match result {
        Ok(raw_response) => Response { raw_response, ..head },
        Err(error) => Response {
            error: if error.message.is_empty() { error.code.to_string() } else { error.message },
            code: error.code.to_string(),
            error_details: error.details,
            ..head
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn claim(server: &str) -> ClaimRequest {
        ClaimRequest { request_id: "REQ_1".into(), server_id: server.into(), affinity: 1.0 }
    }

    #[test]
    fn the_first_server_that_claims_a_request_gets_it() {
        let mut exchange = Exchange::new("REQ_1".into(), 3 * SECOND, Instant::now());
        let chosen = exchange.claim(claim("SRV_1")).unwrap();
        assert_eq!(chosen, ClaimResponse { request_id: "REQ_1".into(), server_id: "SRV_1".into() });
        assert_eq!(exchange.claim(claim("SRV_2")), None);
    }

    #[test]
    fn a_server_that_declines_does_not_get_the_request() {
        let mut exchange = Exchange::new("REQ_1".into(), 3 * SECOND, Instant::now());
        assert_eq!(exchange.claim(ClaimRequest { affinity: -1.0, ..claim("SRV_1") }), None);
        assert!(exchange.claim(claim("SRV_2")).is_some());
    }

    #[test]
    fn a_request_nobody_claims_fails_after_one_second() {
        let t0 = Instant::now();
        let exchange = Exchange::new("REQ_1".into(), 30 * SECOND, t0);
        assert_eq!(exchange.deadline(), t0 + SECOND);
        assert_eq!(exchange.timed_out(), RpcError::unavailable("no response from servers"));
    }

    #[test]
    fn a_claimed_request_has_the_whole_time() {
        let t0 = Instant::now();
        let mut exchange = Exchange::new("REQ_1".into(), 30 * SECOND, t0);
        exchange.claim(claim("SRV_1"));
        assert_eq!(exchange.deadline(), t0 + 30 * SECOND);
        assert_eq!(exchange.timed_out().code, ErrorCode::DeadlineExceeded);
    }

    #[test]
    fn an_expired_request_is_dropped() {
        let request = Request { expiry: 1_000, ..Request::default() };
        assert_eq!(time_left(&request, 400), Some(Duration::from_nanos(600)));
        assert_eq!(time_left(&request, 1_000), None);
        assert_eq!(time_left(&Request { expiry: i64::MIN, ..request }, 1), None);
    }

    #[test]
    fn an_error_comes_back_as_it_was_sent() {
        let sent = RpcError::from_sip(486, "Busy Here");
        let response = response_to("REQ_1", "SRV_1", Err(sent.clone()), 7);
        assert_eq!((response.code.as_str(), response.sent_at), ("resource_exhausted", 7));
        assert_eq!(result_of(response), Err(sent));
    }

    #[test]
    fn an_error_without_words_is_still_an_error() {
        let response = response_to("REQ_1", "SRV_1", Err(RpcError::internal("")), 7);
        assert_eq!(response.error, "internal");
    }
}
