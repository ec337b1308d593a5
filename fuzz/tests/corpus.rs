//! Does every reader stand its corpus, and thousands of damaged copies of it?

use fuzz::damage::{Dice, damaged};
use fuzz::{TARGETS, Target};
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Damaged copies of a corpus in a normal run.
const COPIES: usize = 20_000;

#[test]
fn sip_messages_stop_no_reader() {
    endure("sip_message");
}

#[test]
fn addresses_and_header_values_stop_no_reader() {
    endure("uri_via");
}

#[test]
fn session_descriptions_stop_no_reader() {
    endure("sdp");
}

#[test]
fn packets_of_sound_stop_no_reader() {
    endure("rtp_rtcp");
}

#[test]
fn reports_stop_no_reader() {
    endure("rtcp");
}

#[test]
fn key_presses_stop_no_reader() {
    endure("dtmf");
}

#[test]
fn answers_of_stun_servers_stop_no_reader() {
    endure("stun");
}

#[test]
fn messages_of_livekit_server_stop_no_reader() {
    endure("psrpc");
}

#[test]
fn dialplans_stop_no_reader() {
    endure("dialplan_json");
}

#[test]
fn every_target_has_a_corpus_and_a_program() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let stems = |folder: &str| {
        let mut names: Vec<String> = files(&root.join(folder)).iter().map(|path| stem(path)).collect();
        names.sort();
        names
    };
    let mut names: Vec<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    names.sort();
    assert_eq!(stems("fuzz_targets"), names);
    assert_eq!(stems("corpus"), names);
}

fn endure(name: &str) {
    let (_, target) = TARGETS.iter().find(|(known, _)| *known == name).unwrap();
    let corpus = corpus(name);
    assert!(!corpus.is_empty(), "no corpus for {name}");
    corpus.iter().for_each(|input| stand(name, *target, input));
    let mut dice = Dice::new(0x5EED);
    let seconds = std::env::var("FUZZ_SECONDS").ok().map(|seconds| Duration::from_secs(seconds.parse().unwrap()));
    let start = Instant::now();
    let more = |done: usize| seconds.map_or(done < COPIES, |seconds| start.elapsed() < seconds);
    let mut done = 0;
    while more(done) {
        let good = &corpus[dice.below(corpus.len())];
        stand(name, *target, &damaged(good, &corpus, &mut dice));
        done += 1;
    }
    println!("{name}: {} files, {done} damaged copies", corpus.len());
}

/// Tells the input that was too much.
fn stand(name: &str, target: Target, input: &[u8]) {
    if catch_unwind(AssertUnwindSafe(|| target(input))).is_err() {
        panic!("{name} does not stand b\"{}\"", input.escape_ascii());
    }
}

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = files(&root.join("corpus").join(name));
    if name == "sip_message" {
        let torture = root.join("../appliance/sip/tests/torture");
        found.extend(["rfc4475", "rfc5118"].iter().flat_map(|rfc| files(&torture.join(rfc))));
    }
    found.iter().map(|path| fs::read(path).unwrap()).collect()
}

/// In the order of their names.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap().to_string_lossy().into_owned()
}
