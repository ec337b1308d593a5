use super::*;
use crate::rtcp::Named;
use proptest::prelude::*;
use std::time::SystemTime;

const MS: Duration = Duration::from_millis(1);
const STREAM: Sent = Sent { packets: 100, octets: 16_000, timestamp: 777, clock_factor: 1 };

fn side(ssrc: u32, zero: Instant) -> Reports {
    let wall = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000 * u64::from(ssrc));
    Reports::new(Identity { ssrc, name: format!("side-{ssrc}"), clock: NtpClock::new(zero, wall) })
}

fn hears(ssrc: u32, lost: i64) -> Option<ReceptionReport> {
    Some(ReceptionReport { ssrc, fraction_lost: 7, lost, highest: 100, jitter: 80 })
}

/// What `datagram` says first.
fn first(datagram: &[u8]) -> (Option<SenderInfo>, Vec<Block>) {
    let parts = Compound::parse(datagram).unwrap().parts;
    let Part::Report(report) = &parts[0] else { panic!("{parts:?}") };
    (report.sent, report.blocks().collect())
}

fn tell(to: &mut Reports, datagram: &[u8], now: Instant) {
    to.heard(&Compound::parse(datagram).unwrap(), STREAM, now);
}

#[test]
fn each_side_learns_the_way_there_and_back_and_how_it_is_heard() {
    let t0 = Instant::now();
    let (mut us, mut phone) = (side(1, t0), side(2, t0));
    let said = us.report(hears(2, 0), STREAM, t0, 0.5);
    tell(&mut phone, &said, t0 + 40 * MS);
    let answer = phone.report(hears(1, 5), STREAM, t0 + 2040 * MS, 0.5);
    tell(&mut us, &answer, t0 + 2070 * MS);
    let way = us.round_trip().unwrap();
    assert!(way.abs_diff(70 * MS) < MS, "{way:?}");
    assert_eq!(us.far_end(), Some(FarEnd { lost: 5, loss: 0.05, jitter_ms: 10.0 }));
    us.heard(&Compound::parse(&answer).unwrap(), Sent { clock_factor: 6, ..STREAM }, t0 + 2070 * MS);
    assert_eq!(us.far_end().map(|far| (far.jitter_ms * 60.0).round()), Some(100.0), "as 80 ticks are at 48 kHz");
    assert_eq!((phone.round_trip(), phone.far_end().map(|far| far.lost)), (None, Some(0)));
    let (_, blocks) = first(&us.report(hears(2, 3), STREAM, t0 + 3070 * MS, 0.5));
    assert_eq!((blocks[0].delay, blocks[0].fraction_lost, blocks[0].lost), (65_536, 7, 3));
}

#[test]
fn who_sends_makes_sender_reports_until_two_reports_passed_without_a_packet() {
    let t0 = Instant::now();
    let mut us = side(1, t0);
    let mut sender = |packets| first(&us.report(None, Sent { packets, ..STREAM }, t0, 0.5)).0.map(|info| info.packets);
    let reports: Vec<_> = [0, 10, 10, 10, 11].into_iter().map(&mut sender).collect();
    assert_eq!(reports, [None, Some(10), Some(10), None, Some(11)]);
}

#[test]
fn reports_begin_with_the_agreement_after_half_the_time_and_are_spread() {
    let t0 = Instant::now();
    let mut us = side(1, t0);
    assert_eq!(us.due(), None);
    us.begin(t0, 0.0);
    us.begin(t0 + 1000 * MS, 0.9);
    assert_eq!(us.due(), Some(t0 + 1250 * MS));
    us.report(None, STREAM, t0 + 1250 * MS, 1.0);
    assert_eq!(us.due(), Some(t0 + 1250 * MS + 7500 * MS));
}

