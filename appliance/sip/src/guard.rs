//! Is this a message we want to handle at all?
//!
//! [`judge`] looks at the octets before any parser of the stack does and says: hand it on, refuse it
//! with a code, or say nothing. The codes are those of RFC 3261 section 8.2 and the torture tests of
//! RFC 4475. It is a pure function; whoever sends the refusal needs no transaction for it.

use crate::header::{NameAddr, Via, cseq, list};
use crate::message::{Raw, Request, Response, is_token_byte, split};
use crate::session_timer;

/// A datagram cannot be longer; a stream that claims more is cut off.
pub const MAX_MESSAGE: usize = 65_535;
const MAX_HEADERS: usize = 256;

const MAX_METHOD: usize = 128;
const SDP: &str = "application/sdp";

/// Methods the endpoint handles.
pub const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS, NOTIFY, INFO, UPDATE, PRACK, REFER, REGISTER";
/// Methods it knows and does not handle: 405. What nobody knows is answered 501.
const OTHERS: &str = "SUBSCRIBE, PUBLISH, MESSAGE";

/// What a request may require of us.
const EXTENSIONS: &[&str] = &["timer", "100rel", "replaces"];

#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    Request(Request),
    Response(Response),
    /// To be sent back to where it came from.
    Refuse(Response),
    /// Not SIP, or not to be answered; the words are for the log.
    Drop(&'static str),
}

pub fn judge(bytes: &[u8]) -> Verdict {
    if bytes.len() > MAX_MESSAGE {
        return Verdict::Drop("too long");
    }
    let Some(raw) = split(bytes) else { return Verdict::Drop("no header part") };
    if raw.headers.0.len() > MAX_HEADERS {
        return Verdict::Drop("too many headers");
    }
    match raw.start.starts_with("SIP/") {
        true => judge_response(raw),
        false => judge_request(raw),
    }
}

fn judge_response(mut raw: Raw) -> Verdict {
    let mut words = raw.start.splitn(3, ' ');
    let (version, code) = (words.next(), words.next().and_then(|code| code.parse().ok()));
    let reason = words.next().unwrap_or("").to_owned();
    let Some(code) = code.filter(|code| (100..700).contains(code) && version == Some("SIP/2.0")) else {
        return Verdict::Drop("no status line");
    };
    if raw.damaged || fault(&raw).is_some() || !cut_body(&mut raw) {
        return Verdict::Drop("response with a fault");
    }
    Verdict::Response(Response { code, reason, headers: raw.headers, body: raw.body })
}

fn judge_request(mut raw: Raw) -> Verdict {
    let Some((method, uri, version)) = request_line(&raw.start) else { return Verdict::Drop("no request line") };
    let fault = request_fault(&raw, method, uri, version);
    let (method, uri) = (method.to_owned(), crate::uri::one_colon_less(uri).into_owned());
    let whole = cut_body(&mut raw);
    let request = Request { method, uri, headers: raw.headers, body: raw.body };
    match fault {
        Some(fault) => refuse(&request, fault),
        None if !whole => refuse(&request, Fault::bad("Content-Length does not fit the body")),
        None => Verdict::Request(request),
    }
}

/// Method, Request-URI and version. White space that does not belong there stays with its neighbour.
fn request_line(line: &str) -> Option<(&str, &str, &str)> {
    let (method, rest) = line.split_once(' ')?;
    let (uri, version) = rest.split_at(rest.trim_end().rfind(' ')?);
    let version = &version[1..];
    let sip = version.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("SIP/"));
    (is_method(method) && sip).then_some((method, uri, version))
}

/// What is wrong, in the order in which it should be told.
struct Fault {
    code: u16,
    words: &'static str,
    header: Option<(&'static str, String)>,
}

impl Fault {
    fn bad(words: &'static str) -> Fault {
        Fault::code(400, words)
    }

    fn code(code: u16, words: &'static str) -> Fault {
        Fault { code, words, header: None }
    }
}

fn request_fault(raw: &Raw, method: &str, uri: &str, version: &str) -> Option<Fault> {
    if !version.trim_end().eq_ignore_ascii_case("SIP/2.0") {
        return Some(Fault::code(505, "Version Not Supported"));
    }
    if version.ends_with(char::is_whitespace) {
        return Some(Fault::bad("White space ends the request line"));
    }
    if raw.damaged {
        return Some(Fault::bad("A header line is damaged"));
    }
    fault(raw)
        .or_else(|| sense_fault(raw, method))
        .or_else(|| uri_fault(uri))
        .or_else(|| method_fault(method))
        .or_else(|| hops_fault(raw))
        .or_else(|| extension_fault(raw, method))
        .or_else(|| accept_fault(raw, method))
        .or_else(|| session_fault(raw, method))
}

/// Mandatory fields: present, once, readable.
fn fault(raw: &Raw) -> Option<Fault> {
    for (name, words) in [
        ("From", "From is missing or repeated"),
        ("To", "To is missing or repeated"),
        ("Call-ID", "Call-ID is missing or repeated"),
        ("CSeq", "CSeq is missing or repeated"),
    ] {
        let mut values = raw.headers.all(name);
        if values.next().is_none_or(str::is_empty) || values.next().is_some() {
            return Some(Fault::bad(words));
        }
    }
    let readable = |name: &str| raw.headers.first(name).and_then(NameAddr::parse);
    let Some(from) = readable("From") else { return Some(Fault::bad("From is not an address")) };
    if from.tag().is_none() {
        return Some(Fault::bad("From has no tag"));
    }
    if readable("To").is_none() {
        return Some(Fault::bad("To is not an address"));
    }
    if raw.headers.first("CSeq").and_then(cseq).is_none() {
        return Some(Fault::bad("CSeq is not a number and a method"));
    }
    let call_id = raw.headers.first("Call-ID").unwrap_or_default();
    if call_id.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Some(Fault::bad("Call-ID is not a word"));
    }
    via_fault(raw)
}

