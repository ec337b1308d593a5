//! How did a leg sound, at either end?

use media::codec::PhoneCodec;
use media::quality::{Line, mos};
use media::rtcp::Reports;
use media::rtp::Figures;
use types::control::{FarEnd, LegStats};

/// The figures of a leg; what nobody knows is left open.
pub fn of(codec: Option<PhoneCodec>, heard: Figures, packets_out: u64, reports: &Reports) -> LegStats {
    let round_trip = reports.round_trip();
    let opinion = |loss, jitter_ms| codec.map(|codec| mos(&Line { codec, loss, jitter_ms, round_trip }));
    let jitter_ms = heard.jitter_ms.unwrap_or_default();
    LegStats {
        packets_in: heard.packets,
        packets_out,
        lost: heard.lost,
        jitter_ms,
        mos: heard.loss().and_then(|loss| opinion(loss, jitter_ms)),
        rtt_ms: round_trip.map(|way| way.as_secs_f64() * 1e3),
        far_end: reports.far_end().and_then(|far| {
            let mos = opinion(far.loss, far.jitter_ms)?;
            Some(FarEnd { lost: far.lost, jitter_ms: far.jitter_ms, mos })
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use media::rtcp::{Block, Compound, Identity, NtpClock, Outgoing, Sent};
    use std::time::{Instant, SystemTime};

    fn reports() -> Reports {
        let clock = NtpClock::new(Instant::now(), SystemTime::UNIX_EPOCH);
        Reports::new(Identity { ssrc: 1, name: "us".into(), clock })
    }

    #[test]
    fn nothing_is_made_up_of_a_leg_that_heard_nothing() {
        let known = LegStats { packets_out: 7, ..LegStats::default() };
        assert_eq!(of(Some(PhoneCodec::PCMU), Figures::default(), 7, &reports()), known);
    }

    #[test]
    fn each_direction_has_an_opinion_of_its_own() {
        let mut reports = reports();
        let block = Block { ssrc: 1, lost: 20, jitter: 80, ..Block::default() };
        let said = Outgoing { ssrc: 2, sent: None, block: Some(block), name: "phone", goodbye: false }.to_bytes();
        let sent = Sent { packets: 100, clock_factor: 1, ..Sent::default() };
        reports.heard(&Compound::parse(&said).unwrap(), sent, Instant::now());
        let heard = Figures { packets: 1000, lost: 0, jitter_ms: Some(1.0) };
        let stats = of(Some(PhoneCodec::PCMU), heard, 100, &reports);
        assert_eq!((stats.mos, stats.rtt_ms), (Some(4.38), None));
        assert!(stats.far_end.is_some_and(|far| far.lost == 20 && far.jitter_ms == 10.0 && far.mos < 3.0));
    }
}
