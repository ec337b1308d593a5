//! How is one band coded? By the difference from what was expected, in steps that follow the signal (G.722 section 3).
//!
//! Names in capitals are the blocks of the recommendation (section 6.2).

use super::saturate;

/// 0 to 4 kHz in 6 bits.
#[derive(Clone, Debug)]
pub struct LowBand {
    expected: Predictor,
    step: Step,
}

/// 4 to 8 kHz in 2 bits.
#[derive(Clone, Debug)]
pub struct HighBand {
    expected: Predictor,
    step: Step,
}

impl Default for LowBand {
    fn default() -> Self {
        LowBand { expected: Predictor::default(), step: Step { log: 0, size: 32 } }
    }
}

impl Default for HighBand {
    fn default() -> Self {
        HighBand { expected: Predictor::default(), step: Step { log: 0, size: 8 } }
    }
}

impl LowBand {
    pub fn encode(&mut self, sample: i32) -> u8 {
        let difference = saturate(sample - self.expected.value);
        let size = magnitude(difference);
        let interval = 1 + LEVELS.partition_point(|level| size >= (level * self.step.size) >> 12) as u8; // QUANTL
        let code = match difference < 0 {
            false => 62 - interval,
            true if interval > 2 => 34 - interval,
            true => 64 - interval,
        };
        self.adapt(code);
        code
    }

    /// The sample, 15 bits wide.
    pub fn decode(&mut self, code: u8) -> i32 {
        let difference = self.step.times(SIXTY_FOUR[usize::from(code & 63)]); // INVQBL
        let sample = (self.expected.value + difference).clamp(-16_384, 16_383); // RECONS, LIMIT
        self.adapt(code);
        sample
    }

    /// The prediction knows the upper 4 bits alone, so that the lower 2 may be taken for data on the way.
    fn adapt(&mut self, code: u8) {
        let index = usize::from(code >> 2 & 15);
        let difference = self.step.times(SIXTEEN[index]); // INVQAL
        self.step.adapt(LOW_GROWTH[index], 18_432, 8); // LOGSCL, SCALEL
        self.expected.adapt(difference);
    }
}

impl HighBand {
    pub fn encode(&mut self, sample: i32) -> u8 {
        let difference = saturate(sample - self.expected.value);
        let large = magnitude(difference) >= (564 * self.step.size) >> 12; // QUANTH
        let code = match (difference < 0, large) {
            (true, true) => 0,
            (true, false) => 1,
            (false, true) => 2,
            (false, false) => 3,
        };
        self.adapt(code);
        code
    }

    /// The sample, 15 bits wide.
    pub fn decode(&mut self, code: u8) -> i32 {
        let expected = self.expected.value;
        let difference = self.adapt(code);
        (expected + difference).clamp(-16_384, 16_383)
    }

    fn adapt(&mut self, code: u8) -> i32 {
        let index = usize::from(code & 3);
        let difference = self.step.times(FOUR[index]); // INVQAH
        self.step.adapt(HIGH_GROWTH[index], 22_528, 10); // LOGSCH, SCALEH
        self.expected.adapt(difference);
        difference
    }
}

/// As far from zero in both directions, in 15 bits.
fn magnitude(difference: i32) -> i32 {
    if difference < 0 { -(difference + 1) } else { difference }
}

/// How large a step is now, and its logarithm.
#[derive(Clone, Debug)]
struct Step {
    log: i32,
    size: i32,
}

impl Step {
    fn times(&self, factor: i32) -> i32 {
        (self.size * factor) >> 15
    }

    fn adapt(&mut self, growth: i32, limit: i32, shift: i32) {
        self.log = (((self.log * 127) >> 7) + growth).clamp(0, limit);
        let mantissa = POWERS[(self.log >> 6 & 31) as usize];
        let right = shift - (self.log >> 11);
        self.size = (if right < 0 { mantissa << -right } else { mantissa >> right }) << 2;
    }
}

/// Two poles and six zeros that follow the signal.
#[derive(Clone, Debug, Default)]
struct Predictor {
    /// What is expected next.
    value: i32,
    /// The part of it that comes from the zeros.
    by_zeros: i32,
    poles: [i32; 2],
    zeros: [i32; 6],
    /// Newest first.
    differences: [i32; 6],
    partial: [i32; 2],
    reconstructed: i32,
}

