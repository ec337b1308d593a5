//! What did both sides agree on? (RFC 3264)
//!
//! One [`MediaSession`] per leg lives as long as its dialog. The answerer chooses one codec by its
//! own priority; the offerer takes the first codec of the answer that it knows. Comfort noise is never offered or
//! sent, for it cuts off the beginnings of words; a phone that offers it may send it, and so need not fall silent.

use super::body::{self, Audio, Section};
use super::formats::{Numbers, events, known, noise};
use super::local::LocalMedia;
use super::{Crypto, Direction, EventFormat, Format, MediaDescription, SdpError, SessionDescription, Setup};
use crate::codec::PhoneCodec;
use crate::cover::Secrecy;
use crate::dtls::Peer;
use crate::ice::{Credentials, Ice};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The static payload type of comfort noise (RFC 3389).
pub const NOISE: u8 = 13;

/// The agreement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Negotiated {
    /// What we send.
    pub codec: PhoneCodec,
    pub payload_type: u8,
    /// Everything the other side may send, by payload type; the codec above is the first.
    pub receives: Vec<(u8, PhoneCodec)>,
    /// telephone-event, in both directions; we send the first.
    pub dtmf: Vec<EventFormat>,
    /// Comfort noise, where the other side may send it.
    pub noise_payload_type: Option<u8>,
    /// How the audio is encrypted; not at all without.
    pub srtp: Option<Secrecy>,
    /// Where the other side wants its audio; with ICE its checks tell instead.
    pub remote: SocketAddr,
    pub ice: Option<Ice>,
    /// Where its RTCP goes; none when it wants none.
    pub rtcp: Option<RtcpPath>,
    pub we_send: bool,
    pub we_receive: bool,
    /// We asked the other side to wait.
    pub we_hold: bool,
    /// Length of the frames we send.
    pub ptime_ms: u32,
}

/// The way of RTCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RtcpPath {
    /// Through the ports of RTP (RFC 5761).
    Muxed,
    /// From the port above ours to this one.
    Apart(SocketAddr),
}

impl Negotiated {
    /// Has the other side put us on hold?
    pub fn held_by_peer(&self) -> bool {
        !self.we_send
    }
}

/// Offers and answers of one leg.
#[derive(Debug)]
pub struct MediaSession {
    local: LocalMedia,
    session_id: u64,
    version: u64,
    /// What we said last, without the origin.
    said: Option<String>,
    /// How the other side names its audio, if it does.
    mid: Option<String>,
    /// We want the other side to wait.
    holding: bool,
    offered: Option<Vec<(u8, PhoneCodec)>>,
    /// What we are known by in ICE, in an offer that may still be answered.
    proposed: Option<Credentials>,
    numbers: Numbers,
    agreed: Option<Negotiated>,
}

/// How an offer wants the audio.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Manner {
    Open,
    /// With keys in it.
    Told,
    /// With keys of a handshake.
    Handshake,
    /// By a handshake, on a way that ICE finds.
    Browser,
}

impl Manner {
    fn protocol(self) -> &'static str {
        match self {
            Manner::Open => "RTP/AVP",
            Manner::Told => "RTP/SAVP",
            Manner::Handshake => "UDP/TLS/RTP/SAVP",
            Manner::Browser => "UDP/TLS/RTP/SAVPF",
        }
    }

    fn is_by_handshake(self) -> bool {
        matches!(self, Manner::Handshake | Manner::Browser)
    }
}

impl MediaSession {
    /// `session_id` should be hard to guess; it also is the first version.
    pub fn new(local: LocalMedia, session_id: u64) -> MediaSession {
        MediaSession {
            local,
            session_id,
            version: session_id,
            said: None,
            mid: None,
            holding: false,
            offered: None,
            proposed: None,
            numbers: Numbers::default(),
            agreed: None,
        }
    }

    /// What holds now.
    pub fn negotiated(&self) -> Option<&Negotiated> {
        self.agreed.as_ref()
    }

    /// From the next offer or answer on, the other side shall not speak (or may again).
    pub fn hold(&mut self, holding: bool) {
        self.holding = holding;
    }

    /// Is the other side asked to wait?
    pub fn holding(&self) -> bool {
        self.holding
    }

    /// Our offer: for an INVITE, a re-INVITE, or the answer to an INVITE without a description.
    pub fn offer(&mut self) -> Vec<u8> {
        let secured = self.local.encryption.is_required() || self.agreed.as_ref().is_some_and(|it| it.srtp.is_some());
        self.offer_as(self.manner(secured))
    }

