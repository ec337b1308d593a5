//! What is a right answer to each torture message?
//!
//! A row quotes what the RFC says about its message. Where the RFC leaves a choice, the row is what this endpoint
//! chose: it does not speak RFC 2543, and it reads what can be read in only one way. It is a registrar, so what could
//! register is asked for a password (401).

/// What happens to a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// These answers, each once.
    Told(&'static [u16]),
    /// No answer, ever.
    Silence,
    /// That answer, and the connection ends: nobody knows where the next message would begin.
    Closed(u16),
    /// No answer before so many octets more have come; then that one.
    Waits(usize, u16),
}
use Right::{Closed, Silence, Told, Waits};

/// The messages of one RFC; their files lie in a folder of its name.
pub struct Rfc {
    pub folder: &'static str,
    pub rows: &'static [Row],
}

pub struct Row {
    pub name: &'static str,
    pub section: &'static str,
    pub says: &'static str,
    pub datagram: Right,
    pub stream: Right,
}

/// The application of these tests is always busy: 486 means that the call reached it.
pub const REACHED: u16 = 486;

const fn row(name: &'static str, section: &'static str, right: Right, says: &'static str) -> Row {
    Row { name, section, says, datagram: right, stream: right }
}

impl Row {
    const fn on_streams(mut self, right: Right) -> Row {
        self.stream = right;
        self
    }
}

/// RFC 4475 section 3.
pub const TORTURE: Rfc = Rfc { folder: "rfc4475", rows: ROWS };

/// RFC 5118 section 4.
pub const TORTURE_IPV6: Rfc = Rfc { folder: "rfc5118", rows: IPV6_ROWS };

