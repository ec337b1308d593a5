//! How do we tell a carrier where we are?
//!
//! One REGISTER at a time (RFC 3261 section 10.2). When to send the next one is decided by
//! [`crate::registration`].

use crate::auth::{Credentials, Proofs};
use crate::core::{Core, escape_user};
use crate::header::NameAddr;
use crate::ids::{first_cseq, new_call_id, new_tag};
use crate::message::{Headers, Request, Response};
use crate::resolve::Target;
use crate::transport::{Flow, Transport};
use crate::{SipError, uri::SipUri};
use std::time::Duration;

#[derive(Debug, Clone)]
pub struct RegisterRequest {
    /// Whose registration: keeps the Call-ID and counts the CSeq (the trunk's id).
    pub key: String,
    /// `host[:port]` of the registrar, as it goes into the Request-URI.
    pub registrar: String,
    /// `host[:port]` to send to if that is another.
    pub proxy: Option<String>,
    /// `user@domain` that we register.
    pub aor: String,
    pub credentials: Option<Credentials>,
    pub transport: Transport,
    /// Zero unregisters.
    pub expires: Duration,
}

/// What a registrar knows us by, from one REGISTER to the next.
pub(crate) struct Binding {
    call_id: String,
    cseq: u32,
    contact: Option<String>,
}

impl Binding {
    fn new() -> Self {
        Binding { call_id: new_call_id(), cseq: first_cseq(), contact: None }
    }
}

/// What came of one REGISTER.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisterOutcome {
    /// The registrar's code; 408 for its silence, 503 when it could not be asked.
    pub code: u16,
    /// Its words, or why it could not be asked.
    pub reason: String,
    /// How long the registration holds, when it does.
    pub expires: Option<Duration>,
    pub retry_after: Option<Duration>,
}

pub(crate) async fn register(core: &Core, request: &RegisterRequest) -> RegisterOutcome {
    let mut expires = request.expires.as_secs();
    let first = attempt(core, request, expires).await;
    let outcome = match first {
        Ok(answered) => match too_brief(&answered.0).filter(|least| expires > 0 && *least > expires) {
            Some(least) => {
                expires = least;
                attempt(core, request, least).await
            }
            None => Ok(answered),
        },
        error => error,
    };
    match outcome {
        Ok((response, contact)) => outcome_of(&response, &contact, expires),
        Err(error) => {
            RegisterOutcome { code: error.code(), reason: error.to_string(), expires: None, retry_after: None }
        }
    }
}

/// 423: the registrar wants us to stay longer.
fn too_brief(response: &Response) -> Option<u64> {
    let least = response.headers.first("Min-Expires")?.trim().parse().ok()?;
    (response.code == 423 && least <= 86_400).then_some(least)
}

/// The final answer, and the Contact it is about.
async fn attempt(core: &Core, request: &RegisterRequest, expires: u64) -> Result<(Response, String), SipError> {
    let place = request.proxy.as_ref().unwrap_or(&request.registrar);
    let flow = core.flow_to(&Target::of_place(place, request.transport)?).await?;
    let (message, contact) = message(core, request, expires, &flow)?;
    let mut proofs = Proofs::new(request.credentials.clone());
    let response = core.exchange_proven(message, &flow, &mut proofs, || next_cseq(core, &request.key)).await?;
    remember(core, &request.key, &response, Some(contact.clone()).filter(|_| expires > 0));
    Ok((response, contact))
}

