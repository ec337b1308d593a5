//! Is the carrier there, is it who it says it is, and does it know us?

use super::{
    log::{Log, Seen},
    verdict,
};
use crate::gateway::Gateway;
use sip::{Asked, Credentials, Records, RegisterRequest, SipError, Transport, message::Response};
use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};
use tokio::time::timeout;
use types::probe::{Defect, ProbeRequest, ProbeStepName as Step};

/// Look-ups, connections.
const CONNECT: Duration = Duration::from_secs(11);
/// A carrier that takes longer is of no use for calls.
const ANSWER: Duration = Duration::from_secs(5);
const REGISTER: Duration = Duration::from_secs(8);

/// The steps before a call; where the carrier is, if it can be reached.
pub async fn steps(gateway: &Gateway, request: &ProbeRequest, log: &mut Log) -> Option<SocketAddr> {
    let transport = Transport::named(&request.transport).unwrap_or_default();
    let mut address = None;
    let sent = format!("NAPTR, SRV for {transport}, A and AAAA of {}", request.server);
    must(log, Step::Dns, sent, CONNECT, dns(gateway, request, transport, &mut address)).await;
    connect(gateway, request, transport, address, log).await;
    let mut there = false;
    let sent = format!("OPTIONS sip:{} over {transport}", request.server);
    log.step(
        Step::Options,
        sent,
        2 * ANSWER + Duration::from_secs(1),
        options(gateway, request, transport, &mut there),
    )
    .await;
    if !there && transport == Transport::Udp && log.found(Defect::TcpOnly) {
        log.stop("the carrier does not answer over UDP");
    }
    register(gateway, request, transport, there, log).await;
    address.filter(|_| !log.is_over())
}

/// A step without which nothing else works.
async fn must(log: &mut Log, name: Step, sent: impl Into<String>, limit: Duration, work: impl Future<Output = Seen>) {
    if !log.step(name, sent, limit, work).await {
        log.stop(format!("the step {} failed", word(name)));
    }
}

fn word(name: Step) -> String {
    format!("{name:?}").to_lowercase()
}

async fn dns(gateway: &Gateway, request: &ProbeRequest, transport: Transport, found: &mut Option<SocketAddr>) -> Seen {
    let (records, address) = gateway.endpoint.look_up(&request.server, transport).await;
    let listed = words_of(&records);
    match address {
        // It may lead somewhere by a transport that it names.
        Err(error) if !offers(&records, transport) => Seen {
            saw: format!("{listed}{error}"),
            defects: vec![Defect::TransportNotInNaptr, verdict::of_error(&error)],
            doubt: None,
        },
        Err(error) => Seen::wrong(format!("{listed}{error}"), verdict::of_error(&error)),
        Ok(address) => {
            *found = Some(address);
            let saw = format!("{listed}requests go to {address}");
            match offers(&records, transport) {
                true => Seen::fine(saw),
                false => Seen::wrong(saw, Defect::TransportNotInNaptr),
            }
        }
    }
}

fn words_of(records: &Records) -> String {
    let kinds = [("NAPTR", &records.naptr), ("SRV", &records.srv), ("A", &records.a), ("AAAA", &records.aaaa)];
    let one = |(kind, found): (&str, &Vec<String>)| found.iter().map(|it| format!("{kind} {it}; ")).collect::<String>();
    kinds.into_iter().map(one).collect()
}

/// Without NAPTR records for SIP the carrier has not said (RFC 3263 section 4.1).
fn offers(records: &Records, transport: Transport) -> bool {
    let service = match transport {
        Transport::Udp => "SIP+D2U",
        Transport::Tcp => "SIP+D2T",
        Transport::Tls => "SIPS+D2T",
        Transport::Wss => "SIPS+D2W",
    };
    let about_sip = |record: &String| ["SIP+D2", "SIPS+D2"].iter().any(|service| record.contains(service));
    let sip: Vec<String> = records.naptr.iter().map(|record| record.to_uppercase()).filter(about_sip).collect();
    sip.is_empty() || sip.iter().any(|record| record.contains(service))
}

async fn connect(
    gateway: &Gateway,
    request: &ProbeRequest,
    transport: Transport,
    address: Option<SocketAddr>,
    log: &mut Log,
) {
    let address = address.unwrap_or(SocketAddr::new(IpAddr::from([0, 0, 0, 0]), 0)); // then no step is done
    if transport == Transport::Udp {
        log.skip(Step::Transport, "UDP has no connection: OPTIONS will show whether anybody is there");
    } else {
        let work = async { seen(gateway.endpoint.knock(address).await.map(|()| "the carrier takes it".into())) };
        must(log, Step::Transport, format!("a connection to {address}"), CONNECT, work).await;
    }
    if transport == Transport::Tls {
        let name = sip::uri::host_of(&request.server);
        let work = async { seen(gateway.endpoint.shake_hands(&request.server, address).await) };
        let sent = format!("a TLS handshake; the certificate must be trusted, be valid now, and name {name}");
        must(log, Step::Tls, sent, CONNECT, work).await;
    } else {
        log.skip(Step::Tls, format!("sip_transport is {transport}").to_lowercase());
    }
}

