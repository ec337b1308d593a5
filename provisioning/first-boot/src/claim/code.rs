//! What does a claim code look like, and is a typed one right?
//!
//! Ten of 32 characters that nobody mixes up (no 0 O 1 I), written `XXXXX-XXXXX`: 50 bits. Only a
//! salted hash of it leaves the root-only file that the local screen reads.

use hmac::{Hmac, Mac, digest::InvalidLength};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use std::fmt;

const LETTERS: &[u8; 32] = b"23456789ABCDEFGHJKLMNPQRSTUVWXYZ";
const LENGTH: usize = 10;

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClaimCode(String);

impl ClaimCode {
    pub fn random() -> Self {
        let letter = |_| char::from(LETTERS[usize::from(rand::random::<u8>()) % LETTERS.len()]);
        Self((0..LENGTH).map(letter).collect())
    }

    /// Reads what a person typed: small letters, blanks and dashes do not matter.
    pub fn parse(typed: &str) -> Option<Self> {
        let letters: String =
            typed.chars().filter(|c| !c.is_whitespace() && *c != '-').map(|c| c.to_ascii_uppercase()).collect();
        let ours = |c: char| u8::try_from(c).is_ok_and(|byte| LETTERS.contains(&byte));
        (letters.len() == LENGTH && letters.chars().all(ours)).then_some(Self(letters))
    }
}

impl fmt::Display for ClaimCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (left, right) = self.0.split_at(self.0.len() / 2);
        write!(f, "{left}-{right}")
    }
}

/// Enough to check a code, not to know it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CodeHash {
    pub salt: String,
    pub hash: String,
}

impl CodeHash {
    pub fn of(code: &ClaimCode, salt: String) -> Result<Self, InvalidLength> {
        let hash = hex::encode(digest(&salt, code)?.finalize().into_bytes());
        Ok(Self { salt, hash })
    }

    /// Takes as long for a wrong code as for a right one.
    pub fn matches(&self, typed: &ClaimCode) -> bool {
        let Ok(wanted) = hex::decode(&self.hash) else { return false };
        digest(&self.salt, typed).is_ok_and(|typed| typed.verify_slice(&wanted).is_ok())
    }
}

fn digest(salt: &str, code: &ClaimCode) -> Result<Hmac<Sha256>, InvalidLength> {
    Ok(Hmac::<Sha256>::new_from_slice(salt.as_bytes())?.chain_update(code.0.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_recognised_however_it_is_typed() {
        let code = ClaimCode::parse("ABCDE-23456").unwrap();
        let hash = CodeHash::of(&code, "salt".into()).unwrap();
        for typed in ["ABCDE-23456", "abcde23456", " AbCdE 23456 "] {
            assert!(hash.matches(&ClaimCode::parse(typed).unwrap()), "{typed}");
        }
        assert!(!hash.matches(&ClaimCode::parse("ABCDE-23457").unwrap()));
    }

    #[test]
    fn what_cannot_be_a_code_is_not_one() {
        for typed in ["", "ABCDE-2345", "ABCDE-234567", "ABCDE-2345O", "ABCDE-2345é"] {
            assert!(ClaimCode::parse(typed).is_none(), "{typed}");
        }
    }

    #[test]
    fn every_made_code_can_be_typed_back_and_two_differ() {
        let (one, two) = (ClaimCode::random(), ClaimCode::random());
        assert!(ClaimCode::parse(&one.to_string()) == Some(one.clone()));
        assert!(one != two);
    }

    #[test]
    fn the_same_code_hashes_differently_under_another_salt() {
        let code = ClaimCode::random();
        assert_ne!(CodeHash::of(&code, "a".into()).unwrap().hash, CodeHash::of(&code, "b".into()).unwrap().hash);
    }
}
