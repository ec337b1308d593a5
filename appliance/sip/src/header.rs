//! What does a header value say?
//!
//! Small readers for the few fields we act on: name-addr, CSeq, Via, Reason, and the status line of
//! a `message/sipfrag` body. Each takes text and gives `None` when the text is not of that form.

use std::net::SocketAddr;

/// A `Reason` header (RFC 3326), as in `Q.850;cause=16;text="Terminated"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    pub protocol: String,
    pub cause: Option<u16>,
    pub text: Option<String>,
}

impl Reason {
    pub fn parse(value: &str) -> Option<Reason> {
        let mut parts = split_outside_quotes(value, ';');
        let protocol = parts.next().map(str::trim).filter(|p| !p.is_empty())?.to_owned();
        let mut reason = Reason { protocol, cause: None, text: None };
        for part in parts {
            match split_param(part) {
                ("cause", Some(cause)) => reason.cause = cause.parse().ok(),
                ("text", Some(text)) => reason.text = Some(text),
                _ => {}
            }
        }
        Some(reason)
    }
}

/// A From, To, Contact or route value: `"Display" <uri>;params`, or the bare form without brackets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameAddr {
    pub display: Option<String>,
    pub uri: String,
    pub params: Vec<(String, Option<String>)>,
}

impl NameAddr {
    pub fn parse(value: &str) -> Option<NameAddr> {
        let open = split_at_outside_quotes(value, '<');
        let (display, uri, rest) = match open {
            Some(open) => {
                let close = open + value[open..].find('>')?;
                (display_of(&value[..open]), &value[open + 1..close], &value[close + 1..])
            }
            None => {
                let end = value.find(';').unwrap_or(value.len());
                (None, value[..end].trim(), &value[end..])
            }
        };
        let uri = uri.trim();
        if uri.is_empty() || uri.contains(['"', '<', '>']) {
            return None;
        }
        let params = split_outside_quotes(rest, ';').skip(1).map(own_param).collect();
        Some(NameAddr { display, uri: uri.to_owned(), params })
    }

    pub fn param(&self, name: &str) -> Option<&str> {
        let (_, value) = self.params.iter().find(|(key, _)| key.eq_ignore_ascii_case(name))?;
        Some(value.as_deref().unwrap_or(""))
    }

    pub fn tag(&self) -> Option<&str> {
        self.param("tag").filter(|tag| !tag.is_empty())
    }
}

/// A From or To value with the white space taken out that the grammar allows around its parameters.
pub(crate) fn tightened(value: &str) -> Option<String> {
    let end = value.rfind('>').map_or(0, |at| at + 1);
    if !value[end..].contains(char::is_whitespace) {
        return None;
    }
    let address = NameAddr::parse(value)?;
    let mut out = address.display.as_deref().map(|name| quote(name) + " ").unwrap_or_default();
    out += &format!("<{}>", address.uri);
    for (name, value) in &address.params {
        out += &format!(";{name}");
        if let Some(value) = value {
            let plain = value.bytes().all(crate::message::is_token_byte);
            out += &format!("={}", if plain { value.clone() } else { quote(value) });
        }
    }
    Some(out)
}

/// The tag of a From or To value.
pub fn tag_of(value: &str) -> Option<String> {
    NameAddr::parse(value)?.tag().map(str::to_owned)
}

fn display_of(text: &str) -> Option<String> {
    let text = text.trim();
    let inner = text.strip_prefix('"').and_then(|t| t.strip_suffix('"'));
    let name = inner.map_or_else(|| text.to_owned(), unescape);
    (!name.is_empty()).then_some(name)
}

/// A display name as it goes on the wire.
pub fn quote(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars().filter(|c| !c.is_control()) {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
    out
}

fn unescape(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        out.extend(if c == '\\' { chars.next() } else { Some(c) });
    }
    out
}

/// `314159 INVITE`; the number must fit 31 bits (RFC 3261 section 8.1.1.5).
pub fn cseq(value: &str) -> Option<(u32, &str)> {
    let (number, method) = value.split_once([' ', '\t'])?;
    let digits = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    let number: u32 = number.parse().ok().filter(|_| digits)?;
    let method = method.trim();
    let sound = number < 1 << 31 && !method.is_empty() && method.bytes().all(crate::message::is_token_byte);
    sound.then_some((number, method))
}

/// The first entry of a Via field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Via {
    /// `SIP/2.0`, or what a message of another version says.
    pub protocol: String,
    pub transport: String,
    pub host: String,
    pub port: Option<u16>,
    pub params: Vec<(String, Option<String>)>,
}

