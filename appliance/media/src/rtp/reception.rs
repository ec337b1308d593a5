//! How well do we hear the other side? (RFC 3550 sections 6.4.1, A.3 and A.8)

use super::{Header, Unwrapper};
use std::time::Instant;

/// The figures of a stream so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Figures {
    pub packets: u64,
    /// Expected by the sequence numbers, but never seen.
    pub lost: u64,
    /// Interarrival jitter.
    pub jitter_ms: f64,
}

/// Counts packets of one sender; a change of SSRC starts a new stretch and keeps the totals.
#[derive(Debug, Default)]
pub struct Reception {
    stretch: Option<Stretch>,
    packets: u64,
    lost_before: u64,
    jitter: f64,
}

#[derive(Debug)]
struct Stretch {
    ssrc: u32,
    unwrap: Unwrapper,
    first: i64,
    highest: i64,
    received: u64,
    start: (Instant, u32),
    transit: f64,
}

/// A jump of so many packets is a restart, not a loss.
const RESTART: i64 = 3_000;

impl Reception {
    /// Takes note of a packet on an 8 kHz clock.
    pub fn note(&mut self, header: &Header, now: Instant) {
        self.packets += 1;
        let Some(stretch) = self.stretch.as_mut().filter(|s| s.ssrc == header.ssrc) else {
            return self.begin(header, now);
        };
        let sequence = stretch.unwrap.sequence(header.sequence);
        if (sequence - stretch.highest).abs() > RESTART {
            return self.begin(header, now);
        }
        stretch.highest = stretch.highest.max(sequence);
        stretch.received += 1;
        let transit = stretch.transit_of(header.timestamp, now);
        self.jitter += ((transit - stretch.transit).abs() - self.jitter) / 16.0;
        stretch.transit = transit;
    }

    /// Did this sender speak before under another SSRC, or not at all?
    pub fn is_new(&self, ssrc: u32) -> bool {
        self.stretch.as_ref().is_none_or(|s| s.ssrc != ssrc)
    }

    pub fn figures(&self) -> Figures {
        let lost = self.lost_before + self.stretch.as_ref().map_or(0, Stretch::lost);
        Figures { packets: self.packets, lost, jitter_ms: self.jitter }
    }

    fn begin(&mut self, header: &Header, now: Instant) {
        self.lost_before += self.stretch.as_ref().map_or(0, Stretch::lost);
        let mut unwrap = Unwrapper::default();
        let first = unwrap.sequence(header.sequence);
        let start = (now, header.timestamp);
        self.stretch =
            Some(Stretch { ssrc: header.ssrc, unwrap, first, highest: first, received: 1, start, transit: 0.0 });
    }
}

impl Stretch {
    fn lost(&self) -> u64 {
        let expected = (self.highest - self.first + 1).max(0) as u64;
        expected.saturating_sub(self.received)
    }

    /// Arrival minus sending time, in milliseconds, counted from the stretch's first packet.
    fn transit_of(&self, timestamp: u32, now: Instant) -> f64 {
        let sent = f64::from(timestamp.wrapping_sub(self.start.1) as i32) / 8.0;
        now.saturating_duration_since(self.start.0).as_secs_f64() * 1e3 - sent
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn header(sequence: u16, ssrc: u32) -> Header {
        Header { marker: false, payload_type: 0, sequence, timestamp: u32::from(sequence).wrapping_mul(160), ssrc }
    }

    #[test]
    fn an_even_stream_has_no_loss_and_no_jitter() {
        let (mut reception, t0) = (Reception::default(), Instant::now());
        for n in 0..100 {
            reception.note(&header(n, 1), t0 + Duration::from_millis(20) * u32::from(n));
        }
        let figures = reception.figures();
        assert_eq!((figures.packets, figures.lost), (100, 0));
        assert!(figures.jitter_ms < 0.001, "{figures:?}");
    }

    #[test]
    fn missing_numbers_are_losses_also_across_the_wrap() {
        let (mut reception, t0) = (Reception::default(), Instant::now());
        for n in [0xFFFD, 0xFFFE, 1, 2, 0xFFFF] {
            reception.note(&header(n, 1), t0);
        }
        assert_eq!(reception.figures().lost, 1); // 0 is missing, 0xFFFF came late
    }

    #[test]
    fn a_new_sender_keeps_the_totals() {
        let (mut reception, t0) = (Reception::default(), Instant::now());
        for (n, ssrc) in [(1, 1), (3, 1), (50_000, 2), (50_001, 2)] {
            reception.note(&header(n, ssrc), t0);
        }
        assert_eq!((reception.figures().packets, reception.figures().lost), (4, 1));
    }

    #[test]
    fn packets_that_come_unevenly_show_jitter() {
        let (mut reception, t0) = (Reception::default(), Instant::now());
        for n in 0..200u16 {
            let late = if n % 2 == 0 { 8 } else { 0 };
            reception.note(&header(n, 1), t0 + Duration::from_millis(20 * u64::from(n) + late));
        }
        assert!((reception.figures().jitter_ms - 8.0).abs() < 0.5, "{:?}", reception.figures());
    }
}
