//! What does the clock of the stream show that we send?
//!
//! Times are counted at 8 kHz everywhere else; on the wire they are those of the codec. When a re-INVITE changes the
//! clock, it goes on from where it is at its new pace (RFC 7160 section 4.2): the stream keeps its SSRC.

/// From ticks of 8 kHz to timestamps.
#[derive(Clone, Copy, Debug)]
pub(super) struct StreamClock {
    factor: u32,
    /// A tick, and what the clock shows then.
    from: (u32, u32),
}

impl StreamClock {
    /// At 8 kHz, and so that ticks are timestamps.
    pub fn new(tick: u32) -> StreamClock {
        StreamClock { factor: 1, from: (tick, tick) }
    }

    /// Ticks of it for one at 8 kHz.
    pub fn factor(&self) -> u32 {
        self.factor
    }

    /// The timestamp at `tick`.
    pub fn at(&self, tick: u32) -> u32 {
        self.from.1.wrapping_add(tick.wrapping_sub(self.from.0).wrapping_mul(self.factor))
    }

    /// The same for a format with a clock of its own, as keys at 8 kHz among Opus are.
    pub fn at_rate(&self, tick: u32, factor: u32) -> u32 {
        if factor == self.factor { self.at(tick) } else { tick.wrapping_mul(factor) }
    }

    /// From `tick` on it goes `factor` times as fast as 8 kHz.
    pub fn change(&mut self, factor: u32, tick: u32) {
        *self = StreamClock { factor, from: (tick, self.at(tick)) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_of_pace_neither_jumps_nor_goes_back() {
        let mut clock = StreamClock::new(u32::MAX - 100);
        assert_eq!(clock.at(u32::MAX), u32::MAX);
        clock.change(6, 60);
        assert_eq!([60, 220, 380].map(|tick| clock.at(tick)), [60, 1020, 1980]);
        clock.change(1, 380);
        assert_eq!([380, 540].map(|tick| clock.at(tick)), [1980, 2140]);
    }

    #[test]
    fn keys_share_the_clock_of_the_sound_where_they_can() {
        let mut clock = StreamClock::new(1000);
        clock.change(6, 1000);
        assert_eq!((clock.at_rate(1160, 6), clock.at_rate(1160, 1)), (1960, 1160));
    }
}