fn message(core: &Core, request: &RegisterRequest, expires: u64, flow: &Flow) -> Result<(Request, String), SipError> {
    let bad = || SipError::BadAddress(request.aor.clone());
    let aor = request.aor.strip_prefix("sip:").unwrap_or(&request.aor);
    let (user, domain) = aor.rsplit_once('@').ok_or_else(bad)?;
    let aor = format!("sip:{}@{domain}", escape_user(user));
    SipUri::parse(&aor).ok_or_else(bad)?;
    let registrar = request.registrar.strip_prefix("sip:").unwrap_or(&request.registrar);
    let mut message = core.request("REGISTER", &format!("sip:{registrar}"), flow);
    message.headers.push("From", format!("<{aor}>;tag={}", new_tag()));
    message.headers.push("To", format!("<{aor}>"));
    message.headers.push("Call-ID", call_id(core, &request.key));
    let contact = core.contact(user, flow);
    message.headers.push("Contact", contact.clone());
    if let Some(outdated) = outdated(core, &request.key, &contact) {
        message.headers.push("Contact", format!("{outdated};expires=0"));
    }
    message.headers.push("Expires", expires.to_string());
    message.headers.push("Allow", crate::guard::ALLOW);
    Ok((message, contact))
}

fn with_binding<T>(core: &Core, key: &str, work: impl FnOnce(&mut Binding) -> T) -> T {
    work(core.registrations.lock().entry(key.to_owned()).or_insert_with(Binding::new))
}

fn call_id(core: &Core, key: &str) -> String {
    with_binding(core, key, |binding| binding.call_id.clone())
}

fn next_cseq(core: &Core, key: &str) -> u32 {
    with_binding(core, key, |binding| {
        binding.cseq += 1;
        binding.cseq
    })
}

/// The Contact that the registrar still has when ours has changed: calls to it would reach somebody else.
fn outdated(core: &Core, key: &str, contact: &str) -> Option<String> {
    with_binding(core, key, |binding| binding.contact.clone().filter(|known| known != contact))
}

/// A registrar that refuses may dislike two Contacts: the outdated one is not named to it again.
fn remember(core: &Core, key: &str, response: &Response, contact: Option<String>) {
    if !matches!(response.code, 408 | 423 | 500..) {
        with_binding(core, key, |binding| binding.contact = contact);
    }
}

fn outcome_of(response: &Response, contact: &str, asked: u64) -> RegisterOutcome {
    let ours = SipUri::parse(contact.trim_matches(['<', '>']));
    let granted = response.is_success().then(|| granted(&response.headers, ours.as_ref()).unwrap_or(asked));
    let retry_after = response.headers.first("Retry-After").and_then(seconds);
    RegisterOutcome {
        code: response.code,
        reason: response.reason.clone(),
        expires: granted.map(Duration::from_secs),
        retry_after: retry_after.map(Duration::from_secs),
    }
}

/// The `expires` of our own binding among those listed, else the Expires field.
fn granted(headers: &Headers, ours: Option<&SipUri>) -> Option<u64> {
    let bindings = crate::header::list(headers.all("Contact"));
    let own = bindings.iter().filter_map(|binding| NameAddr::parse(binding)).find(|binding| {
        let uri = SipUri::parse(&binding.uri);
        uri.as_ref().zip(ours).is_some_and(|(theirs, ours)| theirs.host == ours.host && theirs.port == ours.port)
    });
    own.and_then(|binding| binding.param("expires").and_then(seconds))
        .or_else(|| headers.first("Expires").and_then(seconds))
}

/// `120 (I am busy);duration=3600` is 120.
fn seconds(value: &str) -> Option<u64> {
    let digits = value.trim().split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_registrar_may_grant_each_binding_its_own_time() {
        let ours = SipUri::parse("sip:192.0.2.1:5060");
        let headers = Headers(vec![
            ("Contact".into(), "<sip:u@198.51.100.9:5060>;expires=30, <sip:u@192.0.2.1:5060>;expires=120".into()),
            ("Expires".into(), "3600".into()),
        ]);
        assert_eq!(granted(&headers, ours.as_ref()), Some(120));
        let other = SipUri::parse("sip:203.0.113.1:5060");
        assert_eq!(granted(&headers, other.as_ref()), Some(3600));
    }

    #[test]
    fn a_retry_after_may_carry_a_comment() {
        assert_eq!(seconds(" 120 (maintenance);duration=3600"), Some(120));
        assert_eq!(seconds("soon"), None);
    }
}