fn via_fault(raw: &Raw) -> Option<Fault> {
    let vias = list(raw.headers.all("Via"));
    if vias.is_empty() {
        return Some(Fault::bad("Via is missing"));
    }
    let readable = |via: &String| Via::parse(via).is_some_and(|via| via.protocol.eq_ignore_ascii_case("SIP/2.0"));
    (!vias.iter().all(readable)).then(|| Fault::bad("Via is not readable"))
}

/// A method of which nothing is known, or two of them. (501 even then: RFC 4475 section 3.1.2.18.)
fn sense_fault(raw: &Raw, method: &str) -> Option<Fault> {
    if !names(ALLOW, method) && !names(OTHERS, method) {
        return Some(Fault { header: allow(), ..Fault::code(501, "Not Implemented") });
    }
    let (_, named) = raw.headers.first("CSeq").and_then(cseq)?;
    (named != method).then(|| Fault::bad("CSeq names another method"))
}

fn method_fault(method: &str) -> Option<Fault> {
    (!names(ALLOW, method)).then(|| Fault { header: allow(), ..Fault::code(405, "Method Not Allowed") })
}

fn names(list: &str, method: &str) -> bool {
    list.split(", ").any(|known| known == method)
}

fn allow() -> Option<(&'static str, String)> {
    Some(("Allow", ALLOW.to_owned()))
}

fn uri_fault(uri: &str) -> Option<Fault> {
    if uri.contains(char::is_whitespace) {
        return Some(Fault::bad("Request-URI holds white space"));
    }
    let Some((scheme, _)) = uri.split_once(':') else { return Some(Fault::bad("Request-URI is no URI")) };
    let known = ["sip", "sips", "tel"].iter().any(|known| scheme.eq_ignore_ascii_case(known));
    let legal = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
    if legal && !known {
        return Some(Fault::code(416, "Unsupported URI Scheme"));
    }
    let usable = crate::uri::SipUri::parse(uri).is_some();
    (!usable).then(|| Fault::bad("Request-URI is not readable"))
}

/// Zero is fine: this is where the request was going.
fn hops_fault(raw: &Raw) -> Option<Fault> {
    let hops = raw.headers.first("Max-Forwards")?;
    let sound = hops.parse::<u32>().is_ok_and(|hops| hops <= 255);
    (!sound).then(|| Fault::bad("Max-Forwards is not a number up to 255"))
}

/// RFC 3261 section 8.2.2.3; ACK and CANCEL never get a 420.
fn extension_fault(raw: &Raw, method: &str) -> Option<Fault> {
    if method == "ACK" || method == "CANCEL" {
        return None;
    }
    let mut wanted = list(raw.headers.all("Require"));
    wanted.retain(|tag| !EXTENSIONS.iter().any(|known| tag.eq_ignore_ascii_case(known)));
    (!wanted.is_empty()).then(|| Fault {
        code: 420,
        words: "Bad Extension",
        header: Some(("Unsupported", wanted.join(", "))),
    })
}

/// What we send back for an INVITE is a session description (RFC 4475 section 3.3.15).
fn accept_fault(raw: &Raw, method: &str) -> Option<Fault> {
    let wanted = list(raw.headers.all("Accept"));
    let ours = |kind: &String| {
        let kind = kind.split(';').next().unwrap_or_default().trim();
        [SDP, "application/*", "*/*"].iter().any(|ours| kind.eq_ignore_ascii_case(ours))
    };
    let hopeless = method == "INVITE" && !wanted.is_empty() && !wanted.iter().any(ours);
    hopeless.then(|| Fault { header: Some(("Accept", SDP.to_owned())), ..Fault::code(406, "Not Acceptable") })
}

/// RFC 4028 section 9.
fn session_fault(raw: &Raw, method: &str) -> Option<Fault> {
    let refreshes = method == "INVITE" || method == "UPDATE";
    (refreshes && session_timer::too_small(&raw.headers)).then(|| Fault {
        code: 422,
        words: "Session Interval Too Small",
        header: Some(("Min-SE", session_timer::LEAST.to_string())),
    })
}

