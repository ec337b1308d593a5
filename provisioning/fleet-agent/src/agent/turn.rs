//! What happens in one turn: look, check, advance.

use super::{
    Agent, Available, Failed, Report, State,
    decide::{Facts, Step, Why, decide},
};
use crate::{boot::BootState, calls, release::Release, root::What, version::Version};
use jiff::Timestamp;
use std::time::Instant;
use url::Url;

impl Agent {
    /// Root looks when there is something new to see: at the start, and until the boot has proved itself.
    pub(super) async fn look(&mut self) {
        if self.boot.as_ref().is_some_and(|boot| boot.bless.is_proved()) {
            return;
        }
        if let Err(error) = self.steps.run(&What::Look).await {
            return self.trouble(format!("the boot could not be looked at: {error}"));
        }
        self.learn();
    }

    fn learn(&mut self) {
        match self.steps.boot_state() {
            Ok(boot) => {
                for report in self.memory.learn(&boot, Timestamp::now()) {
                    self.fleet.report(&report);
                }
                self.boot = Some(boot);
                self.remember();
                self.show();
            }
            Err(error) => self.trouble(format!("the boot could not be looked at: {error}")),
        }
    }

    /// Reads the channel. A refusal is told once per reason.
    pub(super) async fn check(&mut self) {
        let mirrors = self.sources();
        if mirrors.is_empty() && self.memory.wish.is_none() {
            return;
        }
        match self.reader.refresh(&mirrors).await {
            Ok(offer) => {
                self.offer = Some(offer);
                self.memory.last_check = Some(Timestamp::now());
                self.status.send_modify(|status| status.problem = None);
            }
            Err(error) => {
                self.offer = None;
                let reason = error.to_string();
                if self.status.borrow().problem.as_ref() != Some(&reason) {
                    self.fleet.report(&Report::ChannelRefused { reason: reason.clone() });
                }
                self.trouble(reason);
            }
        }
        self.remember();
        self.show();
    }

    /// The mirrors to ask: those of the wish, else the configured ones.
    fn sources(&self) -> Vec<Url> {
        let wished = self.memory.wish.as_ref().and_then(|wish| wish.source.as_deref());
        match wished {
            None => self.mirrors.clone(),
            Some("usb") => Url::from_directory_path(&self.usb).into_iter().collect(),
            Some(url) => Url::parse(url).into_iter().collect(),
        }
    }

    /// Takes steps until it has to rest.
    pub(super) async fn advance(&mut self) {
        while let Some(step) = self.next_step().await {
            let done = match step {
                Step::Rest(why) => return self.rest(why),
                Step::Download(version) => self.download(&version).await,
                Step::Install(version) => self.install(&version).await,
                Step::Reboot(version) => return self.reboot(&version).await,
            };
            if done.is_none() {
                return;
            }
        }
    }

    async fn next_step(&mut self) -> Option<Step> {
        if !self.pause.is_over(Instant::now()) {
            return None;
        }
        let boot = self.boot.clone()?;
        let staged = self.staged();
        let ready = staged.is_some() || boot.waiting().is_some();
        let active_calls = if ready { calls::active_calls(&self.control).await.ok() } else { None };
        let (now, failed) = (Timestamp::now(), self.memory.failed_versions());
        let target = boot.waiting().max(staged.as_ref());
        let waiting = self.memory.waiting.as_ref().filter(|(version, _)| Some(version) == target);
        let facts = Facts {
            running: &boot.running,
            bless: boot.bless,
            offer: self.offer.as_ref(),
            failed: &failed,
            wish: self.memory.wish.as_ref(),
            staged: staged.as_ref(),
            installed: boot.waiting(),
            machine_id: &self.machine_id,
            active_calls,
            waiting_since: waiting.map(|(_, since)| *since),
        };
        let step = decide(&facts, &self.rules, now);
        if let (Step::Rest(Why::Calls(_)), None, Some(target)) = (&step, waiting, target) {
            self.memory.waiting = Some((target.clone(), now));
            self.remember();
        }
        Some(step)
    }

    /// The version whose files are all here.
    fn staged(&self) -> Option<Version> {
        let offer = self.offer.as_ref()?;
        let whole =
            |release: &&Release| release.files.iter().all(|f| self.staging(&release.version).join(&f.name).is_file());
        offer.releases.values().filter(whole).map(|release| release.version.clone()).next_back()
    }

