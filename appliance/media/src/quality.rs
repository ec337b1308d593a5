//! How good does a call sound? (ITU-T G.107, the E-model, without its parts for echo and noise)
//!
//! `R = 93.2 - Id - Ie,eff`, where 93.2 is what G.107's default values give. [`mos`] turns that into an opinion.
//!
//! | part | how | source |
//! |---|---|---|
//! | `Id`, delay | 0.024 per ms, and 0.11 more for each above 177.3 ms | R. Cole, J. Rosenbluth, "Voice over IP performance monitoring" (2001), fitted to G.107 |
//! | `Ie,eff`, loss | `Ie + (95 - Ie) * Ppl / (Ppl + Bpl)`, losses at random (BurstR 1) | G.107 section 7.5 |
//! | `Ie`, `Bpl` | per codec: [`Impairment::of`] | G.113 appendix I, planning values for random losses |
//! | MOS of R | `1 + 0.035 R + R (R - 60) (100 - R) 7e-6` | G.107 annex B |
//!
//! It is an estimate: what a playout buffer drops because it came too late is not seen, only counted as delay.

use crate::codec::{FRAME_TIME, PhoneCodec};
use std::time::Duration;

/// R of a line without delay and loss.
const BEST: f64 = 93.2;
/// What a playout buffer holds when packets come evenly.
const PLAYOUT: Duration = Duration::from_millis(40);

/// What a codec costs by itself, and how well it stands losses.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Impairment {
    ie: f64,
    bpl: f64,
}

impl Impairment {
    /// G.711 with concealment of lost frames, as in its appendix I. (Without it Bpl would be 4.3.) G.113 says nothing of
    /// Opus, which conceals at least as well.
    fn of(codec: PhoneCodec) -> Impairment {
        match codec {
            PhoneCodec::G711(_) | PhoneCodec::G722 | PhoneCodec::Opus => Impairment { ie: 0.0, bpl: 25.1 },
        }
    }

    fn effective(self, loss: f64) -> f64 {
        let percent = loss.clamp(0.0, 1.0) * 100.0;
        self.ie + (95.0 - self.ie) * percent / (percent + self.bpl)
    }
}

/// One direction of a call, as its packets arrive.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Line {
    pub codec: PhoneCodec,
    /// The share of packets lost, 0 to 1.
    pub loss: f64,
    pub jitter_ms: f64,
    /// There and back; taken for none while it is unknown.
    pub round_trip: Option<Duration>,
}

/// Mean opinion score, 1 (bad) to 4.41 (a line without fault), in hundredths.
pub fn mos(line: &Line) -> f64 {
    let impaired = delay_impairment(line.delay_ms()) + Impairment::of(line.codec).effective(line.loss);
    let rating = (BEST - impaired).clamp(0.0, 100.0);
    let mos = 1.0 + 0.035 * rating + rating * (rating - 60.0) * (100.0 - rating) * 7e-6;
    (mos.max(1.0) * 100.0).round() / 100.0
}

impl Line {
    /// From mouth to ear: a frame to fill, half the round trip, and a playout buffer that also holds twice the jitter.
    fn delay_ms(&self) -> f64 {
        let way = self.round_trip.unwrap_or_default() / 2;
        (FRAME_TIME + PLAYOUT + way).as_secs_f64() * 1e3 + 2.0 * self.jitter_ms
    }
}

fn delay_impairment(ms: f64) -> f64 {
    0.024 * ms + 0.11 * (ms - 177.3).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CLEAN: Line = Line { codec: PhoneCodec::PCMU, loss: 0.0, jitter_ms: 1.0, round_trip: None };

    #[test]
    fn a_clean_line_is_good_and_a_lossy_one_is_not() {
        assert_eq!(mos(&CLEAN), 4.38);
        assert_eq!(mos(&Line { loss: 0.01, jitter_ms: 5.0, ..CLEAN }), 4.28);
        assert!(mos(&Line { loss: 0.05, ..CLEAN }) < 4.0);
        assert!((2.0..3.0).contains(&mos(&Line { loss: 0.20, ..CLEAN })));
        assert_eq!(mos(&Line { loss: 1.0, jitter_ms: 10_000.0, ..CLEAN }), 1.0);
    }

    #[test]
    fn a_long_way_costs_little_until_people_interrupt_each_other() {
        let far = |ms| mos(&Line { round_trip: Some(Duration::from_millis(ms)), ..CLEAN });
        assert!(mos(&CLEAN) - far(100) < 0.05 && far(200) - far(600) > 0.5, "{} {} {}", far(100), far(200), far(600));
    }

    proptest! {
        #[test]
        fn more_of_anything_bad_is_never_better(
            loss in 0.0..1.0, more in 0.0..1.0, jitter_ms in 0.0..600_000_000.0, ms in 0..100_000u64
        ) {
            let line = Line { loss, jitter_ms, round_trip: Some(Duration::from_millis(ms)), ..CLEAN };
            let score = mos(&line);
            prop_assert!((1.0..=4.41).contains(&score));
            let worse = [Line { loss: loss + more, ..line }, Line { jitter_ms: jitter_ms + more, ..line }];
            prop_assert!(worse.iter().all(|line| mos(line) <= score));
            let nearer = Line { round_trip: None, ..line };
            prop_assert!(score <= mos(&nearer));
        }
    }
}
