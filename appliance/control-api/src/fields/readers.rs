//! Readers for [`super::Fields`]: each says what a value must look like.

use super::Wrong;
use serde_json::Value;
use std::{net::IpAddr, ops::RangeInclusive, str::FromStr};
use store::sql::Choice;
use types::IdError;

type Read<T> = Result<T, Wrong>;

/// A text of `length` characters without control characters, trimmed.
pub fn text(length: RangeInclusive<usize>) -> impl Fn(&Value) -> Read<String> {
    move |value| {
        let text = string(value)?.trim();
        match text.chars().count() {
            0 if *length.start() > 0 => Err(Wrong::new("required", "must not be empty")),
            n if n < *length.start() => Err(Wrong::new("too_short", format!("at least {} characters", length.start()))),
            n if n > *length.end() => Err(Wrong::new("too_long", format!("at most {} characters", length.end()))),
            _ if text.chars().any(|c| c.is_control() && c != '\n') => {
                Err(Wrong::new("invalid_text", "must not hold control characters"))
            }
            _ => Ok(text.to_owned()),
        }
    }
}

/// A secret, taken as it is.
pub fn secret(length: RangeInclusive<usize>) -> impl Fn(&Value) -> Read<String> {
    move |value| {
        let text = string(value)?;
        match text.chars().count() {
            n if n < *length.start() => Err(Wrong::new("too_short", format!("at least {} characters", length.start()))),
            n if n > *length.end() => Err(Wrong::new("too_long", format!("at most {} characters", length.end()))),
            _ if text.chars().any(char::is_control) => {
                Err(Wrong::new("invalid_text", "must not hold control characters"))
            }
            _ => Ok(text.to_owned()),
        }
    }
}

pub fn boolean(value: &Value) -> Read<bool> {
    value.as_bool().ok_or_else(|| Wrong::new("invalid_type", "must be true or false"))
}

/// A whole number in `range`.
pub fn integer<T>(range: RangeInclusive<i64>) -> impl Fn(&Value) -> Read<T>
where
    T: TryFrom<i64>,
{
    move |value| {
        let between = || format!("must be a whole number from {} to {}", range.start(), range.end());
        let number = value.as_i64().ok_or_else(|| Wrong::new("invalid_type", between()))?;
        let fits = range.contains(&number).then_some(number).and_then(|number| T::try_from(number).ok());
        fits.ok_or_else(|| Wrong::new("out_of_range", between()))
    }
}

/// One of an enum's values.
pub fn choice<T: Choice>(value: &Value) -> Read<T> {
    let known = || Wrong::new("unknown_value", format!("must be one of {}", T::ALL.join(", ")));
    string(value)?.parse().map_err(|_| known())
}

/// An id of the right noun; whether it exists is for the database.
pub fn id<T: FromStr<Err = IdError>>(value: &Value) -> Read<T> {
    string(value)?.parse().map_err(|err| Wrong::new("invalid_id", err))
}

/// Anything that reads itself from text; the error's words go to the client.
pub fn parsed<T: FromStr<Err: std::fmt::Display>>(code: &'static str) -> impl Fn(&Value) -> Read<T> {
    move |value| string(value)?.parse().map_err(|err| Wrong::new(code, err))
}

/// A text that must read as a `T` but is kept as it was written.
pub fn spelled<T: FromStr<Err: std::fmt::Display>>(code: &'static str) -> impl Fn(&Value) -> Read<String> {
    move |value| {
        let text = string(value)?;
        text.parse::<T>().map(|_| text.to_owned()).map_err(|err| Wrong::new(code, err))
    }
}

/// A list of at most `most`; the first wrong item is named.
pub fn list<T>(most: usize, read: impl Fn(&Value) -> Read<T>) -> impl Fn(&Value) -> Read<Vec<T>> {
    move |value| {
        let items = value.as_array().ok_or_else(|| Wrong::new("invalid_type", "must be a list"))?;
        if items.len() > most {
            return Err(Wrong::new("too_many", format!("at most {most}")));
        }
        let each = items.iter().enumerate();
        each.map(|(at, item)| read(item).map_err(|wrong| wrong.under(&format!("[{at}]")))).collect()
    }
}

/// A member of an object inside a list.
pub fn member<T>(object: &Value, name: &str, read: impl Fn(&Value) -> Read<T>) -> Read<T> {
    let place = format!(".{name}");
    let value = object.get(name).filter(|value| !value.is_null());
    let value = value.ok_or_else(|| Wrong::new("required", "is required").under(&place))?;
    read(value).map_err(|wrong| wrong.under(&place))
}

/// An object that has no members but these.
pub fn only(object: &Value, known: &[&str]) -> Read<()> {
    let members = object.as_object().ok_or_else(|| Wrong::new("invalid_type", "must be an object"))?;
    match members.keys().find(|name| !known.contains(&name.as_str())) {
        Some(name) => Err(Wrong::new("unknown_field", "is not a field here").under(&format!(".{name}"))),
        None => Ok(()),
    }
}