const ROWS: &[Row] = &[
    // Its To has a tag, of a dialog that we do not have.
    row("wsinv", "3.1.1.1", Told(&[481]), "All elements should treat this as a well-formed request."),
    row("intmeth", "3.1.1.2", Told(&[501]), "Endpoints will generate a 501 listing the methods they understand"),
    row("esc01", "3.1.1.3", Told(&[REACHED]), "A parser must accept this as a well-formed message."),
    row("escnull", "3.1.1.4", Told(&[401]), "The message is well formed - parsers must accept this message."),
    row("esc02", "3.1.1.5", Told(&[501]), "An endpoint would reject this message with a 501."),
    row("lwsdisp", "3.1.1.6", Told(&[200]), "Elements should accept this request as well formed."),
    row("longreq", "3.1.1.7", Told(&[REACHED]), "This well-formed request contains header fields with many values"),
    // On a stream the extra octets are a request of its own: an INVITE that lacks its Contact.
    row("dblreq", "3.1.1.8", Told(&[401]), "handle the REGISTER request normally and ignore the extra bits")
        .on_streams(Told(&[401, 400])),
    row("semiuri", "3.1.1.9", Told(&[200]), "Receiving elements will accept this as a well-formed message."),
    row("transports", "3.1.1.10", Told(&[200]), "Parsers must accept this message as well formed."),
    row("mpart01", "3.1.1.11", Told(&[405]), "Parsers must accept this message as well formed"),
    row("unreason", "3.1.1.12", Silence, "This response is well formed.  A parser must accept this message."),
    row("noreason", "3.1.1.13", Silence, "This well-formed response contains no reason phrase."),
    row("badinv01", "3.1.2.1", Told(&[400]), "should respond with a 400 Bad Request error"),
    row("clerr", "3.1.2.2", Told(&[400]), "not much the receiving party could do but wait for more data")
        .on_streams(Waits(9999 - 154, REACHED)),
    row("ncl", "3.1.2.3", Told(&[400]), "the framing error is not recoverable").on_streams(Closed(400)),
    row("scalar02", "3.1.2.4", Told(&[400]), "should respond with a 400 Bad Request due to the CSeq error"),
    row("scalarlg", "3.1.2.5", Silence, "An element receiving this response will simply discard it."),
    row("quotbal", "3.1.2.6", Told(&[400]), "should return a 400 Bad Request error"),
    row("ltgtruri", "3.1.2.7", Told(&[400]), "It is reasonable always to reject a request with this error"),
    row("lwsruri", "3.1.2.8", Told(&[400]), "should respond with a 400 Bad Request"),
    row("lwsstart", "3.1.2.9", Told(&[400]), "It is acceptable to reject this request as malformed."),
    row("trws", "3.1.2.10", Told(&[400]), "It is acceptable to reject this request as malformed."),
    row("escruri", "3.1.2.11", Told(&[REACHED]), "could choose to be liberal [...] and ignore the escaped headers"),
    row("baddate", "3.1.2.12", Told(&[REACHED]), "ignore this value [...] if it wasn't going to use the Date"),
    row("regbadct", "3.1.2.13", Told(&[401]), "An element choosing to be liberal [...] could infer the angle brackets"),
    row("badaspec", "3.1.2.14", Told(&[200]), "Elements attempting to be liberal may ignore the spaces."),
    row("baddn", "3.1.2.15", Told(&[200]), "may attempt to be liberal [...] and infer the missing quotes"),
    row("badvers", "3.1.2.16", Told(&[505]), "should respond to the request with a 505 Version Not Supported error"),
    row("mismatch01", "3.1.2.17", Told(&[400]), "will respond with a 400 Bad Request"),
    row("mismatch02", "3.1.2.18", Told(&[501]), "should respond with a 501 Not Implemented"),
    row("bigcode", "3.1.2.19", Silence, "An element receiving this response should simply drop it."),
    row("badbranch", "3.2.1", Told(&[200]), "it could fall back to the RFC 2543-style transaction identifier"),
    row("insuf", "3.3.1", Told(&[400]), "Ideally, it will respond with a 400 Bad Request error."),
    row("unkscm", "3.3.2", Told(&[416]), "will reject it with a 416 Unsupported URI Scheme response"),
    row("novelsc", "3.3.3", Told(&[416]), "treat it as unknown and return a 416 Unsupported URI Scheme response"),
    row("unksm2", "3.3.4", Told(&[401]), "Parsers must not fail when receiving this message."),
    row("bext01", "3.3.5", Told(&[420]), "will respond with a 420 Bad Extension response"),
    row("invut", "3.3.6", Told(&[415]), "would reject it with a 415 Unsupported Media Type error"),
    row("regaut01", "3.3.7", Told(&[401]), "Endpoints choosing not to act as registrars will simply reject"),
    row("multi01", "3.3.8", Told(&[400]), "would respond with a 400 Bad Request error"),
    row("mcl01", "3.3.9", Told(&[400]), "the framing error is not recoverable").on_streams(Closed(400)),
    row("bcast", "3.3.10", Silence, "An endpoint receiving this message should simply discard it."),
    row("zeromf", "3.3.11", Told(&[200]), "as if the Max-Forwards field value were still positive"),
    row("cparam01", "3.3.12", Told(&[401]), "This REGISTER should succeed."),
    row("cparam02", "3.3.13", Told(&[401]), "The register should succeed"),
    row("regescrt", "3.3.14", Told(&[401]), "The register should succeed"),
    row("sdp01", "3.3.15", Told(&[406]), "could respond with a 406 Not Acceptable"),
    // No From-tag, no Contact; on a stream also a body whose length nobody tells.
    row("inv2543", "3.4.1", Told(&[400]), "by RFC 3261 elements that want to maintain backwards compatibility")
        .on_streams(Closed(400)),
];

const IPV6_ROWS: &[Row] = &[
    row("ipv6-good", "4.1", Told(&[401]), "The request below is well-formatted"),
    row("ipv6-bad", "4.2", Told(&[400]), "should respond with a 400 Bad Request error"),
    row("port-ambiguous", "4.3", Told(&[401]), "From a parsing perspective, the request below is well-formed."),
    row("port-unambiguous", "4.4", Told(&[401]), "This REGISTER request is well formatted per the grammar"),
    row("via-received-param-with-delim", "4.5", Told(&[481]), "must nonetheless be able to parse the topmost Via"),
    row("via-received-param-no-delim", "4.5", Told(&[200]), "This request is valid according to the grammar"),
    row("ipv6-in-sdp", "4.6", Told(&[REACHED]), "This request below is valid and well-formed"),
    row("mult-ip-in-header", "4.7", Told(&[481]), "The request below is valid and well-formed"),
    row("mult-ip-in-sdp", "4.8", Told(&[REACHED]), "The request below is valid and well-formed"),
    row("ipv4-mapped-ipv6", "4.9", Told(&[REACHED]), "The message below is well-formed"),
    row("ipv6-bug-abnf-3-colons", "4.10", Told(&[200]), "successfully parsing the IPv6 reference"),
    row("ipv6-correct-abnf-2-colons", "4.10", Told(&[200]), "The next message has the correct syntax"),
];