    fn rest(&mut self, why: Why) {
        if why.is_final() && self.memory.wish.take().is_some() {
            self.remember();
            if why != Why::UpToDate {
                return self.trouble(why.to_string());
            }
        }
        self.status.send_modify(|status| {
            status.state = match (why.is_waiting(), &status.problem) {
                (true, _) => State::Waiting,
                (false, Some(_)) => State::Failed,
                (false, None) => State::Idle,
            };
            status.progress = None;
            status.waiting_for = (why != Why::UpToDate && why != Why::NothingOffered).then(|| why.to_string());
        });
    }

    async fn download(&mut self, version: &Version) -> Option<()> {
        let release = self.offer.as_ref()?.releases.get(version)?.clone();
        tracing::info!(update.version = %version, "downloading an update");
        match self.stage(&release, &self.sources()).await {
            Ok(()) => Some(()),
            Err(error) => {
                self.fail(format!("version {version} could not be downloaded: {error}"));
                None
            }
        }
    }

    async fn install(&mut self, version: &Version) -> Option<()> {
        let release = self.offer.as_ref()?.releases.get(version)?.clone();
        // What lies in staging since yesterday is held against the channel once more.
        self.download(version).await?;
        self.shelf.lay_out(self.staging(&release.version));
        let forced = self.memory.wish.as_ref().is_some_and(|wish| wish.force && wish.version.as_ref() == Some(version));
        let what = if forced { What::Force(version.clone()) } else { What::Install(version.clone()) };
        if forced {
            self.memory.failed.remove(version);
        }
        tracing::info!(update.version = %version, "installing an update");
        let done = self.root_step(&what, State::Installing).await;
        self.shelf.clear();
        done
    }

    async fn reboot(&mut self, version: &Version) {
        tracing::info!(update.version = %version, "rebooting into an update");
        if self.root_step(&What::Reboot, State::Rebooting).await.is_some() {
            // We are still here for a moment; should the reboot not come, it is asked for again after the pause.
            self.pause.longer(Instant::now());
        }
    }

    /// Has root do something, and learns what it saw.
    pub(super) async fn root_step(&mut self, what: &What, state: State) -> Option<()> {
        self.status.send_modify(|status| (status.state, status.progress, status.waiting_for) = (state, None, None));
        match self.steps.run(what).await {
            Ok(()) => {
                self.learn();
                Some(())
            }
            Err(error) => {
                self.fail(format!("the step `{what}` failed: {error}"));
                None
            }
        }
    }

    fn fail(&mut self, problem: String) {
        self.pause.longer(Instant::now());
        self.trouble(problem);
    }

    /// Shown in the status, and logged when it is new.
    fn trouble(&mut self, problem: String) {
        if self.status.borrow().problem.as_ref() != Some(&problem) {
            tracing::warn!(problem, "updates have a problem");
        }
        self.status.send_modify(|status| {
            (status.state, status.progress, status.waiting_for) = (State::Failed, None, None);
            status.problem = Some(problem);
        });
    }

    pub(super) fn remember(&self) {
        if let Err(error) = self.memory.save(&self.state_dir) {
            tracing::error!(%error, folder = %self.state_dir.display(), "the update state could not be saved");
        }
    }

    /// Brings the facts into the status; `state` belongs to the steps.
    fn show(&self) {
        let failed = self.memory.failed.iter().map(|(version, failure)| Failed {
            version: version.clone(),
            at: failure.at,
            reason: failure.reason.clone(),
        });
        self.status.send_modify(|status| {
            if let Some(boot) = &self.boot {
                status.current = Some(boot.running.clone());
                status.previous = boot.previous().map(|entry| entry.version.clone());
                status.blessed = boot.bless.is_proved();
            }
            status.available = self.available();
            status.last_check = self.memory.last_check;
            status.failed = failed.collect();
        });
    }

    fn available(&self) -> Option<Available> {
        let document = &self.offer.as_ref()?.document;
        let newer = |boot: &BootState| document.version > boot.running;
        let newer = self.boot.as_ref().is_none_or(newer);
        newer.then(|| Available { version: document.version.clone(), notes: document.notes.clone() })
    }
}
