//! How do two phones tell each other their keys? `a=crypto` (RFC 4568), over a signalling that is secret itself.

use crate::srtp::{Key, Suite};
use base64::{Engine, prelude::BASE64_STANDARD};

/// One `a=crypto` line that we could use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crypto {
    pub tag: u32,
    pub key: Key,
}

impl Crypto {
    /// `1 AES_CM_128_HMAC_SHA1_80 inline:…|2^31`. None for a suite we do not know, a second key, a master key
    /// identifier, or a parameter that would change the packets: the other side has to offer something else.
    pub fn parse(value: &str) -> Option<Crypto> {
        let mut words = value.split_ascii_whitespace();
        let tag = words.next()?.parse().ok()?;
        let suite = Suite::named(words.next()?)?;
        let inline = words.next()?.strip_prefix("inline:")?;
        let mut parts = inline.split('|');
        let secret = BASE64_STANDARD.decode(parts.next()?).ok()?;
        let lifetime_only = parts.all(|part| !part.contains(':'));
        let ordinary = words.all(|parameter| parameter.starts_with("WSH="));
        (lifetime_only && ordinary && !inline.contains(';')).then_some(())?;
        Some(Crypto { tag, key: Key::new(suite, secret)? })
    }

    /// The line without `a=crypto:`.
    pub fn value(&self) -> String {
        format!("{} {} inline:{}", self.tag, self.key.suite().name(), BASE64_STANDARD.encode(self.key.secret()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4568 section 6.1, the example.
    const LINE: &str = "1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj";

    #[test]
    fn a_line_is_read_and_written_as_the_rfc_shows_it() {
        let crypto = Crypto::parse(LINE).unwrap();
        assert_eq!((crypto.tag, crypto.key.suite()), (1, Suite::AesCm128HmacSha1_80));
        assert_eq!(crypto.value(), LINE);
        assert_eq!(Crypto::parse(&format!("{LINE}|2^20 WSH=64")), Some(crypto));
    }

    #[test]
    fn lines_that_ask_for_what_we_do_not_do_are_passed_over() {
        for line in [
            "",
            "1 AES_CM_128_HMAC_SHA1_80",
            "x AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj",
            "1 F8_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj",
            "1 AES_CM_128_HMAC_SHA1_80 inline:c2hvcnQ=",
        ] {
            assert_eq!(Crypto::parse(line), None, "{line}");
        }
        for more in ["|2^20|1:4", " UNENCRYPTED_SRTP", " KDR=1", ";inline:x"] {
            assert_eq!(Crypto::parse(&format!("{LINE}{more}")), None, "{more}");
        }
    }
}
