//! How is a good input damaged? The same way in every run: the choices come from a number, not from chance.

/// Numbers without a pattern (xorshift64).
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Dice {
        Dice(seed | 1)
    }

    /// One of 0 to `below` - 1; 0 when there is none.
    pub fn below(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % below.max(1) as u64) as usize
    }

    fn one_of<'a, T: ?Sized>(&mut self, all: &[&'a T]) -> &'a T {
        all[self.below(all.len())]
    }
}

/// What readers stumble over.
const ODD: &[&[u8]] = &[
    b"\r\n",
    b"\r\n\r\n",
    b"\n",
    b"\0",
    b" ",
    b"\t",
    b":",
    b":::",
    b";",
    b",",
    b"<",
    b">",
    b"\"",
    b"\\",
    b"@",
    b"=",
    b"%00",
    b"%",
    b"[",
    b"]",
    b"/",
    b"-1",
    b"65536",
    b"4294967296",
    b"18446744073709551616",
    b"\xff",
    b"\x80\xc8",
    b"\xe2\x80\xa8",
    b"{",
    b"}",
    b"null",
    b"SIP/2.0",
    b"l: 0\r\n",
    b"Content-Length: ",
    b"a=",
    b"m=audio 0 ",
    b"c=IN IP6 ::",
];

/// A copy of `good` with one to four faults; `others` lend their parts.
pub fn damaged(good: &[u8], others: &[Vec<u8>], dice: &mut Dice) -> Vec<u8> {
    let mut bytes = good.to_vec();
    for _ in 0..=dice.below(4) {
        hurt(&mut bytes, others, dice);
    }
    bytes
}

fn hurt(bytes: &mut Vec<u8>, others: &[Vec<u8>], dice: &mut Dice) {
    let at = dice.below(bytes.len() + 1);
    let end = (at + dice.below(24)).min(bytes.len());
    match dice.below(7) {
        0 => bytes.truncate(at),
        1 => drop(bytes.drain(at..end)),
        2 => bytes.extend_from_within(at..end),
        3 => drop(bytes.splice(at..end, dice.one_of(ODD).iter().copied())),
        4 => drop(bytes.splice(at..at, dice.one_of(ODD).iter().copied())),
        5 if !others.is_empty() => {
            let other = &others[dice.below(others.len())];
            let from = dice.below(other.len() + 1);
            bytes.splice(at..end, other[from..(from + 40).min(other.len())].iter().copied());
        }
        _ => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << dice.below(8);
            }
        }
    }
}
