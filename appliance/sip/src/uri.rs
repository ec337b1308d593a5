//! Which user, host and port does a SIP URI name?

use std::borrow::Cow;

/// `sip:user@host:port;params`, `sips:` alike, and `tel:` with the number as its user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SipUri {
    pub scheme: String,
    pub user: String,
    pub host: String,
    pub port: Option<u16>,
    pub params: Vec<(String, Option<String>)>,
}

impl SipUri {
    pub fn parse(text: &str) -> Option<SipUri> {
        let (scheme, rest) = text.trim().split_once(':')?;
        let scheme = scheme.to_ascii_lowercase();
        if rest.contains(|c: char| c.is_whitespace() || c.is_control() || matches!(c, '<' | '>' | '"')) {
            return None;
        }
        match scheme.as_str() {
            "tel" => Some(SipUri::tel(rest)),
            "sip" | "sips" => SipUri::sip(scheme, rest),
            _ => None,
        }
    }

    fn tel(rest: &str) -> SipUri {
        let number = rest.split(';').next().unwrap_or(rest);
        SipUri { scheme: "tel".into(), user: number.to_owned(), host: String::new(), port: None, params: Vec::new() }
    }

    fn sip(scheme: String, rest: &str) -> Option<SipUri> {
        let (userinfo, place) = rest.rsplit_once('@').unwrap_or(("", rest));
        let user = userinfo.split(':').next().unwrap_or("");
        let user = user.split(';').next().unwrap_or(user);
        let place = place.split('?').next().unwrap_or(place);
        let mut parts = place.split(';');
        let place = parts.next()?;
        // Without brackets nobody knows where the port begins (RFC 5118 section 4.2).
        if place.parse::<std::net::Ipv6Addr>().is_ok() {
            return None;
        }
        let (host, port) = split_host_port(place)?;
        let params = parts.map(crate::header::split_param).map(|(name, value)| (name.to_owned(), value)).collect();
        Some(SipUri { scheme, user: unescape(user), host, port, params })
    }

    pub fn param(&self, name: &str) -> Option<&str> {
        let (_, value) = self.params.iter().find(|(key, _)| key.eq_ignore_ascii_case(name))?;
        Some(value.as_deref().unwrap_or(""))
    }
}

/// `%2B31` is `+31`.
pub(crate) fn unescape(user: &str) -> String {
    let bytes = user.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escaped = bytes.get(at + 1..at + 3).filter(|_| bytes[at] == b'%');
        let value = escaped.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        out.push(value.unwrap_or(bytes[at]));
        at += if value.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// `host`, `host:port`, `[v6]:port`, and a bare v6 address; `None` for no host or a port that is none.
pub fn split_host_port(text: &str) -> Option<(String, Option<u16>)> {
    let text = text.trim();
    if text.parse::<std::net::Ipv6Addr>().is_ok() {
        return Some((text.to_owned(), None));
    }
    let text = one_colon_less(text);
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            (host, if after.is_empty() { None } else { Some(after.strip_prefix(':')?) })
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text.as_ref(), None),
        },
    };
    let valid = |b: u8| b.is_ascii_alphanumeric() || b"-._:".contains(&b);
    if host.is_empty() || !host.bytes().all(valid) {
        return None;
    }
    let port = match port {
        None => None,
        Some(port) => Some(port.parse::<u16>().ok().filter(|port| *port > 0)?),
    };
    Some((host.to_owned(), port))
}

/// RFC 3261's grammar made some write `:::` for `::` in brackets; it can be read (RFC 5118 section 4.10).
pub(crate) fn one_colon_less(text: &str) -> Cow<'_, str> {
    match text.find('[').filter(|at| text[*at..].contains(":::")) {
        Some(at) => format!("{}{}", &text[..at], text[at..].replacen(":::", "::", 1)).into(),
        None => text.into(),
    }
}

/// A host as it stands in a URI: IPv6 in brackets.
pub fn bracketed(host: &str) -> String {
    match host.parse::<std::net::Ipv6Addr>() {
        Ok(v6) => format!("[{v6}]"),
        Err(_) => host.to_owned(),
    }
}

/// The host of `host[:port]`, as it stands in a URI.
pub fn host_of(place: &str) -> String {
    SipUri::parse(&format!("sip:{place}")).map_or_else(|| place.to_owned(), |uri| bracketed(&uri.host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_of_a_place_keeps_the_brackets_that_a_uri_needs() {
        assert_eq!(host_of("sip.carrier.example:5070"), "sip.carrier.example");
        assert_eq!(host_of("192.0.2.1"), "192.0.2.1");
        assert_eq!(host_of("[2001:db8::1]:5060"), "[2001:db8::1]");
    }

    #[test]
    fn user_host_port_and_parameters_are_told_apart() {
        let uri = SipUri::parse("sip:%2B31201110000;npdi:pw@Example.com:5070;transport=tcp;lr?X=y").unwrap();
        assert_eq!((uri.user.as_str(), uri.host.as_str(), uri.port), ("+31201110000", "Example.com", Some(5070)));
        assert_eq!((uri.param("Transport"), uri.param("lr")), (Some("tcp"), Some("")));
    }

    #[test]
    fn a_tel_uri_has_its_number_as_user() {
        assert_eq!(SipUri::parse("tel:+3120;phone-context=x").unwrap().user, "+3120");
    }

    #[test]
    fn what_is_no_address_gives_none() {
        for bad in [
            "",
            "sip:",
            "sip:a@",
            "http:x",
            "sip:a@b c",
            "sip:a@b:99999",
            "sip:a@b:",
            "sip:<a@b>",
            "a@b",
            "sip:::1",
            "sip:2001:db8::10",
        ] {
            assert_eq!(SipUri::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn ipv6_hosts_need_brackets_before_a_port() {
        assert_eq!(split_host_port("[2001:db8::1]:5060"), Some(("2001:db8::1".into(), Some(5060))));
        assert_eq!(split_host_port("::1"), Some(("::1".into(), None)));
        assert_eq!(split_host_port("[2001:db8:::1]:5060"), Some(("2001:db8::1".into(), Some(5060))));
        assert_eq!(bracketed("::1"), "[::1]");
    }
}