    /// Where encryption is [`Encryption::Allowed`]: an offer that the other side can take with encryption only. If it
    /// does not (488), [`MediaSession::offer`] is the next one.
    pub fn offer_secured(&mut self) -> Vec<u8> {
        self.offer_as(self.manner(true))
    }

    /// An offer that phones in browsers can take, and only they: with ICE and a handshake (RFC 8827, RFC 8839).
    pub fn offer_to_browser(&mut self) -> Vec<u8> {
        self.offer_as(Manner::Browser)
    }

    /// As it was agreed on before, or as it is wanted first.
    fn manner(&self, secured: bool) -> Manner {
        match &self.agreed {
            Some(Negotiated { ice: Some(_), .. }) => Manner::Browser,
            Some(Negotiated { srtp: Some(Secrecy::Handshake(_)), .. }) => Manner::Handshake,
            _ if secured => Manner::Told,
            _ => Manner::Open,
        }
    }

    fn offer_as(&mut self, manner: Manner) -> Vec<u8> {
        if manner == Manner::Browser {
            self.proposed = self.our_ice();
        }
        let codecs = self.offered_codecs();
        let dtmf = self.numbers.events(&codecs);
        let audio = Section::Audio(Audio {
            address: self.local.address,
            protocol: manner.protocol(),
            codecs: &codecs,
            dtmf: &dtmf,
            noise: None,
            crypto: if manner.is_by_handshake() { Vec::new() } else { self.local.encryption.lines() },
            handshake: self.local.fingerprint.filter(|_| manner.is_by_handshake()).map(|ours| (ours, Setup::ActPass)),
            ice: self.proposed.clone().filter(|_| manner == Manner::Browser),
            mid: self.mid.as_deref(),
            rtcp_mux: self.muxed() || manner == Manner::Browser,
            direction: self.wish(),
        });
        let bundled = self.mid.as_deref().filter(|_| manner == Manner::Browser);
        let rest = body::after_origin(self.local.address.ip(), bundled, &[audio]);
        self.offered = Some(codecs);
        self.say(rest)
    }

    /// Answers an offer. After an error the agreement is what it was before.
    pub fn answer(&mut self, offer: &[u8]) -> Result<(Negotiated, Vec<u8>), SdpError> {
        let offer = SessionDescription::parse(offer)?;
        let (index, payload_type, codec) = self.choose(&offer)?;
        let audio = &offer.media[index];
        let (tag, srtp) = self.local.secrecy(audio, false)?.unzip();
        let rtcp = rtcp_of(&offer, audio, true, srtp.as_ref());
        let ice = self.answer_to_ice(audio, rtcp);
        let direction = self.wish().answer_to(offer.direction_of(audio));
        let agreed = Negotiated {
            codec,
            payload_type,
            receives: vec![(payload_type, codec)],
            dtmf: events(audio, codec).into_iter().take(1).collect(),
            noise_payload_type: noise(audio, codec),
            srtp,
            remote: remote_of(&offer, audio, ice.is_some())?,
            ice,
            rtcp,
            we_send: direction.sends(),
            we_receive: direction.receives(),
            we_hold: self.holding,
            ptime_ms: 20,
        };
        let rest = self.answer_text(&offer, index, &agreed, tag.flatten(), direction);
        self.numbers.learn(audio);
        self.mid.clone_from(&audio.mid);
        self.offered = None;
        self.proposed = None;
        self.agreed = Some(agreed.clone());
        Ok((agreed, self.say(rest)))
    }

    /// Takes the answer to our last offer. After an error the agreement is what it was before.
    pub fn apply_answer(&mut self, answer: &[u8]) -> Result<Negotiated, SdpError> {
        let agreed = self.apply_early_answer(answer)?;
        self.offered = None;
        self.proposed = None;
        Ok(agreed)
    }

