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
use crate::transport::Transport;
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
        Ok(response) => match too_brief(&response).filter(|least| expires > 0 && *least > expires) {
            Some(least) => {
                expires = least;
                attempt(core, request, least).await
            }
            None => Ok(response),
        },
        error => error,
    };
    match outcome {
        Ok(response) => outcome_of(core, request, &response, expires),
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

async fn attempt(core: &Core, request: &RegisterRequest, expires: u64) -> Result<Response, SipError> {
    let place = request.proxy.as_ref().unwrap_or(&request.registrar);
    let flow = core.flow_to(&Target::of_place(place, request.transport)?).await?;
    let message = message(core, request, expires)?;
    let mut proofs = Proofs::new(request.credentials.clone());
    core.exchange_proven(message, &flow, &mut proofs, || next_cseq(core, &request.key)).await
}

fn message(core: &Core, request: &RegisterRequest, expires: u64) -> Result<Request, SipError> {
    let bad = || SipError::BadAddress(request.aor.clone());
    let aor = request.aor.strip_prefix("sip:").unwrap_or(&request.aor);
    let (user, domain) = aor.rsplit_once('@').ok_or_else(bad)?;
    let aor = format!("sip:{}@{domain}", escape_user(user));
    SipUri::parse(&aor).ok_or_else(bad)?;
    let registrar = request.registrar.strip_prefix("sip:").unwrap_or(&request.registrar);
    let mut message = core.request("REGISTER", &format!("sip:{registrar}"), request.transport);
    message.headers.push("From", format!("<{aor}>;tag={}", new_tag()));
    message.headers.push("To", format!("<{aor}>"));
    message.headers.push("Call-ID", call_id(core, &request.key));
    message.headers.push("Contact", core.contact(user, request.transport));
    message.headers.push("Expires", expires.to_string());
    message.headers.push("Allow", crate::guard::ALLOW);
    Ok(message)
}

fn call_id(core: &Core, key: &str) -> String {
    let mut registrations = core.registrations.lock();
    let entry = registrations.entry(key.to_owned());
    entry.or_insert_with(|| (new_call_id(), first_cseq())).0.clone()
}

fn next_cseq(core: &Core, key: &str) -> u32 {
    let mut registrations = core.registrations.lock();
    let entry = registrations.entry(key.to_owned()).or_insert_with(|| (new_call_id(), first_cseq()));
    entry.1 += 1;
    entry.1
}

fn outcome_of(core: &Core, request: &RegisterRequest, response: &Response, asked: u64) -> RegisterOutcome {
    let ours = SipUri::parse(core.contact("", request.transport).trim_matches(['<', '>']));
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
