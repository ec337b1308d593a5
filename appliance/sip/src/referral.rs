//! What does a peer want that sends us REFER? (RFC 3515, RFC 5589)
//!
//! That somebody else takes its place in the call: a number, or with `Replaces` (RFC 3891) the other end of a second call
//! of ours. The owner of the call decides; what comes of it goes back by NOTIFY, unless the peer wants none (RFC 4488).

use crate::core::DialogId;
use crate::dialog::{DialogEvent, Inner};
use crate::header::NameAddr;
use crate::message::{Headers, Request, reason_phrase};
use crate::stack::ServerTransaction;
use crate::uri::{SipUri, unescape};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tracing::debug;

/// The owner must decide within this time.
const PATIENCE: Duration = Duration::from_secs(5);

/// What Refer-To says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReferTo {
    /// Whom to call: the user part, as dialled.
    pub user: String,
    pub replaces: Option<Replaces>,
}

/// One of our dialogs, as the peer names it: `to_tag` is ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replaces {
    pub call_id: String,
    pub to_tag: String,
    pub from_tag: String,
    /// Not once it is answered.
    pub early_only: bool,
}

impl ReferTo {
    /// A REFER has one Refer-To, and what is asked for is an INVITE.
    fn of(request: &Request) -> Result<ReferTo, u16> {
        let mut values = request.headers.all("Refer-To");
        let (Some(value), None) = (values.next(), values.next()) else { return Err(400) };
        let address = NameAddr::parse(value).ok_or(400_u16)?;
        let uri = SipUri::parse(&address.uri).ok_or(416_u16)?;
        if uri.param("method").is_some_and(|method| !method.eq_ignore_ascii_case("INVITE")) {
            return Err(603);
        }
        let replaces =
            header_of(&address.uri, "Replaces").map(|value| Replaces::parse(&value).ok_or(400_u16)).transpose()?;
        Ok(ReferTo { user: uri.user, replaces })
    }
}

/// A header that a URI brings along: `sip:a@h?Replaces=…&Require=…`.
fn header_of(uri: &str, name: &str) -> Option<String> {
    let (_, headers) = uri.split_once('?')?;
    let mut fields = headers.split('&').filter_map(|field| field.split_once('='));
    fields.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| unescape(value))
}

impl Replaces {
    /// What an INVITE says in its one Replaces field (RFC 3891 section 3); an error is what is wrong with it.
    pub(crate) fn of(headers: &Headers) -> Result<Option<Replaces>, &'static str> {
        let mut values = headers.all("Replaces");
        match (values.next(), values.next()) {
            (None, _) => Ok(None),
            (Some(value), None) => Replaces::parse(value).map(Some).ok_or("Replaces is not readable"),
            (Some(_), Some(_)) => Err("Replaces is repeated"),
        }
    }

    /// `call-id;to-tag=…;from-tag=…`, perhaps `;early-only`
    pub fn parse(value: &str) -> Option<Replaces> {
        let mut parts = value.split(';').map(str::trim);
        let call_id = parts.next().filter(|id| !id.is_empty())?.to_owned();
        let (mut to_tag, mut from_tag, mut early_only) = (None, None, false);
        for part in parts {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            match name.trim().to_ascii_lowercase().as_str() {
                "to-tag" => to_tag = Some(value.trim().to_owned()),
                "from-tag" => from_tag = Some(value.trim().to_owned()),
                "early-only" => early_only = true,
                _ => {}
            }
        }
        Some(Replaces { call_id, to_tag: to_tag?, from_tag: from_tag?, early_only })
    }

    pub(crate) fn id(&self) -> DialogId {
        DialogId { call_id: self.call_id.clone(), local_tag: self.to_tag.clone(), remote_tag: self.from_tag.clone() }
    }
}

/// What the sender of a REFER is told of what became of it.
#[derive(Clone)]
pub struct Subscription {
    dialog: Arc<Inner>,
    /// From the second REFER of a dialog on.
    id: Option<u32>,
    /// `Refer-Sub: false`.
    quiet: bool,
    /// One NOTIFY after the other, the first after our 202.
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl std::fmt::Debug for Subscription {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subscription").field("id", &self.id).field("quiet", &self.quiet).finish_non_exhaustive()
    }
}

impl Subscription {
    /// Tells of a response to the call that was asked for; a final one (200 and above) ends the subscription.
    pub async fn notify(&self, code: u16) {
        let _turn = self.turn.lock().await;
        self.send(code).await;
    }

