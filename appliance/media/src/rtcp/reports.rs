//! What do we report, when, and what is reported to us?
//!
//! Two sides and no more, so the rules of section 6.2 come down to a report every [`INTERVAL`], spread at random so
//! that the legs of a box do not speak in step. The first one comes after half of it.

use super::clock::{NtpClock, duration_of, middle, short};
use super::part::{Block, SenderInfo};
use super::read::{Compound, Part, Report};
use super::write::Outgoing;
use crate::rtp::ReceptionReport;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The mean time between our reports; each one comes after half to one and a half of it.
pub const INTERVAL: Duration = Duration::from_secs(5);
/// Sender reports of ours that an answer may refer to.
const REMEMBERED: usize = 4;
/// A way back that seems to be shorter than none by no more than this is the other side's rounding.
const ROUNDING: u32 = 655; // 10 ms

/// Who we are on this leg.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Of the stream that we send.
    pub ssrc: u32,
    /// Canonical name: random, for this leg alone (RFC 7022 section 4.2).
    pub name: String,
    pub clock: NtpClock,
}

/// The stream that we send, so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    pub packets: u64,
    /// Of payload.
    pub octets: u64,
    /// What its clock shows now.
    pub timestamp: u32,
    /// Ticks of that clock for one of 8 kHz.
    pub clock_factor: u32,
}

/// How the other side hears us, as it says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FarEnd {
    /// Packets, in all.
    pub lost: u64,
    /// Their share of what we had sent, 0 to 1.
    pub loss: f64,
    pub jitter_ms: f64,
}

/// The reports of one leg.
#[derive(Debug)]
pub struct Reports {
    us: Identity,
    due: Option<Instant>,
    /// Packets sent, when the last two reports were made.
    sent: [u64; 2],
    /// The middle NTP times of our sender reports, newest last.
    named: VecDeque<u32>,
    theirs: Option<SenderReport>,
    spoken: bool,
    ways: u32,
    total_way: Duration,
    far_end: Option<FarEnd>,
}

/// The other side's last one.
#[derive(Debug)]
struct SenderReport {
    ssrc: u32,
    name: u32,
    came: Instant,
}

impl Reports {
    pub fn new(us: Identity) -> Reports {
        Reports {
            us,
            due: None,
            sent: [0; 2],
            named: VecDeque::new(),
            theirs: None,
            spoken: false,
            ways: 0,
            total_way: Duration::ZERO,
            far_end: None,
        }
    }

    /// There is an agreement, so reports begin, if they have not. `random` is 0 to 1.
    pub fn begin(&mut self, now: Instant, random: f64) {
        self.due.get_or_insert(now + spread(INTERVAL / 2, random));
    }

    /// When the next report is to be made.
    pub fn due(&self) -> Option<Instant> {
        self.due
    }

    /// The next report; `random`, 0 to 1, spreads the one after it.
    pub fn report(&mut self, heard: Option<ReceptionReport>, sent: Sent, now: Instant, random: f64) -> Vec<u8> {
        self.due = Some(now + spread(INTERVAL, random));
        self.spoken = true;
        self.compound(heard, sent, now, false)
    }

    /// The last report, with our farewell; none when we never said anything (section 6.3.7).
    pub fn goodbye(&mut self, heard: Option<ReceptionReport>, sent: Sent, now: Instant) -> Option<Vec<u8>> {
        self.spoken.then(|| self.compound(heard, sent, now, true))
    }

    /// Takes what the other side said. It must be the one whose stream we hear.
    pub fn heard(&mut self, compound: &Compound<'_>, sent: Sent, now: Instant) {
        let reporter = compound.reporter();
        for part in &compound.parts {
            match part {
                Part::Report(report) if Some(report.ssrc) == reporter => self.take(report, sent, now),
                Part::Goodbye(bye) if bye.sources().any(|source| Some(source) == reporter) => self.theirs = None,
                _ => {}
            }
        }
    }

    /// From here to there and back, on the mean of all reports.
    pub fn round_trip(&self) -> Option<Duration> {
        self.total_way.checked_div(self.ways)
    }

    pub fn far_end(&self) -> Option<FarEnd> {
        self.far_end
    }

    fn compound(&mut self, heard: Option<ReceptionReport>, sent: Sent, now: Instant, goodbye: bool) -> Vec<u8> {
        let speaks = sent.packets > self.sent[0];
        self.sent = [self.sent[1], sent.packets];
        let figures = speaks.then(|| self.figures(sent, now));
        let block = heard.map(|heard| self.block(heard, now));
        Outgoing { ssrc: self.us.ssrc, sent: figures, block, name: &self.us.name, goodbye }.to_bytes()
    }

    fn figures(&mut self, sent: Sent, now: Instant) -> SenderInfo {
        let ntp = self.us.clock.at(now);
        self.named.push_back(middle(ntp));
        if self.named.len() > REMEMBERED {
            self.named.pop_front();
        }
        SenderInfo { ntp, rtp: sent.timestamp, packets: sent.packets as u32, octets: sent.octets as u32 }
    }

    fn block(&self, heard: ReceptionReport, now: Instant) -> Block {
        let theirs = self.theirs.as_ref().filter(|report| report.ssrc == heard.ssrc);
        let age = |report: &SenderReport| short(now.saturating_duration_since(report.came));
        Block {
            ssrc: heard.ssrc,
            fraction_lost: heard.fraction_lost,
            lost: heard.lost.clamp(i32::MIN.into(), i32::MAX.into()) as i32,
            highest: heard.highest,
            jitter: heard.jitter,
            last_report: theirs.map_or(0, |report| report.name),
            delay: theirs.map_or(0, age),
        }
    }

    fn take(&mut self, report: &Report<'_>, sent: Sent, now: Instant) {
        if let Some(info) = report.sent {
            self.theirs = Some(SenderReport { ssrc: report.ssrc, name: middle(info.ntp), came: now });
        }
        let Some(block) = report.blocks().find(|block| block.ssrc == self.us.ssrc && sent.packets > 0) else { return };
        let lost = block.lost.max(0) as u64;
        let jitter_ms = f64::from(block.jitter) / 8.0 / f64::from(sent.clock_factor.max(1));
        self.far_end = Some(FarEnd { lost, loss: lost as f64 / sent.packets.max(lost) as f64, jitter_ms });
        self.measure(&block, now);
    }

    /// Section 6.4.1: now, less when we said it, less how long they had it. Only for what we did say.
    fn measure(&mut self, block: &Block, now: Instant) {
        let age = middle(self.us.clock.at(now)).wrapping_sub(block.last_report);
        if self.named.contains(&block.last_report) && block.delay <= age.saturating_add(ROUNDING) {
            self.ways += 1;
            self.total_way += duration_of(age.saturating_sub(block.delay));
        }
    }
}

fn spread(mean: Duration, random: f64) -> Duration {
    mean.mul_f64(0.5 + random.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests;
