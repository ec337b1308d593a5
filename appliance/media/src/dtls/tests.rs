use super::*;
use std::collections::VecDeque;
use std::sync::LazyLock;
use std::time::Duration;

fn identity() -> Identity {
    Identity::generate().unwrap()
}

/// Two legs that talk to each other, one record at a time.
struct Line {
    ends: [Handshake; 2],
    /// Records on their way to either end.
    on_way: [VecDeque<Vec<u8>>; 2],
    keys: [Option<Keys>; 2],
    now: Instant,
}

impl Line {
    /// The first one begins; either expects the other's certificate.
    fn new(first: &Identity, second: &Identity, expected: [Fingerprint; 2]) -> Line {
        let now = Instant::now();
        let end = |identity, fingerprint, we_begin| Handshake::new(identity, Peer { fingerprint, we_begin }, now);
        let ends = [end(first, expected[0], true), end(second, expected[1], false)];
        Line { ends, on_way: Default::default(), keys: [None, None], now }
    }

    fn take(&mut self, at: usize, outcome: Result<Option<Keys>, DtlsError>) -> Result<(), DtlsError> {
        self.keys[at] = outcome?.or(self.keys[at].take());
        Ok(())
    }

    /// Lets both work until nothing is on its way; every record for which `lost` says so goes missing.
    fn run(&mut self, mut lost: impl FnMut() -> bool) -> Result<(), DtlsError> {
        for at in [0, 1] {
            let mut sent = Vec::new();
            let outcome = match self.ends[at].due().is_some_and(|due| due <= self.now) {
                true => self.ends[at].tick(self.now, &mut |record| sent.push(record.to_vec())),
                false => Ok(None),
            };
            self.on_way[1 - at].extend(sent.into_iter().filter(|_| !lost()));
            self.take(at, outcome)?;
        }
        while let Some(at) = (0..2).find(|at| !self.on_way[*at].is_empty()) {
            let record = self.on_way[at].pop_front().unwrap();
            assert!(is_dtls(&record));
            let mut sent = Vec::new();
            let outcome = self.ends[at].record(&record, self.now, &mut |record| sent.push(record.to_vec()));
            self.on_way[1 - at].extend(sent.into_iter().filter(|_| !lost()));
            self.take(at, outcome)?;
        }
        Ok(())
    }
}

#[test]
fn both_ends_find_the_same_keys() {
    let (a, b) = (identity(), identity());
    let mut line = Line::new(&a, &b, [b.fingerprint(), a.fingerprint()]);
    line.run(|| false).unwrap();
    let [Some(one), Some(other)] = line.keys else { panic!("no keys") };
    assert!(one.ours == other.theirs && one.theirs == other.ours && one.ours != one.theirs);
}

#[test]
fn a_certificate_that_was_not_promised_gives_no_keys() {
    let (a, b, c) = (identity(), identity(), identity());
    for expected in [[c.fingerprint(), a.fingerprint()], [b.fingerprint(), c.fingerprint()]] {
        let mut line = Line::new(&a, &b, expected);
        assert!(matches!(line.run(|| false), Err(DtlsError::Stranger)));
        assert!(line.keys.iter().filter(|keys| keys.is_some()).count() <= 1, "the deceived end has none");
    }
}

#[test]
fn what_the_network_loses_is_said_again() {
    let (a, b) = (identity(), identity());
    let mut line = Line::new(&a, &b, [b.fingerprint(), a.fingerprint()]);
    let mut records = 0;
    for _ in 0..20 {
        line.run(|| {
            records += 1;
            records % 3 == 1
        })
        .unwrap();
        line.now += Duration::from_secs(1);
    }
    assert!(line.keys.iter().all(Option::is_some));
}

#[test]
fn a_phone_that_never_answers_is_given_up_on() {
    let a = identity();
    let mut handshake = Handshake::new(&a, Peer { fingerprint: a.fingerprint(), we_begin: true }, Instant::now());
    let mut now = Instant::now();
    let failed = (0..300).any(|_| {
        now += Duration::from_secs(1);
        handshake.tick(now, &mut |_| {}).is_err()
    });
    assert!(failed);
}

#[test]
fn a_fingerprint_is_read_and_written_as_sdp_has_it() {
    let ours = identity().fingerprint();
    assert_eq!(Fingerprint::parse(&ours.value()), Some(ours));
    assert_eq!(Fingerprint::parse(&ours.value().to_lowercase().replace("sha-256", "SHA-256")), Some(ours));
    for other in ["", "sha-256", "sha-256 4A:AD", "sha-1 4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB"] {
        assert_eq!(Fingerprint::parse(other), None, "{other}");
    }
    assert_eq!(Fingerprint::parse(&ours.value().replace(':', ":+")), None);
}

proptest::proptest! {
    #[test]
    fn no_record_makes_it_panic(record in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300)) {
        static OURS: LazyLock<Identity> = LazyLock::new(identity);
        let a = &*OURS;
        for we_begin in [true, false] {
            let peer = Peer { fingerprint: a.fingerprint(), we_begin };
            let mut handshake = Handshake::new(a, peer, Instant::now());
            let _ = handshake.record(&record, Instant::now(), &mut |_| {});
            let mut likely = vec![22, 0xFE, 0xFD];
            likely.extend(&record);
            let _ = handshake.record(&likely, Instant::now(), &mut |_| {});
        }
    }
}
