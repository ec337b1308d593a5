//! Does nonsense get the answer of RFC 4475, or none, and is a good request served afterwards?

mod common;

use common::*;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What a bad message may be answered with; silence is always allowed where the list holds 0.
type Allowed = &'static [u16];

const REFUSED: Allowed = &[400];
const SILENCE: Allowed = &[0];

fn good(wire: &Wire, to: SocketAddr, call: &str) -> String {
    wire.request("OPTIONS", to, call, 1, "", "", "")
}

/// Each is a good OPTIONS or INVITE with one thing wrong.
fn nonsense(wire: &Wire, to: SocketAddr, run: usize) -> Vec<(&'static str, Vec<u8>, Allowed)> {
    let options = good(wire, to, "bad");
    let invite =
        wire.request("INVITE", to, &format!("badinv{run}"), 1, "", "Content-Type: application/sdp\r\n", "v=0\r\n");
    let change = |from: &str, with: &str| {
        assert!(options.contains(from), "{from} not in\n{options}");
        options.replace(from, with).into_bytes()
    };
    let without = |name: &str| {
        let kept = options.split("\r\n").filter(|line| !line.starts_with(name));
        kept.collect::<Vec<_>>().join("\r\n").into_bytes()
    };
    let in_invite = |from: &str, with: &str| {
        assert!(invite.contains(from), "{from} not in\n{invite}");
        invite.replace(from, with).into_bytes()
    };
    let mut not_utf8 = options.clone().into_bytes();
    let at = options.find("Max-Forwards").unwrap();
    not_utf8.splice(at..at, *b"Subject: \xff\xfe\xc0\r\n");
    let via = format!("Via: SIP/2.0/UDP {};branch=z9hG4bKOPTIONSbad1;rport", wire.addr());
    vec![
        ("Content-Length larger than the body", change("Content-Length: 0", "Content-Length: 9999"), REFUSED),
        ("negative Content-Length", change("Content-Length: 0", "Content-Length: -999"), REFUSED),
        ("Content-Length that is a word", change("Content-Length: 0", "Content-Length: many"), REFUSED),
        ("two Content-Lengths", change("Content-Length: 0", "Content-Length: 0\r\nContent-Length: 5"), REFUSED),
        ("no From", without("From"), REFUSED),
        ("no To", without("To"), REFUSED),
        ("no Call-ID", without("Call-ID"), REFUSED),
        ("no CSeq", without("CSeq"), REFUSED),
        ("no Via", without("Via"), SILENCE),
        ("From without a tag", change(";tag=w", ""), REFUSED),
        ("two Froms", change("To: ", "From: <sip:b@h>;tag=2\r\nTo: "), REFUSED),
        ("two Call-IDs", change("CSeq: ", "Call-ID: other\r\nCSeq: "), REFUSED),
        ("negative CSeq", change("CSeq: 1 ", "CSeq: -1 "), REFUSED),
        ("CSeq beyond 2^31", change("CSeq: 1 ", "CSeq: 36893488147419103232 "), REFUSED),
        ("CSeq with another method", change("1 OPTIONS", "1 INVITE"), REFUSED),
        ("CSeq without a method", change("1 OPTIONS", "1"), REFUSED),
        ("unknown method", change("OPTIONS", "NEWMETHOD"), &[405, 501]),
        ("method with illegal letters", change("OPTIONS sip", "OPT(IONS) sip"), SILENCE),
        ("unknown scheme in the Request-URI", change("OPTIONS sip:box", "OPTIONS nobodyKnowsThisScheme:box"), &[416]),
        ("Request-URI in angle brackets", change(&format!("OPTIONS sip:box@{to}"), &format!("OPTIONS <sip:box@{to}>")), REFUSED),
        ("Request-URI with spaces", change("OPTIONS sip:box@", "OPTIONS sip:box; lr@"), REFUSED),
        ("Request-URI with an escaped nothing", change("OPTIONS sip:box@", "OPTIONS sip:%zz%@"), &[200, 400, 404]),
        ("Request-URI without a host", change(&format!("OPTIONS sip:box@{to} "), "OPTIONS sip: "), REFUSED),
        ("spaces between the parts of the start line", change("OPTIONS sip", "OPTIONS  sip"), REFUSED),
        ("SIP/7.0", change("SIP/2.0\r\nVia", "SIP/7.0\r\nVia"), &[505]),
        ("no version", change(" SIP/2.0\r\nVia", "\r\nVia"), SILENCE),
        ("HTTP", b"GET / HTTP/1.1\r\nHost: box\r\n\r\n".to_vec(), SILENCE),
        ("a start line alone", b"OPTIONS sip:box SIP/2.0\r\n\r\n".to_vec(), SILENCE),
        ("no end of headers", options.trim_end().as_bytes().to_vec(), SILENCE),
        ("random octets", (0..=255).cycle().skip(17).step_by(7).take(900).collect(), SILENCE),
        ("only zeros", vec![0; 400], SILENCE),
        ("octets that are not UTF-8", not_utf8, &[0, 200]),
        ("a header line without a colon", change("Max-Forwards: 70", "Max-Forwards 70"), REFUSED),
        ("Max-Forwards beyond 255", change("Max-Forwards: 70", "Max-Forwards: 300"), REFUSED),
        ("garbage in the topmost Via", change(&via, "Via: garbage"), SILENCE),
        ("garbage in a second Via", change(&via, &format!("{via}\r\nVia: ;;,;,,;garbage")), REFUSED),
        ("a Via with port 99999", change(&via, "Via: SIP/2.0/UDP 127.0.0.1:99999;branch=z9hG4bKp"), &[0, 400]),
        ("an empty Call-ID", change("Call-ID: bad", "Call-ID:"), REFUSED),
        ("an unclosed quote in From", change("From: <", "From: \"Bell <"), REFUSED),
        ("an unclosed bracket in To", change(&format!("<sip:box@{to}>"), "<sip:box@h"), REFUSED),
        ("a required extension", change("Max-Forwards", "Require: nothingSupportsThis\r\nMax-Forwards"), &[420]),
        ("an INVITE without Contact", in_invite(&wire.contact(), ""), REFUSED),
        ("an INVITE with a Contact of another world", in_invite(&wire.contact(), "Contact: <mailto:x@y>\r\n"), REFUSED),
        ("an INVITE with a body we cannot read", in_invite("application/sdp", "application/x-unknown"), &[415]),
        ("an overlong header", change("Max-Forwards", &format!("X-Long: {}\r\nMax-Forwards", "a".repeat(60_000))), &[0, 200, 400, 513]),
        ("a thousand headers", change("Max-Forwards", &format!("{}Max-Forwards", "X: y\r\n".repeat(1000))), &[0, 200, 400]),
        ("a thousand Vias", change(&via, &format!("{via}{}", ", SIP/2.0/UDP h".repeat(1000))), &[0, 200, 400]),
        ("a response nobody asked for", b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKx\r\nFrom: <sip:a@h>;tag=1\r\nTo: <sip:b@h>;tag=2\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\n\r\n".to_vec(), SILENCE),
        ("a response with code 7000", b"SIP/2.0 7000 What\r\nVia: SIP/2.0/UDP h\r\nFrom: <sip:a@h>;tag=1\r\nTo: <sip:b@h>\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\n\r\n".to_vec(), SILENCE),
        ("an ACK with a fault", change("OPTIONS", "ACK"), SILENCE),
    ]
}

/// The codes of all answers before that of a good OPTIONS, which must be 200.
async fn answers(wire: &Wire, to: SocketAddr, bad: &[u8], call: &str) -> Vec<u16> {
    wire.send(bad, to).await;
    wire.send(good(wire, to, call), to).await;
    let mut codes = Vec::new();
    loop {
        let message = wire.recv().await;
        let code = message.start().split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap();
        if message.headers("Call-ID") == [call] {
            assert_eq!(code, 200, "a good request after a bad one");
            return codes;
        }
        codes.push(code);
    }
}

#[tokio::test]
async fn every_kind_of_nonsense_gets_its_class_of_answer_or_none() {
    let side = side().await;
    for (number, (what, bad, allowed)) in nonsense(&Wire::open().await, side.addr(), 0).into_iter().enumerate() {
        // A socket of its own per case, so that a late answer is not taken for the next one's.
        let wire = Wire::open().await;
        let (_, bad, _) = match nonsense(&wire, side.addr(), number).into_iter().nth(number) {
            Some(case) => case,
            None => (what, bad, allowed),
        };
        let codes = answers(&wire, side.addr(), &bad, &format!("good{number}")).await;
        let mut codes: Vec<u16> = codes.into_iter().filter(|code| *code >= 200).collect();
        codes.extend(late(&wire).await);
        let fits = codes.first().map_or_else(|| allowed.contains(&0), |code| allowed.contains(code));
        assert!(fits, "{what}: answered {codes:?}, allowed {allowed:?}");
    }
}

/// An INVITE's refusal comes from a task and may come after the OPTIONS' answer.
async fn late(wire: &Wire) -> Option<u16> {
    let line = wire.within(Duration::from_millis(60)).await?;
    line.split(' ').nth(1)?.parse().ok()
}

#[tokio::test]
async fn a_torture_message_full_of_legal_oddities_is_understood() {
    let (side, wire) = (side().await, Wire::open().await);
    let odd = format!(
        "OPTIONS sip:vivekg@{to};unknownparam SIP/2.0\r\nTO :\r\n sip:vivekg@chair-dnrc.example.com ;   tag    = 1918181833n\r\n\
         from   : \"J Rosenberg \\\\\\\"\"       <sip:jdrosen@example.com>\r\n  ;\r\n  tag = 98asjd8\r\nMaX-fOrWaRdS: 0068\r\nCall-ID: wsinv.odd@192.0.2.1\r\n\
         Cseq: 0009\r\n  OPTIONS\r\nVia  : SIP  /   2.0\r\n /UDP\r\n    {from};branch=390skdjuw\r\ns :\r\nNewFangledHeader:   newfangled value\r\n continued newfangled value\r\n\
         UnknownHeaderWithUnusualValue: ;;,,;;,;\r\nv:  SIP  / 2.0  / TCP     spindle.example.com   ;\r\n  branch  =   z9hG4bK9ikj8  ,\r\n SIP  /    2.0   / UDP  192.168.255.111   ; branch=\r\n z9hG4bK30239\r\n\
         m:\"Quoted string \\\"\\\"\" <sip:jdrosen@example.com> ; newparam =\r\n      newvalue ;\r\n  secondparam ; q = 0.33\r\n\r\n",
        to = side.addr(),
        from = wire.addr(),
    );
    wire.send(odd.replace(";   tag    = 1918181833n", ""), side.addr()).await;
    let answer = wire.recv().await;
    assert!(answer.start().starts_with("SIP/2.0 200"), "{}", answer.text);
    assert_eq!(answer.headers("Via").len(), 2);
}

#[tokio::test]
async fn a_stream_with_an_unreadable_length_is_told_and_closed_and_others_go_on() {
    let (side, wire) = (side().await, Wire::open().await);
    let mut stream = TcpStream::connect(side.addr()).await.unwrap();
    let bad = good(&wire, side.addr(), "x")
        .replace("Content-Length: 0", "Content-Length: -1")
        .replace("SIP/2.0/UDP", "SIP/2.0/TCP");
    stream.write_all(bad.as_bytes()).await.unwrap();
    let mut text = Vec::new();
    soon(stream.read_to_end(&mut text)).await.unwrap();
    assert!(String::from_utf8_lossy(&text).starts_with("SIP/2.0 400"), "{}", String::from_utf8_lossy(&text));

    for garbage in [vec![0; 70_000], b"\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\n\r\n".to_vec()] {
        let mut stream = TcpStream::connect(side.addr()).await.unwrap();
        let _ = stream.write_all(&garbage).await;
        assert!(answers(&wire, side.addr(), b"x", "after").await.is_empty());
    }
}

#[tokio::test]
async fn random_damage_to_good_messages_never_stops_the_endpoint() {
    let (side, wire) = (side().await, Wire::open().await);
    let good_invite =
        wire.request("INVITE", side.addr(), "fuzz", 1, "", "Content-Type: application/sdp\r\n", "v=0\r\n");
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let mut next = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    for _ in 0..2000 {
        let mut bytes = good_invite.clone().into_bytes();
        for _ in 0..=next(6) {
            let at = next(bytes.len());
            match next(3) {
                0 => bytes[at] = next(256) as u8,
                1 => drop(bytes.remove(at)),
                _ => bytes.insert(at, b" \r\n:;,<>\"@%"[next(11)]),
            }
        }
        wire.send(&bytes, side.addr()).await;
    }
    let place = side.addr().to_string();
    assert_eq!(soon(side.endpoint.options(&place, sip::Transport::Tcp)).await.unwrap().code, 200);
}