    async fn send(&self, code: u16) {
        if self.quiet {
            return;
        }
        let event = self.id.map_or("refer".to_owned(), |id| format!("refer;id={id}"));
        let state = if code < 200 { "active;expires=180" } else { "terminated;reason=noresource" };
        let headers = [("Event".to_owned(), event), ("Subscription-State".to_owned(), state.to_owned())];
        let body = format!("SIP/2.0 {code} {}\r\n", reason_phrase(code)).into_bytes();
        match self.dialog.exchange("NOTIFY", &headers, Some(("message/sipfrag;version=2.0", body))).await {
            Ok(response) => debug!(sip.code = response.code, "sip_notify_answered"),
            Err(error) => debug!(%error, "sip_notify_not_sent"),
        }
    }
}

impl Inner {
    /// Asks the owner, answers, and tells at once that it is being tried.
    pub(crate) async fn handle_refer(self: Arc<Self>, mut transaction: ServerTransaction) {
        let request = transaction.request.clone();
        let to = match ReferTo::of(&request) {
            // The tags are no secret to whoever may listen in; the address makes it a little harder.
            _ if transaction.flow.peer.ip() != self.state.lock().flow.peer.ip() => Err(403),
            to => to,
        };
        let to = match to {
            Ok(to) => to,
            Err(code) => return self.reply(&mut transaction, code).await,
        };
        let subscription = self.subscription(&request);
        let _turn = subscription.turn.lock().await;
        let code = self.ask_about(to, subscription.clone()).await;
        let mut answer = self.core.answer(&request, code, None, None);
        if subscription.quiet {
            answer.headers.push("Refer-Sub", "false");
        }
        answer.headers.push("Contact", self.core.contact(&self.local_user, &transaction.flow));
        transaction.respond(&answer).await;
        if code < 300 {
            subscription.send(100).await;
        }
    }

    fn subscription(self: &Arc<Self>, request: &Request) -> Subscription {
        let number = request.headers.first("CSeq").and_then(crate::header::cseq).map(|(number, _)| number);
        let again = std::mem::replace(&mut self.state.lock().referred, true);
        let quiet = request.headers.first("Refer-Sub").is_some_and(|wish| wish.trim().eq_ignore_ascii_case("false"));
        Subscription { dialog: self.clone(), id: number.filter(|_| again), quiet, turn: Arc::default() }
    }

    async fn ask_about(&self, to: ReferTo, subscription: Subscription) -> u16 {
        let (answer, answered) = oneshot::channel();
        self.emit(DialogEvent::Refer { to, subscription, answer }).await;
        timeout(PATIENCE, answered).await.ok().and_then(Result::ok).unwrap_or(603)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Headers;

    fn refer(values: &[&str]) -> Result<ReferTo, u16> {
        let mut headers = Headers::default();
        values.iter().for_each(|value| headers.push("Refer-To", *value));
        ReferTo::of(&Request { method: "REFER".into(), uri: "sip:box".into(), headers, body: Vec::new() })
    }

    #[test]
    fn an_invite_names_one_dialog_readably_or_none() {
        let of = |values: &[&str]| {
            let mut headers = Headers::default();
            values.iter().for_each(|value| headers.push("Replaces", *value));
            Replaces::of(&headers)
        };
        assert_eq!(of(&[]), Ok(None));
        let named = of(&["a@b;from-tag=y;to-tag=x;early-only"]).unwrap().unwrap();
        assert_eq!((named.call_id.as_str(), named.to_tag.as_str(), named.early_only), ("a@b", "x", true));
        assert!(!of(&["a@b;from-tag=y;to-tag=x"]).unwrap().unwrap().early_only);
        assert!(of(&["a@b;from-tag=y"]).is_err());
        assert!(of(&["a@b;from-tag=y;to-tag=x", "c@d;from-tag=y;to-tag=x"]).is_err());
    }

    #[test]
    fn a_number_or_another_call_can_be_asked_for() {
        assert_eq!(refer(&["<sip:%2B3120@box;user=phone>"]), Ok(ReferTo { user: "+3120".into(), replaces: None }));
        let replaces = Replaces { call_id: "a@b".into(), to_tag: "x".into(), from_tag: "y".into(), early_only: false };
        let to = refer(&["\"Bo\" <sip:101@box?Require=replaces&Replaces=a%40b%3Bfrom-tag%3Dy%3Bto-tag%3Dx>"]);
        assert_eq!(to, Ok(ReferTo { user: "101".into(), replaces: Some(replaces) }));
    }

    #[test]
    fn what_is_no_call_or_not_clear_is_refused() {
        assert_eq!(refer(&[]), Err(400));
        assert_eq!(refer(&["<sip:1@box>", "<sip:2@box>"]), Err(400));
        assert_eq!(refer(&["<http://box>"]), Err(416));
        assert_eq!(refer(&["<sip:1@box;method=BYE>"]), Err(603));
        assert_eq!(refer(&["<sip:1@box?Replaces=a%3Bto-tag%3Dx>"]), Err(400));
    }
}
