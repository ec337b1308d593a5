//! Telephone numbers in the one spelling we store: E.164, `+` and 1 to 15 digits.

use serde::{Deserialize, Deserializer, Serialize};
use std::{fmt, str::FromStr};

/// Why a text is not an E.164 number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an E.164 number: write + and 1 to 15 digits, the first not 0")]
pub struct NumberError(pub String);

/// ITU-T E.164: `+`, then 1 to 15 digits that do not start with 0.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct E164(String);

impl E164 {
    /// With the leading `+`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Without the `+`.
    pub fn digits(&self) -> &str {
        &self.0[1..]
    }

    /// The spellings in which carriers deliver this number: `+31…`, `0031…`, `31…`.
    ///
    /// The national form (`020…`) needs the trunk's country code; see [`E164::national`].
    pub fn spellings(&self) -> Vec<String> {
        vec![self.0.clone(), format!("00{}", self.digits()), self.digits().to_owned()]
    }

    /// `020…` for `+3120…` when `country` is `31`; nothing for another country.
    pub fn national(&self, country: &str) -> Option<String> {
        self.digits().strip_prefix(country).map(|rest| format!("0{rest}"))
    }
}

impl FromStr for E164 {
    type Err = NumberError;

    fn from_str(text: &str) -> Result<Self, NumberError> {
        let digits = text.strip_prefix('+').unwrap_or_default();
        let fine =
            (1..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0');
        fine.then(|| Self(text.to_owned())).ok_or_else(|| NumberError(text.to_owned()))
    }
}

impl fmt::Display for E164 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for E164 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for E164 {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_every_spelling_a_carrier_may_deliver() {
        let number: E164 = "+31201234567".parse().unwrap();
        assert_eq!(number.spellings(), ["+31201234567", "0031201234567", "31201234567"]);
        assert_eq!(number.national("31").as_deref(), Some("0201234567"));
        assert_eq!(number.national("49"), None);
    }

    #[test]
    fn texts_that_are_not_e164_are_refused() {
        for text in ["", "+", "31201234567", "+0201234567", "+31 20", "+1234567890123456"] {
            assert!(text.parse::<E164>().is_err(), "{text}");
        }
    }
}
