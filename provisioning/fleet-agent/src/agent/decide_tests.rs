//! Stories about [`decide`], in virtual time.

use super::*;
use crate::release::{Document, Release};

fn version(text: &str) -> Version {
    text.parse().unwrap()
}

fn at(time: &str) -> Timestamp {
    format!("2030-01-01T{time}:00Z").parse().unwrap()
}

fn rules() -> Rules {
    let time = |hour| jiff::civil::time(hour, 0, 0, 0);
    let window = Window { start: time(2), end: time(5), zone: jiff::tz::TimeZone::UTC };
    Rules { automatic: true, window, calls_limit: Duration::from_secs(3600) }
}

fn offer(current: &str, all: &[&str]) -> Catalogue {
    let document = Document {
        product: "scaibox".into(),
        hardware: "x86-64".into(),
        version: version(current),
        notes: String::new(),
        min_version: None,
        percent: 100,
    };
    let release = |v: &&str| (version(v), Release { version: version(v), files: vec![] });
    Catalogue { document, releases: all.iter().map(release).collect() }
}

/// A box that runs 6 in a quiet night, with 7 on offer.
struct Night {
    running: Version,
    bless: Bless,
    offer: Option<Catalogue>,
    failed: BTreeSet<Version>,
    wish: Option<Wish>,
    staged: Option<Version>,
    installed: Option<Version>,
    calls: Option<u32>,
    since: Option<Timestamp>,
}

fn night() -> Night {
    Night {
        running: version("6"),
        bless: Bless::Good,
        offer: Some(offer("7", &["7"])),
        failed: BTreeSet::new(),
        wish: None,
        staged: None,
        installed: None,
        calls: Some(0),
        since: None,
    }
}

impl Night {
    fn decide(&self, rules: &Rules, time: &str) -> Step {
        let facts = Facts {
            running: &self.running,
            bless: self.bless,
            offer: self.offer.as_ref(),
            failed: &self.failed,
            wish: self.wish.as_ref(),
            staged: self.staged.as_ref(),
            installed: self.installed.as_ref(),
            machine_id: "0123",
            active_calls: self.calls,
            waiting_since: self.since,
        };
        decide(&facts, rules, at(time))
    }

    fn at(&self, time: &str) -> Step {
        self.decide(&rules(), time)
    }
}

#[test]
fn a_new_version_is_downloaded_by_day_and_installed_and_booted_by_night() {
    let mut night = night();
    assert_eq!(night.at("12:00"), Step::Download(version("7")));
    night.staged = Some(version("7"));
    assert_eq!(night.at("12:00"), Step::Rest(Why::Window(jiff::civil::time(2, 0, 0, 0))));
    assert_eq!(night.at("02:00"), Step::Install(version("7")));
    night.installed = Some(version("7"));
    assert_eq!(night.at("02:05"), Step::Reboot(version("7")));
    night.running = version("7");
    night.installed = None;
    assert_eq!(night.at("02:10"), Step::Rest(Why::UpToDate));
}

#[test]
fn calls_are_waited_for_before_the_install_and_again_before_the_reboot() {
    let mut night = night();
    night.staged = Some(version("7"));
    night.calls = Some(2);
    assert_eq!(night.at("03:00"), Step::Rest(Why::Calls(Some(2))));
    night.calls = Some(0);
    assert_eq!(night.at("03:01"), Step::Install(version("7")));
    night.installed = Some(version("7"));
    night.calls = Some(1);
    assert_eq!(night.at("03:02"), Step::Rest(Why::Calls(Some(1))));
}

#[test]
fn calls_that_never_end_hold_an_update_back_only_up_to_the_limit_and_only_in_the_window() {
    let mut night = night();
    night.staged = Some(version("7"));
    night.calls = Some(2);
    night.since = Some(at("02:30"));
    assert_eq!(night.at("03:29"), Step::Rest(Why::Calls(Some(2))));
    assert_eq!(night.at("03:30"), Step::Install(version("7")));
    assert_eq!(night.at("05:00"), Step::Rest(Why::Window(jiff::civil::time(2, 0, 0, 0))));
}

#[test]
fn a_box_that_cannot_count_its_calls_waits_as_if_there_were_some() {
    let mut night = night();
    night.staged = Some(version("7"));
    night.calls = None;
    assert_eq!(night.at("03:00"), Step::Rest(Why::Calls(None)));
    night.since = Some(at("02:00"));
    assert_eq!(night.at("03:00"), Step::Install(version("7")));
}

