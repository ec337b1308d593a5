//! What becomes of calls over TCP when connections come, break and come back?

mod common;

use common::*;
use sip::{DialogEvent, TerminatedCause, Transport};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Reads until `wanted` shows up; gives all that was read.
async fn read_until(stream: &mut TcpStream, wanted: &str) -> String {
    let mut text = String::new();
    let mut buffer = [0; 4096];
    while !text.contains(wanted) {
        let length = soon(stream.read(&mut buffer)).await.unwrap();
        assert!(length > 0, "closed before {wanted}; got\n{text}");
        text += &String::from_utf8_lossy(&buffer[..length]);
    }
    text
}

fn invite_over_tcp(wire: &Wire, to: std::net::SocketAddr, contact: std::net::SocketAddr, call: &str) -> String {
    let text = wire.request("INVITE", to, call, 1, "", "", "");
    let text = text
        .replace("SIP/2.0/UDP", "SIP/2.0/TCP")
        .replace(&format!("{};branch", wire.addr()), &format!("{contact};branch"));
    text.replace(&wire.contact(), &format!("Contact: <sip:wire@{contact};transport=tcp>\r\n"))
}

#[tokio::test]
async fn an_invite_is_answered_on_its_own_connection_in_pieces_or_in_a_row() {
    let (mut callee, wire) = (side().await, Wire::open().await);
    let mut stream = TcpStream::connect(callee.addr()).await.unwrap();
    let contact = stream.local_addr().unwrap();
    let invite = invite_over_tcp(&wire, callee.addr(), contact, "tcp1");
    for piece in invite.as_bytes().chunks(7) {
        stream.write_all(piece).await.unwrap();
    }
    let call = callee.call().await;
    let (_, _events) = call.accept(ANSWER.to_vec(), &[]).await.unwrap();
    let text = read_until(&mut stream, "SIP/2.0 200").await;
    assert!(text.starts_with("SIP/2.0 100"));
    stream.write_all(b"\r\n\r\n").await.unwrap();
    let options =
        |n| wire.request("OPTIONS", callee.addr(), "tcp2", n, "", "", "").replace("SIP/2.0/UDP", "SIP/2.0/TCP");
    stream.write_all(format!("{}{}", options(1), options(2)).as_bytes()).await.unwrap();
    let text = read_until(&mut stream, "CSeq: 2 OPTIONS").await;
    assert!(text.contains("CSeq: 1 OPTIONS"));
}

#[tokio::test]
async fn a_call_outlives_its_connection_and_is_hung_up_over_a_new_one() {
    let (mut callee, wire) = (side().await, Wire::open().await);
    let home = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut stream = TcpStream::connect(callee.addr()).await.unwrap();
    let invite = invite_over_tcp(&wire, callee.addr(), home.local_addr().unwrap(), "tcp3");
    stream.write_all(invite.as_bytes()).await.unwrap();
    let (dialog, mut events) = callee.call().await.accept(ANSWER.to_vec(), &[]).await.unwrap();
    read_until(&mut stream, "SIP/2.0 200").await;
    let ack =
        wire.request("ACK", callee.addr(), "tcp3", 1, dialog.local_tag(), "", "").replace("SIP/2.0/UDP", "SIP/2.0/TCP");
    stream.write_all(ack.as_bytes()).await.unwrap();
    assert!(matches!(soon(events.recv()).await, Some(DialogEvent::Acked { .. })));
    stream.shutdown().await.unwrap();
    // The end of the connection is seen once our side has closed it too.
    let mut rest = Vec::new();
    soon(stream.read_to_end(&mut rest)).await.unwrap();
    tokio::spawn(async move { dialog.bye(None, &[]).await });
    let (mut again, _) = soon(home.accept()).await.unwrap();
    let text = read_until(&mut again, "BYE").await;
    assert!(text.starts_with("BYE"));
    assert!(matches!(soon(events.recv()).await, Some(DialogEvent::Terminated { cause: TerminatedCause::LocalBye })));
}

#[tokio::test]
async fn an_answer_whose_connection_is_gone_goes_to_the_address_in_the_via() {
    let (mut callee, wire) = (side().await, Wire::open().await);
    let home = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut stream = TcpStream::connect(callee.addr()).await.unwrap();
    let invite = invite_over_tcp(&wire, callee.addr(), home.local_addr().unwrap(), "tcp4");
    stream.write_all(invite.as_bytes()).await.unwrap();
    let call = callee.call().await;
    read_until(&mut stream, "SIP/2.0 100").await;
    stream.shutdown().await.unwrap();
    let mut rest = Vec::new();
    soon(stream.read_to_end(&mut rest)).await.unwrap();
    call.reject(486, None, &[]).await;
    let (mut again, _) = soon(home.accept()).await.unwrap();
    read_until(&mut again, "SIP/2.0 486").await;
}

#[tokio::test]
async fn both_directions_of_a_call_share_its_connection() {
    let (caller, mut callee) = (side().await, side().await);
    let ((ours, _ours_events), (theirs, mut events)) = answered(&caller, &mut callee, Transport::Tcp).await;
    ours.info("text/plain", b"one".to_vec()).await.unwrap();
    assert!(matches!(soon(events.recv()).await, Some(DialogEvent::Info { .. })));
    theirs.info("text/plain", b"two".to_vec()).await.unwrap();
}
