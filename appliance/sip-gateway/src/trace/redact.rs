//! What of a SIP message must nobody read later?
//!
//! Whatever proves a password or decrypts audio, and the keys that people press: PINs are among them. [`redact`] makes
//! each octet of it an `x`, so that all else, the Content-Length too, stays as it was on the wire. Of credentials
//! everything goes that is not known to be harmless.

/// Parameters of a digest (RFC 7616) that show what was asked and by whom, and do not help to guess a password.
const HARMLESS: &[&str] = &["username", "realm", "nonce", "uri", "algorithm", "qop", "nc", "opaque", "nextnonce"];
/// A header of which a word says so has a secret for a value (`X-Auth-Token`, `Api-Key`).
const SECRET_WORDS: &[&str] =
    &["auth", "token", "secret", "password", "passwd", "pin", "key", "apikey", "cookie", "credential", "credentials"];
/// Lines of a session description: SDES keys (RFC 4568), `k=` (RFC 8866 section 5.12), MIKEY (RFC 4567), ICE (RFC
/// 8839).
const SECRET_LINES: &[&[u8]] = &[b"a=crypto:", b"k=", b"a=key-mgmt:", b"a=ice-pwd:"];
/// Bodies that tell keys.
const DIGITS: &[&[u8]] = &[b"dtmf", b"kpml", b"telephone-event", b"digits"];

/// Masks what is secret in a message, in place. Where a line stands hardly matters: a damaged message is kept, too.
pub fn redact(message: &mut [u8]) {
    let mut digits = starts_with(message.trim_ascii_start(), b"INFO ");
    for line in folded_lines(message) {
        let line = &mut message[line];
        digits |= tells_digits(line);
        redact_header(line);
        redact_uris(line);
    }
    let body = head_length(message);
    for (number, span) in lines(message).into_iter().enumerate() {
        let line = &mut message[span.clone()];
        redact_description(line);
        let is_head = number == 0 || span.start < body && line.contains(&b':');
        if digits && !is_head {
            redact_digits(line);
        }
    }
}

/// Up to the empty line; everything where there is none.
fn head_length(message: &[u8]) -> usize {
    let at = |end: &[u8]| message.windows(end.len()).position(|window| window == end).map(|at| at + end.len());
    at(b"\r\n\r\n").or_else(|| at(b"\n\n")).unwrap_or(message.len())
}

type Span = std::ops::Range<usize>;

/// Each with its end, which may be any that somebody takes for one.
fn lines(text: &[u8]) -> Vec<Span> {
    let is_end = |at: usize| text[at] == b'\n' || (text[at] == b'\r' && text.get(at + 1) != Some(&b'\n'));
    let mut start = 0;
    let ends = (1..=text.len()).filter(|end| *end == text.len() || is_end(end - 1));
    ends.map(|end| std::mem::replace(&mut start, end)..end).collect()
}

/// Lines that begin with white space go on with the one before (RFC 3261 section 7.3.1).
fn folded_lines(text: &[u8]) -> Vec<Span> {
    let mut whole: Vec<Span> = Vec::new();
    for line in lines(text) {
        match whole.last_mut() {
            Some(last) if matches!(text[line.start], b' ' | b'\t') => last.end = line.end,
            _ => whole.push(line),
        }
    }
    whole
}

/// Name and value of a header.
fn parts(line: &mut [u8]) -> Option<(String, &mut [u8])> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let (name, value) = line.split_at_mut(colon + 1);
    Some((String::from_utf8_lossy(&name[..colon]).trim().to_ascii_lowercase(), value))
}

fn redact_header(line: &mut [u8]) {
    let Some((name, value)) = parts(line) else { return };
    match name.as_str() {
        "authorization" | "proxy-authorization" => redact_credentials(value),
        "authentication-info" | "proxy-authentication-info" => redact_params(value),
        other if other.split(['-', '_', '.']).any(|word| SECRET_WORDS.contains(&word)) => mask(value),
        _ => {}
    }
}

