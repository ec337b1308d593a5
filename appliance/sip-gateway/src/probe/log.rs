//! What did each step send and see?

use super::verdict::{hint, outcome_of};
use std::{
    future::Future,
    time::{Duration, Instant as StdInstant},
};
use tokio::time::{Instant, timeout_at};
use types::probe::{
    Defect, ProbeCall, ProbeOutcome, ProbeReport, ProbeStep,
    ProbeStepName::{self, *},
};

/// All steps there are, in order.
const ALL: [ProbeStepName; 10] = [Dns, Transport, Tls, Options, Register, Call, Audio, Hold, Dtmf, Refer];

/// What came of a step.
#[derive(Default)]
pub struct Seen {
    pub saw: String,
    pub defects: Vec<Defect>,
    /// Nothing is wrong, and yet something could not be proved: what would help.
    pub doubt: Option<&'static str>,
}

impl Seen {
    pub fn fine(saw: impl Into<String>) -> Self {
        Self { saw: saw.into(), ..Self::default() }
    }

    pub fn wrong(saw: impl Into<String>, defect: Defect) -> Self {
        Self { saw: saw.into(), defects: vec![defect], doubt: None }
    }

    pub fn doubtful(saw: impl Into<String>, doubt: &'static str) -> Self {
        Self { saw: saw.into(), defects: Vec::new(), doubt: Some(doubt) }
    }

    fn outcome(&self) -> ProbeOutcome {
        let worst = self.defects.iter().map(|defect| outcome_of(*defect)).max().unwrap_or(ProbeOutcome::Passed);
        if self.doubt.is_some() { worst.max(ProbeOutcome::Warning) } else { worst }
    }

    fn hint(&self) -> Option<String> {
        let hints: Vec<_> = self.defects.iter().map(|defect| hint(*defect)).chain(self.doubt).collect();
        (!hints.is_empty()).then(|| hints.join("; "))
    }
}

/// The steps so far.
pub struct Log {
    began: StdInstant,
    deadline: Instant,
    steps: Vec<ProbeStep>,
    /// Why no further step makes sense.
    over: Option<String>,
}

impl Log {
    pub fn new(deadline: Instant) -> Self {
        Self { began: StdInstant::now(), deadline, steps: Vec::new(), over: None }
    }

    /// Does one step, unless there is a reason not to; true when it was done and did not fail.
    pub async fn step(
        &mut self,
        name: ProbeStepName,
        sent: impl Into<String>,
        limit: Duration,
        work: impl Future<Output = Seen>,
    ) -> bool {
        let began = Instant::now();
        if let Some(why) = self.over.clone() {
            self.skip(name, why);
            return false;
        }
        let end = self.deadline.min(began + limit);
        let seen = timeout_at(end, work).await;
        let took = began.elapsed();
        let seen = seen.unwrap_or_else(|_| late(name, took));
        self.note(name, sent.into(), seen, took) != ProbeOutcome::Failed
    }

    /// Writes down what was seen while other steps were done.
    pub fn note(&mut self, name: ProbeStepName, sent: String, seen: Seen, took: Duration) -> ProbeOutcome {
        let (outcome, hint, took_ms) = (seen.outcome(), seen.hint(), millis(took));
        self.steps.push(ProbeStep { name, outcome, sent, saw: seen.saw, defects: seen.defects, hint, took_ms });
        outcome
    }

    pub fn skip(&mut self, name: ProbeStepName, why: impl Into<String>) {
        let (sent, saw) = (String::new(), why.into());
        let outcome = ProbeOutcome::Skipped;
        self.steps.push(ProbeStep { name, outcome, sent, saw, defects: Vec::new(), hint: None, took_ms: 0 });
    }

    /// All steps that are left are skipped for this reason, the first one given.
    pub fn stop(&mut self, why: impl Into<String>) {
        self.over.get_or_insert(why.into());
    }

    pub fn is_over(&self) -> bool {
        self.over.is_some()
    }

    /// Did a step find this?
    pub fn found(&self, defect: Defect) -> bool {
        self.steps.iter().any(|step| step.defects.contains(&defect))
    }

    /// There is more to say about a step.
    pub fn detail(&mut self, name: ProbeStepName, saw: &str) {
        if let Some(step) = self.steps.iter_mut().find(|step| step.name == name) {
            step.saw = format!("{}; {saw}", step.saw);
        }
    }

