//! Which number and time does a forwarded frame get?
//!
//! Numbers and times run on from those of the stream we send, at the distances of the stream we
//! got. So a loss stays a visible loss, a pause a pause, and a late packet keeps its place, while a
//! new speaker or a jump just continues where we are. All times are in ticks of 8 kHz.

/// Frames further from where we are than this begin a new mapping (one second).
const JUMP: i32 = 8_000;
/// So many late frames in a row mean that the other clock is behind for good.
const PATIENCE: u32 = 5;

/// Maps the numbers of `K`'s stream to ours.
#[derive(Debug)]
pub struct Forward<K> {
    base: Option<Base<K>>,
    /// Next number and time of our stream.
    next: (u16, u32),
    late: u32,
}

#[derive(Debug)]
struct Base<K> {
    key: K,
    sequence: u64,
    timestamp: u32,
    placed: (u16, u32),
    /// We sent something of our own since.
    interrupted: bool,
}

/// Where a frame belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    At {
        sequence: u16,
        timestamp: u32,
        marker: bool,
    },
    /// Its place is taken.
    TooLate,
}

impl<K: PartialEq + Clone> Forward<K> {
    /// Our stream begins with this number and time.
    pub fn new(sequence: u16, timestamp: u32) -> Forward<K> {
        Forward { base: None, next: (sequence, timestamp), late: 0 }
    }

    /// The place of a frame of `samples` that has `sequence` and `timestamp` in `key`'s stream.
    pub fn place(&mut self, key: &K, sequence: u64, timestamp: u32, samples: u32) -> Place {
        let Some(base) = self.base.as_ref().filter(|base| base.key == *key) else {
            return self.begin(key, sequence, timestamp, self.next.1, samples);
        };
        let steps = sequence.wrapping_sub(base.sequence) as i64;
        let time = base.placed.1.wrapping_add(timestamp.wrapping_sub(base.timestamp));
        let ahead = time.wrapping_sub(self.next.1) as i32;
        if steps == 0 {
            return Place::TooLate;
        }
        if ahead.abs() > JUMP || steps.abs() > 1_000 {
            return self.begin(key, sequence, timestamp, self.next.1, samples);
        }
        if base.interrupted {
            return self.resume(key, sequence, timestamp, time, samples);
        }
        let number = base.placed.0.wrapping_add(steps as u16);
        if steps > 0 {
            self.settle(key, sequence, timestamp, (number, time), samples);
        }
        Place::At { sequence: number, timestamp: time, marker: ahead > 0 && steps == 1 }
    }

    /// The place of a frame of our own.
    pub fn own(&mut self, samples: u32) -> (u16, u32) {
        let place = self.next;
        self.next = (place.0.wrapping_add(1), place.1.wrapping_add(samples));
        if let Some(base) = &mut self.base {
            base.interrupted = true;
        }
        place
    }

    /// Whatever comes next begins anew where we are.
    pub fn restart(&mut self) {
        self.base = None;
    }

    /// The time of our next packet.
    pub fn now(&self) -> u32 {
        self.next.1
    }

    /// Lets time pass without a packet.
    pub fn skip(&mut self, samples: u32) {
        self.next.1 = self.next.1.wrapping_add(samples);
    }

    /// After our own frames: late frames are dropped, until there are too many of them.
    fn resume(&mut self, key: &K, sequence: u64, timestamp: u32, time: u32, samples: u32) -> Place {
        let late = (time.wrapping_sub(self.next.1) as i32) < 0;
        if late && self.late < PATIENCE {
            self.late += 1;
            return Place::TooLate;
        }
        self.begin(key, sequence, timestamp, if late { self.next.1 } else { time }, samples)
    }

    fn begin(&mut self, key: &K, sequence: u64, timestamp: u32, time: u32, samples: u32) -> Place {
        let placed = (self.next.0, time);
        self.settle(key, sequence, timestamp, placed, samples);
        Place::At { sequence: placed.0, timestamp: placed.1, marker: true }
    }

    fn settle(&mut self, key: &K, sequence: u64, timestamp: u32, placed: (u16, u32), samples: u32) {
        self.late = 0;
        self.next = (placed.0.wrapping_add(1), placed.1.wrapping_add(samples));
        match &mut self.base {
            Some(base) if base.key == *key => {
                (base.sequence, base.timestamp, base.placed, base.interrupted) = (sequence, timestamp, placed, false);
            }
            base => *base = Some(Base { key: key.clone(), sequence, timestamp, placed, interrupted: false }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(sequence: u16, timestamp: u32) -> Place {
        Place::At { sequence, timestamp, marker: false }
    }

    fn begin(sequence: u16, timestamp: u32) -> Place {
        Place::At { sequence, timestamp, marker: true }
    }

    #[test]
    fn distances_are_kept_so_losses_and_late_packets_stay_visible() {
        let mut forward = Forward::new(100, 5000);
        assert_eq!(forward.place(&'a', 7, 0, 160), begin(100, 5000));
        assert_eq!(forward.place(&'a', 8, 160, 160), at(101, 5160));
        assert_eq!(forward.place(&'a', 10, 480, 160), at(103, 5480));
        assert_eq!(forward.place(&'a', 9, 320, 160), at(102, 5320));
        assert_eq!(forward.place(&'a', 10, 480, 160), Place::TooLate);
        assert_eq!(forward.place(&'a', 11, 640, 160), at(104, 5640));
    }

    #[test]
    fn a_pause_without_loss_starts_a_talk_spurt() {
        let mut forward = Forward::new(0, 0);
        forward.place(&'a', 1, 0, 160);
        assert_eq!(forward.place(&'a', 2, 1600, 160), begin(1, 1600));
    }

    #[test]
    fn another_stream_goes_on_where_the_last_one_ended() {
        let mut forward = Forward::new(u16::MAX, u32::MAX - 159);
        assert_eq!(forward.place(&'a', 1, 77, 160), begin(u16::MAX, u32::MAX - 159));
        assert_eq!(forward.place(&'b', 900, 12345, 160), begin(0, 0));
        assert_eq!(forward.place(&'b', 901, 12345 + 4_000_000, 160), begin(1, 160));
    }

    #[test]
    fn frames_that_our_own_silence_replaced_are_dropped_and_the_rest_is_in_time() {
        let mut forward = Forward::new(0, 0);
        forward.place(&'a', 0, 0, 160);
        assert_eq!([forward.own(160), forward.own(160)], [(1, 160), (2, 320)]);
        assert_eq!(forward.place(&'a', 1, 160, 160), Place::TooLate);
        assert_eq!(forward.place(&'a', 2, 320, 160), Place::TooLate);
        assert_eq!(forward.place(&'a', 3, 480, 160), begin(3, 480));
        assert_eq!(forward.place(&'a', 4, 640, 160), at(4, 640));
    }

    #[test]
    fn a_clock_that_stays_behind_is_followed_after_a_few_frames() {
        let mut forward = Forward::new(0, 0);
        forward.place(&'a', 0, 0, 160);
        (0..25).for_each(|_| _ = forward.own(160)); // half a second in which the other clock stood still
        let heard = (1..=20)
            .map(|n| forward.place(&'a', n, n as u32 * 160, 160))
            .filter(|place| *place != Place::TooLate)
            .count();
        assert_eq!(heard, 15);
    }
}