#[test]
fn an_unproved_boot_never_overwrites_the_slot_it_would_fall_back_to() {
    let mut night = night();
    night.staged = Some(version("7"));
    for bless in [Bless::Indeterminate, Bless::Bad] {
        night.bless = bless;
        night.wish = Some(Wish { now: true, force: true, version: Some(version("7")), source: None });
        assert_eq!(night.at("03:00"), Step::Rest(Why::NotProved));
    }
    night.bless = Bless::Clean;
    assert_eq!(night.at("03:00"), Step::Install(version("7")));
}

#[test]
fn a_failed_version_is_skipped_for_ever_unless_it_is_named_with_force() {
    let mut night = night();
    night.failed.insert(version("7"));
    let skipped = Step::Rest(Why::FailedBefore(version("7")));
    assert_eq!(night.at("03:00"), skipped);
    night.wish = Some(Wish { version: Some(version("7")), ..Wish::default() });
    assert_eq!(night.at("03:00"), skipped);
    night.wish = Some(Wish { force: true, ..Wish::default() });
    assert_eq!(night.at("03:00"), skipped);
    night.wish = Some(Wish { version: Some(version("7")), force: true, ..Wish::default() });
    assert_eq!(night.at("03:00"), Step::Download(version("7")));
}

#[test]
fn a_later_version_is_taken_after_a_failed_one() {
    let mut night = night();
    night.failed.insert(version("7"));
    night.offer = Some(offer("7.1", &["7", "7.1"]));
    assert_eq!(night.at("03:00"), Step::Download(version("7.1")));
}

#[test]
fn an_older_or_equal_version_is_never_taken_even_when_asked_for() {
    let mut night = night();
    night.offer = Some(offer("5", &["5"]));
    assert_eq!(night.at("03:00"), Step::Rest(Why::UpToDate));
    night.wish = Some(Wish { version: Some(version("5")), force: true, now: true, source: None });
    assert_eq!(night.at("03:00"), Step::Rest(Why::NotNewer(version("5"))));
}

#[test]
fn an_old_box_takes_the_version_in_between_first() {
    let mut night = night();
    let mut steps = offer("9", &["7", "9"]);
    steps.document.min_version = Some(version("7"));
    night.offer = Some(steps);
    assert_eq!(night.at("03:00"), Step::Download(version("7")));
    night.wish = Some(Wish { version: Some(version("9")), ..Wish::default() });
    assert_eq!(night.at("03:00"), Step::Rest(Why::TooOld { version: version("9"), needs: version("7") }));
    night.running = version("7");
    assert_eq!(night.at("03:00"), Step::Download(version("9")));
}

#[test]
fn a_roll_out_to_some_boxes_reaches_about_that_many_of_them() {
    let first = (0..1000).filter(|box_number| ticket(&format!("box {box_number}"), &version("7")) < 10).count();
    assert!((60..140).contains(&first), "{first}");
}

#[test]
fn a_box_whose_turn_has_not_come_waits_unless_somebody_asks() {
    let mut night = night();
    let mut nobody = offer("7", &["7"]);
    nobody.document.percent = 0;
    night.offer = Some(nobody);
    assert_eq!(night.at("03:00"), Step::Rest(Why::NotOurTurn(version("7"))));
    night.wish = Some(Wish::default());
    assert_eq!(night.at("03:00"), Step::Download(version("7")));
}

#[test]
fn without_automatic_updates_the_operator_decides() {
    let mut manual = rules();
    manual.automatic = false;
    let mut night = night();
    assert_eq!(night.decide(&manual, "03:00"), Step::Rest(Why::NotAutomatic(version("7"))));
    night.wish = Some(Wish { now: true, ..Wish::default() });
    night.staged = Some(version("7"));
    night.calls = Some(5);
    assert_eq!(night.decide(&manual, "12:00"), Step::Install(version("7")));
}

#[test]
fn what_was_installed_is_booted_also_when_the_channel_is_out_of_reach() {
    let mut night = night();
    night.offer = None;
    night.installed = Some(version("7"));
    assert_eq!(night.at("03:00"), Step::Reboot(version("7")));
}