    /// More is wrong with a step than was known when it was done.
    pub fn add(&mut self, name: ProbeStepName, saw: &str, defect: Defect) {
        self.detail(name, saw);
        let Some(step) = self.steps.iter_mut().find(|step| step.name == name) else { return };
        step.defects.push(defect);
        step.outcome = step.outcome.max(outcome_of(defect));
        let before = step.hint.take().map(|before| before + "; ").unwrap_or_default();
        step.hint = Some(before + hint(defect));
    }

    /// With the steps that were never come to.
    pub fn report(mut self, call: Option<ProbeCall>) -> ProbeReport {
        let why = self.over.clone().unwrap_or_else(|| "was not come to".into());
        for name in ALL {
            if !self.steps.iter().any(|step| step.name == name) {
                self.skip(name, why.clone());
            }
        }
        let mut defects = Vec::new();
        for defect in self.steps.iter().flat_map(|step| &step.defects) {
            if !defects.contains(defect) {
                defects.push(*defect);
            }
        }
        let outcome = self.steps.iter().map(|step| step.outcome).max().unwrap_or(ProbeOutcome::Skipped);
        ProbeReport { outcome, defects, steps: self.steps, call, took_ms: millis(self.began.elapsed()) }
    }
}

/// The carrier took longer than anybody waits.
fn late(name: ProbeStepName, took: Duration) -> Seen {
    let saw = format!("nothing in {:.0} s", took.as_secs_f64());
    match name {
        Dns => Seen::wrong(saw, Defect::NameUnresolved),
        Transport => Seen::wrong(saw, Defect::Unreachable),
        Tls => Seen::wrong(saw, Defect::TlsFailed),
        Options => Seen::wrong(saw, Defect::OptionsUnanswered),
        Register => Seen::wrong(saw, Defect::RegisterUnanswered),
        Call => Seen::wrong(saw, Defect::CallUnanswered),
        Audio => Seen::wrong(saw, Defect::NoAudio),
        Hold => Seen::wrong(saw, Defect::HoldRefused),
        Dtmf => Seen::doubtful(saw, "try again when the box has less to do"),
        Refer => Seen::wrong(saw, Defect::NoRefer),
    }
}

fn millis(time: Duration) -> u64 {
    time.as_millis().try_into().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::{pending, ready};

    const SECOND: Duration = Duration::from_secs(1);

    fn log() -> Log {
        Log::new(Instant::now() + 3 * SECOND)
    }

    fn outcomes(report: &ProbeReport) -> Vec<ProbeOutcome> {
        report.steps.iter().map(|step| step.outcome).collect()
    }

    #[tokio::test]
    async fn every_step_is_in_the_report_also_those_that_were_not_come_to() {
        let mut log = log();
        assert!(log.step(Dns, "A of carrier", SECOND, ready(Seen::fine("192.0.2.1"))).await);
        log.stop("because");
        assert!(!log.step(Transport, "a connection", SECOND, pending()).await);
        let report = log.report(None);
        assert_eq!(report.steps.iter().map(|step| step.name).collect::<Vec<_>>(), ALL);
        assert_eq!(outcomes(&report)[..3], [ProbeOutcome::Passed, ProbeOutcome::Skipped, ProbeOutcome::Skipped]);
        assert!(report.steps[1..].iter().all(|step| step.saw == "because"));
        assert_eq!(report.outcome, ProbeOutcome::Passed);
    }

    #[tokio::test]
    async fn no_step_takes_longer_than_it_may_nor_than_the_whole_probe() {
        let mut log = Log::new(Instant::now() + Duration::from_millis(20));
        log.step(Options, "OPTIONS", Duration::from_millis(5), pending()).await;
        log.step(Register, "REGISTER", 1_000 * SECOND, pending()).await;
        let report = log.report(None);
        assert_eq!(report.defects, [Defect::OptionsUnanswered, Defect::RegisterUnanswered]);
        assert_eq!(report.outcome, ProbeOutcome::Failed);
    }

    #[test]
    fn what_turns_up_later_is_added_with_its_hint_and_each_defect_is_named_once() {
        let mut log = log();
        log.note(Call, "INVITE".into(), Seen::fine("200 OK"), SECOND);
        log.add(Call, "it said 200 twice", Defect::AckLost);
        log.note(Audio, "a tone".into(), Seen::wrong("nothing", Defect::AckLost), SECOND);
        let report = log.report(None);
        let call = report.steps.iter().find(|step| step.name == Call).unwrap();
        assert_eq!((call.outcome, call.saw.as_str()), (ProbeOutcome::Warning, "200 OK; it said 200 twice"));
        assert_eq!(call.hint.as_deref(), Some(hint(Defect::AckLost)));
        assert_eq!(report.defects, [Defect::AckLost]);
    }
}
