//! What did the phone say?
//!
//! [`FromPhone`] reads datagrams of the RTP port. Before an agreement, on hold and from strangers
//! nothing is heard. It also knows whose reports (RTCP) count and where ours go.
//!
//! Only audio says that a phone is still there: one that sends nothing but reports while audio should flow is timed
//! out. On hold, where reports are all that need come, nobody is.

use super::SourcePolicy;
use super::source::{REOPEN, REOPEN_REPORTS, Source};
use crate::codec::{FRAME, G711, PhoneCodec};
use crate::dtmf::Keys;
use crate::rtcp::Compound;
use crate::rtp::{Figures, Packet, Reception, ReceptionReport, Unwrapper};
use crate::sdp::{EventFormat, NOISE, Negotiated, RtcpPath};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// How long a phone may be silent on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MediaTimeouts {
    /// Until its first packet.
    pub first: Duration,
    /// Between packets.
    pub later: Duration,
}

impl Default for MediaTimeouts {
    fn default() -> Self {
        MediaTimeouts { first: Duration::from_secs(30), later: Duration::from_secs(15) }
    }
}

/// What a datagram said.
#[derive(Debug, PartialEq)]
pub enum Heard<'a> {
    Nothing,
    Audio(PhoneAudio<'a>),
    Key(char),
}

/// A frame of the phone.
#[derive(Debug, PartialEq)]
pub struct PhoneAudio<'a> {
    pub codec: PhoneCodec,
    pub ssrc: u32,
    /// Of the audio alone, without the events among it. Never wraps as long as the SSRC stays.
    pub sequence: u64,
    /// In ticks of 8 kHz, whatever the codec's clock.
    pub timestamp: u32,
    pub payload: &'a [u8],
}

impl PhoneAudio<'_> {
    /// How long it lasts, in ticks of 8 kHz; none for what is no packet of its codec.
    pub fn ticks(&self) -> Option<u32> {
        self.codec.ticks(self.payload)
    }
}

/// The receiving half of a leg.
#[derive(Debug)]
pub struct FromPhone {
    policy: SourcePolicy,
    timeouts: MediaTimeouts,
    agreed: Option<Agreed>,
    reception: Reception,
    unwrap: Unwrapper,
    /// Of the audio's timestamps.
    time: Unwrapper,
    keys: Keys,
    /// Packets of the stream that were no audio.
    others: u64,
    /// The last packet, or when we began to wait for one.
    last: Option<Instant>,
    heard: bool,
    strangers: u64,
}

#[derive(Debug)]
struct Agreed {
    source: Source,
    /// Of reports that have a port of their own.
    reports: Option<Source>,
    muxed: bool,
    receives: Vec<(u8, PhoneCodec)>,
    dtmf: Vec<EventFormat>,
    /// Comfort noise.
    noise: u8,
    receiving: bool,
    /// Nobody is on hold, so packets must come.
    flowing: bool,
}

/// What comfort noise sounds like (RFC 3389). The room knows pauses; whoever fills them in goes on from silence.
static SILENCE: [u8; FRAME] = [G711::Pcmu.silence(); FRAME];

/// Far enough from zero that packets before the first one have a number, too.
const FIRST_SEQUENCE: i64 = 1 << 32;

impl FromPhone {
    pub fn new(policy: SourcePolicy, timeouts: MediaTimeouts) -> FromPhone {
        FromPhone {
            policy,
            timeouts,
            agreed: None,
            reception: Reception::default(),
            unwrap: Unwrapper::default(),
            time: Unwrapper::default(),
            keys: Keys::default(),
            others: 0,
            last: None,
            heard: false,
            strangers: 0,
        }
    }

    /// The first agreement or a changed one; the time-out starts anew.
    pub fn negotiated(&mut self, agreed: &Negotiated, now: Instant) {
        let (source, reports) = match self.agreed.take() {
            Some(before) => (Some(before.source), before.reports),
            None => (None, None),
        };
        let apart = match agreed.rtcp {
            Some(RtcpPath::Apart(remote)) => Some(remote),
            Some(RtcpPath::Muxed) | None => None,
        };
        let policy = if agreed.ice.is_some() { SourcePolicy::Checked } else { self.policy };
        self.agreed = Some(Agreed {
            source: source_of(source, policy, agreed.remote, REOPEN),
            reports: apart.map(|remote| source_of(reports, policy, remote, REOPEN_REPORTS)),
            muxed: agreed.rtcp == Some(RtcpPath::Muxed),
            receives: agreed.receives.clone(),
            dtmf: agreed.dtmf.clone(),
            noise: agreed.noise_payload_type.unwrap_or(NOISE),
            receiving: agreed.we_receive,
            flowing: agreed.we_receive && agreed.we_send,
        });
        self.last = Some(now);
    }

