//! Where in the recording does a packet belong?
//!
//! The sender's RTP clock says how packets lie to each other, so jitter moves nothing and a lost
//! packet leaves a hole of its own length. When they came says where the first one lies, and where
//! a sender that starts its clock anew goes on. Positions are samples at 8 kHz from the start.

use media::codec::{Codec, RATE};
use media::rtp::Unwrapper;
use std::time::Instant;

/// The time axis of one recording.
#[derive(Debug)]
pub struct Timeline {
    start: Instant,
    /// Where the next sample is written.
    end: i64,
    clock: Option<Clock>,
}

/// A run of packets of one sender's clock.
#[derive(Debug)]
struct Clock {
    codec: Codec,
    ticks: Unwrapper,
    /// Position that tick 0 of this clock would have.
    origin: i64,
}

impl Timeline {
    pub fn new(start: Instant) -> Self {
        Self { start, end: 0, clock: None }
    }

    /// How far a packet lies from what is written: a positive number of samples is missing before
    /// it, a negative number of its samples is there already.
    pub fn offset(&mut self, codec: Codec, rtp_time: u32, received: Instant) -> i64 {
        let arrival = self.arrival(received);
        let position = match self.by_clock(codec, rtp_time) {
            Some(position) if position.abs_diff(arrival) <= TRUSTED => position,
            _ => self.restart(codec, rtp_time, arrival),
        };
        position - self.end
    }

    /// So many samples were written.
    pub fn advance(&mut self, samples: usize) {
        self.end += samples as i64;
    }

    /// Samples written so far.
    pub fn length(&self) -> u64 {
        self.end as u64
    }

    fn by_clock(&mut self, codec: Codec, rtp_time: u32) -> Option<i64> {
        let clock = self.clock.as_mut().filter(|clock| clock.codec == codec)?;
        Some(clock.origin + clock.ticks.timestamp(rtp_time) / i64::from(codec.clock_factor()))
    }

    /// A new clock: this packet lies where it arrived, but never before what is written.
    fn restart(&mut self, codec: Codec, rtp_time: u32, arrival: i64) -> i64 {
        let position = arrival.max(self.end);
        let mut ticks = Unwrapper::default();
        let first = ticks.timestamp(rtp_time) / i64::from(codec.clock_factor());
        self.clock = Some(Clock { codec, ticks, origin: position - first });
        position
    }

    fn arrival(&self, received: Instant) -> i64 {
        let since = received.saturating_duration_since(self.start);
        since.as_micros() as i64 * i64::from(RATE) / 1_000_000
    }
}

/// Clock and arrival may differ by so much (one second) before the clock is taken for a new one.
const TRUSTED: u64 = RATE as u64;

#[cfg(test)]
mod tests {
    use super::*;
    use media::codec::G711;
    use proptest::prelude::*;
    use std::time::Duration;

    const PCMU: Codec = Codec::G711(G711::Pcmu);

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// Writes a packet of 20 ms where it belongs; returns its offset.
    fn write(line: &mut Timeline, codec: Codec, rtp_time: u32, received: Instant) -> i64 {
        let offset = line.offset(codec, rtp_time, received);
        line.advance((offset + 160).max(0) as usize);
        offset
    }

    #[test]
    fn jitter_moves_nothing_and_the_clock_may_wrap() {
        let t0 = Instant::now();
        let mut line = Timeline::new(t0);
        for n in 0..100u32 {
            let came = t0 + ms(u64::from(20 * n + n * 37 % 60));
            assert_eq!(write(&mut line, PCMU, (u32::MAX - 1000).wrapping_add(n * 160), came), 0);
        }
        assert_eq!(line.length(), 16_000);
    }

    #[test]
    fn a_lost_packet_leaves_its_own_length() {
        let t0 = Instant::now();
        let mut line = Timeline::new(t0);
        write(&mut line, Codec::Opus, 960, t0);
        assert_eq!(write(&mut line, Codec::Opus, 960 * 3, t0 + ms(40)), 160);
    }

    #[test]
    fn a_repeated_packet_adds_nothing() {
        let t0 = Instant::now();
        let mut line = Timeline::new(t0);
        write(&mut line, PCMU, 0, t0);
        assert_eq!(write(&mut line, PCMU, 0, t0 + ms(1)), -160);
        assert_eq!(write(&mut line, PCMU, 80, t0 + ms(1)), -80);
        assert_eq!(line.length(), 240);
    }

    #[test]
    fn a_caller_who_starts_late_starts_late_in_the_recording() {
        let t0 = Instant::now();
        let mut line = Timeline::new(t0);
        assert_eq!(line.offset(PCMU, 77, t0 + ms(1500)), 12_000);
    }

    #[test]
    fn a_sender_that_starts_anew_goes_on_where_it_arrives() {
        let t0 = Instant::now();
        let mut line = Timeline::new(t0);
        write(&mut line, PCMU, 1000, t0);
        assert_eq!(write(&mut line, PCMU, 4_000_000_000, t0 + ms(100)), 640);
        assert_eq!(write(&mut line, PCMU, 4_000_000_160, t0 + ms(120)), 0);
        assert_eq!(write(&mut line, Codec::Opus, 5, t0 + ms(140)), 0);
    }

    #[test]
    fn a_hold_without_packets_is_as_long_as_it_was() {
        for clock_went_on in [true, false] {
            let t0 = Instant::now();
            let mut line = Timeline::new(t0);
            write(&mut line, PCMU, 0, t0);
            let rtp_time = if clock_went_on { 160 + 40_000 } else { 160 };
            assert_eq!(write(&mut line, PCMU, rtp_time, t0 + ms(5020)), 40_000);
        }
    }

    proptest! {
        #[test]
        fn the_recording_never_outgrows_the_time_that_passed(
            packets in proptest::collection::vec((any::<u32>(), 0u64..200), 1..60)
        ) {
            let t0 = Instant::now();
            let mut line = Timeline::new(t0);
            let mut now = 0;
            for (time, pause) in packets {
                now += pause;
                write(&mut line, PCMU, time, t0 + ms(now));
            }
            // A second of trust, and the packets themselves where all came at once.
            prop_assert!(line.length() <= now * 8 + TRUSTED + 60 * 160);
        }
    }
}
