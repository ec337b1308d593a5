//! How many packets of which kind went each way?

use super::heads::{Head, Heads};
use media::sdp::{EventFormat, NOISE, Negotiated};

/// Packets of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PacketCount {
    /// As in `a=rtpmap`: name and rate.
    pub payload: &'static str,
    pub received: u64,
    pub sent: u64,
}

/// The counts of a leg since they were last taken.
#[derive(Debug, Default)]
pub struct Packets {
    /// What the agreed payload types mean.
    names: Vec<(u8, &'static str)>,
    counts: Vec<PacketCount>,
    pub heads: Heads,
}

impl Packets {
    /// The first agreement or a changed one.
    pub fn negotiated(&mut self, agreed: &Negotiated) {
        self.names = agreed.receives.iter().map(|(payload_type, codec)| (*payload_type, codec.encoding())).collect();
        self.names.push((agreed.payload_type, agreed.codec.encoding()));
        self.names.push((agreed.noise_payload_type.unwrap_or(NOISE), "CN/8000"));
        self.names.extend(agreed.dtmf.iter().map(|events| (events.payload_type, events_name(events))));
    }

    pub fn received(&mut self, packet: &[u8]) {
        if let Some(count) = self.count_of(packet) {
            count.received += 1;
        }
    }

    pub fn sent(&mut self, packet: &[u8]) {
        if let Some(count) = self.count_of(packet) {
            count.sent += 1;
        }
    }

    pub fn take(&mut self) -> Vec<PacketCount> {
        std::mem::take(&mut self.counts)
    }

    /// The first packets since the last time.
    pub fn take_heads(&mut self) -> Vec<Head> {
        let names = &self.names;
        self.heads.take(|payload_type| Some(names.iter().find(|(known, _)| *known == payload_type)?.1))
    }

    fn count_of(&mut self, packet: &[u8]) -> Option<&mut PacketCount> {
        let payload_type = packet.get(1)? & 0x7f;
        let payload = self.names.iter().find(|(known, _)| *known == payload_type)?.1;
        let place = match self.counts.iter().position(|count| count.payload == payload) {
            Some(place) => place,
            None => {
                self.counts.push(PacketCount { payload, received: 0, sent: 0 });
                self.counts.len() - 1
            }
        };
        self.counts.get_mut(place)
    }
}

fn events_name(events: &EventFormat) -> &'static str {
    if events.clock_factor == 1 { "telephone-event/8000" } else { "telephone-event/48000" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use media::codec::PhoneCodec;

    fn agreed(payload_type: u8, codec: PhoneCodec) -> Negotiated {
        Negotiated {
            codec,
            payload_type,
            receives: vec![(payload_type, codec)],
            dtmf: vec![EventFormat { payload_type: 101, clock_factor: 1 }],
            noise_payload_type: None,
            srtp: None,
            remote: "192.0.2.1:4000".parse().unwrap(),
            ice: None,
            rtcp: None,
            we_send: true,
            we_receive: true,
            we_hold: false,
            ptime_ms: 20,
        }
    }

    fn packet(payload_type: u8) -> [u8; 12] {
        let mut packet = [0x80; 12];
        packet[1] = 0x80 | payload_type; // the marker is no part of it
        packet
    }

    #[test]
    fn packets_count_under_what_was_agreed_when_they_came() {
        let mut packets = Packets::default();
        packets.received(&packet(0));
        packets.negotiated(&agreed(0, PhoneCodec::PCMU));
        packets.received(&packet(0));
        packets.sent(&packet(101));
        packets.sent(&packet(99));
        packets.sent(&[0x80]);
        packets.negotiated(&agreed(0, PhoneCodec::PCMA));
        packets.sent(&packet(0));
        let count = |payload, received, sent| PacketCount { payload, received, sent };
        let expected = [count("PCMU/8000", 1, 0), count("telephone-event/8000", 0, 1), count("PCMA/8000", 0, 1)];
        assert_eq!(packets.take(), expected);
        assert_eq!(packets.take(), []);
    }
}
