//! How does a request of ours get past 401 and 407?
//!
//! Remembers the challenges of one peer and repeats the answer on every later request, counting its
//! use. The arithmetic is in [`crate::digest`].

use crate::digest::Challenge;
use crate::ids::new_cnonce;
use crate::message::{Request, Response};

/// A request is tried so often before a refusal counts.
pub(crate) const MAX_TRIES: usize = 5;

/// Name and password that a peer knows us by.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    pub user: String,
    pub password: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

#[derive(Clone, Default)]
pub(crate) struct Proofs {
    credentials: Option<Credentials>,
    server: Option<Held>,
    proxy: Option<Held>,
}

#[derive(Clone)]
struct Held {
    challenge: Challenge,
    uses: u32,
}

impl Proofs {
    pub fn new(credentials: Option<Credentials>) -> Self {
        Proofs { credentials, server: None, proxy: None }
    }

    /// True when `response` is a challenge that another try may pass.
    pub fn learn(&mut self, response: &Response) -> bool {
        let (field, held) = match response.code {
            401 => ("WWW-Authenticate", &mut self.server),
            407 => ("Proxy-Authenticate", &mut self.proxy),
            _ => return false,
        };
        let Some(challenge) = Challenge::choose(response.headers.all(field)) else { return false };
        let refused = held.as_ref().is_some_and(|old| old.challenge.nonce == challenge.nonce);
        if self.credentials.is_none() || (refused && !challenge.stale) {
            return false;
        }
        *held = Some(Held { challenge, uses: 0 });
        true
    }

    /// Writes the answers to all challenges held.
    pub fn apply(&mut self, request: &mut Request) {
        let Some(Credentials { user, password }) = self.credentials.clone() else { return };
        let fields = [("Authorization", &mut self.server), ("Proxy-Authorization", &mut self.proxy)];
        for (field, held) in fields {
            let Some(held) = held else { continue };
            held.uses += 1;
            let value =
                held.challenge.answer(&user, &password, &request.method, &request.uri, &new_cnonce(), held.uses);
            request.headers.set(field, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Headers;

    fn challenge(code: u16, field: &str, value: &str) -> Response {
        let headers = Headers(vec![(field.into(), value.into())]);
        Response { code, reason: String::new(), headers, body: vec![] }
    }

    fn request() -> Request {
        Request { method: "INVITE".into(), uri: "sip:1@h".into(), headers: Headers::default(), body: vec![] }
    }

    fn known() -> Proofs {
        Proofs::new(Some(Credentials { user: "u".into(), password: "p".into() }))
    }

    #[test]
    fn both_a_proxy_and_a_server_are_answered_and_uses_are_counted() {
        let mut proofs = known();
        assert!(proofs.learn(&challenge(407, "Proxy-Authenticate", r#"Digest realm="p", nonce="1", qop="auth""#)));
        assert!(proofs.learn(&challenge(401, "WWW-Authenticate", r#"Digest realm="s", nonce="2""#)));
        let mut first = request();
        proofs.apply(&mut first);
        assert!(first.headers.first("Authorization").unwrap().contains(r#"realm="s""#));
        assert!(first.headers.first("Proxy-Authorization").unwrap().contains("nc=00000001"));
        let mut second = request();
        proofs.apply(&mut second);
        assert!(second.headers.first("Proxy-Authorization").unwrap().contains("nc=00000002"));
    }

    #[test]
    fn the_same_nonce_again_means_a_wrong_password_unless_it_is_stale() {
        let mut proofs = known();
        let again = challenge(401, "WWW-Authenticate", r#"Digest realm="s", nonce="2""#);
        assert!(proofs.learn(&again));
        assert!(!proofs.learn(&again));
        assert!(proofs.learn(&challenge(401, "WWW-Authenticate", r#"Digest realm="s", nonce="2", stale=TRUE"#)));
    }

    #[test]
    fn without_credentials_a_challenge_is_a_refusal() {
        assert!(!Proofs::new(None).learn(&challenge(401, "WWW-Authenticate", r#"Digest realm="s", nonce="2""#)));
    }
}
