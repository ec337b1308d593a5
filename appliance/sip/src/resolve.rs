//! Which address does a name stand for?
//!
//! IP literals at once; names by SRV and address records (RFC 3263), then by the system's own
//! resolver, which also knows `/etc/hosts`. Where there are several, one that did not answer lately comes last.

use crate::uri::{SipUri, split_host_port};
use crate::{SipError, Transport};
use hickory_resolver::TokioResolver;
use hickory_resolver::proto::rr::RecordType;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(5);
/// For so long an address that did not answer comes after the others of its name (RFC 3263 section 4.3).
const SHUNNED: Duration = Duration::from_secs(300);

/// Where a request goes: a host that is not yet looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub host: String,
    pub port: Option<u16>,
    pub transport: Transport,
}

impl Target {
    /// Of `host[:port]`.
    pub fn of_place(text: &str, transport: Transport) -> Result<Target, SipError> {
        let place = text.strip_prefix("sip:").unwrap_or(text);
        let place = place.split(';').next().unwrap_or(place);
        let (host, port) = split_host_port(place).ok_or_else(|| SipError::BadAddress(text.to_owned()))?;
        Ok(Target { host, port, transport })
    }

    /// Of a URI; its `transport` parameter beats `otherwise`.
    pub fn of_uri(text: &str, otherwise: Transport) -> Result<Target, SipError> {
        let bad = || SipError::BadAddress(text.to_owned());
        let uri = SipUri::parse(text).ok_or_else(bad)?;
        if uri.host.is_empty() {
            return Err(bad());
        }
        let named = uri.param("transport").map(|name| Transport::named(name).ok_or_else(bad)).transpose()?;
        let transport = match (uri.scheme.as_str(), named) {
            ("sips", Some(Transport::Udp)) => return Err(bad()),
            ("sips", Some(Transport::Wss)) => Transport::Wss,
            ("sips", _) => Transport::Tls,
            (_, named) => named.unwrap_or(otherwise),
        };
        let host = uri.param("maddr").map(str::to_owned).unwrap_or(uri.host);
        Ok(Target { host, port: uri.port, transport })
    }
}

/// What the name servers have of a carrier, each as they write it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Records {
    pub naptr: Vec<String>,
    pub srv: Vec<String>,
    pub a: Vec<String>,
    pub aaaa: Vec<String>,
}

impl Records {
    /// Everything that RFC 3263 may look at; empty for an address, and where no name server answers.
    pub(crate) async fn of(target: &Target) -> Records {
        if target.host.parse::<IpAddr>().is_ok() {
            return Records::default();
        }
        let Ok(resolver) = TokioResolver::builder_tokio().and_then(|builder| builder.build()) else {
            return Records::default();
        };
        let host = format!("{}.", target.host);
        let service = format!("{}.{host}", service_of(target.transport));
        let (naptr, srv, a, aaaa) = tokio::join!(
            ask(&resolver, &host, RecordType::NAPTR),
            ask(&resolver, &service, RecordType::SRV),
            ask(&resolver, &host, RecordType::A),
            ask(&resolver, &host, RecordType::AAAA)
        );
        Records { naptr, srv, a, aaaa }
    }
}

/// RFC 3263 section 4.1.
pub(crate) fn service_of(transport: Transport) -> &'static str {
    match transport {
        Transport::Udp => "_sip._udp",
        Transport::Tcp => "_sip._tcp",
        Transport::Tls => "_sips._tcp",
        // Nobody looks for a phone in a browser; RFC 7118 section 6 registers it for proxies.
        Transport::Wss => "_sips._ws",
    }
}

async fn ask(resolver: &TokioResolver, name: &str, kind: RecordType) -> Vec<String> {
    let Ok(Ok(found)) = timeout(PATIENCE, resolver.lookup(name, kind)).await else { return Vec::new() };
    let records = found.message().all_sections().filter(|record| record.record_type() == kind);
    records.map(|record| record.data.to_string()).collect()
}

#[derive(Default)]
pub(crate) struct Resolver {
    names: tokio::sync::OnceCell<crate::stack::NameResolver>,
    /// Who did not answer, and when.
    silent: Mutex<HashMap<SocketAddr, Instant>>,
}

