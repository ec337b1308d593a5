//! Is this the right password, and how do we prove ours?
//!
//! HTTP digest for SIP: RFC 2617 (MD5, with and without `qop`) and RFC 7616 (SHA-256, preferred when
//! both are offered). Pure: nonces, client nonces and counters are arguments. `auth-int`, `-sess`
//! and proxied names are not spoken by carriers and are left out.

use crate::header::{quote, split_outside_quotes, split_param};
use md5::Md5;
use sha2::{Digest, Sha256};
use std::time::{SystemTime, UNIX_EPOCH};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Algorithm {
    Md5,
    Sha256,
}

impl Algorithm {
    /// RFC 2617: no algorithm means MD5.
    fn parse(value: Option<&str>) -> Option<Algorithm> {
        match value {
            None => Some(Algorithm::Md5),
            Some(name) if name.eq_ignore_ascii_case("MD5") => Some(Algorithm::Md5),
            Some(name) if name.eq_ignore_ascii_case("SHA-256") => Some(Algorithm::Sha256),
            Some(_) => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Algorithm::Md5 => "MD5",
            Algorithm::Sha256 => "SHA-256",
        }
    }

    fn hash(self, text: &str) -> String {
        match self {
            Algorithm::Md5 => hex::encode(Md5::digest(text.as_bytes())),
            Algorithm::Sha256 => hex::encode(Sha256::digest(text.as_bytes())),
        }
    }
}

/// A `WWW-Authenticate` or `Proxy-Authenticate` value that we can answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    pub realm: String,
    pub nonce: String,
    pub opaque: Option<String>,
    pub algorithm: Algorithm,
    /// The value named its algorithm, so the answer does too.
    named: bool,
    /// `qop` offers `auth`.
    pub qop_auth: bool,
    pub stale: bool,
}

impl Challenge {
    pub fn parse(value: &str) -> Option<Challenge> {
        let params = Params::parse(value)?;
        let qop = params.take("qop");
        let qop_auth = qop.as_ref().is_some_and(|q| q.split(',').any(|one| one.trim().eq_ignore_ascii_case("auth")));
        if qop.is_some() && !qop_auth {
            return None;
        }
        let algorithm = params.take("algorithm");
        Some(Challenge {
            realm: params.take("realm")?,
            nonce: params.take("nonce")?,
            opaque: params.take("opaque"),
            algorithm: Algorithm::parse(algorithm.as_deref())?,
            named: algorithm.is_some(),
            qop_auth,
            stale: params.take("stale").is_some_and(|s| s.eq_ignore_ascii_case("true")),
        })
    }