/// An IANA time zone, or `UTC`.
pub fn timezone(value: &Value) -> Read<String> {
    let name = string(value)?;
    jiff::tz::TimeZone::get(name).map(|_| name.to_owned()).map_err(|_| {
        Wrong::new("unknown_timezone", format!("`{name}` is not a time zone")).hint("an IANA name, as Europe/Amsterdam")
    })
}

/// An address or network, `192.0.2.7` or `192.0.2.0/24`.
pub fn network(value: &Value) -> Read<String> {
    let text = string(value)?;
    let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
    let wrong = || {
        Wrong::new("invalid_address", format!("`{text}` is not an IP address or network"))
            .hint("as 192.0.2.7 or 192.0.2.0/24")
    };
    let address: IpAddr = address.parse().map_err(|_| wrong())?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    match bits.map(u8::from_str) {
        None => Ok(text.to_owned()),
        Some(Ok(bits)) if bits <= most => Ok(text.to_owned()),
        _ => Err(wrong()),
    }
}

/// `host` or `host:port`, without a scheme.
pub fn host_port(value: &Value) -> Read<String> {
    let text = string(value)?.trim();
    let wrong = || {
        Wrong::new("invalid_address", format!("`{text}` is not a host or host:port"))
            .hint("as sip.carrier.example or 192.0.2.7:5060, without sip:")
    };
    let (host, port) = split_host_port(text);
    let port_fine = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
    if port_fine && is_host(host) { Ok(text.to_owned()) } else { Err(wrong()) }
}

/// The parts of `host`, `host:port`, `[v6]` or `[v6]:port`.
pub fn split_host_port(text: &str) -> (&str, Option<&str>) {
    if let Some((host, rest)) = text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return (host, rest.strip_prefix(':'));
    }
    match text.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') => (host, Some(port)),
        _ => (text, None),
    }
}

fn is_host(host: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    host.parse::<IpAddr>().is_ok()
        || (host.len() <= 253 && host.trim_end_matches('.').split('.').all(label) && !looks_numeric(host))
}

/// `300.1.2.3` is a mistyped address, not a name.
fn looks_numeric(host: &str) -> bool {
    host.bytes().all(|b| b.is_ascii_digit() || b == b'.')
}

/// An e-mail address, as far as it can be known without sending a mail.
pub fn email(value: &Value) -> Read<String> {
    let text = string(value)?.trim();
    let fine = text
        .split_once('@')
        .is_some_and(|(user, host)| !user.is_empty() && !host.is_empty() && !host.contains('@') && text.len() <= 254)
        && !text.chars().any(|c| c.is_whitespace() || c.is_control());
    let wrong = || Wrong::new("invalid_email", format!("`{text}` is not an e-mail address"));
    fine.then(|| text.to_lowercase()).ok_or_else(wrong)
}

/// Digits, `*` and `#`.
pub fn dialable(length: RangeInclusive<usize>) -> impl Fn(&Value) -> Read<String> {
    move |value| {
        let text = string(value)?;
        let fine = length.contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit() || b"*#".contains(&b));
        let wrong = || format!("{} to {} of 0-9 * #", length.start(), length.end());
        fine.then(|| text.to_owned()).ok_or_else(|| Wrong::new("invalid_number", wrong()))
    }
}

fn string(value: &Value) -> Read<&str> {
    value.as_str().ok_or_else(|| Wrong::new("invalid_type", "must be a text"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_server_is_a_host_with_or_without_a_port() {
        for fine in ["sip.example.com", "localhost:5060", "192.0.2.1", "192.0.2.1:5061", "[2001:db8::1]:5060"] {
            assert_eq!(host_port(&json!(fine)).as_deref(), Ok(fine));
        }
        for bad in ["", "sip:example.com", "a b", "host:0", "host:99999", "300.1.2.3", "-x.example", "a..b", "host:"] {
            assert_eq!(host_port(&json!(bad)).unwrap_err().code, "invalid_address", "{bad}");
        }
    }

    #[test]
    fn networks_have_a_prefix_that_fits() {
        for fine in ["192.0.2.7", "192.0.2.0/24", "2001:db8::/32"] {
            assert!(network(&json!(fine)).is_ok(), "{fine}");
        }
        for bad in ["192.0.2.0/33", "example.com", "192.0.2.0/", "/24", "192.0.2"] {
            assert!(network(&json!(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_wrong_item_of_a_list_is_named() {
        let wrong = list(3, network)(&json!(["192.0.2.7", "x"])).unwrap_err();
        assert_eq!((wrong.at.as_str(), wrong.code), ("[1]", "invalid_address"));
        assert_eq!(list(1, boolean)(&json!([true, true])).unwrap_err().code, "too_many");
    }
}
