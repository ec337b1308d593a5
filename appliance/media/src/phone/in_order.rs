//! In which order did the phone say it, and what of it is lost?
//!
//! A packet that is next in line goes on at once, so a clean network costs no time. Behind a gap packets wait for the
//! missing one: first 15 ms, longer (up to 60) after one came too late, shorter again when none does. What is missing
//! then sounds like the packet before it, fading away, for at most 60 ms; a longer gap stays one. A missing packet of
//! Opus becomes one that says so, for LiveKit numbers packets anew and its listeners could not tell a loss.

use super::PhoneAudio;
use crate::codec::{Decoder, G711, G711Decoder, LONGEST_PACKET, PhoneCodec, opus_lost};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How long the packet after a gap waits.
const SHORTEST: Duration = Duration::from_millis(15);
const LONGEST: Duration = Duration::from_millis(60);
const STEP: Duration = Duration::from_millis(15);
/// After so many packets in order the wait shrinks by a step.
const CALM: u32 = 500;
/// More missing than this is no loss but a phone that starts anew.
const JUMP: u64 = 10;
/// Packets that are guessed in a row.
const MOST_GUESSED: u64 = 3;

/// The packets of one phone on their way to the room.
#[derive(Debug)]
pub struct InOrder {
    /// Source and number of what comes next.
    next: Option<(u32, u64)>,
    /// Behind a gap, by their numbers.
    waiting: VecDeque<Kept>,
    /// When the gap is given up.
    due: Option<Instant>,
    wait: Duration,
    calm: u32,
    /// What went on last.
    last: Option<Kept>,
}

#[derive(Clone, Debug)]
struct Kept {
    codec: PhoneCodec,
    ssrc: u32,
    sequence: u64,
    timestamp: u32,
    payload: Vec<u8>,
}

impl Kept {
    fn of(audio: &PhoneAudio<'_>) -> Kept {
        let PhoneAudio { codec, ssrc, sequence, timestamp, payload } = *audio;
        Kept { codec, ssrc, sequence, timestamp, payload: payload.to_vec() }
    }

    /// As [`Kept::of`], where there is room already.
    fn become_one(&mut self, audio: &PhoneAudio<'_>) {
        (self.codec, self.ssrc, self.sequence, self.timestamp) =
            (audio.codec, audio.ssrc, audio.sequence, audio.timestamp);
        self.payload.clear();
        self.payload.extend_from_slice(audio.payload);
    }

    fn audio(&self) -> PhoneAudio<'_> {
        let Kept { codec, ssrc, sequence, timestamp, ref payload } = *self;
        PhoneAudio { codec, ssrc, sequence, timestamp, payload }
    }
}

impl Default for InOrder {
    fn default() -> Self {
        InOrder { next: None, waiting: VecDeque::new(), due: None, wait: SHORTEST, calm: 0, last: None }
    }
}

