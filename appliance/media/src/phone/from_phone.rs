//! What did the phone say?
//!
//! [`FromPhone`] reads datagrams of the RTP port. Before an agreement, on hold and from strangers
//! nothing is heard.

use super::SourcePolicy;
use super::source::Source;
use crate::codec::G711;
use crate::dtmf::Keys;
use crate::rtp::{Figures, Packet, Reception, Unwrapper};
use crate::sdp::Negotiated;
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
    pub codec: G711,
    pub ssrc: u32,
    /// Never wraps as long as the SSRC stays.
    pub sequence: u64,
    pub timestamp: u32,
    pub payload: &'a [u8],
}

/// The receiving half of a leg.
#[derive(Debug)]
pub struct FromPhone {
    policy: SourcePolicy,
    timeouts: MediaTimeouts,
    agreed: Option<Agreed>,
    reception: Reception,
    unwrap: Unwrapper,
    keys: Keys,
    /// The last packet, or when we began to wait for one.
    last: Option<Instant>,
    heard: bool,
    strangers: u64,
}

#[derive(Debug)]
struct Agreed {
    source: Source,
    receives: Vec<(u8, G711)>,
    dtmf: Option<u8>,
    receiving: bool,
    /// Nobody is on hold, so packets must come.
    flowing: bool,
}

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
            keys: Keys::default(),
            last: None,
            heard: false,
            strangers: 0,
        }
    }

    /// The first agreement or a changed one; the time-out starts anew.
    pub fn negotiated(&mut self, agreed: &Negotiated, now: Instant) {
        let mut source = match self.agreed.take() {
            Some(before) => before.source,
            None => Source::new(self.policy, agreed.remote),
        };
        source.change(agreed.remote);
        self.agreed = Some(Agreed {
            source,
            receives: agreed.receives.clone(),
            dtmf: agreed.dtmf_payload_type,
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
        let key = agreed.dtmf == Some(header.payload_type);
        if codec.is_none() && !key {
            return Heard::Nothing;
        }
        if !agreed.source.accept(from, now) {
            self.strangers += 1;
            return Heard::Nothing;
        }
        if self.reception.is_new(header.ssrc) {
            self.unwrap = Unwrapper::default();
            self.keys.reset();
        }
        self.reception.note(&header, now);
        (self.last, self.heard) = (Some(now), true);
        let sequence = (self.unwrap.sequence(header.sequence) + FIRST_SEQUENCE) as u64;
        match codec {
            _ if !agreed.receiving => Heard::Nothing,
            Some((_, codec)) if !packet.payload.is_empty() => Heard::Audio(PhoneAudio {
                codec: *codec,
                ssrc: header.ssrc,
                sequence,
                timestamp: header.timestamp,
                payload: packet.payload,
            }),
            Some(_) => Heard::Nothing,
            None => self.keys.packet(header.timestamp, packet.payload).map_or(Heard::Nothing, Heard::Key),
        }
    }

    /// Where our packets go, once there is an agreement.
    pub fn destination(&self) -> Option<SocketAddr> {
        self.agreed.as_ref().map(|agreed| agreed.source.destination())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dtmf::Event;
    use crate::rtp::Header;

    const SECOND: Duration = Duration::from_secs(1);

    fn phone() -> SocketAddr {
        "192.0.2.9:4000".parse().unwrap()
    }

    fn agreed(we_send: bool, we_receive: bool) -> Negotiated {
        Negotiated {
            codec: G711::Pcmu,
            payload_type: 0,
            receives: vec![(0, G711::Pcmu)],
            dtmf_payload_type: Some(101),
            srtp: None,
            remote: phone(),
            we_send,
            we_receive,
            we_hold: false,
            ptime_ms: 20,
        }
    }

    fn datagram(payload_type: u8, sequence: u16, payload: &[u8]) -> Vec<u8> {
        let timestamp = u32::from(sequence) * 160;
        let mut packet = Vec::new();
        Header { marker: false, payload_type, sequence, timestamp, ssrc: 5 }.write(payload, &mut packet);
        packet
    }

    fn listening(now: Instant) -> FromPhone {
        let mut from = FromPhone::new(SourcePolicy::Signalled, MediaTimeouts::default());
        from.negotiated(&agreed(true, true), now);
        from
    }

    #[test]
    fn nothing_is_heard_before_there_is_an_agreement() {
        let mut from = FromPhone::new(SourcePolicy::Signalled, MediaTimeouts::default());
        assert_eq!(from.datagram(&datagram(0, 1, b"x"), phone(), Instant::now()), Heard::Nothing);
        assert_eq!(from.figures().packets, 0);
    }

    #[test]
    fn sound_and_keys_are_told_apart_and_strangers_are_counted() {
        let now = Instant::now();
        let mut from = listening(now);
        let packet = datagram(0, 0xFFFF, b"sound");
        assert!(matches!(from.datagram(&packet, phone(), now), Heard::Audio(audio) if audio.payload == b"sound"));
        let key = Event { event: 5, end: false, volume: 10, duration: 160 }.to_bytes();
        assert_eq!(from.datagram(&datagram(101, 0, &key), phone(), now), Heard::Key('5'));
        assert_eq!(from.datagram(&packet, "192.0.2.66:4000".parse().unwrap(), now), Heard::Nothing);
        assert_eq!((from.figures().packets, from.figures().lost, from.strangers()), (2, 0, 1));
    }

    #[test]
    fn a_phone_that_never_sends_is_given_30_seconds_and_one_that_stops_15() {
        let t0 = Instant::now();
        let mut from = listening(t0);
        assert!(!from.silent_too_long(t0 + SECOND * 29) && from.silent_too_long(t0 + SECOND * 30));
        from.datagram(&datagram(0, 1, b"x"), phone(), t0 + SECOND * 20);
        assert!(!from.silent_too_long(t0 + SECOND * 34) && from.silent_too_long(t0 + SECOND * 35));
    }

    #[test]
    fn nobody_is_timed_out_on_hold_and_the_time_starts_anew_after_it() {
        let t0 = Instant::now();
        let mut from = listening(t0);
        from.datagram(&datagram(0, 1, b"x"), phone(), t0);
        for (we_send, we_receive) in [(false, true), (true, false), (false, false)] {
            from.negotiated(&agreed(we_send, we_receive), t0);
            assert!(!from.silent_too_long(t0 + SECOND * 3600));
        }
        from.negotiated(&agreed(true, true), t0 + SECOND * 100);
        assert!(!from.silent_too_long(t0 + SECOND * 114) && from.silent_too_long(t0 + SECOND * 115));
    }

    #[test]
    fn a_phone_that_we_hold_is_not_heard() {
        let now = Instant::now();
        let mut from = listening(now);
        from.negotiated(&agreed(true, false), now);
        assert_eq!(from.datagram(&datagram(0, 1, b"x"), phone(), now), Heard::Nothing);
    }
}
