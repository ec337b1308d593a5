//! How does a call end whose peer is gone without a word? (RFC 4028)
//!
//! Both sides agree on an interval and on who refreshes; if nobody does, both hang up. The rules are pure:
//! headers in, agreement and headers out. [`crate::dialog_session`] keeps the time.

use crate::header::list;
use crate::message::{HeaderList, Headers};
use std::time::Duration;

/// What we ask for in seconds, as RFC 4028 recommends.
pub(crate) const WISH: u32 = 1800;
/// The least we bear (section 5: never below 90 s).
pub(crate) const LEAST: u32 = 90;

/// What both sides agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Agreed {
    pub interval: Duration,
    pub we_refresh: bool,
}

impl Agreed {
    /// From the last refresh to ours.
    pub fn refresh_after(&self) -> Duration {
        self.interval / 2
    }

    /// From the last refresh to the BYE of whoever waited in vain (section 10).
    pub fn end_after(&self) -> Duration {
        self.interval - Duration::from_secs(32).min(self.interval / 3)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refresher {
    /// Whoever sent this request.
    Uac,
    Uas,
}

/// What a refresh, or the INVITE, says of us.
pub(crate) fn wish(interval: u32, least: u32) -> HeaderList {
    [("Supported", "timer".to_owned()), ("Session-Expires", interval.to_string()), ("Min-SE", least.to_string())]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec()
}

/// The interval and, if named, who refreshes: `1800;refresher=uac`.
fn session_expires(headers: &Headers) -> Option<(u32, Option<Refresher>)> {
    let mut parts = headers.first("Session-Expires")?.split(';').map(str::trim);
    let interval = parts.next()?.parse().ok()?;
    let refresher = parts.find_map(|part| match part.to_ascii_lowercase().as_str() {
        "refresher=uac" => Some(Refresher::Uac),
        "refresher=uas" => Some(Refresher::Uas),
        _ => None,
    });
    Some((interval, refresher))
}

pub(crate) fn supported(headers: &Headers) -> bool {
    ["Supported", "Require"]
        .iter()
        .any(|name| list(headers.all(name)).iter().any(|tag| tag.eq_ignore_ascii_case("timer")))
}

/// Asks for less than we bear and could do with more: 422.
pub(crate) fn too_small(headers: &Headers) -> bool {
    supported(headers) && session_expires(headers).is_some_and(|(interval, _)| interval < LEAST)
}

/// What a 422 wants at least.
pub(crate) fn wanted(headers: &Headers) -> Option<u32> {
    headers.first("Min-SE")?.split(';').next()?.trim().parse().ok()
}

/// Our side of a peer's INVITE or UPDATE: the agreement and what our 2xx says of it. A peer that does not know
/// timers gets none: it could not refresh, and a refresh of ours would tell nothing that its audio does not.
pub(crate) fn answer_to(request: &Headers) -> Option<(Agreed, HeaderList)> {
    if !supported(request) {
        return None;
    }
    let asked = session_expires(request);
    let (interval, refresher) = asked.unwrap_or((WISH, None));
    let interval = interval.max(wanted(request).unwrap_or(0)).max(LEAST);
    let we_refresh = refresher == Some(Refresher::Uas);
    let who = if we_refresh { "uas" } else { "uac" };
    let mut headers = vec![("Session-Expires".to_owned(), format!("{interval};refresher={who}"))];
    if !we_refresh {
        headers.push(("Require".to_owned(), "timer".to_owned()));
    }
    headers.push(("Supported".to_owned(), "timer".to_owned()));
    Some((Agreed { interval: Duration::from_secs(interval.into()), we_refresh }, headers))
}

/// What the 2xx to a request of ours agreed to; none without Session-Expires (section 7.2).
pub(crate) fn agreed_by(answer: &Headers) -> Option<Agreed> {
    let (interval, refresher) = session_expires(answer)?;
    let interval = Duration::from_secs(interval.max(1).into());
    Some(Agreed { interval, we_refresh: refresher != Some(Refresher::Uas) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> Headers {
        let mut headers = Headers::default();
        pairs.iter().for_each(|(name, value)| headers.push(name, *value));
        headers
    }

    fn seconds(agreed: Agreed) -> (u64, bool) {
        (agreed.interval.as_secs(), agreed.we_refresh)
    }

    #[test]
    fn a_caller_with_timers_gets_the_interval_it_asked_for_and_refreshes_unless_it_says_otherwise() {
        let (agreed, said) =
            answer_to(&headers(&[("Supported", "100rel, timer"), ("Session-Expires", "600")])).unwrap();
        assert_eq!(seconds(agreed), (600, false));
        assert_eq!(said[0].1, "600;refresher=uac");
        assert_eq!(said[1], ("Require".to_owned(), "timer".to_owned()));
        let asked = headers(&[("Supported", "timer"), ("Session-Expires", "600 ; refresher=UAS")]);
        let (agreed, said) = answer_to(&asked).unwrap();
        assert_eq!(seconds(agreed), (600, true));
        assert_eq!(said[0].1, "600;refresher=uas");
        assert!(said.iter().all(|(name, _)| name != "Require"));
    }

    #[test]
    fn a_caller_with_timers_that_asks_for_nothing_gets_our_interval_and_its_own_least() {
        let (agreed, _) = answer_to(&headers(&[("Supported", "timer")])).unwrap();
        assert_eq!(seconds(agreed), (1800, false));
        let (agreed, _) = answer_to(&headers(&[("Supported", "timer"), ("Min-SE", "3600")])).unwrap();
        assert_eq!(seconds(agreed), (3600, false));
    }

    #[test]
    fn a_caller_without_timers_gets_none() {
        assert_eq!(answer_to(&headers(&[("Supported", "100rel")])), None);
        assert_eq!(answer_to(&headers(&[("Session-Expires", "600")])), None);
    }

    #[test]
    fn less_than_ninety_seconds_is_too_small_from_whoever_could_ask_again() {
        assert!(too_small(&headers(&[("Supported", "timer"), ("Session-Expires", "89")])));
        assert!(!too_small(&headers(&[("Supported", "timer"), ("Session-Expires", "90")])));
        assert!(!too_small(&headers(&[("Session-Expires", "30")])));
        assert_eq!(wanted(&headers(&[("Min-SE", " 120 ;x=y")])), Some(120));
        assert_eq!(wanted(&headers(&[("Min-SE", "soon")])), None);
    }

    #[test]
    fn a_phone_that_names_nobody_leaves_refreshing_to_us() {
        assert_eq!(agreed_by(&headers(&[("Session-Expires", "300")])).map(seconds), Some((300, true)));
        assert_eq!(agreed_by(&headers(&[("Session-Expires", "300;refresher=uas")])).map(seconds), Some((300, false)));
        assert_eq!(agreed_by(&headers(&[("Session-Expires", "never")])), None);
        assert_eq!(agreed_by(&headers(&[])), None);
    }

    #[test]
    fn the_refresh_is_at_half_time_and_the_end_a_little_before_the_interval_is_over() {
        let agreed = |seconds| Agreed { interval: Duration::from_secs(seconds), we_refresh: true };
        assert_eq!(agreed(1800).refresh_after().as_secs(), 900);
        assert_eq!(agreed(1800).end_after().as_secs(), 1768);
        assert_eq!(agreed(90).end_after().as_secs(), 60);
    }
}
