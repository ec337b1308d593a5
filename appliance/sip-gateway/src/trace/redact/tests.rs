use super::redact;
use proptest::prelude::*;

fn redacted(text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    redact(&mut bytes);
    assert_eq!(bytes.len(), text.len(), "lengths stay");
    String::from_utf8(bytes).unwrap()
}

/// A message with one header more, and that header after it.
fn header(line: &str) -> String {
    let text = redacted(&format!("INVITE sip:1@h SIP/2.0\r\nVia: v\r\n{line}\r\n\r\n"));
    text.strip_prefix("INVITE sip:1@h SIP/2.0\r\nVia: v\r\n").unwrap().trim_end().to_owned()
}

/// The body of a message, as it is kept.
fn body(start: &str, body: &str) -> String {
    redacted(&format!("{start}\r\n\r\n{body}")).split_once("\r\n\r\n").unwrap().1.to_owned()
}

fn body_of(kind: &str, text: &str) -> String {
    body(&format!("INVITE sip:1@h SIP/2.0\r\nContent-Type: {kind}"), text)
}

#[test]
fn of_a_digest_only_what_helps_nobody_to_guess_stays() {
    assert_eq!(
        header(
            "Authorization: Digest username=\"al, ice\", realm=\"r\",nonce=abc, uri=\"sip:h\", response=\"0123\", cnonce=\"c\", qop=auth"
        ),
        "Authorization: Digest username=\"al, ice\", realm=\"r\",nonce=abc, uri=\"sip:h\", response=\"xxxx\", cnonce=\"x\", qop=auth"
    );
}

#[test]
fn folded_and_oddly_spelled_credentials_are_masked_too() {
    assert_eq!(
        header("proxy-authorization : digest realm=\"r\",\r\n  RESPONSE = 0123"),
        "proxy-authorization : digest realm=\"r\",\r\n  RESPONSE = xxxx"
    );
    assert_eq!(
        header("Authorization: Digest nonce=\"open, response=0123"),
        "Authorization: Digest nonce=\"xxxxx xxxxxxxxxxxxx"
    );
    assert_eq!(header("Authorization: Basic dTpw"), "Authorization: Basic xxxx");
    assert_eq!(header("Authorization: dTpw"), "Authorization: xxxx");
    assert_eq!(
        header("Authentication-Info: rspauth=\"0123\", nextnonce=\"n\""),
        "Authentication-Info: rspauth=\"xxxx\", nextnonce=\"n\""
    );
}

#[test]
fn a_challenge_stays_as_it_is() {
    let challenge = "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\"";
    assert_eq!(header(challenge), challenge);
}

#[test]
fn headers_that_are_named_for_a_secret_lose_their_value() {
    assert_eq!(header("X-Auth-Token: abc def"), "X-Auth-Token: xxx xxx");
    assert_eq!(header("X-Keyboard: abc"), "X-Keyboard: abc");
}

#[test]
fn a_password_in_a_uri_is_masked_and_a_port_is_not() {
    assert_eq!(header("Contact: <sip:a:pw@h:5060>, <SIPS:b:pw@h>"), "Contact: <sip:a:xx@h:5060>, <SIPS:b:xx@h>");
    for fine in
        ["Contact: <sip:h:5060;transport=tcp>", "From: \"Ann: x\" <sip:a@h:5060>;tag=1", "Via: SIP/2.0/UDP h:5060"]
    {
        assert_eq!(header(fine), fine);
    }
    assert!(redacted("INVITE sip:a:pw@h SIP/2.0\r\n\r\n").starts_with("INVITE sip:a:xx@h SIP/2.0"));
}

#[test]
fn keys_of_audio_are_masked_and_their_suite_is_not() {
    let sdp = "v=0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:abc|2^20 UNENCRYPTED_SRTCP\r\na=ice-ufrag:u\r\na=ice-pwd:pw\r\nk=clear:abc\r\nA=Crypto:2 x\r\n";
    assert_eq!(
        body_of("application/sdp", sdp),
        "v=0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:xxxxxxxx xxxxxxxxxxxxxxxxx\r\na=ice-ufrag:u\r\na=ice-pwd:xx\r\nk=xxxxxxxxx\r\nA=Crypto:x x\r\n"
    );
}

#[test]
fn keys_that_are_pressed_are_masked_whatever_carries_them() {
    let info = |text| body("INFO sip:1@h SIP/2.0", text);
    assert_eq!(info("Signal=5\r\nDuration=160\r\n"), "Signal=x\r\nDuration=160\r\n");
    assert_eq!(info("12#"), "xxx");
    assert_eq!(redacted("\r\nINFO sip:h SIP/2.0\r\n\r\n5"), "\r\nINFO sip:h SIP/2.0\r\n\r\nx");
    assert_eq!(body_of("application/dtmf", "5"), "x");
    assert_eq!(body_of("application/kpml-response+xml", "<r digits=\"1\"/>"), "xx xxxxxxx\"x\"xx");
}

#[test]
fn what_stands_in_the_wrong_place_is_masked_too() {
    assert_eq!(
        body_of("message/sipfrag", "ACK sip:a:pw@h SIP/2.0\r\nAuthorization: Basic abc\r\n"),
        "ACK sip:a:xx@h SIP/2.0\r\nAuthorization: Basic xxx\r\n"
    );
    let damaged = "INVITE sip:h SIP/2.0\nTo: b\n\r\nv=0\ra=crypto:1 S inline:abc\n  a=ice-pwd:pw\n";
    assert_eq!(redacted(damaged), "INVITE sip:h SIP/2.0\nTo: b\n\r\nv=0\ra=crypto:1 S inline:xxx\n  a=ice-pwd:xx\n");
    assert_eq!(redacted("INFO sip:h SIP/2.0\nTo: b\n\r\nSignal=5\n"), "INFO sip:h SIP/2.0\nTo: b\n\r\nSignal=x\n");
    let parts = body_of(
        "multipart/mixed;boundary=b",
        "--b\r\nContent-Type: application/dtmf-relay\r\n\r\nSignal=5\r\n--b--\r\n",
    );
    assert!(parts.contains("Signal=x") && !parts.contains('5'), "{parts}");
}

proptest! {
    #[test]
    fn no_octets_are_too_odd(bytes in prop::collection::vec(prop::sample::select(b"sip:@<>\"\\\r\n =,aK5".as_slice()), 0..200)) {
        let mut masked = bytes.clone();
        redact(&mut masked);
        prop_assert_eq!(masked.len(), bytes.len());
        prop_assert!(bytes.iter().zip(&masked).all(|(was, is)| was == is || *is == b'x'));
    }

    #[test]
    fn a_response_is_masked_wherever_it_stands(before in "[a-z]{1,8}=(\"[a-z,= ]{0,8}\"|[a-z]{0,8})", after in "[a-z]{1,8}=\"?[a-z]{0,4}") {
        let line = header(&format!("Authorization: Digest {before}, response=\"0123456789\", {after}"));
        prop_assert!(!line.contains("0123456789"), "{}", line);
    }
}
