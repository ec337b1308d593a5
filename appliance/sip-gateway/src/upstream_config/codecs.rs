//! Which codecs does livekit-sip's `codecs` leave?
//!
//! It names codecs as `a=rtpmap` does, with or without the rate, and switches each on or off. The order is upstream's:
//! G.722 first. That costs nothing here, for the room has Opus anyway.

use super::{UpstreamError, unusable};
use crate::config::Codec;
use std::collections::BTreeMap;

/// `G722/8000: false`
pub type Switches = BTreeMap<String, bool>;

const OURS: [(&str, Codec); 3] = [("G722", Codec::G722), ("PCMU", Codec::Pcmu), ("PCMA", Codec::Pcma)];
/// Always there: without digits a phone could not talk to a menu.
const DIGITS: &str = "telephone-event";

/// What is left, best first.
pub fn spoken(switches: &Option<Switches>) -> Result<Vec<Codec>, UpstreamError> {
    let off = |name: &str| all(switches).any(|(key, on)| !on && is(key, name));
    let codecs: Vec<_> = OURS.into_iter().filter(|(name, _)| !off(name)).map(|(_, codec)| codec).collect();
    if codecs.is_empty() {
        return Err(unusable("codecs", "switches all of G722, PCMU and PCMA off: leave one on"));
    }
    Ok(codecs)
}

/// Codecs that are wanted and unknown here, and digits that are not wanted.
pub fn without_effect(switches: &Option<Switches>) -> impl Iterator<Item = String> {
    let ours = |key: &str| OURS.iter().any(|(name, _)| is(key, name));
    let lost = all(switches).filter(move |(key, on)| if is(key, DIGITS) { !*on } else { *on && !ours(key) });
    lost.map(|(key, _)| format!("codecs.{key}"))
}

fn all(switches: &Option<Switches>) -> impl Iterator<Item = (&str, bool)> {
    switches.iter().flatten().map(|(key, on)| (key.as_str(), *on))
}

fn is(key: &str, name: &str) -> bool {
    let key = key.strip_suffix("/8000").unwrap_or(key);
    key.eq_ignore_ascii_case(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn switches(of: &[(&str, bool)]) -> Option<Switches> {
        Some(of.iter().map(|(key, on)| ((*key).to_owned(), *on)).collect())
    }

    #[test]
    fn g722_comes_first_and_what_is_switched_off_is_not_spoken() {
        assert_eq!(spoken(&None).unwrap(), [Codec::G722, Codec::Pcmu, Codec::Pcma]);
        let some = switches(&[("g722", false), ("PCMA/8000", false), ("PCMU", true)]);
        assert_eq!(spoken(&some).unwrap(), [Codec::Pcmu]);
        let none = spoken(&switches(&[("G722", false), ("PCMU", false), ("PCMA", false)])).unwrap_err();
        assert!(none.to_string().starts_with("codecs: "), "{none}");
    }

    #[test]
    fn codecs_that_nobody_here_speaks_are_named_when_they_are_wanted() {
        let asked = switches(&[("AMR-WB/16000", true), ("AMR", false), ("telephone-event/8000", true), ("G722", true)]);
        assert_eq!(without_effect(&asked).collect::<Vec<_>>(), ["codecs.AMR-WB/16000"]);
    }
}