impl InOrder {
    /// Takes a packet and hands on what is due for the room; doubles and late ones are dropped.
    pub fn packet(&mut self, audio: &PhoneAudio<'_>, now: Instant, pass: &mut impl FnMut(&PhoneAudio<'_>)) {
        let missing = match self.next {
            Some((ssrc, next)) if ssrc == audio.ssrc => audio.sequence.checked_sub(next),
            _ => Some(u64::MAX),
        };
        match missing {
            None => self.was_late(),
            Some(0) => {
                self.calm_down();
                self.hand_on(audio, pass);
                self.release(pass);
            }
            Some(missing) if missing <= JUMP => self.keep(audio, now),
            Some(_) => {
                self.give_up(pass);
                self.hand_on(audio, pass);
            }
        }
    }

    /// When [`InOrder::tick`] has something to do.
    pub fn due(&self) -> Option<Instant> {
        self.due
    }

    /// The missing packet did not come in time.
    pub fn tick(&mut self, now: Instant, pass: &mut impl FnMut(&PhoneAudio<'_>)) {
        if self.due.is_some_and(|due| due <= now) {
            self.give_up(pass);
        }
    }

    fn was_late(&mut self) {
        (self.wait, self.calm) = ((self.wait + STEP).min(LONGEST), 0);
    }

    fn calm_down(&mut self) {
        self.calm += 1;
        if self.calm == CALM {
            (self.wait, self.calm) = (self.wait.saturating_sub(STEP).max(SHORTEST), 0);
        }
    }

    fn keep(&mut self, audio: &PhoneAudio<'_>, now: Instant) {
        let at = self.waiting.partition_point(|kept| kept.sequence < audio.sequence);
        if self.waiting.get(at).is_none_or(|kept| kept.sequence != audio.sequence) {
            self.waiting.insert(at, Kept::of(audio));
        }
        self.due.get_or_insert(now + self.wait);
    }

    /// Hands on all that waits, with guesses in the gaps.
    fn give_up(&mut self, pass: &mut impl FnMut(&PhoneAudio<'_>)) {
        while let Some(kept) = self.waiting.pop_front() {
            self.guess(&kept, pass);
            self.hand_on(&kept.audio(), pass);
        }
        self.due = None;
    }

    /// Hands on what waited for the packet that just came; behind a second gap the wait goes on.
    fn release(&mut self, pass: &mut impl FnMut(&PhoneAudio<'_>)) {
        while let Some(kept) = self.waiting.pop_front_if(|kept| self.next == Some((kept.ssrc, kept.sequence))) {
            self.hand_on(&kept.audio(), pass);
        }
        self.due = self.due.filter(|_| !self.waiting.is_empty());
    }

    fn hand_on(&mut self, audio: &PhoneAudio<'_>, pass: &mut impl FnMut(&PhoneAudio<'_>)) {
        pass(audio);
        self.next = Some((audio.ssrc, audio.sequence + 1));
        match &mut self.last {
            Some(last) => last.become_one(audio),
            none => *none = Some(Kept::of(audio)),
        }
    }

    /// What is missing before `after`, if time ran on evenly through the gap.
    fn guess(&mut self, after: &Kept, pass: &mut impl FnMut(&PhoneAudio<'_>)) {
        let Some(last) = &mut self.last else { return };
        let Some(ticks) = last.audio().ticks() else { return };
        let missing = after.sequence.saturating_sub(last.sequence + 1);
        let passed = after.timestamp.wrapping_sub(last.timestamp);
        let even = u64::from(passed) == (missing + 1) * u64::from(ticks) && last.ssrc == after.ssrc;
        let mut fading = Fading::of(last);
        for _ in 0..if even { missing.min(MOST_GUESSED) } else { 0 } {
            last.sequence += 1;
            last.timestamp = last.timestamp.wrapping_add(ticks);
            fading.next(&mut last.payload);
            pass(&last.audio());
        }
    }
}

/// How a lost packet sounds after the one before it.
enum Fading {
    G711(G711, G711Decoder),
    /// G.722 goes on as it was: its octets tell changes.
    Repeats,
    /// Opus is concealed by whoever decodes it, once it is told.
    Told,
}

impl Fading {
    fn of(last: &Kept) -> Fading {
        let law = match last.codec {
            PhoneCodec::G711(law) => law,
            PhoneCodec::G722 => return Fading::Repeats,
            PhoneCodec::Opus => return Fading::Told,
        };
        let (mut decoder, mut pcm) = (G711Decoder::new(law), [0; LONGEST_PACKET]);
        match decoder.decode(&last.payload, &mut pcm) {
            Ok(_) => Fading::G711(law, decoder),
            Err(_) => Fading::Repeats,
        }
    }

    fn next(&mut self, payload: &mut Vec<u8>) {
        let (law, decoder) = match self {
            Fading::G711(law, decoder) => (law, decoder),
            Fading::Repeats => return,
            Fading::Told => return opus_lost(payload),
        };
        let mut pcm = [0; LONGEST_PACKET];
        let pcm = &mut pcm[..payload.len().min(LONGEST_PACKET)];
        decoder.conceal(None, pcm);
        law.encode(pcm, payload);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::FRAME;
    use proptest::prelude::*;

    const MS: Duration = Duration::from_millis(1);

    /// Who writes down what goes on: number and loudness in thousands.
    struct Story {
        order: InOrder,
        now: Instant,
        got: Vec<(u64, i16)>,
    }

    impl Story {
        fn new() -> Story {
            Story { order: InOrder::default(), now: Instant::now(), got: Vec::new() }
        }

        /// A packet arrives that was said `at` frames from the start.
        fn said(&mut self, sequence: u64, at: u64) {
            let mut payload = [0; FRAME];
            G711::Pcmu.encode(&[8000; FRAME], &mut payload);
            let timestamp = at as u32 * FRAME as u32;
            let audio = PhoneAudio { codec: PhoneCodec::PCMU, ssrc: 1, sequence, timestamp, payload: &payload };
            let Story { order, got, .. } = self;
            order.packet(&audio, self.now, &mut |audio| got.push(noted(audio)));
        }

        fn packets(&mut self, numbers: &[u64]) {
            numbers.iter().for_each(|number| self.said(*number, *number));
        }

        fn wait(&mut self, ms: u32) {
            self.now += ms * MS;
            let Story { order, got, .. } = self;
            order.tick(self.now, &mut |audio| got.push(noted(audio)));
        }

        fn numbers(&self) -> Vec<u64> {
            self.got.iter().map(|(number, _)| *number).collect()
        }
    }

    fn noted(audio: &PhoneAudio<'_>) -> (u64, i16) {
        let mut pcm = [0; 1];
        G711::Pcmu.decode(audio.payload, &mut pcm);
        assert_eq!(audio.timestamp % FRAME as u32, 0);
        (audio.sequence, (pcm[0] + 500) / 1000)
    }

    #[test]
    fn packets_in_order_go_on_at_once() {
        let mut story = Story::new();
        story.packets(&[5, 6, 7]);
        assert_eq!((story.numbers(), story.order.due()), (vec![5, 6, 7], None));
    }

    #[test]
    fn packets_that_were_overtaken_find_their_place_and_doubles_go() {
        let mut story = Story::new();
        story.packets(&[1, 3, 2, 2, 4, 7, 6, 7, 5, 8, 3]);
        assert_eq!((story.numbers(), story.order.due()), ((1..=8).collect(), None));
        assert!(story.got.iter().all(|(_, level)| *level == 8), "nothing was guessed");
    }

    #[test]
    fn what_is_lost_fades_away_after_15_ms_and_comes_too_late_after_that() {
        let mut story = Story::new();
        story.packets(&[1, 4]);
        story.wait(14);
        assert_eq!(story.numbers(), [1]);
        story.wait(1);
        assert_eq!(story.got, [(1, 8), (2, 4), (3, 2), (4, 8)]);
        story.packets(&[2, 3, 5]);
        assert_eq!(story.numbers(), [1, 2, 3, 4, 5]);
    }

    #[test]
    fn a_long_gap_is_guessed_for_60_ms_and_a_jump_not_at_all() {
        let mut story = Story::new();
        story.packets(&[1, 9]);
        story.wait(15);
        assert_eq!(story.numbers(), [1, 2, 3, 4, 9]);
        story.packets(&[40, 41]);
        assert_eq!(story.numbers()[5..], [40, 41]);
    }

    #[test]
    fn nothing_is_guessed_where_the_phone_paused() {
        let mut story = Story::new();
        story.said(1, 1);
        story.said(3, 30);
        story.wait(15);
        assert_eq!(story.numbers(), [1, 3]);
    }

    #[test]
    fn the_wait_grows_with_packets_that_came_too_late_and_shrinks_when_none_does() {
        let mut story = Story::new();
        let mut number = 1;
        let mut waits = Vec::new();
        for _ in 0..5 {
            story.packets(&[number, number + 2]);
            waits.push(story.order.due().unwrap() - story.now);
            story.wait(60);
            story.packets(&[number + 1]);
            number += 3;
        }
        assert_eq!(waits, [15 * MS, 30 * MS, 45 * MS, 60 * MS, 60 * MS]);
        story.packets(&(number..number + 2500).collect::<Vec<_>>());
        story.packets(&[number + 2501]);
        assert_eq!(story.order.due().unwrap() - story.now, 15 * MS);
    }

    #[test]
    fn a_lost_packet_of_opus_is_one_that_says_so_and_lasts_as_long() {
        let (mut order, mut got, now) = (InOrder::default(), Vec::new(), Instant::now());
        let payload = [3 << 3, 1, 2, 3]; // 60 ms
        let mut take = |order: &mut InOrder, sequence: u64| {
            let timestamp = 480 * sequence as u32;
            let audio = PhoneAudio { codec: PhoneCodec::Opus, ssrc: 1, sequence, timestamp, payload: &payload };
            let mut pass = |audio: &PhoneAudio<'_>| got.push((audio.timestamp, audio.payload.to_vec()));
            order.packet(&audio, now, &mut pass);
            order.tick(now + SHORTEST, &mut pass);
        };
        take(&mut order, 1);
        take(&mut order, 4);
        let lost = vec![3 << 3 | 3, 1];
        assert_eq!(got, [(480, payload.to_vec()), (960, lost.clone()), (1440, lost), (1920, payload.to_vec())]);
    }

    #[test]
    fn a_new_stream_begins_at_once_after_what_waited_of_the_old_one() {
        let mut story = Story::new();
        story.packets(&[1, 3]);
        let audio =
            PhoneAudio { codec: PhoneCodec::PCMU, ssrc: 2, sequence: 70, timestamp: 0, payload: &[0xFF; FRAME] };
        let Story { order, got, now } = &mut story;
        order.packet(&audio, *now, &mut |audio| got.push(noted(audio)));
        assert_eq!(story.numbers(), [1, 2, 3, 70]);
    }

    proptest! {
        #[test]
        fn whatever_comes_goes_on_in_order_and_never_twice(steps in proptest::collection::vec((0u64..40, 0u32..30), 1..200)) {
            let mut story = Story::new();
            for (number, pause) in steps {
                story.said(number, number);
                story.wait(pause);
            }
            story.wait(100);
            prop_assert!(story.order.due().is_none());
            prop_assert!(story.numbers().windows(2).all(|pair| pair[0] < pair[1]), "{:?}", story.numbers());
        }
    }
}
