//! Does whoever looks see what is on the wire, all of it and in order?

mod common;

use common::*;
use sip::{DialogEvent, Tap, Transport};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

/// Sent or received, by which transport, between whom, and what.
type Note = (bool, Transport, SocketAddr, SocketAddr, String);

#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<Note>>>);

impl Notes {
    fn tap(&self) -> Tap {
        let notes = self.0.clone();
        Tap::new(move |seen| {
            let text = String::from_utf8_lossy(seen.bytes).into_owned();
            notes.lock().unwrap().push((seen.sent, seen.transport, seen.local, seen.peer, text));
        })
    }

    /// `> INVITE` was sent, `< 200` came; without 100, which need not come.
    fn words(&self) -> Vec<String> {
        let word = |(sent, _, _, _, text): &Note| {
            let start = text.strip_prefix("SIP/2.0 ").unwrap_or(text).split(' ').next().unwrap().to_owned();
            format!("{} {start}", if *sent { '>' } else { '<' })
        };
        self.0.lock().unwrap().iter().map(word).filter(|word| !word.ends_with("100")).collect()
    }
}

async fn side_seen_by(notes: &Notes) -> Side {
    side_with(|config| config.tap = notes.tap()).await
}

#[tokio::test]
async fn both_ends_of_a_call_see_the_same_messages() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let (at_caller, at_callee) = (Notes::default(), Notes::default());
        let (caller, mut callee) = (side_seen_by(&at_caller).await, side_seen_by(&at_callee).await);
        let ((dialog, _), (_, mut theirs)) = answered(&caller, &mut callee, transport).await;
        soon(dialog.bye(None, &[])).await;
        assert!(matches!(soon(theirs.recv()).await, Some(DialogEvent::Terminated { .. })));

        assert_eq!(at_caller.words(), ["> INVITE", "< 200", "> ACK", "> BYE", "< 200"]);
        assert_eq!(at_callee.words(), ["< INVITE", "> 200", "< ACK", "< BYE", "> 200"]);
        let (ours, theirs) = (at_caller.0.lock().unwrap(), at_callee.0.lock().unwrap());
        let (first, copy) = (&ours[0], &theirs[0]);
        assert_eq!((&first.4, first.1, copy.1), (&copy.4, transport, transport));
        assert_eq!((first.2, first.3), (copy.3, copy.2), "each sees the other's address");
        assert!(ours.iter().all(|note| (note.2, note.3) == (first.2, callee.addr())), "{ours:?}");
    }
}

#[tokio::test]
async fn a_refusal_of_what_is_no_proper_request_is_seen_and_garbage_is_not() {
    let notes = Notes::default();
    let (side, wire) = (side_seen_by(&notes).await, Wire::open().await);
    wire.send("no SIP at all", side.addr()).await;
    wire.send(wire.request("INVITE", side.addr(), "c1", 1, "", "Content-Length: x\r\n", ""), side.addr()).await;
    wire.expect("SIP/2.0 400").await;
    assert_eq!(notes.words(), ["< INVITE", "> 400"]);
}