impl Predictor {
    fn adapt(&mut self, difference: i32) {
        let reconstructed = saturate(self.value + difference); // RECONS
        self.adapt_poles(saturate(self.by_zeros + difference)); // PARREC
        self.adapt_zeros(difference);
        let by_poles = product(self.poles[0], reconstructed) + product(self.poles[1], self.reconstructed); // FILTEP
        let by_zeros = self.zeros.iter().zip(self.differences).map(|(zero, old)| product(*zero, old)).sum(); // FILTEZ
        self.reconstructed = reconstructed;
        self.by_zeros = saturate(by_zeros);
        self.value = saturate(saturate(by_poles) + self.by_zeros); // PREDIC
    }

    /// UPPOL2, UPPOL1
    fn adapt_poles(&mut self, partial: i32) {
        let [like_last, like_older] = self.partial.map(|old| (old < 0) == (partial < 0));
        let signed = |same, value: i32| if same { value } else { -value };
        let [first, second] = self.poles;
        let across = signed(!like_last, saturate(first << 2)).min(i16::MAX.into()) >> 7;
        let second = (across + signed(like_older, 128) + ((second * 32_512) >> 15)).clamp(-12_288, 12_288);
        let limit = 15_360 - second;
        let first = (signed(like_last, 192) + ((first * 32_640) >> 15)).clamp(-limit, limit);
        self.poles = [first, second];
        self.partial = [partial, self.partial[0]];
    }

    /// UPZERO, DELAYA
    fn adapt_zeros(&mut self, difference: i32) {
        let change = if difference == 0 { 0 } else { 128 };
        for (zero, old) in self.zeros.iter_mut().zip(self.differences) {
            let same = (old < 0) == (difference < 0);
            *zero = saturate(((*zero * 32_640) >> 15) + if same { change } else { -change });
        }
        self.differences.copy_within(..5, 1);
        self.differences[0] = difference;
    }
}

fn product(factor: i32, value: i32) -> i32 {
    (factor * saturate(2 * value)) >> 15
}

/// Where the lower band's intervals end (Q6).
const LEVELS: [i32; 29] = [
    35, 72, 110, 150, 190, 233, 276, 323, 370, 422, 473, 530, 587, 650, 714, 786, 858, 940, 1023, 1121, 1219, 1339,
    1458, 1612, 1765, 1980, 2195, 2557, 2919,
];

/// What a code of the lower band means, by its upper 4 bits (QM4) and by all 6 (QM6).
const SIXTEEN: [i32; 16] =
    [0, -20456, -12896, -8968, -6288, -4240, -2584, -1200, 20456, 12896, 8968, 6288, 4240, 2584, 1200, 0];
const SIXTY_FOUR: [i32; 64] = [
    -136, -136, -136, -136, -24808, -21904, -19008, -16704, -14984, -13512, -12280, -11192, -10232, -9360, -8576,
    -7856, -7192, -6576, -6000, -5456, -4944, -4464, -4008, -3576, -3168, -2776, -2400, -2032, -1688, -1360, -1040,
    -728, 24808, 21904, 19008, 16704, 14984, 13512, 12280, 11192, 10232, 9360, 8576, 7856, 7192, 6576, 6000, 5456,
    4944, 4464, 4008, 3576, 3168, 2776, 2400, 2032, 1688, 1360, 1040, 728, 432, 136, -432, -136,
];

/// What a code of the upper band means (QM2).
const FOUR: [i32; 4] = [-7408, -1616, 7408, 1616];

/// How a code changes the logarithm of its band's steps (WL by RL42, WH by RH2).
const LOW_GROWTH: [i32; 16] = [-60, 3042, 1198, 538, 334, 172, 58, -30, 3042, 1198, 538, 334, 172, 58, -30, -60];
const HIGH_GROWTH: [i32; 4] = [798, -214, 798, -214];

/// 2048 times the 32 powers of two between 1 and 2 (ILB).
const POWERS: [i32; 32] = [
    2048, 2093, 2139, 2186, 2233, 2282, 2332, 2383, 2435, 2489, 2543, 2599, 2656, 2714, 2774, 2834, 2896, 2960, 3025,
    3091, 3158, 3228, 3298, 3371, 3444, 3520, 3597, 3676, 3756, 3838, 3922, 4008,
];