    /// As [`MediaSession::apply_answer`], for an answer that another one may follow: of another branch, or with the call's own.
    pub fn apply_early_answer(&mut self, answer: &[u8]) -> Result<Negotiated, SdpError> {
        let offered = self.offered.as_ref().ok_or(SdpError::NothingOffered)?;
        let answer = SessionDescription::parse(answer)?;
        let audio = answer.media.first().filter(|media| media.kind == "audio").ok_or(SdpError::NoAudio)?;
        if audio.port == 0 {
            return Err(SdpError::Refused);
        }
        let (payload_type, codec) = known(audio)
            .into_iter()
            .find(|(_, codec)| offered.iter().any(|(_, ours)| ours == codec))
            .ok_or_else(|| nothing_common(audio))?;
        let srtp = self.local.secrecy(audio, self.proposed.is_some())?.map(|(_, secrecy)| secrecy);
        let ours = self.proposed.clone().filter(|_| matches!(srtp, Some(Secrecy::Handshake(_))) && audio.rtcp_mux);
        let ice = ours.and_then(|ours| Some(Ice { ours, theirs: audio.ice.clone()? }));
        let direction = self.wish().answer_to(answer.direction_of(audio));
        let agreed = Negotiated {
            codec,
            payload_type,
            receives: either_way((payload_type, codec), offered),
            dtmf: self.either_events(events(audio, codec), offered),
            noise_payload_type: noise(audio, codec),
            rtcp: rtcp_of(&answer, audio, self.muxed() || ice.is_some(), srtp.as_ref()),
            srtp,
            remote: remote_of(&answer, audio, ice.is_some())?,
            ice,
            we_send: direction.sends(),
            we_receive: direction.receives(),
            we_hold: self.holding,
            ptime_ms: 20,
        };
        self.agreed = Some(agreed.clone());
        Ok(agreed)
    }

    /// Do RTP and RTCP share a port? We offer it only to whoever asked for it before: both ports are ours in any case,
    /// and a phone that echoes what it does not know would get RTCP where it wants audio.
    fn muxed(&self) -> bool {
        self.agreed.as_ref().is_some_and(|agreed| agreed.rtcp == Some(RtcpPath::Muxed))
    }

    /// A browser's checks are answered where it shakes hands and needs no second port. Whoever begins anew with them is
    /// met by somebody new (RFC 8445 section 9).
    fn answer_to_ice(&self, offered: &MediaDescription, rtcp: Option<RtcpPath>) -> Option<Ice> {
        let theirs = offered.ice.clone().filter(|_| offered.is_by_handshake() && rtcp == Some(RtcpPath::Muxed))?;
        match self.agreed.as_ref().and_then(|agreed| agreed.ice.as_ref()) {
            Some(known) if known.theirs == theirs => Some(known.clone()),
            _ => Some(Ice { ours: (self.local.ice?)(), theirs }),
        }
    }

    /// The name that stays as long as the call does.
    fn our_ice(&self) -> Option<Credentials> {
        let known = self.agreed.as_ref().and_then(|agreed| agreed.ice.as_ref()).map(|ice| ice.ours.clone());
        known.or_else(|| self.proposed.clone()).or_else(|| self.local.ice.map(|make| make()))
    }

    fn wish(&self) -> Direction {
        if self.holding { Direction::SendOnly } else { Direction::SendRecv }
    }

    /// All our codecs; one that is already agreed on comes first and keeps its payload type.
    fn offered_codecs(&self) -> Vec<(u8, PhoneCodec)> {
        let ours = self.local.codecs.iter().map(|codec| self.numbers.codec(*codec));
        match &self.agreed {
            Some(agreed) => with_first((agreed.payload_type, agreed.codec), &ours.collect::<Vec<_>>()),
            None => ours.collect(),
        }
    }

    /// As [`either_way`], of keys; without any in the answer there are none.
    fn either_events(&self, mut agreed: Vec<EventFormat>, offered: &[(u8, PhoneCodec)]) -> Vec<EventFormat> {
        for ours in self.numbers.events(offered) {
            if !agreed.is_empty() && agreed.iter().all(|known| known.payload_type != ours.payload_type) {
                agreed.push(ours);
            }
        }
        agreed
    }

    /// The first audio line with a codec of ours, and our favourite in it.
    fn choose(&self, offer: &SessionDescription) -> Result<(usize, u8, PhoneCodec), SdpError> {
        let mut refusal = SdpError::NoAudio;
        for (index, media) in offer.media.iter().enumerate().filter(|(_, media)| media.is_audio()) {
            let offered = known(media);
            let favourite =
                self.local.codecs.iter().find_map(|codec| offered.iter().find(|(_, theirs)| theirs == codec));
            match (favourite, self.local.secrecy(media, false)) {
                (_, Err(error)) => refusal = error,
                (None, _) => refusal = nothing_common(media),
                (Some((payload_type, codec)), Ok(_)) => return Ok((index, *payload_type, *codec)),
            }
        }
        Err(refusal)
    }

