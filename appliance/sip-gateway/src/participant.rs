//! As whom does a phone appear in its room?
//!
//! Identity, name and `sip.*` attributes (livekit-sip's contract, section 7), and the token that the
//! gateway signs when livekit-server gave none (section 3.9).

use crate::config::Codec;
use livekit::proto::{
    Duration as ProtoDuration, RoomConfiguration, SipHeaderOptions, SipMediaConfig, SipMediaEncryption,
    io::EvaluateSipDispatchRulesResponse, sip::InternalCreateSipParticipantRequest,
};
use media::{
    codec::{PhoneCodec, RATE},
    ice::Credentials,
    sdp::Encryption,
    srtp::Key,
};
use rand::Rng;
use sip::InviteInfo;
use std::{collections::HashMap, time::Duration};
use types::control::InboundLeg;

/// Headers and the attributes that they become.
const PROVIDER_HEADERS: [(&str, &str); 6] = [
    ("X-Twilio-AccountSid", "sip.twilio.accountSid"),
    ("X-Twilio-CallSid", "sip.twilio.callSid"),
    ("X-call_leg_id", "sip.telnyx.callLegID"),
    ("X-call_session_id", "sip.telnyx.callSessionID"),
    ("X-Amzn-ConnectContactId", "sip.amazon.contactId"),
    ("X-Amzn-ConnectInitialContactId", "sip.amazon.initialContactId"),
];

/// Headers with the caller's number or name (RFC 3261, 3325, 5806, 8224).
const CALLER_HEADERS: [&str; 11] = [
    "From",
    "f",
    "Contact",
    "m",
    "P-Asserted-Identity",
    "P-Preferred-Identity",
    "Remote-Party-ID",
    "Diversion",
    "History-Info",
    "Identity",
    "Authorization",
];

/// A SIP participant, ready to join.
#[derive(Clone, Debug, Default)]
pub struct Participant {
    pub identity: String,
    pub name: String,
    pub metadata: String,
    pub attributes: HashMap<String, String>,
    /// From livekit-server, or empty: then [`Participant::token`] signs one.
    pub token: String,
    pub room_preset: String,
    pub room_config: Option<RoomConfiguration>,
}

/// A call's id.
pub fn new_call_id() -> String {
    new_id("SCL_")
}

/// The prefix and 12 characters, as livekit-server makes them.
pub fn new_id(prefix: &str) -> String {
    const ALPHABET: &[u8] = b"23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
    let mut rng = rand::rng();
    let id: String = (0..12).map(|_| ALPHABET[rng.random_range(0..ALPHABET.len())] as char).collect();
    format!("{prefix}{id}")
}

/// With new keys, for whoever can.
pub fn encryption_if_wanted() -> Encryption {
    Encryption::Allowed(keys())
}

/// What the trunk, the rule or the request says about encrypting the phone's audio.
pub fn encryption(media: Option<&SipMediaConfig>) -> Encryption {
    match media.map(SipMediaConfig::encryption) {
        None | Some(SipMediaEncryption::SipMediaEncryptDisable) => Encryption::Off,
        Some(SipMediaEncryption::SipMediaEncryptAllow) => Encryption::Allowed(keys()),
        Some(SipMediaEncryption::SipMediaEncryptRequire) => Encryption::Required(keys()),
    }
}

/// How long the phone may send nothing, if the trunk, the rule or the request says so.
pub fn media_timeout(media: Option<&SipMediaConfig>) -> Option<Duration> {
    let timeout = media?.media_timeout.as_ref()?;
    positive(ProtoDuration { seconds: timeout.seconds, nanos: timeout.nanos })
}

/// What may be spoken, best first: the codecs that the trunk or the request lists, instead of ours or beside them.
/// Names that we do not know are passed over.
pub fn codecs(media: Option<&SipMediaConfig>, ours: &[Codec]) -> Vec<PhoneCodec> {
    let listed = media.into_iter().flat_map(|media| &media.codecs);
    let known = listed.filter_map(|codec| {
        let clock = |known: &PhoneCodec| RATE * known.clock_factor();
        PhoneCodec::named(&codec.name).filter(|known| codec.rate == 0 || codec.rate == clock(known))
    });
    let instead = media.is_some_and(|media| media.only_listed_codecs);
    let ours = ours.iter().copied().filter(|_| !instead).map(spoken);
    let mut codecs = Vec::new();
    for codec in ours.chain(known) {
        if !codecs.contains(&codec) {
            codecs.push(codec);
        }
    }
    codecs
}

/// As browsers do: what they say gets into the room as it is.
pub fn opus_first(mut codecs: Vec<PhoneCodec>) -> Vec<PhoneCodec> {
    codecs.sort_by_key(|codec| *codec != PhoneCodec::Opus);
    codecs
}