impl Resolver {
    /// At least one address, the one to try first in front.
    pub async fn resolve(&self, target: &Target) -> Result<Vec<SocketAddr>, SipError> {
        if let Ok(ip) = target.host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(ip, target.port.unwrap_or(target.transport.default_port()))]);
        }
        let names = self.names.get_or_init(|| async { crate::stack::NameResolver::new() }).await;
        let found = match timeout(PATIENCE, names.lookup(target)).await {
            Ok(found) if !found.is_empty() => found,
            _ => self.system(target).await.ok_or_else(|| SipError::Unresolved(target.host.clone()))?,
        };
        Ok(silent_last(found, &self.silent.lock(), Instant::now()))
    }

    /// It was asked and said nothing, or it answered.
    pub fn heard(&self, addr: SocketAddr, answered: bool) {
        let (mut silent, now) = (self.silent.lock(), Instant::now());
        silent.retain(|known, since| *known != addr && now < *since + SHUNNED);
        if !answered {
            silent.insert(addr, now);
        }
    }

    async fn system(&self, target: &Target) -> Option<Vec<SocketAddr>> {
        let place = (target.host.as_str(), target.port.unwrap_or(target.transport.default_port()));
        let mut found: Vec<SocketAddr> = timeout(PATIENCE, tokio::net::lookup_host(place)).await.ok()?.ok()?.collect();
        found.sort_by_key(|addr| addr.is_ipv6());
        Some(found).filter(|found| !found.is_empty())
    }
}

/// In order, but those that were silent within [`SHUNNED`] behind the others.
fn silent_last(mut found: Vec<SocketAddr>, silent: &HashMap<SocketAddr, Instant>, now: Instant) -> Vec<SocketAddr> {
    found.sort_by_key(|addr| silent.get(addr).is_some_and(|since| now < *since + SHUNNED));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_transport_of_a_uri_beats_the_default() {
        let target = Target::of_uri("sip:1@h:5070;transport=TCP", Transport::Udp).unwrap();
        assert_eq!(target, Target { host: "h".into(), port: Some(5070), transport: Transport::Tcp });
        assert_eq!(Target::of_uri("sips:1@h;transport=tcp", Transport::Udp).unwrap().transport, Transport::Tls);
        assert!(Target::of_uri("sips:1@h;transport=udp", Transport::Udp).is_err());
        assert_eq!(Target::of_uri("sip:1@h.invalid;transport=ws", Transport::Udp).unwrap().transport, Transport::Wss);
        assert!(Target::of_uri("sip:1@h;transport=sctp", Transport::Udp).is_err());
        assert!(Target::of_uri("tel:+31", Transport::Udp).is_err());
    }

    #[tokio::test]
    async fn an_address_needs_no_look_up_and_defaults_to_port_5060() {
        let target = Target::of_place("192.0.2.1", Transport::Udp).unwrap();
        assert_eq!(
            Resolver::default().resolve(&target).await.unwrap(),
            vec!["192.0.2.1:5060".parse::<SocketAddr>().unwrap()]
        );
    }

    #[test]
    fn who_did_not_answer_lately_comes_last_and_the_others_keep_their_order() {
        let addresses = |ports: [u16; 3]| ports.map(|port| SocketAddr::from(([192, 0, 2, 1], port))).to_vec();
        let (resolver, now) = (Resolver::default(), Instant::now());
        let ordered = |now| silent_last(addresses([1, 2, 3]), &resolver.silent.lock(), now);
        resolver.heard(addresses([1, 2, 3])[0], false);
        assert_eq!(ordered(now), addresses([2, 3, 1]));
        assert_eq!(ordered(now + 2 * SHUNNED), addresses([1, 2, 3]), "long ago");
        resolver.heard(addresses([1, 2, 3])[0], true);
        assert_eq!(ordered(now), addresses([1, 2, 3]), "it is back");
    }

    #[tokio::test]
    async fn a_name_nobody_knows_is_named_in_the_error() {
        let target = Target::of_place("no-such-host.invalid", Transport::Udp).unwrap();
        let error = Resolver::default().resolve(&target).await.unwrap_err();
        assert_eq!((error.code(), error.to_string().as_str()), (503, "`no-such-host.invalid` does not resolve"));
    }
}
