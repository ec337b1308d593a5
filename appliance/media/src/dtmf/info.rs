//! Which key does a SIP INFO tell? Two bodies are in use: `application/dtmf-relay` (Cisco, RFC 2833's forerunner on
//! the signalling path) and `application/dtmf`.

use super::{digit_of, event_of};

/// The digit, in the spelling of [`digit_of`].
pub fn digit_of_info(content_type: &str, body: &[u8]) -> Option<char> {
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    let text = std::str::from_utf8(body).ok()?;
    let told = match kind.to_ascii_lowercase().as_str() {
        "application/dtmf-relay" => text.lines().find_map(signal)?,
        "application/dtmf" => text,
        _ => return None,
    };
    digit(told.trim())
}

/// `Signal=5`, with or without spaces.
fn signal(line: &str) -> Option<&str> {
    let (name, value) = line.split_once('=')?;
    name.trim().eq_ignore_ascii_case("signal").then_some(value)
}

/// `*` and `#` may also come as their event numbers.
fn digit(text: &str) -> Option<char> {
    let mut letters = text.chars();
    match (letters.next(), letters.next()) {
        (Some(letter), None) => digit_of(event_of(letter)?),
        (Some(_), Some(_)) => digit_of(text.parse().ok()?),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn both_bodies_tell_their_digit() {
        let relay = |text: &str| digit_of_info("application/dtmf-relay", text.as_bytes());
        assert_eq!(relay("Signal=5\r\nDuration=160\r\n"), Some('5'));
        assert_eq!(relay("Duration=100\nsignal = #"), Some('#'));
        assert_eq!(relay("Signal=10\r\n"), Some('*'));
        assert_eq!(relay("Signal=d"), Some('D'));
        assert_eq!(digit_of_info("Application/DTMF; charset=utf-8", b"11\r\n"), Some('#'));
        assert_eq!(digit_of_info("application/dtmf", b"0"), Some('0'));
    }

    #[test]
    fn anything_else_is_no_key() {
        assert_eq!(digit_of_info("application/dtmf-relay", b"Duration=160"), None);
        assert_eq!(digit_of_info("application/dtmf", b"16"), None);
        assert_eq!(digit_of_info("application/dtmf", b""), None);
        assert_eq!(digit_of_info("application/media_control+xml", b"5"), None);
    }

    proptest! {
        #[test]
        fn no_body_makes_the_reader_panic(body in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = digit_of_info("application/dtmf-relay", &body);
            let _ = digit_of_info("application/dtmf", &body);
        }
    }
}
