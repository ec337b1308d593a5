//! How well do we hear the other side? (RFC 3550 sections 6.4.1, A.3 and A.8)

use super::{Header, Unwrapper};
use std::time::Instant;

/// The figures of a stream so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Figures {
    pub packets: u64,
    /// Expected by the sequence numbers, but never seen.
    pub lost: u64,
    /// Interarrival jitter; unknown before there are two packets to compare.
    pub jitter_ms: Option<f64>,
}

impl Figures {
    /// The share of packets that were lost, 0 to 1; unknown before the first.
    pub fn loss(&self) -> Option<f64> {
        (self.packets > 0).then(|| self.lost as f64 / (self.packets + self.lost) as f64)
    }
}

/// What a reception report says of the current stretch (RFC 3550 section 6.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReceptionReport {
    pub ssrc: u32,
    /// Lost since the last report, in 256ths.
    pub fraction_lost: u8,
    /// Negative when more came than were sent, as doubles do.
    pub lost: i64,
    /// The highest sequence number, with its wraps above the lower 16 bits.
    pub highest: u32,
    /// In ticks of the stream's clock.
    pub jitter: u32,
}

/// Counts packets of one sender; a change of SSRC starts a new stretch and keeps the totals.
#[derive(Debug, Default)]
pub struct Reception {
    stretch: Option<Stretch>,
    packets: u64,
    lost_before: u64,
    /// In milliseconds.
    jitter: Option<f64>,
}

#[derive(Debug)]
struct Stretch {
    ssrc: u32,
    unwrap: Unwrapper,
    first: i64,
    highest: i64,
    received: u64,
    start: (Instant, u32),
    clock_factor: u32,
    transit: f64,
    timestamp: u32,
    /// Expected and received at the last report.
    reported: (i64, u64),
}

/// A jump of so many packets is a restart, not a loss.
const RESTART: i64 = 3_000;
/// Milliseconds; a longer way is a clock that stood still, as some phones' does on hold.
const STANDSTILL: f64 = 1_000.0;

impl Reception {
    /// Takes note of a packet whose clock has so many ticks for one of 8 kHz: where that changes, so does the stream's.
    /// None is a packet, as those of keys are, whose time says nothing.
    pub fn note(&mut self, header: &Header, clock_factor: Option<u32>, now: Instant) {
        self.packets += 1;
        let Some(stretch) = self.stretch.as_mut().filter(|s| s.ssrc == header.ssrc) else {
            return self.begin(header, clock_factor, now);
        };
        let sequence = stretch.unwrap.sequence(header.sequence);
        if (sequence - stretch.highest).abs() > RESTART {
            return self.begin(header, clock_factor, now);
        }
        stretch.highest = stretch.highest.max(sequence);
        stretch.received += 1;
        if let Some(step) = clock_factor.and_then(|factor| stretch.step(header.timestamp, factor, now)) {
            let jitter = self.jitter.unwrap_or_default();
            self.jitter = Some(jitter + (step - jitter) / 16.0);
        }
    }

    /// Who speaks now?
    pub fn ssrc(&self) -> Option<u32> {
        self.stretch.as_ref().map(|stretch| stretch.ssrc)
    }

    /// The report of what came since the last one; none when nothing did.
    pub fn report(&mut self) -> Option<ReceptionReport> {
        let jitter = self.jitter.unwrap_or_default();
        self.stretch.as_mut()?.report(jitter)
    }

    /// Did this sender speak before under another SSRC, or not at all?
    pub fn is_new(&self, ssrc: u32) -> bool {
        self.stretch.as_ref().is_none_or(|s| s.ssrc != ssrc)
    }

    pub fn figures(&self) -> Figures {
        let lost = self.lost_before + self.stretch.as_ref().map_or(0, Stretch::lost);
        Figures { packets: self.packets, lost, jitter_ms: self.jitter }
    }

    fn begin(&mut self, header: &Header, clock_factor: Option<u32>, now: Instant) {
        self.lost_before += self.stretch.as_ref().map_or(0, Stretch::lost);
        let mut unwrap = Unwrapper::default();
        let first = unwrap.sequence(header.sequence);
        let start = (now, header.timestamp);
        self.stretch = Some(Stretch {
            ssrc: header.ssrc,
            unwrap,
            first,
            highest: first,
            received: 1,
            start,
            clock_factor: clock_factor.unwrap_or(1),
            transit: 0.0,
            timestamp: header.timestamp,
            reported: (0, 0),
        });
    }
}