/// `Digest name=value, …`; of another scheme nothing is left but its name.
fn redact_credentials(value: &mut [u8]) {
    let start = value.len() - value.trim_ascii_start().len();
    let scheme = value.trim_ascii().iter().position(u8::is_ascii_whitespace);
    match scheme.map(|length| start + length) {
        Some(end) if value[start..end].eq_ignore_ascii_case(b"digest") => redact_params(&mut value[end..]),
        end => mask(&mut value[end.unwrap_or(start)..]),
    }
}

/// Parameters with commas between.
fn redact_params(value: &mut [u8]) {
    let mut rest = value;
    while !rest.is_empty() {
        let (length, closed) = param_length(rest);
        let (param, after) = rest.split_at_mut(length);
        let value = param.iter().position(|byte| *byte == b'=').map_or(0, |equals| equals + 1);
        let name = String::from_utf8_lossy(&param[..value.saturating_sub(1)]).trim().to_ascii_lowercase();
        if !closed || !HARMLESS.contains(&name.as_str()) {
            mask(&mut param[value..]);
        }
        rest = after.get_mut(1..).unwrap_or_default();
    }
}

/// How far it is to the next comma outside of quotes, and whether the quotes were closed.
fn param_length(text: &[u8]) -> (usize, bool) {
    let (mut quoted, mut escaped) = (false, false);
    for (at, byte) in text.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b',' if !quoted => return (at, true),
            _ => {}
        }
    }
    (text.len(), !quoted)
}

/// The password of `sip:user:password@host` (RFC 3261 section 19.1.1).
fn redact_uris(line: &mut [u8]) {
    let mut from = 0;
    while let Some(colon) = line[from..].iter().position(|byte| *byte == b':').map(|at| from + at) {
        from = colon + 1;
        if !ends_with(&line[..colon], b"sip") && !ends_with(&line[..colon], b"sips") {
            continue;
        }
        let stop = |byte: &u8| byte.is_ascii_whitespace() || b"<>\"@".contains(byte);
        let end = line[from..].iter().position(stop).map_or(line.len(), |at| from + at);
        let password = line[from..end].iter().position(|byte| *byte == b':').map(|at| from + at + 1);
        if let (Some(password), Some(b'@')) = (password, line.get(end)) {
            mask(&mut line[password..end]);
        }
        from = end;
    }
}

fn tells_digits(line: &mut [u8]) -> bool {
    let Some((name, value)) = parts(line) else { return false };
    let told = |word: &&[u8]| value.windows(word.len()).any(|window| window.eq_ignore_ascii_case(word));
    matches!(name.as_str(), "content-type" | "c") && DIGITS.iter().any(told)
}

/// `Signal=5`, or a bare `5`; how long it was pressed may be known.
fn redact_digits(line: &mut [u8]) {
    let equals = line.iter().position(|byte| *byte == b'=');
    match equals.map(|at| line[..at].trim_ascii().to_ascii_lowercase()) {
        Some(name) if name == b"duration" => {}
        Some(name) if name == b"signal" => mask(&mut line[equals.unwrap_or(0) + 1..]),
        _ => mask(line),
    }
}

fn redact_description(line: &mut [u8]) {
    let start = line.len() - line.trim_ascii_start().len();
    let line = &mut line[start..];
    let Some(secret) = SECRET_LINES.iter().find(|start| starts_with(line, start)) else { return };
    match line.windows(7).position(|window| window.eq_ignore_ascii_case(b"inline:")) {
        // Tag and suite of `a=crypto` are worth knowing.
        Some(at) if starts_with(line, b"a=crypto:") => mask(&mut line[at + 7..]),
        _ => mask(&mut line[secret.len()..]),
    }
}

/// White space and quotes stay, so that lines and parameters stay what they are.
fn mask(secret: &mut [u8]) {
    secret.iter_mut().filter(|byte| !byte.is_ascii_whitespace() && **byte != b'"').for_each(|byte| *byte = b'x');
}

fn starts_with(text: &[u8], start: &[u8]) -> bool {
    text.get(..start.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(start))
}

fn ends_with(text: &[u8], end: &[u8]) -> bool {
    text.len() >= end.len() && text[text.len() - end.len()..].eq_ignore_ascii_case(end)
}

#[cfg(test)]
mod tests;
