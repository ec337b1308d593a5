//! Whose message is this?
//!
//! A leg's name is LiveKit's id of it, and that is our tag in its dialogs (`From` of calls that we place, `To` of
//! those that we take). A caller's first INVITE has no tag of ours yet; until an answer has it, its Call-ID stands in.

use sip::{Seen, header::tag_of, message::split};

/// What tells to which leg a message belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    pub sent: bool,
    pub call_id: String,
    /// None while we have not answered.
    pub our_tag: Option<String>,
    /// An INVITE outside of a dialog.
    pub opens: bool,
}

impl Facts {
    /// None of what is no message, such as a ping.
    pub fn of(seen: &Seen<'_>) -> Option<Facts> {
        let raw = split(seen.bytes)?;
        let call_id = raw.headers.first("Call-ID")?.to_owned();
        let tag = |name| raw.headers.first(name).and_then(tag_of);
        let response = raw.start.starts_with("SIP/");
        // Whoever sent the request stands in From.
        let ours = if response == seen.sent { "To" } else { "From" };
        let opens = raw.start.starts_with("INVITE ") && tag("To").is_none();
        Some(Facts { sent: seen.sent, call_id, our_tag: tag(ours), opens })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sip::Transport;

    fn facts(sent: bool, start: &str, to: &str) -> Facts {
        let text = format!("{start}\r\nf: <sip:a@h>;tag=f\r\nTo: <sip:b@h>{to}\r\ni: c@h\r\n\r\n");
        let address = "192.0.2.1:5060".parse().unwrap();
        let seen = Seen { sent, transport: Transport::Udp, local: address, peer: address, bytes: text.as_bytes() };
        Facts::of(&seen).unwrap()
    }

    #[test]
    fn our_tag_is_where_the_direction_says() {
        for (sent, start, ours) in [
            (true, "BYE sip:b@h SIP/2.0", "f"),
            (false, "BYE sip:b@h SIP/2.0", "t"),
            (true, "SIP/2.0 200 OK", "t"),
            (false, "SIP/2.0 200 OK", "f"),
        ] {
            let facts = facts(sent, start, ";tag=t");
            assert_eq!((facts.our_tag.as_deref(), facts.opens), (Some(ours), false), "{start}");
        }
    }

    #[test]
    fn only_an_invite_without_a_tag_in_to_opens() {
        let of = |start, to| facts(false, start, to).opens;
        assert!(of("INVITE sip:b@h SIP/2.0", ""));
        assert!(!of("INVITE sip:b@h SIP/2.0", ";tag=t"));
        assert!(!of("OPTIONS sip:b@h SIP/2.0", ""));
    }

    #[test]
    fn a_ping_is_nobodys() {
        let address = "192.0.2.1:5060".parse().unwrap();
        let seen = Seen { sent: true, transport: Transport::Tcp, local: address, peer: address, bytes: b"\r\n" };
        assert_eq!(Facts::of(&seen), None);
    }
}
