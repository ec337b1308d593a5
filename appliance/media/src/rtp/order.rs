//! Which of two wrapping numbers came first?

/// Is `a` ahead of `b`, given that they are less than half the range apart?
pub fn newer(a: u16, b: u16) -> bool {
    a != b && a.wrapping_sub(b) < 0x8000
}

/// Turns wrapping 16 or 32 bit numbers into ones that never wrap.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unwrapper {
    last: Option<i64>,
}

impl Unwrapper {
    /// The full number of a sequence number.
    pub fn sequence(&mut self, number: u16) -> i64 {
        let last = *self.last.get_or_insert(i64::from(number));
        self.advance(last, i64::from(number.wrapping_sub(last as u16) as i16))
    }

    /// The full number of a timestamp.
    pub fn timestamp(&mut self, number: u32) -> i64 {
        let last = *self.last.get_or_insert(i64::from(number));
        self.advance(last, i64::from(number.wrapping_sub(last as u32) as i32))
    }

    fn advance(&mut self, last: i64, step: i64) -> i64 {
        self.last = Some(last.max(last + step));
        last + step
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_survives_the_wrap() {
        assert!(newer(2, 0xFFFE) && !newer(0xFFFE, 2) && !newer(5, 5));
    }

    #[test]
    fn numbers_go_on_counting_past_the_wrap_and_back_for_late_packets() {
        let mut sequence = Unwrapper::default();
        let seen: Vec<i64> = [0xFFFE, 0, 0xFFFF, 1].into_iter().map(|n| sequence.sequence(n)).collect();
        assert_eq!(seen, [0xFFFE, 0x1_0000, 0xFFFF, 0x1_0001]);
        let mut time = Unwrapper::default();
        assert_eq!(time.timestamp(0xFFFF_FFF0), 0xFFFF_FFF0);
        assert_eq!(time.timestamp(0x10), 0x1_0000_0010);
    }
}