    fn answer_text(
        &self,
        offer: &SessionDescription,
        chosen: usize,
        agreed: &Negotiated,
        tag: Option<u32>,
        direction: Direction,
    ) -> String {
        let (crypto, handshake) = match (&agreed.srtp, tag) {
            (Some(Secrecy::Told(keys)), Some(tag)) => (Some(Crypto { tag, key: keys.ours.clone() }), None),
            (Some(Secrecy::Handshake(peer)), _) => (None, self.local.fingerprint.map(|ours| (ours, setup(peer)))),
            _ => (None, None),
        };
        let sections: Vec<Section<'_>> = offer
            .media
            .iter()
            .enumerate()
            .map(|(index, media)| match index == chosen {
                true => Section::Audio(Audio {
                    address: self.local.address,
                    protocol: &media.protocol,
                    codecs: &agreed.receives,
                    dtmf: &agreed.dtmf,
                    noise: agreed.noise_payload_type,
                    crypto: crypto.iter().cloned().collect(),
                    handshake,
                    ice: agreed.ice.as_ref().map(|ice| ice.ours.clone()),
                    mid: media.mid.as_deref(),
                    rtcp_mux: agreed.rtcp == Some(RtcpPath::Muxed),
                    direction,
                }),
                false => Section::Refused(media),
            })
            .collect();
        let mid = offer.media.get(chosen).and_then(|media| media.mid.as_deref());
        let bundled = mid.filter(|mid| offer.bundle.iter().any(|name| name == mid));
        body::after_origin(self.local.address.ip(), bundled, &sections)
    }

    /// The body with its origin; the version counts changes.
    fn say(&mut self, rest: String) -> Vec<u8> {
        if self.said.as_ref().is_some_and(|said| *said != rest) {
            self.version += 1;
        }
        let body = body::with_origin(self.session_id, self.version, self.local.address.ip(), &rest);
        self.said = Some(rest);
        body
    }
}

fn setup(peer: &Peer) -> Setup {
    if peer.we_begin { Setup::Active } else { Setup::Passive }
}

/// `first`, then the others that differ from it in payload type and codec.
fn with_first(first: (u8, PhoneCodec), others: &[(u8, PhoneCodec)]) -> Vec<(u8, PhoneCodec)> {
    let rest = others.iter().copied().filter(|(payload_type, codec)| *payload_type != first.0 && *codec != first.1);
    std::iter::once(first).chain(rest).collect()
}

/// `first` as the answer numbers it, then what we offered: the other side may number what it sends as it was told, or
/// as it told us (RFC 3264 section 6.1).
fn either_way(first: (u8, PhoneCodec), offered: &[(u8, PhoneCodec)]) -> Vec<(u8, PhoneCodec)> {
    let rest = offered.iter().copied().filter(|(payload_type, _)| *payload_type != first.0);
    std::iter::once(first).chain(rest).collect()
}

/// A browser that does not show its addresses before it has to names none.
fn remote_of(sdp: &SessionDescription, audio: &MediaDescription, by_ice: bool) -> Result<SocketAddr, SdpError> {
    let named = sdp.address_of(audio).filter(|ip| !ip.is_multicast());
    let ip = named.or(by_ice.then_some(IpAddr::V4(Ipv4Addr::UNSPECIFIED))).ok_or(SdpError::NoAddress)?;
    Ok(SocketAddr::new(ip, audio.port))
}

/// A payload type of 64 to 95 would look like RTCP on a shared port (RFC 5761 section 4). A port of its own would need
/// a handshake of its own.
fn rtcp_of(
    sdp: &SessionDescription,
    audio: &MediaDescription,
    may_mux: bool,
    secrecy: Option<&Secrecy>,
) -> Option<RtcpPath> {
    let ambiguous = audio.formats.iter().filter_map(Format::payload_type).any(|number| (64..=95).contains(&number));
    match may_mux && audio.rtcp_mux && !ambiguous && audio.no_rtcp != [true; 2] {
        true => Some(RtcpPath::Muxed),
        false if matches!(secrecy, Some(Secrecy::Handshake(_))) => None,
        false => sdp.rtcp_of(audio).map(RtcpPath::Apart),
    }
}

fn nothing_common(media: &MediaDescription) -> SdpError {
    let name =
        |format: &Format| format.map.as_ref().map_or(format.token.clone(), |(name, rate)| format!("{name}/{rate}"));
    SdpError::NoCommonCodec { offered: media.formats.iter().take(20).map(name).collect::<Vec<_>>().join(" ") }
}

#[cfg(test)]
mod tests;