    /// Reads one datagram.
    pub fn datagram<'a>(&mut self, datagram: &'a [u8], from: SocketAddr, now: Instant) -> Heard<'a> {
        let (Some(agreed), Ok(packet)) = (&mut self.agreed, Packet::parse(datagram)) else { return Heard::Nothing };
        let header = packet.header;
        let codec = agreed.receives.iter().find(|(payload_type, _)| *payload_type == header.payload_type);
        let key = agreed.dtmf.iter().any(|events| events.payload_type == header.payload_type);
        let noise = codec.is_none() && !key && agreed.noise == header.payload_type;
        if codec.is_none() && !key && !noise {
            return Heard::Nothing;
        }
        if !agreed.source.accept(from, now) {
            self.strangers += 1;
            return Heard::Nothing;
        }
        if self.reception.is_new(header.ssrc) {
            (self.unwrap, self.time) = (Unwrapper::default(), Unwrapper::default());
            self.keys.reset();
            self.others = 0;
        }
        let clock_factor = codec.map(|(_, codec)| codec.clock_factor());
        self.reception.note(&header, clock_factor, now);
        (self.last, self.heard) = (Some(now), true);
        self.others += u64::from(key || packet.payload.is_empty());
        let sequence = (self.unwrap.sequence(header.sequence) + FIRST_SEQUENCE) as u64 - self.others;
        let mut audio = |codec: PhoneCodec, payload| {
            let ticks = self.time.timestamp(header.timestamp).div_euclid(codec.clock_factor().into());
            Heard::Audio(PhoneAudio { codec, ssrc: header.ssrc, sequence, timestamp: ticks as u32, payload })
        };
        match codec {
            _ if !agreed.receiving => Heard::Nothing,
            Some((_, codec)) if !packet.payload.is_empty() => audio(*codec, packet.payload),
            Some(_) => Heard::Nothing,
            None if noise => audio(PhoneCodec::PCMU, &SILENCE),
            None => self.keys.packet(header.timestamp, packet.payload).map_or(Heard::Nothing, Heard::Key),
        }
    }

    /// A check of ICE came from there, perhaps to say that the phone has chosen this way.
    pub fn checked(&mut self, from: SocketAddr, chosen: bool, now: Instant) {
        if let Some(agreed) = &mut self.agreed {
            agreed.source.checked(from, chosen, now);
        }
    }

    /// May this sender be heard? Nothing changes by asking.
    pub fn allows(&self, from: SocketAddr, now: Instant) -> bool {
        self.agreed.as_ref().is_some_and(|agreed| agreed.source.allows(from, now))
    }

    /// Does what came count, by who reports and from where? `at_rtp`: it came to the port of RTP.
    pub fn accepts_report(&mut self, report: &Compound<'_>, from: SocketAddr, at_rtp: bool, now: Instant) -> bool {
        let Some(agreed) = &mut self.agreed else { return false };
        let speaks = self.reception.ssrc().is_none_or(|heard| report.reporter() == Some(heard));
        let allowed = match &mut agreed.reports {
            _ if !speaks => false,
            Some(reports) => !at_rtp && reports.accept(from, now),
            None => at_rtp && agreed.muxed && agreed.source.allows(from, now),
        };
        self.strangers += u64::from(!allowed);
        allowed
    }

    /// Where our reports go, once there is an agreement about them, and whether from the port of RTP.
    pub fn report_destination(&self) -> Option<(SocketAddr, bool)> {
        let agreed = self.agreed.as_ref()?;
        match &agreed.reports {
            Some(reports) => reports.destination().map(|to| (to, false)),
            None => agreed.source.destination().filter(|_| agreed.muxed).map(|to| (to, true)),
        }
    }

    /// What we report of the phone's stream; none when nothing came since the last time.
    pub fn report(&mut self) -> Option<ReceptionReport> {
        self.reception.report()
    }

    /// Where our packets go, once there is an agreement and a way.
    pub fn destination(&self) -> Option<SocketAddr> {
        self.agreed.as_ref().and_then(|agreed| agreed.source.destination())
    }

    /// Has the phone ever sent anything?
    pub fn heard_anything(&self) -> bool {
        self.heard
    }

    /// Should the call end, because nothing comes? Never while somebody is on hold.
    pub fn silent_too_long(&self, now: Instant) -> bool {
        let limit = if self.heard { self.timeouts.later } else { self.timeouts.first };
        let flowing = self.agreed.as_ref().is_some_and(|agreed| agreed.flowing);
        flowing && self.last.is_some_and(|last| now.saturating_duration_since(last) >= limit)
    }

    pub fn figures(&self) -> Figures {
        self.reception.figures()
    }

    /// Packets dropped, because they came from somewhere else.
    pub fn strangers(&self) -> u64 {
        self.strangers
    }
}

/// A source stays as long as it is chosen in the same way.
fn source_of(before: Option<Source>, policy: SourcePolicy, signalled: SocketAddr, reopen: Duration) -> Source {
    let kept = before.filter(|before| before.policy() == policy);
    let mut source = kept.unwrap_or_else(|| Source::new(policy, signalled, reopen));
    source.change(signalled);
    source
}

#[cfg(test)]
mod tests;
