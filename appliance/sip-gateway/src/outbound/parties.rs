//! Whom does an INVITE name as caller and callee?
//!
//! What livekit-server spells out (`sip_request_uri`, `sip_from_header`, `sip_to_header`) goes out as it is; the rest
//! is made of numbers and hosts (livekit-sip's contract, section 4).

use crate::gateway::Gateway;
use livekit::{
    proto::{SipNamedDest, SipRequestDest, SipTransport, SipUri, sip::InternalCreateSipParticipantRequest as Request},
    protocol::{sip_named_dest, sip_request_dest},
};
use sip::{header, uri::bracketed};
use std::net::SocketAddr;
use types::control::PHONES_HOST;

/// The Request-URI that was spelled out.
pub fn request_uri(wanted: Option<&SipRequestDest>) -> Option<String> {
    Some(match wanted?.uri.as_ref()? {
        sip_request_dest::Uri::Raw(raw) => bare(raw),
        sip_request_dest::Uri::Values(values) => uri_of(values),
    })
}

/// A From or To that was spelled out.
pub fn named(wanted: Option<&SipNamedDest>) -> Option<String> {
    let wanted = wanted?;
    let uri = match wanted.uri.as_ref()? {
        sip_named_dest::Uri::Raw(raw) => bare(raw),
        sip_named_dest::Uri::Values(values) => uri_of(values),
    };
    Some(match wanted.display_name.as_str() {
        "" => format!("<{uri}>"),
        name => format!("{} <{uri}>", header::quote(name)),
    })
}

/// Who calls, as `peer` is shown it.
pub fn from(gateway: &Gateway, request: &Request, peer: SocketAddr) -> String {
    if let Some(from) = named(request.sip_from_header.as_ref()) {
        return from;
    }
    let host = match request.hostname.is_empty() || request.address == PHONES_HOST {
        true => bracketed(&gateway.addresses.sip_towards(peer.ip()).to_string()),
        false => request.hostname.clone(),
    };
    let display = match &request.display_name {
        None if request.number.is_empty() => String::new(),
        None => format!("{} ", header::quote(&request.number)),
        Some(name) if name.is_empty() => String::new(),
        Some(name) => format!("{} ", header::quote(name)),
    };
    format!("{display}<sip:{}@{host}>", request.number)
}

/// `;transport=…` of a URI, nothing for the default.
pub fn suffix(transport: SipTransport) -> &'static str {
    match transport {
        SipTransport::Auto => "",
        SipTransport::Udp => ";transport=udp",
        SipTransport::Tcp => ";transport=tcp",
        SipTransport::Tls => ";transport=tls",
    }
}

fn uri_of(uri: &SipUri) -> String {
    let host = if uri.host.is_empty() { &uri.ip } else { &uri.host };
    let user = if uri.user.is_empty() { String::new() } else { format!("{}@", uri.user) };
    let port = if uri.port == 0 { String::new() } else { format!(":{}", uri.port) };
    format!("sip:{user}{host}{port}{}", suffix(uri.transport()))
}

/// Without the angle brackets that it may have.
fn bare(raw: &str) -> String {
    raw.trim().trim_start_matches('<').trim_end_matches('>').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spelled_out_address_goes_out_as_it_is() {
        let raw = sip_request_dest::Uri::Raw("<sip:100@pbx.example:5070;transport=tcp>".into());
        let wanted = SipRequestDest { uri: Some(raw) };
        assert_eq!(request_uri(Some(&wanted)).as_deref(), Some("sip:100@pbx.example:5070;transport=tcp"));
        assert_eq!(request_uri(Some(&SipRequestDest::default())), None);
    }

    #[test]
    fn a_named_party_is_written_with_its_name_in_quotes() {
        let values = SipUri {
            user: "100".into(),
            host: "pbx.example".into(),
            transport: SipTransport::Tls as i32,
            ..SipUri::default()
        };
        let uri = Some(sip_named_dest::Uri::Values(values));
        let wanted = SipNamedDest { display_name: "Front \"desk\"".into(), uri: uri.clone() };
        assert_eq!(named(Some(&wanted)).as_deref(), Some(r#""Front \"desk\"" <sip:100@pbx.example;transport=tls>"#));
        let nameless = SipNamedDest { display_name: String::new(), uri };
        assert_eq!(named(Some(&nameless)).as_deref(), Some("<sip:100@pbx.example;transport=tls>"));
    }
}
