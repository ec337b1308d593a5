//! Does the endpoint survive the torture messages of RFC 4475 and RFC 5118, and answer each as it should?
//!
//! The messages lie beside this file; [`table`] says what is right. Every message meets a new endpoint over a real
//! socket, and that endpoint must serve a good request afterwards.

mod bench;
#[path = "../common/mod.rs"]
mod common;
mod messages;
mod octets;
mod table;

use bench::{Bench, Peer};
use common::Message;
use messages::{folder, messages, with_rport};
use sip::Transport;
use std::collections::BTreeSet;
use table::{Rfc, Right, Row, TORTURE, TORTURE_IPV6};

#[tokio::test]
async fn every_message_of_rfc_4475_gets_the_right_class_of_answer_over_udp() {
    endure(TORTURE, Transport::Udp).await;
}

#[tokio::test]
async fn every_message_of_rfc_4475_gets_the_right_class_of_answer_over_tcp() {
    endure(TORTURE, Transport::Tcp).await;
}

#[tokio::test]
async fn every_message_of_rfc_4475_gets_the_right_class_of_answer_over_tls() {
    endure(TORTURE, Transport::Tls).await;
}

#[tokio::test]
async fn every_message_of_rfc_4475_gets_the_right_class_of_answer_over_websockets() {
    endure(TORTURE, Transport::Wss).await;
}

#[tokio::test]
async fn every_message_of_rfc_5118_gets_the_right_class_of_answer_over_udp() {
    endure(TORTURE_IPV6, Transport::Udp).await;
}

#[tokio::test]
async fn every_message_of_rfc_5118_gets_the_right_class_of_answer_over_tcp() {
    endure(TORTURE_IPV6, Transport::Tcp).await;
}

#[tokio::test]
async fn every_message_of_rfc_5118_gets_the_right_class_of_answer_over_tls() {
    endure(TORTURE_IPV6, Transport::Tls).await;
}

#[tokio::test]
async fn every_message_of_rfc_5118_gets_the_right_class_of_answer_over_websockets() {
    endure(TORTURE_IPV6, Transport::Wss).await;
}

#[test]
fn every_message_of_both_rfcs_has_its_row() {
    for (rfc, sections) in [(TORTURE, 49), (TORTURE_IPV6, 10)] {
        let files = std::fs::read_dir(folder(&rfc)).unwrap();
        let files: BTreeSet<String> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        assert_eq!(files, rfc.rows.iter().map(|row| format!("{}.dat", row.name)).collect());
        assert_eq!(rfc.rows.iter().map(|row| row.section).collect::<BTreeSet<_>>().len(), sections);
    }
}

/// All rows are tried, so that one run tells everything that is wrong.
async fn endure(rfc: Rfc, over: Transport) {
    let mut wrong = Vec::new();
    for (row, message) in messages(&rfc) {
        if let Err(what) = tried(row, &message, over).await {
            wrong.push(format!("{} ({}, \"{}\"): {what}", row.name, row.section, row.says));
        }
    }
    assert!(wrong.is_empty(), "over {over}:\n{}", wrong.join("\n"));
}

async fn tried(row: &Row, message: &[u8], over: Transport) -> Result<(), String> {
    let bench = Bench::open().await;
    let mut peer = bench.peer(over).await;
    let (message, right) = match over {
        Transport::Udp => (with_rport(message), row.datagram),
        // Here too a message ends where it ends, whatever its length says.
        Transport::Wss => (message.to_vec(), row.datagram),
        Transport::Tcp | Transport::Tls => (message.to_vec(), row.stream),
    };
    peer.send(&message).await;
    match right {
        Right::Silence => {}
        Right::Told(codes) => told(&mut peer, codes).await?,
        Right::Waits(octets, code) => {
            peer.send(&vec![b' '; octets]).await;
            told(&mut peer, &[code]).await?;
        }
        Right::Closed(code) => {
            told(&mut peer, &[code]).await?;
            if let Some(more) = peer.next().await? {
                return Err(format!("not closed but told {}", more.start()));
            }
            peer = bench.peer(over).await;
        }
    }
    still_served(&mut peer, right).await
}

/// These final answers come, in any order, and say what they must say.
async fn told(peer: &mut Peer, codes: &[u16]) -> Result<(), String> {
    let mut missing = codes.to_vec();
    while !missing.is_empty() {
        let answer = peer.next().await.map_err(|what| format!("{missing:?} did not come: {what}"))?;
        let answer = answer.ok_or_else(|| format!("closed before {missing:?}"))?;
        let code = code(&answer);
        if code >= 200 {
            let at = missing.iter().position(|wanted| *wanted == code);
            missing.remove(at.ok_or_else(|| format!("told {} instead of {missing:?}", answer.start()))?);
            helpful(&answer)?;
        }
    }
    Ok(())
}

/// A refusal names what would have been right.
fn helpful(answer: &Message) -> Result<(), String> {
    let wanted = match code(answer) {
        401 => "WWW-Authenticate",
        405 | 501 => "Allow",
        406 | 415 => "Accept",
        420 => "Unsupported",
        _ => return Ok(()),
    };
    let named = answer.headers(wanted).iter().any(|value| !value.is_empty());
    named.then_some(()).ok_or_else(|| format!("{} without {wanted}", answer.start()))
}

/// Two good requests are answered, and nothing else but repetitions of what was right.
async fn still_served(peer: &mut Peer, right: Right) -> Result<(), String> {
    for number in 1..=2 {
        peer.send(options(number).as_bytes()).await;
        loop {
            let answer = peer.next().await.map_err(|what| format!("a good request afterwards: {what}"))?;
            let answer = answer.ok_or("closed before a good request was answered")?;
            if answer.headers("Call-ID") == [format!("good{number}")] {
                let fine = code(&answer) == 200;
                fine.then_some(()).ok_or_else(|| format!("a good request afterwards: {}", answer.start()))?;
                break;
            }
            let again = matches!(right, Right::Told(codes) if codes.contains(&code(&answer)));
            if code(&answer) >= 200 && !again {
                return Err(format!("also told {}", answer.start()));
            }
        }
    }
    Ok(())
}

fn options(number: u32) -> String {
    format!(
        "OPTIONS sip:box@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKgood{number};rport\r\n\
         Max-Forwards: 70\r\nFrom: <sip:peer@127.0.0.1>;tag=p\r\nTo: <sip:box@127.0.0.1>\r\n\
         Call-ID: good{number}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
    )
}

fn code(answer: &Message) -> u16 {
    answer.start().split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0)
}
