//! What is a SIP message to us?
//!
//! A start line, headers in their order with their values verbatim, and a body of octets. Compact
//! header names are spelled out on the way in. What a value means is for [`crate::header`],
//! whether a message is fit to be handled for [`crate::guard`].

use std::fmt::Write;

/// One header field per line, in wire order.
pub type HeaderList = Vec<(String, String)>;

/// The header part of a message, with case-insensitive look-up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers(pub HeaderList);

impl Headers {
    pub fn first(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub fn push(&mut self, name: &str, value: impl Into<String>) {
        self.0.push((name.to_owned(), value.into()));
    }

    /// Replaces every field of that name by one.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        self.remove(name);
        self.push(name, value);
    }

    pub fn remove(&mut self, name: &str) {
        self.0.retain(|(key, _)| !key.eq_ignore_ascii_case(name));
    }

    /// The fields other than those the transaction and the dialog own: what an application may read.
    pub fn extend(&mut self, more: &[(String, String)]) {
        for (name, value) in more {
            if !is_ours(name) {
                self.push(&clean(name), clean(value));
            }
        }
    }
}

/// Fields that only the stack writes; an application's header list cannot forge them.
fn is_ours(name: &str) -> bool {
    const OURS: &[&str] = &[
        "via",
        "from",
        "to",
        "call-id",
        "cseq",
        "contact",
        "content-length",
        "max-forwards",
        "route",
        "record-route",
        "authorization",
        "proxy-authorization",
        "content-type",
    ];
    OURS.contains(&long_name(name).to_ascii_lowercase().as_str())
}

/// A value must not be able to start a header line of its own.
fn clean(text: &str) -> String {
    text.chars().filter(|c| !matches!(c, '\r' | '\n' | '\0')).collect()
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    pub method: String,
    pub uri: String,
    pub headers: Headers,
    pub body: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    pub code: u16,
    pub reason: String,
    pub headers: Headers,
    pub body: Vec<u8>,
}

impl Request {
    pub fn to_bytes(&self) -> Vec<u8> {
        let line = format!("{} {} SIP/2.0", clean(&self.method), clean(&self.uri));
        write_message(&line, &self.headers, &self.body)
    }
}

impl Response {
    /// The answer to `request` with the headers RFC 3261 section 8.2.6.2 asks for; `to_tag` fills a missing tag.
    pub fn to_request(request: &Request, code: u16, reason: Option<&str>, to_tag: Option<&str>) -> Self {
        let mut headers = Headers::default();
        for name in ["Via", "From", "To", "Call-ID", "CSeq"] {
            for value in request.headers.all(name) {
                headers.push(name, tagged(name, value, to_tag));
            }
        }
        let reason = reason.unwrap_or_else(|| reason_phrase(code));
        Response { code, reason: clean(reason), headers, body: Vec::new() }
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        let line = format!("SIP/2.0 {} {}", self.code, clean(&self.reason));
        write_message(&line, &self.headers, &self.body)
    }

    pub fn is_provisional(&self) -> bool {
        self.code < 200
    }

    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.code)
    }
}

fn tagged(name: &str, value: &str, tag: Option<&str>) -> String {
    match tag {
        Some(tag) if name == "To" && crate::header::tag_of(value).is_none() => format!("{value};tag={tag}"),
        _ => value.to_owned(),
    }
}

fn write_message(line: &str, headers: &Headers, body: &[u8]) -> Vec<u8> {
    let mut text = String::with_capacity(512 + body.len());
    text.push_str(line);
    text.push_str("\r\n");
    for (name, value) in &headers.0 {
        if !name.eq_ignore_ascii_case("content-length") {
            let _ = write!(text, "{name}: {value}\r\n");
        }
    }
    let _ = write!(text, "Content-Length: {}\r\n\r\n", body.len());
    let mut bytes = text.into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// The start line's three parts and the header part of a message, before anybody judged them.
#[derive(Debug)]
pub struct Raw {
    pub start: String,
    pub headers: Headers,
    pub body: Vec<u8>,
    /// A line was no header at all. (Octets that are not UTF-8 are replaced: old PBXs send Latin-1 names.)
    pub damaged: bool,
}

/// Splits a datagram or a framed stream message; `None` when there is no header part.
pub fn split(bytes: &[u8]) -> Option<Raw> {
    let (head, body) = split_head(bytes)?;
    let head = String::from_utf8_lossy(head);
    let mut lines = head.split('\n').map(|line| line.trim_end_matches('\r'));
    let start = lines.find(|line| !line.is_empty())?.to_owned();
    let mut raw = Raw { start, headers: Headers::default(), body: body.to_vec(), damaged: false };
    for line in lines {
        raw.damaged |= !take_line(&mut raw.headers, line);
    }
    Some(raw)
}

/// The header part ends at the first empty line.
fn split_head(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    if let Some(at) = find(bytes, b"\r\n\r\n") {
        return Some((&bytes[..at], &bytes[at + 4..]));
    }
    find(bytes, b"\n\n").map(|at| (&bytes[..at], &bytes[at + 2..]))
}

pub(crate) fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

fn take_line(headers: &mut Headers, line: &str) -> bool {
    if line.starts_with([' ', '\t']) {
        let Some((_, value)) = headers.0.last_mut() else { return false };
        if !value.is_empty() && !line.trim().is_empty() {
            value.push(' ');
        }
        value.push_str(line.trim());
        return true;
    }
    let Some((name, value)) = line.split_once(':') else { return line.is_empty() };
    let name = name.trim();
    if name.is_empty() || !name.bytes().all(is_token_byte) {
        return false;
    }
    headers.push(long_name(name), value.trim());
    true
}

pub(crate) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&byte)
}