impl Stretch {
    fn expected(&self) -> i64 {
        self.highest - self.first + 1
    }

    fn lost(&self) -> u64 {
        (self.expected().max(0) as u64).saturating_sub(self.received)
    }

    /// Section A.3; `jitter` in milliseconds.
    fn report(&mut self, jitter: f64) -> Option<ReceptionReport> {
        let (expected, received) = (self.expected(), self.received);
        let before = std::mem::replace(&mut self.reported, (expected, received));
        let (due, came) = (expected - before.0, (received - before.1) as i64);
        let fraction = if due > came { (due - came) * 256 / due } else { 0 };
        (came > 0).then_some(ReceptionReport {
            ssrc: self.ssrc,
            fraction_lost: fraction.min(255) as u8,
            lost: expected - received as i64,
            highest: self.highest as u32,
            jitter: (jitter * self.per_ms()) as u32,
        })
    }

    /// Ticks of the clock in a millisecond.
    fn per_ms(&self) -> f64 {
        8.0 * f64::from(self.clock_factor)
    }

    /// How much longer or shorter this packet's way was than the last one's; packets of one timestamp, as of a clock that
    /// stands still, say nothing of it.
    fn step(&mut self, timestamp: u32, clock_factor: u32, now: Instant) -> Option<f64> {
        if clock_factor != self.clock_factor {
            (self.start, self.clock_factor) = ((now, timestamp), clock_factor);
            (self.transit, self.timestamp) = (0.0, timestamp);
            return None;
        }
        if std::mem::replace(&mut self.timestamp, timestamp) == timestamp {
            return None;
        }
        let transit = self.transit_of(timestamp, now);
        let step = (transit - std::mem::replace(&mut self.transit, transit)).abs();
        (step < STANDSTILL).then_some(step)
    }

