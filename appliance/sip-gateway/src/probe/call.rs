//! A real call to the number that was given, and how it is answered.

use super::{
    audio::Line,
    in_call::Talk,
    log::{Log, Seen},
};
use crate::{gateway::Gateway, participant};
use jiff::Timestamp;
use media::{
    codec::PhoneCodec,
    sdp::{Encryption, LocalMedia, MediaSession},
};
use sip::{
    Credentials, Dialog, DialogEvent, ENDLESS_CHALLENGE, HeaderList, OutboundCall, OutboundEvent, OutboundInvite,
    Transport, uri::bracketed,
};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::sync::mpsc;
use types::probe::{Defect, ProbeCall, ProbeRequest, ProbeStepName::*};

/// The tones of a probe have 8 kHz, and every carrier speaks one of these.
const SPOKEN: [PhoneCodec; 2] = [PhoneCodec::PCMU, PhoneCodec::PCMA];
/// Ringing and all; a person needs longer, an echo test does not.
const RING: Duration = Duration::from_secs(25);

/// The steps of a call, if a number is given and the carrier, found at `address`, is worth calling.
pub async fn steps(
    gateway: &Arc<Gateway>,
    request: &ProbeRequest,
    address: Option<SocketAddr>,
    log: &mut Log,
) -> Option<ProbeCall> {
    let number = request.number.clone()?;
    let address = address.filter(|_| !log.is_over())?;
    let (line, sdp, call) = match place(gateway, request, &number, address).await {
        Ok(placed) => placed,
        Err(why) => {
            log.stop(why);
            return None;
        }
    };
    let (sip_call_id, started_at) = (call.call_id().to_owned(), Timestamp::now());
    let mut answer = Answer::default();
    log.step(Call, format!("INVITE of {number}"), RING, ring(call, &mut answer)).await;
    let caller = caller(request).to_owned();
    let mut record = ProbeCall {
        sip_call_id,
        caller,
        number,
        started_at,
        answered_at: None,
        ended_at: started_at,
        sip_code: answer.code,
    };
    match answer.taken {
        None => log.stop("nobody answered the call"),
        Some(taken) => {
            record.answered_at = Some(Timestamp::now());
            Talk::new(taken, line, sdp, address.ip()).steps(log).await;
        }
    }
    record.ended_at = Timestamp::now();
    Some(record)
}

async fn place(
    gateway: &Arc<Gateway>,
    request: &ProbeRequest,
    number: &str,
    address: SocketAddr,
) -> Result<(Line, MediaSession, OutboundCall), String> {
    let line = Line::open(gateway, address.ip()).map_err(|error| error.to_string())?;
    let local = SocketAddr::new(gateway.addresses.media_towards(address.ip()), line.port.number);
    let encryption = encryption(request);
    let mut sdp = MediaSession::new(
        LocalMedia { address: local, codecs: SPOKEN.to_vec(), encryption, fingerprint: None, ice: None },
        rand::random::<u32>().into(),
    );
    let invite = OutboundInvite {
        request_uri: format!("sip:{number}@{};transport={}", request.server, request.transport),
        from: format!(
            "<sip:{}@{}>",
            caller(request),
            bracketed(&gateway.addresses.sip_towards(address.ip()).to_string())
        ),
        to: format!("<sip:{number}@{}>", request.server),
        destination: Some(address.to_string()),
        transport: Transport::named(&request.transport),
        credentials: credentials(request),
        sdp: Some(sdp.offer()),
        ..OutboundInvite::default()
    };
    let call = gateway.endpoint.invite(invite).await.map_err(|error| format!("the call cannot be sent: {error}"))?;
    Ok((line, sdp, call))
}

/// Our number, or what the carrier knows us by.
fn caller(request: &ProbeRequest) -> &str {
    request.caller.as_ref().or(request.username.as_ref()).map_or("scaibox", String::as_str)
}

fn credentials(request: &ProbeRequest) -> Option<Credentials> {
    let (user, password) = (request.username.clone()?, request.password.as_ref()?.expose().clone());
    Some(Credentials { user, password })
}

fn encryption(request: &ProbeRequest) -> Encryption {
    match request.media_encryption.as_str() {
        "allow" => Encryption::Allowed(participant::keys()),
        "require" => Encryption::Required(participant::keys()),
        _ => Encryption::Off,
    }
}

/// How the call was answered, if it was.
#[derive(Default)]
struct Answer {
    code: Option<u16>,
    taken: Option<Taken>,
}

/// An answered call, not looked at yet.
pub struct Taken {
    pub dialog: Dialog,
    pub events: mpsc::Receiver<DialogEvent>,
    pub headers: HeaderList,
    pub sdp: Vec<u8>,
}

/// Dropping the call cancels it.
async fn ring(mut call: OutboundCall, answer: &mut Answer) -> Seen {
    let mut codes = Vec::new();
    while let Some(event) = call.next().await {
        match event {
            OutboundEvent::Progress { code, .. } => codes.push(code),
            OutboundEvent::Failed { code, reason, .. } => {
                answer.code = Some(code);
                let defect = if reason == ENDLESS_CHALLENGE { Defect::ChallengeLoop } else { refusal(code) };
                return Seen::wrong(said(&codes, &format!("{code} {reason}")), defect);
            }
            OutboundEvent::Answered { dialog, events, headers, sdp, .. } => {
                answer.taken = Some(Taken { dialog, events, headers, sdp: sdp.unwrap_or_default() });
                let saw = said(&codes, "200");
                return match codes.contains(&183) && !codes.contains(&180) {
                    true => Seen::wrong(saw, Defect::NoRinging),
                    false => Seen::fine(saw),
                };
            }
        }
    }
    Seen::wrong("the call ended without a word", Defect::CallUnanswered)
}

fn refusal(code: u16) -> Defect {
    match code {
        401 | 407 => Defect::CredentialsRefused,
        408 | 480 | 486 | 487 | 600 | 603 => Defect::CallUnanswered,
        _ => Defect::CallRefused,
    }
}

/// `180, 183, then 200`.
fn said(codes: &[u16], last: &str) -> String {
    let before: Vec<_> = codes.iter().map(u16::to_string).collect();
    if before.is_empty() { last.to_owned() } else { format!("{}, then {last}", before.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_line_is_no_fault_of_the_carriers() {
        assert_eq!(refusal(486), Defect::CallUnanswered);
        assert_eq!(refusal(403), Defect::CallRefused);
        assert_eq!(refusal(407), Defect::CredentialsRefused);
        assert_eq!(said(&[183, 180], "200"), "183, 180, then 200");
        assert_eq!(said(&[], "404 Not Found"), "404 Not Found");
    }
}
