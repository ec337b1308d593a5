//! What SIP peers send: whole messages, and the values in them.

use sip::framing::{Frame, next_frame};
use sip::guard::{Verdict, judge};
use sip::header::{NameAddr, Reason, Via, cseq, list, sipfrag, tag_of};
use sip::uri::{SipUri, bracketed, split_host_port};

/// Octets that are not UTF-8 grow when they are replaced; from here on a message might outgrow its limit by that.
const LONGEST: usize = 20_000;

/// A message of a stream or a datagram.
pub fn sip_message(data: &[u8]) {
    if let Frame::Message(length) | Frame::Broken(length) = next_frame(data) {
        assert!(length > 0 && length <= data.len(), "a frame of {length} in {}", data.len());
    }
    if data.len() <= LONGEST
        && let Some(once) = written(data)
    {
        assert_eq!(written(&once).as_deref(), Some(once.as_slice()), "what was written reads otherwise");
    }
}

/// The octets that would be sent on.
fn written(data: &[u8]) -> Option<Vec<u8>> {
    match judge(data) {
        Verdict::Request(request) => Some(request.to_bytes()),
        Verdict::Response(response) => Some(response.to_bytes()),
        Verdict::Refuse(response) => {
            response.to_bytes();
            None
        }
        Verdict::Drop(_) => None,
    }
}

/// A URI, or the value of a header field.
pub fn uri_via(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Some(uri) = SipUri::parse(&text) {
        assert!(uri.scheme == "tel" || !uri.host.is_empty(), "a URI without a host");
    }
    if let Some((host, _)) = split_host_port(&text) {
        assert!(split_host_port(&bracketed(&host)).is_some(), "{host} is no host any more");
    }
    via(&text);
    NameAddr::parse(&text);
    tag_of(&text);
    cseq(&text);
    Reason::parse(&text);
    list([text.as_ref()].into_iter());
    sipfrag(data);
}

fn via(text: &str) {
    let Some(via) = Via::parse(text) else { return };
    let once = via.to_string();
    let again = Via::parse(&once).map(|via| via.to_string());
    assert_eq!(again.as_deref(), Some(once.as_str()), "a Via that was written reads otherwise");
    let stamped = Via::stamp(text, ([192, 0, 2, 1], 5060).into());
    assert!(stamped.is_some_and(|stamped| Via::parse(&stamped).is_some()), "a stamped Via cannot be read");
}
