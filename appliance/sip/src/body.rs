//! Where is the session description in a body?
//!
//! A plain `application/sdp` body, or that part of a `multipart/mixed` one (carriers add ISUP).

use crate::header::split_param;
use crate::message::{Headers, find, split};

/// The body is of a type that we cannot use: 415.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unusable;

pub(crate) fn session_of(headers: &Headers, body: &[u8]) -> Result<Option<Vec<u8>>, Unusable> {
    if body.is_empty() {
        return Ok(None);
    }
    if headers.first("Content-Encoding").is_some_and(|coding| !coding.eq_ignore_ascii_case("identity")) {
        return Err(Unusable);
    }
    let content_type = headers.first("Content-Type").unwrap_or_default();
    let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match kind.as_str() {
        "application/sdp" => Ok(Some(body.to_vec())),
        "multipart/mixed" | "multipart/alternative" => session_part(content_type, body).map(Some).ok_or(Unusable),
        _ => Err(Unusable),
    }
}

fn session_part(content_type: &str, body: &[u8]) -> Option<Vec<u8>> {
    let boundary =
        content_type.split(';').map(split_param).find(|(name, _)| name.eq_ignore_ascii_case("boundary"))?.1?;
    let mark = format!("--{boundary}");
    let mut rest = &body[find(body, mark.as_bytes())? + mark.len()..];
    while let Some(end) = find(rest, mark.as_bytes()) {
        if let Some(session) = session_in(&rest[..end]) {
            return Some(session);
        }
        rest = &rest[end + mark.len()..];
    }
    None
}

/// A part begins after its boundary's line end and ends before the next one's.
fn session_in(part: &[u8]) -> Option<Vec<u8>> {
    let part = part.strip_prefix(b"\r\n")?;
    let part = part.strip_suffix(b"\r\n").unwrap_or(part);
    let raw = split(&[b"part\r\n", part].concat())?;
    let kind = raw.headers.first("Content-Type")?.to_ascii_lowercase();
    kind.starts_with("application/sdp").then_some(raw.body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(content_type: &str) -> Headers {
        Headers(vec![("Content-Type".into(), content_type.into())])
    }

    #[test]
    fn the_description_is_found_alone_and_among_other_parts() {
        assert_eq!(session_of(&headers("Application/SDP"), b"v=0\r\n"), Ok(Some(b"v=0\r\n".to_vec())));
        let body = b"--b1\r\nContent-Type: application/isup\r\n\r\n\x01\x02\r\n--b1\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n\r\n--b1--\r\n";
        assert_eq!(session_of(&headers("multipart/mixed;boundary=\"b1\""), body), Ok(Some(b"v=0\r\n".to_vec())));
    }

    #[test]
    fn no_body_is_no_offer_and_another_type_is_refused() {
        assert_eq!(session_of(&Headers::default(), b""), Ok(None));
        assert_eq!(session_of(&headers("text/plain"), b"hello"), Err(Unusable));
        assert_eq!(session_of(&headers("multipart/mixed;boundary=b"), b"--b\r\n\r\nx\r\n--b--"), Err(Unusable));
    }
}