impl Via {
    pub fn parse(value: &str) -> Option<Via> {
        let first = split_outside_quotes(value, ',').next()?;
        let mut parts = split_outside_quotes(first, ';');
        let is_token = |word: &&str| !word.is_empty() && word.bytes().all(crate::message::is_token_byte);
        let mut sent = parts.next()?.splitn(3, '/').map(str::trim);
        let protocol = format!("{}/{}", sent.next().filter(is_token)?, sent.next().filter(is_token)?);
        let mut words = sent.next()?.split_whitespace();
        let transport = words.next().filter(is_token)?.to_ascii_uppercase();
        let sent_by: String = words.collect();
        let (host, port) = crate::uri::split_host_port(&sent_by)?;
        Some(Via { protocol, transport, host, port, params: parts.map(verbatim_param).collect() })
    }

    pub fn param(&self, name: &str) -> Option<&str> {
        let (_, value) = self.params.iter().find(|(key, _)| key.eq_ignore_ascii_case(name))?;
        Some(value.as_deref().unwrap_or(""))
    }

    /// Where a response over UDP goes (RFC 3261 section 18.2.2, RFC 3581), for a request from `source`.
    pub fn response_address(&self, source: SocketAddr) -> SocketAddr {
        match self.param("rport") {
            Some(_) => source,
            None => SocketAddr::new(source.ip(), self.port.unwrap_or(5060)),
        }
    }

    /// A Via field with `received` and `rport` as the receiver of a request must write them.
    pub fn stamp(value: &str, source: SocketAddr) -> Option<String> {
        let mut entries = split_outside_quotes(value, ',');
        let mut via = Via::parse(entries.next()?)?;
        let wants_port = via.param("rport").is_some();
        via.params.retain(|(name, _)| !["rport", "received"].iter().any(|ours| name.eq_ignore_ascii_case(ours)));
        if wants_port || via.host.parse() != Ok(source.ip()) {
            via.params.push(("received".into(), Some(source.ip().to_string())));
        }
        if wants_port {
            via.params.push(("rport".into(), Some(source.port().to_string())));
        }
        let rest: String = entries.map(|entry| format!(",{entry}")).collect();
        Some(format!("{via}{rest}"))
    }
}

impl std::fmt::Display for Via {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{} {}", self.protocol, self.transport, crate::uri::bracketed(&self.host))?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        for (name, value) in &self.params {
            match value {
                Some(value) => write!(f, ";{name}={value}")?,
                None => write!(f, ";{name}")?,
            }
        }
        Ok(())
    }
}

/// Comma-separated values of a field that may also be repeated (Route, Record-Route, Require).
pub fn list<'a>(values: impl Iterator<Item = &'a str>) -> Vec<String> {
    values
        .flat_map(|value| split_outside_quotes(value, ','))
        .map(|item| item.trim().to_owned())
        .filter(|item| !item.is_empty())
        .collect()
}

/// Code and words of the status line that starts a `message/sipfrag` body.
pub fn sipfrag(body: &[u8]) -> Option<(u16, String)> {
    let text = std::str::from_utf8(body).ok()?;
    let line = text.trim_start().lines().next()?;
    let rest = line.strip_prefix("SIP/2.0")?.trim();
    let (code, reason) = rest.split_once(' ').unwrap_or((rest, ""));
    let code = code.parse().ok().filter(|code| (100..700).contains(code))?;
    Some((code, reason.trim().to_owned()))
}

fn own_param(part: &str) -> (String, Option<String>) {
    let (name, value) = split_param(part);
    (name.to_owned(), value)
}

/// As it stands, quotes included: it goes back to where it came from.
fn verbatim_param(part: &str) -> (String, Option<String>) {
    match part.split_once('=') {
        None => (part.trim().to_owned(), None),
        Some((name, value)) => (name.trim().to_owned(), Some(value.trim().to_owned())),
    }
}

/// `name=value`, `name="quoted"` or `name`; the name as it stands, trimmed.
pub(crate) fn split_param(part: &str) -> (&str, Option<String>) {
    match part.split_once('=') {
        None => (part.trim(), None),
        Some((name, value)) => {
            let value = value.trim();
            let inner = value.strip_prefix('"').and_then(|v| v.strip_suffix('"'));
            (name.trim(), Some(inner.map_or_else(|| value.to_owned(), unescape)))
        }
    }
}

fn split_at_outside_quotes(text: &str, wanted: char) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            c if c == wanted && !quoted => return Some(at),
            _ => {}
        }
    }
    None
}

