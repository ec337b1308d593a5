//! What is kept of one leg, however long it lasts?
//!
//! The first and the last messages: of a call that is refreshed for hours both ends tell more than the middle. Figures
//! become rarer as a call grows, and the newest are always there.

use jiff::Timestamp;
use types::trace::{LegTrace, RtpFigures, RtpHeader, SipMessage};

/// Messages of a leg.
pub const MAX_MESSAGES: usize = 64;
/// Octets of all messages of a leg.
pub const MAX_BYTES: usize = 64 * 1024;
/// Octets of one message.
pub const MAX_TEXT: usize = 8 * 1024;
const MAX_FIGURES: usize = 64;
const MAX_HEADERS: usize = 32;

/// The record of one leg.
#[derive(Debug)]
pub struct Record {
    /// When it last changed.
    pub touched: Timestamp,
    /// A room was joined for it, or a port taken; otherwise it may be anybody's knock.
    pub is_call: bool,
    trace: LegTrace,
    bytes: usize,
    /// Every so many figures are kept.
    stride: usize,
    seen: usize,
    newest: Option<RtpFigures>,
}

impl Record {
    pub fn new(now: Timestamp) -> Record {
        Record { touched: now, is_call: false, trace: LegTrace::default(), bytes: 0, stride: 1, seen: 0, newest: None }
    }

    /// Octets of its messages.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds a message whose text is no longer than [`MAX_TEXT`].
    pub fn message(&mut self, message: SipMessage) {
        self.touched = message.at;
        self.bytes += message.text.len();
        let messages = &mut self.trace.messages;
        while messages.len() == MAX_MESSAGES || self.bytes > MAX_BYTES {
            self.bytes -= messages.remove(messages.len() / 2).text.len();
            self.trace.left_out += 1;
        }
        messages.push(message);
    }

    pub fn header(&mut self, header: RtpHeader) {
        if self.trace.packets.len() < MAX_HEADERS {
            self.trace.packets.push(header);
        }
    }

    pub fn figures(&mut self, figures: RtpFigures) {
        self.touched = figures.at;
        if self.seen.is_multiple_of(self.stride) {
            self.trace.figures.push(figures.clone());
        }
        self.seen += 1;
        self.newest = Some(figures);
        if self.trace.figures.len() == MAX_FIGURES {
            let mut at = 0;
            self.trace.figures.retain(|_| {
                at += 1;
                at % 2 == 1
            });
            self.stride *= 2;
        }
    }

    pub fn trace(&self) -> LegTrace {
        let mut trace = self.trace.clone();
        if trace.figures.last() != self.newest.as_ref() {
            trace.figures.extend(self.newest.clone());
        }
        trace
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{figures, message};
    use super::*;

    #[test]
    fn of_many_messages_the_first_and_the_last_stay() {
        let mut record = Record::new(Timestamp::UNIX_EPOCH);
        (0..200).for_each(|number| record.message(message(number, "text")));
        let trace = record.trace();
        assert_eq!((trace.messages.len(), trace.left_out), (MAX_MESSAGES, 136));
        let seconds = |at: usize| trace.messages[at].at.as_second();
        assert_eq!((seconds(0), seconds(31), seconds(63)), (0, 31, 199));
        assert_eq!(record.bytes(), MAX_MESSAGES * 4);
    }

    #[test]
    fn long_messages_leave_no_more_than_the_limit() {
        let mut record = Record::new(Timestamp::UNIX_EPOCH);
        let long = "x".repeat(MAX_TEXT);
        (0..20).for_each(|number| record.message(message(number, &long)));
        assert_eq!((record.bytes(), record.trace().messages.len()), (MAX_BYTES, 8));
        assert_eq!(record.trace().messages[7].at.as_second(), 19);
    }

    #[test]
    fn figures_become_rarer_and_end_with_the_newest() {
        let mut record = Record::new(Timestamp::UNIX_EPOCH);
        (0..1000).for_each(|number| record.figures(figures(number)));
        let kept: Vec<i64> = record.trace().figures.iter().map(|figures| figures.at.as_second()).collect();
        assert!(kept.len() <= MAX_FIGURES, "{}", kept.len());
        assert_eq!((kept[0], kept[1], *kept.last().unwrap()), (0, 16, 999));
    }
}