/// Cuts the body to its Content-Length; false when the length is no number or promises more than came.
fn cut_body(raw: &mut Raw) -> bool {
    let mut lengths = raw.headers.all("Content-Length");
    let Some(length) = lengths.next() else { return true };
    if lengths.any(|other| other != length) {
        return false;
    }
    match length.parse::<usize>() {
        Ok(size) if size <= raw.body.len() && !length.starts_with('+') => {
            raw.body.truncate(size);
            true
        }
        _ => false,
    }
}

/// An ACK is never answered, and without a Via nobody knows where to send an answer.
fn refuse(request: &Request, fault: Fault) -> Verdict {
    let routable = request.headers.first("Via").and_then(Via::parse).is_some();
    if request.method == "ACK" || !routable {
        return Verdict::Drop(fault.words);
    }
    let tag = crate::ids::new_tag();
    let mut response = Response::to_request(request, fault.code, Some(fault.words), Some(&tag));
    if let Some((name, value)) = fault.header {
        response.headers.push(name, value);
    }
    Verdict::Refuse(response)
}

fn is_method(word: &str) -> bool {
    !word.is_empty() && word.len() <= MAX_METHOD && word.bytes().all(is_token_byte)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GOOD: &str = "OPTIONS sip:box SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@h>;tag=1\r\nTo: <sip:box>\r\nCall-ID: c\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n";

    fn code_after(from: &str, to: &str) -> Option<u16> {
        match judge(GOOD.replacen(from, to, 1).as_bytes()) {
            Verdict::Refuse(response) => Some(response.code),
            _ => None,
        }
    }

    #[test]
    fn a_sound_request_is_handed_on() {
        assert!(matches!(judge(GOOD.as_bytes()), Verdict::Request(request) if request.method == "OPTIONS"));
    }

    #[test]
    fn each_fault_has_its_code() {
        assert_eq!(code_after("SIP/2.0\r\n", "SIP/7.0\r\n"), Some(505));
        assert_eq!(code_after("sip:box SIP", "nobodyKnowsThisScheme:opaque SIP"), Some(416));
        assert_eq!(code_after("SIP/2.0\r\nVia: SIP/2.0", "SIP/7.0\r\nVia: SIP/7.0"), Some(505));
        assert_eq!(code_after("SIP/2.0\r\nVia: SIP/2.0", "SIP/2.0\r\nVia: SIP/7.0"), Some(400));
        assert_eq!(code_after("SIP/2.0\r\n", "SIP/2.0 \r\n"), Some(400));
        assert_eq!(code_after("1 OPTIONS", "1 INVITE"), Some(400));
        assert_eq!(code_after("From: <sip:a@h>;tag=1\r\n", ""), Some(400));
        assert_eq!(code_after("Content-Length: 0", "Content-Length: -999"), Some(400));
        assert_eq!(code_after("Call-ID", "Require: nothingSupportsThis\r\nCall-ID"), Some(420));
        assert_eq!(code_after("Call-ID", "Max-Forwards: 300\r\nCall-ID"), Some(400));
    }

    #[test]
    fn a_method_that_is_unknown_or_not_ours_is_told_what_is_allowed() {
        for (method, code) in [("NEWMETHOD", 501), ("SUBSCRIBE", 405)] {
            let Verdict::Refuse(response) = judge(GOOD.replace("OPTIONS", method).as_bytes()) else { panic!() };
            assert_eq!((response.code, response.headers.first("Allow")), (code, Some(ALLOW)));
        }
    }

    #[test]
    fn an_invite_that_wants_no_session_description_back_is_refused() {
        let invite = GOOD.replace("OPTIONS", "INVITE");
        for (accept, fits) in [("text/plain", false), ("text/plain, Application/SDP;level=1", true), ("*/*", true)] {
            let verdict = judge(invite.replace("Call-ID", &format!("Accept: {accept}\r\nCall-ID")).as_bytes());
            assert_eq!(matches!(verdict, Verdict::Request(_)), fits, "{accept}");
        }
        assert!(matches!(judge(invite.as_bytes()), Verdict::Request(_)));
    }

    #[test]
    fn acks_and_requests_without_a_way_back_get_no_answer() {
        let ack = GOOD.replace("OPTIONS", "ACK").replace("tag=1", "x=1");
        assert!(matches!(judge(ack.as_bytes()), Verdict::Drop(_)));
        assert!(matches!(judge(GOOD.replace("Via", "X-Via").as_bytes()), Verdict::Drop(_)));
    }

    #[test]
    fn octets_after_the_content_length_are_cut_off() {
        let Verdict::Request(request) = judge(format!("{GOOD}trailing").as_bytes()) else { panic!() };
        assert!(request.body.is_empty());
    }

    proptest! {
        #[test]
        fn no_octets_whatsoever_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            judge(&bytes);
        }

        #[test]
        fn no_damage_to_a_good_message_makes_it_panic(at in 0usize..150, with in proptest::collection::vec(any::<u8>(), 0..9)) {
            let mut bytes = GOOD.as_bytes().to_vec();
            bytes.splice(at.min(bytes.len())..(at + 3).min(bytes.len()), with);
            judge(&bytes);
        }
    }
}