#[test]
fn the_farewell_is_said_only_by_who_ever_spoke() {
    let t0 = Instant::now();
    let mut us = side(1, t0);
    assert_eq!(us.goodbye(None, STREAM, t0), None);
    us.report(None, STREAM, t0, 0.5);
    let last = us.goodbye(hears(2, 1), STREAM, t0).unwrap();
    let parts = Compound::parse(&last).unwrap().parts;
    assert!(matches!(&parts[2], Part::Goodbye(bye) if bye.sources().eq([1])), "{parts:?}");
    assert_eq!(parts[1], Part::Description(vec![Named { ssrc: 1, name: Some(b"side-1") }]));
}

#[test]
fn reports_of_other_streams_or_of_what_we_never_said_measure_nothing() {
    let t0 = Instant::now();
    let mut us = side(1, t0);
    us.report(None, STREAM, t0, 0.5);
    let mut say = |block: Block| {
        let made_up = Outgoing { ssrc: 2, sent: None, block: Some(block), name: "", goodbye: false }.to_bytes();
        tell(&mut us, &made_up, t0 + 50 * MS);
        (us.far_end().map(|far| far.lost), us.round_trip())
    };
    let block = Block { ssrc: 5, lost: 9, ..Block::default() };
    assert_eq!(say(block), (None, None), "of another stream");
    let block = Block { ssrc: 1, lost: 9, last_report: 4711, ..Block::default() };
    assert_eq!(say(block), (Some(9), None), "of a report that is not ours");
    let said = middle(side(1, t0).us.clock.at(t0));
    assert_eq!(say(Block { last_report: said, delay: 65_536, ..block }), (Some(9), None), "from the future");
    assert_eq!(say(Block { last_report: said, lost: -4, ..block }).0, Some(0), "doubles are no loss");
    assert!(us.round_trip().is_some());
}

#[test]
fn a_sender_that_left_is_not_answered_any_more() {
    let t0 = Instant::now();
    let (mut us, mut phone) = (side(1, t0), side(2, t0));
    tell(&mut us, &phone.report(None, STREAM, t0, 0.5), t0);
    assert_ne!(first(&us.report(hears(2, 0), STREAM, t0, 0.5)).1[0].last_report, 0);
    assert_eq!(first(&us.report(hears(3, 0), STREAM, t0, 0.5)).1[0].last_report, 0, "another stream");
    tell(&mut us, &phone.goodbye(None, STREAM, t0).unwrap(), t0);
    assert_eq!(first(&us.report(hears(2, 0), STREAM, t0, 0.5)).1[0].last_report, 0);
}

proptest! {
    #[test]
    fn no_reports_whatsoever_make_figures_that_cannot_be(
        blocks in proptest::collection::vec(any::<(u32, i32, u32, u32)>(), 1..20), sent in any::<u32>(), forged in any::<bool>()
    ) {
        let t0 = Instant::now();
        let mut us = side(1, t0);
        us.report(None, STREAM, t0, 0.5);
        let ours = middle(us.us.clock.at(t0));
        for (n, (name, lost, jitter, delay)) in (0u32..).zip(blocks) {
            let last_report = if forged { name } else { ours };
            let block = Block { ssrc: 1, lost, jitter, last_report, delay, ..Block::default() };
            let said = Outgoing { ssrc: 2, sent: None, block: Some(block), name: "", goodbye: false }.to_bytes();
            us.heard(&Compound::parse(&said).unwrap(), Sent { packets: sent.into(), ..STREAM }, t0 + MS * n);
        }
        prop_assert!(us.round_trip().is_none_or(|way| way <= 20 * MS));
        prop_assert!(us.far_end().is_none_or(|far| (0.0..=1.0).contains(&far.loss) && far.jitter_ms.is_finite()));
        prop_assert_eq!(us.far_end().is_some(), sent > 0);
    }

    #[test]
    fn whatever_chance_says_reports_come_between_half_and_one_and_a_half_of_the_interval(random in any::<f64>()) {
        prop_assume!(!random.is_nan());
        let t0 = Instant::now();
        let mut us = side(1, t0);
        us.report(None, STREAM, t0, random);
        let wait = us.due().unwrap() - t0;
        prop_assert!(wait >= INTERVAL / 2 && wait <= INTERVAL * 3 / 2);
    }
}