    /// The strongest challenge among a response's values; the first of equals.
    pub fn choose<'a>(values: impl Iterator<Item = &'a str>) -> Option<Challenge> {
        let mut best: Option<Challenge> = None;
        for challenge in values.filter_map(Challenge::parse) {
            if best.as_ref().is_none_or(|best| challenge.algorithm > best.algorithm) {
                best = Some(challenge);
            }
        }
        best
    }

    /// The `Authorization` value for one request; `count` is this nonce's use, from 1.
    pub fn answer(&self, user: &str, password: &str, method: &str, uri: &str, cnonce: &str, count: u32) -> String {
        let qop = self.qop_auth.then(|| Qop { count: format!("{count:08x}"), cnonce: cnonce.to_owned() });
        let secret = Secret { user, realm: &self.realm, password };
        let response = compute(self.algorithm, &secret, &self.nonce, qop.as_ref(), method, uri);
        let mut out = format!(
            r#"Digest username="{}", realm="{}", nonce="{}", uri="{}", response="{response}""#,
            escape(user),
            escape(&self.realm),
            escape(&self.nonce),
            escape(uri),
        );
        if self.named {
            out += &format!(", algorithm={}", self.algorithm.name());
        }
        if let Some(opaque) = &self.opaque {
            out += &format!(r#", opaque="{}""#, escape(opaque));
        }
        if let Some(qop) = &qop {
            out += &format!(r#", qop=auth, nc={}, cnonce="{}""#, qop.count, escape(&qop.cnonce));
        }
        out
    }
}

/// The value of a challenge of ours. MD5, which every phone knows; `qop` lets us count the uses of a nonce.
pub fn challenge(realm: &str, nonce: &str, qop: bool, stale: bool) -> String {
    let qop = if qop { r#", qop="auth""# } else { "" };
    let stale = if stale { ", stale=true" } else { "" };
    format!(r#"Digest realm={}, nonce="{nonce}", algorithm=MD5{qop}{stale}"#, quote(realm))
}

/// What a peer sent in `Authorization` or `Proxy-Authorization`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub user: String,
    pub realm: String,
    pub nonce: String,
    pub uri: String,
    response: String,
    algorithm: Algorithm,
    qop: Option<Qop>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Qop {
    count: String,
    cnonce: String,
}

impl Answer {
    pub fn parse(value: &str) -> Option<Answer> {
        let params = Params::parse(value)?;
        let qop = match params.take("qop") {
            None => None,
            Some(qop) if qop.eq_ignore_ascii_case("auth") => {
                Some(Qop { count: params.take("nc")?, cnonce: params.take("cnonce")? })
            }
            Some(_) => return None,
        };
        Some(Answer {
            user: params.take("username")?,
            realm: params.take("realm")?,
            nonce: params.take("nonce")?,
            uri: params.take("uri")?,
            response: params.take("response")?.to_ascii_lowercase(),
            algorithm: Algorithm::parse(params.take("algorithm").as_deref())?,
            qop,
        })
    }

    /// Which use of its nonce this is, from 1; `None` in the form without `qop`.
    pub fn count(&self) -> Option<u32> {
        u32::from_str_radix(&self.qop.as_ref()?.count, 16).ok()
    }

    /// Was it made with this user and password for `method`? Nonce and URI are the caller's to judge.
    pub fn proves(&self, user: &str, password: &str, method: &str) -> bool {
        let secret = Secret { user, realm: &self.realm, password };
        let wanted = compute(self.algorithm, &secret, &self.nonce, self.qop.as_ref(), method, &self.uri);
        self.user == user && same(wanted.as_bytes(), self.response.as_bytes())
    }
}

struct Secret<'a> {
    user: &'a str,
    realm: &'a str,
    password: &'a str,
}

fn compute(
    algorithm: Algorithm,
    secret: &Secret<'_>,
    nonce: &str,
    qop: Option<&Qop>,
    method: &str,
    uri: &str,
) -> String {
    let ha1 = algorithm.hash(&format!("{}:{}:{}", secret.user, secret.realm, secret.password));
    let ha2 = algorithm.hash(&format!("{method}:{uri}"));
    match qop {
        Some(Qop { count, cnonce }) => algorithm.hash(&format!("{ha1}:{nonce}:{count}:{cnonce}:auth:{ha2}")),
        None => algorithm.hash(&format!("{ha1}:{nonce}:{ha2}")),
    }
}

/// Compares without telling by its duration where the two differ.
fn same(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && one.iter().zip(other).fold(0, |diff, (a, b)| diff | (a ^ b)) == 0
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

struct Params<'a>(Vec<(&'a str, Option<String>)>);

impl<'a> Params<'a> {
    fn parse(value: &'a str) -> Option<Params<'a>> {
        let (scheme, rest) = value.trim().split_once([' ', '\t'])?;
        let known = scheme.eq_ignore_ascii_case("Digest");
        known.then(|| Params(split_outside_quotes(rest, ',').map(split_param).collect()))
    }

    fn take(&self, name: &str) -> Option<String> {
        self.0.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).and_then(|(_, value)| value.clone())
    }
}

/// Makes nonces that only we can have made, for one Call-ID and a few minutes.
#[derive(Clone)]
pub struct NonceKey([u8; 32]);

/// How long a nonce may be answered.
pub(crate) const NONCE_SECONDS: u64 = 300;

impl NonceKey {
    pub fn new(key: [u8; 32]) -> Self {
        NonceKey(key)
    }

    /// `salt` is 16 characters that were never used before: two challenges of one second differ.
    pub fn nonce(&self, call_id: &str, salt: &str, unix_seconds: u64) -> String {
        let head = format!("{unix_seconds:016x}{salt}");
        format!("{head}{}", self.seal(call_id, &head))
    }

    pub fn is_ours(&self, nonce: &str, call_id: &str, unix_seconds: u64) -> bool {
        let Some((head, seal)) = nonce.split_at_checked(32) else { return false };
        let Some(Ok(made)) = head.get(..16).map(|stamp| u64::from_str_radix(stamp, 16)) else { return false };
        let fresh = made <= unix_seconds && unix_seconds - made <= NONCE_SECONDS;
        fresh && same(seal.as_bytes(), self.seal(call_id, head).as_bytes())
    }

    /// The key stands before and after the text, and the text's length is fixed by its own hash.
    fn seal(&self, call_id: &str, head: &str) -> String {
        let text = Sha256::new()
            .chain_update(self.0)
            .chain_update(Sha256::digest(head.as_bytes()))
            .chain_update(Sha256::digest(call_id.as_bytes()))
            .chain_update(self.0)
            .finalize();
        hex::encode(&text[..16])
    }
}

/// The clock of nonces.
pub(crate) fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    const RFC7616: &str = r#"Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=ALG,
        nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS""#;

    fn rfc7616(algorithm: &str) -> String {
        let value = RFC7616.replace("ALG", algorithm).replace('\n', " ");
        let challenge = Challenge::parse(&value).unwrap();
        challenge.answer(
            "Mufasa",
            "Circle of Life",
            "GET",
            "/dir/index.html",
            "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
            1,
        )
    }

    #[test]
    fn the_examples_of_rfc_7616_come_out_as_printed_there() {
        assert!(rfc7616("MD5").contains(r#"response="8ca523f5e9506fed4657c9700eebdbec""#));
        assert!(
            rfc7616("SHA-256")
                .contains(r#"response="753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1""#)
        );
    }

    #[test]
    fn the_example_of_rfc_2617_comes_out_as_printed_there() {
        let challenge = Challenge::parse(
            r#"Digest realm="testrealm@host.com", qop="auth,auth-int", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", opaque="5ccc069c403ebaf9f0171e9517f40e41""#,
        ).unwrap();
        let answer = challenge.answer("Mufasa", "Circle Of Life", "GET", "/dir/index.html", "0a4f113b", 1);
        assert!(answer.contains(r#"response="6629fae49393a05397450978507c4ef1""#), "{answer}");
        assert!(answer.contains("nc=00000001") && answer.contains(r#"opaque="5ccc069c403ebaf9f0171e9517f40e41""#));
        assert!(!answer.contains("algorithm"), "unnamed in the challenge, unnamed in the answer");
    }

    #[test]
    fn without_qop_the_old_form_is_used() {
        let challenge = Challenge::parse(r#"Digest realm="LiveKit", nonce="abc", algorithm=MD5"#).unwrap();
        let value = challenge.answer("alice", "pw", "INVITE", "sip:1@h", "unused", 1);
        assert!(!value.contains("cnonce") && !value.contains("qop"));
        let ha1 = Algorithm::Md5.hash("alice:LiveKit:pw");
        let ha2 = Algorithm::Md5.hash("INVITE:sip:1@h");
        assert!(value.contains(&Algorithm::Md5.hash(&format!("{ha1}:abc:{ha2}"))));
    }

    #[test]
    fn sha_256_is_preferred_when_both_are_offered_in_either_order() {
        let md5 = r#"Digest realm="r", nonce="n1", algorithm=MD5"#;
        let sha = r#"Digest realm="r", nonce="n2", algorithm=SHA-256, qop="auth""#;
        for values in [[md5, sha], [sha, md5]] {
            assert_eq!(Challenge::choose(values.into_iter()).unwrap().nonce, "n2");
        }
    }

    #[test]
    fn challenges_we_cannot_answer_are_passed_over() {
        let bad = [
            r#"Basic realm="r""#,
            r#"Digest realm="r", nonce="n", algorithm=SHA-512-256"#,
            r#"Digest realm="r", nonce="n", qop="auth-int""#,
            r#"Digest realm="r""#,
            "",
        ];
        assert_eq!(Challenge::choose(bad.into_iter()), None);
    }

    #[test]
    fn our_answer_passes_our_own_check_and_a_wrong_password_does_not() {
        for algorithm in ["MD5", "SHA-256"] {
            for qop in ["", r#", qop="auth""#] {
                let challenge =
                    Challenge::parse(&format!(r#"Digest realm="a \"b\"", nonce="n", algorithm={algorithm}{qop}"#))
                        .unwrap();
                let answer = Answer::parse(&challenge.answer("bob", "pw", "INVITE", "sip:x", "c", 1)).unwrap();
                assert!(answer.proves("bob", "pw", "INVITE"));
                assert!(!answer.proves("bob", "other", "INVITE"));
                assert!(!answer.proves("eve", "pw", "INVITE"));
                assert!(!answer.proves("bob", "pw", "REGISTER"));
            }
        }
    }

    #[test]
    fn a_nonce_is_good_for_its_call_and_five_minutes() {
        let key = NonceKey::new([7; 32]);
        let nonce = key.nonce("call-1", "0123456789abcdef", 1000);
        assert_ne!(nonce, key.nonce("call-1", "fedcba9876543210", 1000));
        assert!(key.is_ours(&nonce, "call-1", 1000) && key.is_ours(&nonce, "call-1", 1300));
        assert!(!key.is_ours(&nonce, "call-1", 1301), "too old");
        assert!(!key.is_ours(&nonce, "call-1", 999), "from the future");
        assert!(!key.is_ours(&nonce, "call-2", 1000), "another call's");
        assert!(!NonceKey::new([8; 32]).is_ours(&nonce, "call-1", 1000), "another box's");
        assert!(!key.is_ours("short", "call-1", 1000));
    }
}