fn seen(outcome: Result<String, SipError>) -> Seen {
    match outcome {
        Ok(saw) => Seen::fine(saw),
        Err(error) => Seen::wrong(with_cause(&error), verdict::of_error(&error)),
    }
}

fn with_cause(error: &SipError) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

async fn options(gateway: &Gateway, request: &ProbeRequest, transport: Transport, there: &mut bool) -> Seen {
    if let Some(answer) = answer_to_options(gateway, request, transport).await {
        *there = true;
        return Seen::fine(words(&answer));
    }
    let silence = format!("nothing in {} s", ANSWER.as_secs());
    if transport != Transport::Udp {
        return Seen::wrong(silence, Defect::OptionsUnanswered);
    }
    match answer_to_options(gateway, request, Transport::Tcp).await {
        Some(answer) => Seen::wrong(format!("{silence}; over TCP: {}", words(&answer)), Defect::TcpOnly),
        None => Seen::wrong(format!("{silence}, nor over TCP"), Defect::OptionsUnanswered),
    }
}

/// What somebody said; our own 408 is nobody.
async fn answer_to_options(gateway: &Gateway, request: &ProbeRequest, transport: Transport) -> Option<Response> {
    let asked = gateway.endpoint.options(&request.server, transport);
    timeout(ANSWER, asked).await.ok()?.ok().filter(|answer| answer.code != 408)
}

fn words(answer: &Response) -> String {
    let field = |name: &str| answer.headers.first(name).map(|value| format!("; {name}: {value}")).unwrap_or_default();
    format!("{} {}{}{}", answer.code, answer.reason, field("Server"), field("Allow"))
}

async fn register(gateway: &Gateway, request: &ProbeRequest, transport: Transport, there: bool, log: &mut Log) {
    let Some(user) = &request.username else {
        return log.skip(Step::Register, "the trunk has no user name");
    };
    let domain = sip::uri::host_of(&request.server);
    let password = request.password.as_ref().map(|password| password.expose().clone()).unwrap_or_default();
    let register = RegisterRequest {
        key: String::new(),
        registrar: request.server.clone(),
        proxy: None,
        aor: format!("{user}@{domain}"),
        credentials: Some(Credentials { user: user.clone(), password }),
        transport,
        expires: Duration::ZERO,
    };
    let sent = format!("REGISTER of {user}@{domain} without Contact: the password counts, nothing is changed");
    let work = async {
        match gateway.endpoint.ask_registrar(&register).await {
            Ok(asked) => judge(&asked, request.register),
            Err(error) => Seen::wrong(with_cause(&error), Defect::RegisterUnanswered),
        }
    };
    if !log.step(Step::Register, sent, REGISTER, work).await && !there {
        log.stop("the carrier answers nothing");
    }
    for (defect, why) in [
        (Defect::CredentialsRefused, "the carrier does not accept the password"),
        (Defect::ChallengeLoop, "the carrier asks for the password again and again"),
    ] {
        if log.found(defect) {
            log.stop(why);
        }
    }
}

/// A trunk that does not want to be registered need not be able to.
fn judge(asked: &Asked, wanted: bool) -> Seen {
    let (response, saw) = (&asked.response, words(&asked.response));
    match response.code {
        200..=299 => Seen::fine(saw),
        401 | 407 if asked.still_challenged => Seen::wrong(saw, Defect::ChallengeLoop),
        401 | 407 => Seen::wrong(saw, Defect::CredentialsRefused),
        _ if !wanted => Seen::doubtful(saw, "the trunk does not register, so this does no harm"),
        408 => Seen::wrong(saw, Defect::RegisterUnanswered),
        _ => Seen::wrong(saw, Defect::RegisterRefused),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn naptr_records_name_the_transports_and_none_names_all() {
        let naptr = |services: &[&str]| Records {
            naptr: services.iter().map(|it| format!("10 100 \"s\" \"{it}\" \"\" _sip.carrier.example.")).collect(),
            ..Records::default()
        };
        assert!(offers(&naptr(&[]), Transport::Udp));
        assert!(offers(&naptr(&["E2U+email"]), Transport::Udp), "not about SIP");
        assert!(offers(&naptr(&["SIP+D2T", "sips+d2t"]), Transport::Tls));
        assert!(!offers(&naptr(&["SIPS+D2T"]), Transport::Tcp));
        assert!(!offers(&naptr(&["SIP+D2T"]), Transport::Udp));
    }

    fn asked(code: u16, still_challenged: bool) -> Asked {
        let response = Response { code, reason: "Words".into(), headers: Default::default(), body: vec![] };
        Asked { response, still_challenged }
    }

    #[test]
    fn a_wrong_password_and_a_carrier_that_never_stops_asking_are_told_apart() {
        assert_eq!(judge(&asked(401, false), true).defects, [Defect::CredentialsRefused]);
        assert_eq!(judge(&asked(407, true), true).defects, [Defect::ChallengeLoop]);
        assert!(judge(&asked(200, false), true).defects.is_empty());
    }

    #[test]
    fn a_trunk_that_does_not_register_need_not_be_allowed_to() {
        assert_eq!(judge(&asked(403, false), true).defects, [Defect::RegisterRefused]);
        let seen = judge(&asked(405, false), false);
        assert!(seen.defects.is_empty() && seen.doubt.is_some());
    }
}