fn spoken(codec: Codec) -> PhoneCodec {
    match codec {
        Codec::Pcmu => PhoneCodec::PCMU,
        Codec::Pcma => PhoneCodec::PCMA,
        Codec::G722 => PhoneCodec::G722,
        Codec::Opus => PhoneCodec::Opus,
    }
}

/// Fresh ones, of every suite.
pub fn keys() -> Vec<Key> {
    Encryption::keys(|secret| rand::rng().fill(secret))
}

/// Fresh ones for one call.
pub fn ice_credentials() -> Credentials {
    Credentials::new(|octets| rand::rng().fill(octets))
}

/// A duration of livekit-server's API; zero and negative mean "not set".
pub fn positive(duration: ProtoDuration) -> Option<Duration> {
    let seconds = u64::try_from(duration.seconds).ok()?;
    let duration = Duration::new(seconds, u32::try_from(duration.nanos).ok()?);
    (!duration.is_zero()).then_some(duration)
}

impl Participant {
    /// As the dispatch rule says, with what only the gateway knows.
    pub fn of_inbound(rule: &EvaluateSipDispatchRulesResponse, leg: &InboundLeg, invite: &InviteInfo) -> Self {
        let mut attributes = rule.participant_attributes.clone();
        attributes.insert("sip.callID".into(), leg.lk_call_id.clone());
        attributes.insert("sip.callIDFull".into(), leg.sip_call_id.clone());
        attributes.insert("sip.callTag".into(), invite.from_tag.clone());
        attributes.insert("sip.callStatus".into(), "ringing".into());
        let headers = match hides_number(rule) {
            true => without_numbers(&invite.headers),
            false => invite.headers.clone(),
        };
        attributes.extend(provider_attributes(&headers));
        attributes.extend(shown_headers(rule.include_headers(), &headers));
        attributes.extend(mapped_headers(&rule.headers_to_attributes, &headers));
        Self {
            identity: rule.participant_identity.clone(),
            name: rule.participant_name.clone(),
            metadata: rule.participant_metadata.clone(),
            attributes,
            token: rule.token.clone(),
            room_preset: rule.room_preset.clone(),
            room_config: rule.room_config.clone(),
        }
    }

    /// As the CreateSIPParticipant request says.
    pub fn of_outbound(request: &InternalCreateSipParticipantRequest, sip_call_id: &str) -> Self {
        let mut attributes = request.participant_attributes.clone();
        attributes.insert("sip.callID".into(), request.sip_call_id.clone());
        attributes.insert("sip.callIDFull".into(), sip_call_id.to_owned());
        attributes.insert("sip.callStatus".into(), "dialing".into());
        Self {
            identity: request.participant_identity.clone(),
            name: request.participant_name.clone(),
            metadata: request.participant_metadata.clone(),
            attributes,
            token: request.token.clone(),
            ..Self::default()
        }
    }
}

/// Does the rule say `hide_phone_number`? livekit-server then leaves the number out of the attributes.
pub fn hides_number(rule: &EvaluateSipDispatchRulesResponse) -> bool {
    !rule.participant_attributes.contains_key("sip.phoneNumber")
}

/// Headers that do not tell who calls.
pub fn without_numbers(headers: &[(String, String)]) -> Vec<(String, String)> {
    let tells = |name: &str| CALLER_HEADERS.iter().any(|caller| caller.eq_ignore_ascii_case(name));
    headers.iter().filter(|(name, _)| !tells(name)).cloned().collect()
}

/// What some carriers say in headers of their own, under LiveKit's names.
pub fn provider_attributes(headers: &[(String, String)]) -> HashMap<String, String> {
    let map = PROVIDER_HEADERS.map(|(header, attribute)| (header.to_owned(), attribute.to_owned()));
    mapped_headers(&map.into(), headers)
}

/// `sip.h.<lower-case name>` for the headers that the trunk or rule lets through.
pub fn shown_headers(which: SipHeaderOptions, headers: &[(String, String)]) -> HashMap<String, String> {
    let shown = |name: &str| match which {
        SipHeaderOptions::SipNoHeaders => false,
        SipHeaderOptions::SipXHeaders => name.starts_with("x-"),
        SipHeaderOptions::SipAllHeaders => !name.ends_with("authorization"),
    };
    headers
        .iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), value))
        .filter(|(name, _)| shown(name))
        .map(|(name, value)| (format!("sip.h.{name}"), value.clone()))
        .collect()
}

/// Headers that the rule wants under attribute names of its own.
pub fn mapped_headers(map: &HashMap<String, String>, headers: &[(String, String)]) -> HashMap<String, String> {
    let value_of = |wanted: &str| headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
    map.iter().filter_map(|(header, attribute)| Some((attribute.clone(), value_of(header)?.1.clone()))).collect()
}

