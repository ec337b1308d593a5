//! Which figures travel in a report? (RFC 3550 sections 6.4.1 and 6.4.2)

/// What a sender says of its own stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SenderInfo {
    /// When it says so, in NTP time.
    pub ntp: u64,
    /// The same instant on the stream's clock.
    pub rtp: u32,
    pub packets: u32,
    /// Of payload, without headers.
    pub octets: u32,
}

/// What a receiver says of one stream that it hears.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Block {
    pub ssrc: u32,
    /// Since its last report, in 256ths.
    pub fraction_lost: u8,
    /// In all, 24 bits with a sign.
    pub lost: i32,
    pub highest: u32,
    /// In units of the stream's clock.
    pub jitter: u32,
    /// The middle of the NTP time of the last sender report it had of the stream; 0 for none.
    pub last_report: u32,
    /// How long it has had that, in 1/65536 s.
    pub delay: u32,
}

/// Octets of each on the wire.
pub(super) const SENDER_INFO: usize = 20;
pub(super) const BLOCK: usize = 24;

impl SenderInfo {
    pub(super) fn read(bytes: &[u8; SENDER_INFO]) -> SenderInfo {
        let [a, b, rtp, packets, octets] = words(bytes);
        SenderInfo { ntp: u64::from(a) << 32 | u64::from(b), rtp, packets, octets }
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.ntp.to_be_bytes());
        [self.rtp, self.packets, self.octets].iter().for_each(|word| out.extend_from_slice(&word.to_be_bytes()));
    }
}

impl Block {
    pub(super) fn read(bytes: &[u8; BLOCK]) -> Block {
        let [ssrc, loss, highest, jitter, last_report, delay] = words(bytes);
        let (fraction_lost, lost) = ((loss >> 24) as u8, (loss << 8) as i32 >> 8);
        Block { ssrc, fraction_lost, lost, highest, jitter, last_report, delay }
    }

    /// What is lost beyond 24 bits stays at their end.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let lost = self.lost.clamp(-0x80_0000, 0x7F_FFFF) as u32 & 0xFF_FFFF;
        let loss = u32::from(self.fraction_lost) << 24 | lost;
        let words = [self.ssrc, loss, self.highest, self.jitter, self.last_report, self.delay];
        words.iter().for_each(|word| out.extend_from_slice(&word.to_be_bytes()));
    }
}

/// Four octets each, as many as `N` says.
fn words<const N: usize>(bytes: &[u8]) -> [u32; N] {
    let mut words = [0; N];
    for (word, four) in words.iter_mut().zip(bytes.as_chunks::<4>().0) {
        *word = u32::from_be_bytes(*four);
    }
    words
}