fn long_name(name: &str) -> &str {
    const COMPACT: &[(&str, &str)] = &[
        ("i", "Call-ID"),
        ("m", "Contact"),
        ("e", "Content-Encoding"),
        ("l", "Content-Length"),
        ("c", "Content-Type"),
        ("f", "From"),
        ("s", "Subject"),
        ("k", "Supported"),
        ("t", "To"),
        ("v", "Via"),
        ("r", "Refer-To"),
        ("b", "Referred-By"),
        ("o", "Event"),
        ("u", "Allow-Events"),
        ("x", "Session-Expires"),
        ("y", "Identity"),
    ];
    COMPACT.iter().find(|(short, _)| name.eq_ignore_ascii_case(short)).map_or(name, |(_, long)| long)
}

/// The usual words for a code.
pub fn reason_phrase(code: u16) -> &'static str {
    match code {
        100 => "Trying",
        180 => "Ringing",
        183 => "Session Progress",
        200 => "OK",
        202 => "Accepted",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        413 => "Request Entity Too Large",
        415 => "Unsupported Media Type",
        416 => "Unsupported URI Scheme",
        420 => "Bad Extension",
        480 => "Temporarily Unavailable",
        481 => "Call/Transaction Does Not Exist",
        482 => "Loop Detected",
        483 => "Too Many Hops",
        486 => "Busy Here",
        487 => "Request Terminated",
        488 => "Not Acceptable Here",
        491 => "Request Pending",
        500 => "Server Internal Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        505 => "Version Not Supported",
        600 => "Busy Everywhere",
        603 => "Decline",
        604 => "Does Not Exist Anywhere",
        606 => "Not Acceptable",
        _ => match code / 100 {
            1 => "Progress",
            2 => "OK",
            3 => "Redirected",
            4 => "Request Failed",
            5 => "Server Failure",
            _ => "Refused",
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compact_names_and_folded_lines_are_read_as_their_long_form() {
        let raw =
            split(b"OPTIONS sip:a SIP/2.0\r\nv: SIP/2.0/UDP h\r\n ;branch=z9\r\nI:\r\n  abc\r\n \r\n\r\nbody").unwrap();
        assert_eq!(raw.headers.first("Via"), Some("SIP/2.0/UDP h ;branch=z9"));
        assert_eq!(raw.headers.first("call-id"), Some("abc"));
        assert_eq!(raw.body, b"body");
        assert!(!raw.damaged);
    }

    #[test]
    fn an_application_header_can_neither_forge_ours_nor_start_a_line() {
        let mut headers = Headers::default();
        headers.extend(&[("f".into(), "x".into()), ("X-Note".into(), "a\r\nVia: evil".into())]);
        assert_eq!(headers.0, vec![("X-Note".to_string(), "aVia: evil".to_string())]);
    }

    #[test]
    fn a_response_repeats_the_path_and_gets_a_to_tag_once() {
        let raw = split(
            b"X sip:a SIP/2.0\r\nVia: one\r\nVia: two\r\nTo: <sip:a>\r\nFrom: f\r\nCall-ID: c\r\nCSeq: 1 X\r\n\r\n",
        )
        .unwrap();
        let request = Request { method: "X".into(), uri: "sip:a".into(), headers: raw.headers, body: vec![] };
        let response = Response::to_request(&request, 200, None, Some("t1"));
        assert_eq!(response.headers.all("via").collect::<Vec<_>>(), ["one", "two"]);
        assert_eq!(response.headers.first("To"), Some("<sip:a>;tag=t1"));
    }
}