/// Attributes that the rule wants in the BYE or INVITE as headers.
pub fn attribute_headers(map: &HashMap<String, String>, attributes: &HashMap<String, String>) -> Vec<(String, String)> {
    map.iter().filter_map(|(attribute, header)| Some((header.clone(), attributes.get(attribute)?.clone()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use livekit::proto::SipCodec;

    fn headers() -> Vec<(String, String)> {
        vec![("X-Customer".into(), "42".into()), ("Subject".into(), "hello".into())]
    }

    #[test]
    fn only_the_headers_that_were_asked_for_are_shown() {
        assert!(shown_headers(SipHeaderOptions::SipNoHeaders, &headers()).is_empty());
        let x = shown_headers(SipHeaderOptions::SipXHeaders, &headers());
        assert_eq!(x, HashMap::from([("sip.h.x-customer".into(), "42".into())]));
        assert_eq!(shown_headers(SipHeaderOptions::SipAllHeaders, &headers()).len(), 2);
    }

    #[test]
    fn a_hidden_number_is_in_no_attribute() {
        let mut invite = headers();
        invite.extend([("From", "<sip:+31612345678@a>"), ("P-Asserted-Identity", "<tel:+31612345678>")].map(owned));
        let shown = shown_headers(SipHeaderOptions::SipAllHeaders, &without_numbers(&invite));
        assert!(shown.values().all(|value| !value.contains("345678")), "{shown:?}");
        assert_eq!(shown.len(), 2);
    }

    #[test]
    fn a_carriers_own_call_ids_get_livekits_names() {
        let invite = [("x-twilio-callsid", "CA1"), ("X-Other", "1")].map(owned);
        assert_eq!(provider_attributes(&invite), HashMap::from([("sip.twilio.callSid".into(), "CA1".into())]));
    }

    fn owned((name, value): (&str, &str)) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn a_header_becomes_the_attribute_the_rule_names() {
        let map =
            HashMap::from([("x-customer".to_owned(), "customer".to_owned()), ("x-none".to_owned(), "none".to_owned())]);
        assert_eq!(mapped_headers(&map, &headers()), HashMap::from([("customer".into(), "42".into())]));
    }

    #[test]
    fn listed_codecs_are_spoken_instead_of_ours_or_beside_them() {
        let ours = [Codec::Pcmu, Codec::Pcma];
        let media = |only_listed_codecs, names: &[&str]| {
            let codec = |name: &&str| SipCodec { name: (*name).to_owned(), rate: 8000 };
            SipMediaConfig { only_listed_codecs, codecs: names.iter().map(codec).collect(), ..Default::default() }
        };
        assert_eq!(codecs(None, &ours), [PhoneCodec::PCMU, PhoneCodec::PCMA]);
        assert_eq!(codecs(None, &[Codec::G722, Codec::G722]), [PhoneCodec::G722], "named twice, offered once");
        assert_eq!(codecs(Some(&media(false, &[])), &ours), codecs(None, &ours));
        let beside = codecs(Some(&media(false, &["g722", "PCMA"])), &ours);
        assert_eq!(beside, [PhoneCodec::PCMU, PhoneCodec::PCMA, PhoneCodec::G722]);
        let instead = codecs(Some(&media(true, &["G722", "AMR-WB", "PCMA", "G722"])), &ours);
        assert_eq!(instead, [PhoneCodec::G722, PhoneCodec::PCMA]);
        assert_eq!(codecs(Some(&media(true, &["telephone-event"])), &ours), []);
        let mut opus = media(true, &["opus"]);
        assert_eq!(codecs(Some(&opus), &ours), [], "there is no Opus at 8 kHz");
        opus.codecs[0].rate = 48_000;
        assert_eq!(codecs(Some(&opus), &ours), [PhoneCodec::Opus]);
    }

    #[test]
    fn a_zero_duration_means_not_set() {
        assert_eq!(positive(ProtoDuration { seconds: 0, nanos: 0 }), None);
        assert_eq!(positive(ProtoDuration { seconds: -1, nanos: 0 }), None);
        assert_eq!(positive(ProtoDuration { seconds: 2, nanos: 0 }), Some(Duration::from_secs(2)));
    }

    #[test]
    fn a_media_timeout_counts_when_there_is_one() {
        assert_eq!(media_timeout(None), None);
        assert_eq!(media_timeout(Some(&SipMediaConfig::default())), None);
        let wanted = livekit::protocol::SipMediaConfig {
            media_timeout: Some(std::time::Duration::from_secs(7).into()),
            ..Default::default()
        };
        assert_eq!(media_timeout(Some(&wanted)), Some(Duration::from_secs(7)));
    }

    #[test]
    fn call_ids_look_like_upstreams() {
        let id = new_call_id();
        assert!(id.starts_with("SCL_") && id.len() == 16, "{id}");
    }
}