/// Splits at `mark` where it is neither quoted nor inside `<>`.
pub(crate) fn split_outside_quotes(text: &str, mark: char) -> impl Iterator<Item = &str> {
    let mut pieces = Vec::new();
    let (mut quoted, mut escaped, mut depth, mut from) = (false, false, 0u32, 0);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '<' if !quoted => depth += 1,
            '>' if !quoted => depth = depth.saturating_sub(1),
            c if c == mark && !quoted && depth == 0 => {
                pieces.push(&text[from..at]);
                from = at + c.len_utf8();
            }
            _ => {}
        }
    }
    pieces.push(&text[from..]);
    pieces.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_addr_keeps_display_name_uri_and_tag_apart() {
        let from = NameAddr::parse(r#""A. \"G\" <Bell>, Jr" <sip:bell@example.com;user=phone>;tag=x1;other"#).unwrap();
        assert_eq!(from.display.as_deref(), Some(r#"A. "G" <Bell>, Jr"#));
        assert_eq!(from.uri, "sip:bell@example.com;user=phone");
        assert_eq!((from.tag(), from.param("other")), (Some("x1"), Some("")));
    }

    #[test]
    fn white_space_around_parameters_is_taken_out_for_those_who_stumble_over_it() {
        assert_eq!(tightened("\"A\"   <sip:a@h> ;  tag = 9 ; x").as_deref(), Some("\"A\" <sip:a@h>;tag=9;x"));
        assert_eq!(tightened("\"A  B\"  <sip:a@h>;tag=9"), None);
    }

    #[test]
    fn parameters_of_a_bare_address_belong_to_the_header() {
        let to = NameAddr::parse("sip:100@host;tag=9").unwrap();
        assert_eq!((to.uri.as_str(), to.tag()), ("sip:100@host", Some("9")));
        assert_eq!(NameAddr::parse("  "), None);
        assert_eq!(NameAddr::parse("<sip:open"), None);
    }

    #[test]
    fn a_reason_header_is_read_with_its_quoted_text() {
        let reason = Reason::parse(r#"Q.850 ;cause=16 ;text="Normal; call clearing""#).unwrap();
        assert_eq!(reason.protocol, "Q.850");
        assert_eq!(reason.cause, Some(16));
        assert_eq!(reason.text.as_deref(), Some("Normal; call clearing"));
        assert_eq!(Reason::parse(""), None);
    }

    #[test]
    fn a_cseq_outside_its_range_is_refused() {
        assert_eq!(cseq("1 INVITE"), Some((1, "INVITE")));
        for bad in ["-1 INVITE", "+1 INVITE", "2147483648 BYE", "INVITE", "1", "1 IN VITE", "+5 INVITE\u{7f}"] {
            assert_eq!(cseq(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_status_line_of_a_sipfrag_is_found() {
        assert_eq!(sipfrag(b"SIP/2.0 603 Decline\r\nX: y"), Some((603, "Decline".into())));
        assert_eq!(sipfrag(b"SIP/2.0 100"), Some((100, "".into())));
        assert_eq!(sipfrag(b"hello"), None);
        assert_eq!(sipfrag(b"SIP/2.0 999 x"), None);
    }

    #[test]
    fn a_via_gives_its_transport_host_port_and_branch() {
        let via = Via::parse("SIP  / 2.0 / UDP  h : 1 ; branch = b").unwrap();
        assert_eq!((via.host.as_str(), via.port, via.param("branch")), ("h", Some(1), Some("b")));
        let via = Via::parse("SIP/2.0/tcp [::1]:5070;rport;branch=z9hG4bK1, SIP/2.0/UDP other").unwrap();
        assert_eq!((via.transport.as_str(), via.host.as_str(), via.port), ("TCP", "::1", Some(5070)));
        assert_eq!(via.param("branch"), Some("z9hG4bK1"));
    }

    #[test]
    fn the_receiver_writes_where_a_request_came_from() {
        let source = "192.0.2.9:4000".parse().unwrap();
        let stamp = |value| Via::stamp(value, source).unwrap();
        assert_eq!(
            stamp("SIP/2.0/UDP 10.0.0.1:5060;rport;branch=b, SIP/2.0/TCP x"),
            "SIP/2.0/UDP 10.0.0.1:5060;branch=b;received=192.0.2.9;rport=4000, SIP/2.0/TCP x"
        );
        assert_eq!(
            stamp("SIP/2.0/UDP pc.example;branch=b;received=6.6.6.6"),
            "SIP/2.0/UDP pc.example;branch=b;received=192.0.2.9"
        );
        let own = r#"SIP/2.0/UDP 192.0.2.9:7000;branch=b;note="a;b, c""#;
        assert_eq!(stamp(own), own);
    }
}