    /// Arrival minus sending time, in milliseconds, counted from the stretch's first packet.
    fn transit_of(&self, timestamp: u32, now: Instant) -> f64 {
        let sent = f64::from(timestamp.wrapping_sub(self.start.1) as i32) / self.per_ms();
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
            reception.note(&header(n, 1), Some(1), t0 + Duration::from_millis(20) * u32::from(n));
        }
        let figures = reception.figures();
        assert_eq!((figures.packets, figures.lost), (100, 0));
        assert!(figures.jitter_ms.unwrap() < 0.001, "{figures:?}");
    }

    #[test]
    fn missing_numbers_are_losses_also_across_the_wrap() {
        let (mut reception, t0) = (Reception::default(), Instant::now());
        for n in [0xFFFD, 0xFFFE, 1, 2, 0xFFFF] {
            reception.note(&header(n, 1), Some(1), t0);
        }
        assert_eq!(reception.figures().lost, 1); // 0 is missing, 0xFFFF came late
    }

    #[test]
    fn a_new_sender_keeps_the_totals() {
        let (mut reception, t0) = (Reception::default(), Instant::now());
        for (n, ssrc) in [(1, 1), (3, 1), (50_000, 2), (50_001, 2)] {
            reception.note(&header(n, ssrc), Some(1), t0);
        }
        assert_eq!((reception.figures().packets, reception.figures().lost), (4, 1));
    }

    #[test]
    fn packets_that_come_unevenly_show_jitter() {
        let (mut reception, t0) = (Reception::default(), Instant::now());
        for n in 0..200u16 {
            let late = if n % 2 == 0 { 8 } else { 0 };
            reception.note(&header(n, 1), Some(1), t0 + Duration::from_millis(20 * u64::from(n) + late));
        }
        assert!((reception.figures().jitter_ms.unwrap() - 8.0).abs() < 0.5, "{:?}", reception.figures());
    }

    #[test]
    fn nothing_is_known_of_what_was_never_heard() {
        let (mut reception, t0) = (Reception::default(), Instant::now());
        assert_eq!((reception.figures().loss(), reception.figures().jitter_ms, reception.report()), (None, None, None));
        reception.note(&header(1, 1), Some(1), t0);
        assert_eq!((reception.figures().loss(), reception.figures().jitter_ms), (Some(0.0), None));
    }

    #[test]
    fn a_report_tells_the_loss_since_the_last_one_and_in_all() {
        let (mut reception, t0) = (Reception::default(), Instant::now());
        for n in (0xFFF0..=0xFFFF).chain([1, 3]) {
            reception.note(&header(n, 9), Some(1), t0);
        }
        let first = reception.report().unwrap();
        assert_eq!((first.ssrc, first.fraction_lost, first.lost, first.highest), (9, 25, 2, 0x1_0003)); // 2 of 20
        assert_eq!(reception.report(), None, "nothing came since");
        for n in [4, 5, 7] {
            reception.note(&header(n, 9), Some(1), t0);
        }
        let second = reception.report().unwrap();
        assert_eq!((second.fraction_lost, second.lost), (64, 3)); // 1 of 4
        reception.note(&header(7, 9), Some(1), t0);
        assert_eq!(reception.report().map(|it| (it.fraction_lost, it.lost)), Some((0, 2)), "a double makes up for one");
    }

    #[test]
    fn jitter_is_reported_in_the_clock_of_the_codec_and_a_change_of_the_clock_is_none() {
        let (mut reception, t0) = (Reception::default(), Instant::now());
        let mut note = |n: u16, ms: u64, timestamp: u32, factor: Option<u32>| {
            reception.note(&Header { timestamp, ..header(n, 1) }, factor, t0 + Duration::from_millis(ms));
            reception.figures().jitter_ms
        };
        (0..10).for_each(|n| _ = note(n, 20 * u64::from(n), 160 * u32::from(n), Some(1)));
        (10..20).for_each(|n| _ = note(n, 20 * u64::from(n), 9_000 + 960 * u32::from(n), Some(6)));
        assert_eq!(note(20, 400, 3_200, None), Some(0.0), "a key that counts at 8 kHz");
        assert_eq!(note(21, 420, 9_000 + 960 * 21, Some(6)), Some(0.0));
        assert!(
            (note(22, 456, 9_000 + 960 * 22, Some(6)).unwrap() - 1.0).abs() < 1e-9,
            "16 ms late, a sixteenth of it"
        );
        assert_eq!(reception.report().map(|report| report.jitter), Some(48));
    }

    #[test]
    fn neither_a_key_nor_a_clock_that_stood_still_is_jitter() {
        let (mut reception, t0) = (Reception::default(), Instant::now());
        let mut note = |sequence: u16, timestamp: u32, ms: u64| {
            reception.note(&Header { timestamp, ..header(sequence, 1) }, Some(1), t0 + Duration::from_millis(ms));
            reception.figures().jitter_ms
        };
        note(1, 160, 20);
        assert_eq!(note(2, 320, 40), Some(0.0));
        (3..8).for_each(|n| _ = note(n, 480, u64::from(n) * 20)); // a key is down for 100 ms
        assert_eq!(note(8, 1280, 160), Some(0.0));
        assert_eq!(note(9, 1440, 60_000), Some(0.0), "a minute on hold");
        assert_eq!(note(10, 1600, 60_020), Some(0.0));
    }

    proptest::proptest! {
        #[test]
        fn no_packets_in_any_order_make_a_report_that_is_not_one(
            numbers in proptest::collection::vec(proptest::prelude::any::<(u16, u32, u8, u8)>(), 0..200)
        ) {
            let (mut reception, mut now) = (Reception::default(), Instant::now());
            for (sequence, timestamp, ssrc, ms) in numbers {
                now += Duration::from_millis(ms.into());
                reception.note(&Header { timestamp, ..header(sequence, u32::from(ssrc / 64)) }, Some(1), now);
                if ms % 8 == 0 {
                    let report = reception.report().unwrap();
                    proptest::prop_assert_eq!(report.ssrc, u32::from(ssrc / 64));
                    proptest::prop_assert!(report.lost.abs() < 1 << 23);
                }
                let figures = reception.figures();
                proptest::prop_assert!(figures.loss().is_some_and(|loss| (0.0..1.0).contains(&loss)));
                proptest::prop_assert!(figures.jitter_ms.is_none_or(|jitter| (0.0..STANDSTILL).contains(&jitter)));
            }
        }
    }
}
