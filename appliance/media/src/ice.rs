//! Which way leads to a phone in a browser? It tries several, and we answer (ICE, RFC 8445).
//!
//! We are of the lite kind (section 2.5): our one address is in the description, so we need no checks of our own. Each
//! of the phone's proves, by the password that our description told it, whose it is; audio and handshakes are taken from
//! addresses that did so alone. [`Ice::check`] reads and answers one.

use hmac::{Hmac, Mac};
use is::stun::StunMessage;
use sha1::Sha1;
use std::net::SocketAddr;

/// Longer than any answer of ours.
const LONGEST: usize = 256;
/// RFC 8489 section 5.
const COOKIE: [u8; 4] = [0x21, 0x12, 0xA4, 0x42];

/// Is this datagram one of ICE? (RFC 7983)
pub fn is_stun(datagram: &[u8]) -> bool {
    datagram.first().is_some_and(|first| *first < 4) && datagram.get(4..8) == Some(&COOKIE)
}

/// By what one end is known for the length of a call, `a=ice-ufrag` and `a=ice-pwd` (RFC 8839 section 5.4).
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    pub ufrag: String,
    pub pwd: String,
}

impl Credentials {
    /// With `fill` to make up 48 bits of name and 144 of password.
    pub fn new(mut fill: impl FnMut(&mut [u8])) -> Credentials {
        let mut text = |octets: usize| {
            let mut made = vec![0; octets];
            fill(&mut made);
            base64::Engine::encode(&base64::prelude::BASE64_STANDARD_NO_PAD, made)
        };
        Credentials { ufrag: text(6), pwd: text(18) }
    }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("ufrag", &self.ufrag).finish_non_exhaustive()
    }
}

/// Both ends of a leg.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ice {
    pub ours: Credentials,
    pub theirs: Credentials,
}

/// A check of the phone's.
#[derive(Debug, PartialEq, Eq)]
pub struct Check {
    /// Goes back to where it came from.
    pub answer: Vec<u8>,
    /// The way works, and the phone knows that we play our part: audio may take it.
    pub good: bool,
    /// The phone has chosen this way.
    pub chosen: bool,
}

impl Ice {
    /// Reads a check that came from there. None when it is no check, or somebody else's; that gets no answer.
    pub fn check(&self, datagram: &[u8], from: SocketAddr) -> Option<Check> {
        let request = StunMessage::parse(datagram).ok().filter(StunMessage::is_binding_request)?;
        let named = request.split_username() == Some((self.ours.ufrag.as_str(), self.theirs.ufrag.as_str()));
        if !named || !request.verify(self.ours.pwd.as_bytes(), hmac_sha1) {
            return None;
        }
        // Of two ends the one that is not lite decides; it may not know that yet (section 7.3.1.1).
        let good = request.ice_controlled().is_none();
        let answer = match good {
            true => StunMessage::binding_reply(request.trans_id(), from),
            false => StunMessage::binding_role_conflict_reply(request.trans_id()),
        };
        let mut written = [0; LONGEST];
        let length = answer.to_bytes(Some(self.ours.pwd.as_bytes()), &mut written, hmac_sha1).ok()?;
        Some(Check { answer: written.get(..length)?.to_vec(), good, chosen: good && request.use_candidate() })
    }
}

fn hmac_sha1(key: &[u8], parts: &[&[u8]]) -> [u8; 20] {
    // A key of any length is one (RFC 2104 section 2); without it nothing verifies.
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(key) else { return [0; 20] };
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use is::stun::TransId;

    const PHONE: &str = "192.0.2.7:4000";

    fn named(name: &str) -> Credentials {
        Credentials { ufrag: name.to_owned(), pwd: format!("password of {name}, long enough") }
    }

    fn ice() -> Ice {
        Ice { ours: named("box"), theirs: named("phone") }
    }

    /// A check by `username`, proved with `password`, of one that decides or does not, and perhaps has chosen.
    fn check(username: &str, password: &str, decides: bool, chooses: bool) -> Vec<u8> {
        let message = StunMessage::binding_request(username, TransId::new(), decides, 1, 1, chooses);
        let mut written = [0; 300];
        let length = message.to_bytes(Some(password.as_bytes()), &mut written, hmac_sha1).unwrap();
        written[..length].to_vec()
    }

    fn from_the_phone(decides: bool, chooses: bool) -> Vec<u8> {
        check("box:phone", &named("box").pwd, decides, chooses)
    }

    #[test]
    fn a_check_of_the_phones_is_answered_with_where_it_came_from() {
        let datagram = from_the_phone(true, false);
        assert!(is_stun(&datagram));
        let check = ice().check(&datagram, PHONE.parse().unwrap()).unwrap();
        assert_eq!((check.good, check.chosen), (true, false));
        let answer = StunMessage::parse(&check.answer).unwrap();
        assert!(answer.is_successful_binding_response() && answer.verify(named("box").pwd.as_bytes(), hmac_sha1));
        assert_eq!(answer.mapped_address(), Some(PHONE.parse().unwrap()));
    }

    #[test]
    fn the_phone_chooses_a_way_with_a_check() {
        let datagram = from_the_phone(true, true);
        assert!(ice().check(&datagram, PHONE.parse().unwrap()).unwrap().chosen);
    }

    #[test]
    fn a_phone_that_leaves_the_choice_to_us_is_told_to_make_it() {
        let datagram = from_the_phone(false, true);
        let check = ice().check(&datagram, PHONE.parse().unwrap()).unwrap();
        assert_eq!((check.good, check.chosen), (false, false));
        let answer = StunMessage::parse(&check.answer).unwrap();
        assert_eq!(answer.error_code().map(|(code, _)| code), Some(487));
    }

    #[test]
    fn whoever_does_not_know_the_password_or_the_names_gets_no_answer() {
        let (phone, good) = (PHONE.parse().unwrap(), named("box").pwd);
        for (username, password) in [("box:phone", "another"), ("box:stranger", &good), ("other:phone", &good)] {
            assert_eq!(ice().check(&check(username, password, true, false), phone), None, "{username}");
        }
        let mut damaged = from_the_phone(true, false);
        damaged[8] ^= 1;
        assert_eq!(ice().check(&damaged, phone), None);
    }

    #[test]
    fn made_up_credentials_are_long_enough_and_of_the_right_letters() {
        let mut next = 0;
        let made = Credentials::new(|octets| {
            octets.iter_mut().for_each(|octet| {
                next += 37;
                *octet = next as u8;
            });
        });
        assert_eq!((made.ufrag.len(), made.pwd.len()), (8, 24));
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '+' || c == '/';
        assert!(made.ufrag.chars().chain(made.pwd.chars()).all(fits));
        assert!(!format!("{made:?}").contains(&made.pwd));
    }

    proptest::proptest! {
        #[test]
        fn no_datagram_makes_it_panic(rest in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            let likely = [&[0, 1, 0, rest.len() as u8, 0x21, 0x12, 0xA4, 0x42][..], &rest].concat();
            for datagram in [&rest, &likely] {
                is_stun(datagram);
                let _ = ice().check(datagram, PHONE.parse().unwrap());
            }
        }
    }
}
