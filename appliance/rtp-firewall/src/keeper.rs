//! Who keeps kernel, wanted state and state file the same?
//!
//! A change goes into the kernel first and into the file then: a full disk must not keep the firewall
//! open. [`Keeper::run`] ends what is over by time, and looks every minute whether the table is still
//! there and as it was loaded.

use crate::{
    config::{Config, Ports},
    desired::Desired,
    nft::{Nft, NftError},
    refused::Refused,
    rules::Count,
    ruleset,
    state_file::StateFile,
};
use jiff::Timestamp;
use serde_json::Value;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::sync::{Mutex, Notify};
use tokio_util::sync::CancellationToken;
use types::firewall::FirewallState;

/// How often the kernel's table is looked at.
const LOOK: Duration = Duration::from_secs(60);
/// How soon what failed is tried again.
const RETRY: Duration = Duration::from_secs(5);

/// Why a change was not made.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error("the firewall is as it was: {0}")]
    Nft(#[from] NftError),
}

pub struct Keeper {
    nft: Nft,
    ports: Ports,
    file: StateFile,
    held: Mutex<Held>,
    /// The next deadline may be another one.
    changed: Notify,
    /// Somebody who asked for the state saw that the table is not as it should be.
    wrong: Notify,
}

struct Held {
    desired: Desired,
    /// Our table as nft listed it right after loading.
    loaded: Vec<Value>,
    drops: BTreeMap<String, Count>,
    problem: Option<String>,
}

impl Keeper {
    /// Loads the table from what is remembered. Only when this is done the box is guarded.
    pub async fn start(config: &Config) -> Result<Self, NftError> {
        let file = StateFile::new(&config.state);
        let (mut desired, problem) = remembered(&file, config);
        desired.reconfigure(&config.management.networks);
        desired.expire(Timestamp::now());
        let held = Held { desired: desired.clone(), loaded: vec![], drops: BTreeMap::new(), problem };
        let nft = Nft::new(&config.nft);
        let (changed, wrong) = (Notify::new(), Notify::new());
        let keeper = Self { nft, ports: config.ports, file, held: Mutex::new(held), changed, wrong };
        keeper.load(&mut *keeper.held.lock().await, desired).await?;
        Ok(keeper)
    }

    /// Changes what is wanted; when this returns without an error, the kernel has it.
    pub async fn change<T>(
        &self,
        change: impl FnOnce(&mut Desired, Timestamp) -> Result<T, Refused>,
    ) -> Result<T, ChangeError> {
        let mut held = self.held.lock().await;
        let mut wanted = held.desired.clone();
        let answer = change(&mut wanted, Timestamp::now())?;
        if wanted == held.desired && held.problem.is_none() {
            return Ok(answer);
        }
        wanted.generation += 1;
        self.load_and_save(&mut held, wanted).await?;
        self.changed.notify_one();
        Ok(answer)
    }

    /// Of the wanted state that the kernel has.
    pub async fn generation(&self) -> u64 {
        self.held.lock().await.desired.generation
    }

    /// Everything, with a look at the kernel.
    pub async fn state(&self) -> FirewallState {
        let mut held = self.held.lock().await;
        let now = Timestamp::now();
        let (loaded, problem) = match self.nft.observe().await {
            Err(error) => (false, Some(error.to_string())),
            Ok(observed) => {
                let difference = observed.differs(&held.loaded, &held.desired, now);
                held.drops.extend(observed.drops);
                (difference.is_none(), difference.map(|difference| difference.to_string()))
            }
        };
        if !loaded {
            self.wrong.notify_one();
        }
        held.view(loaded, problem, now)
    }

    /// Keeps the table until `stop`, and leaves it in the kernel then.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        loop {
            let wait = self.until_next_look().await;
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.changed.notified() => {}
                () = self.wrong.notified() => self.look().await,
                () = tokio::time::sleep(wait) => self.look().await,
            }
        }
    }

    async fn until_next_look(&self) -> Duration {
        let held = self.held.lock().await;
        if held.problem.is_some() {
            return RETRY;
        }
        let until = |at: Timestamp| at.duration_since(Timestamp::now()).max(jiff::SignedDuration::ZERO).unsigned_abs();
        held.desired.next_change().map_or(LOOK, until).min(LOOK)
    }

    async fn look(&self) {
        let mut held = self.held.lock().await;
        if let Err(error) = self.mend(&mut held).await {
            held.note(Some(error.to_string()));
        }
    }

    /// Ends what is over and loads the table again when it is not as it should be.
    async fn mend(&self, held: &mut Held) -> Result<(), NftError> {
        let now = Timestamp::now();
        let mut wanted = held.desired.clone();
        if wanted.expire(now) {
            tracing::info!(firewall.generation = wanted.generation + 1, "a trial or an open SSH port is over");
            wanted.generation += 1;
            return self.load_and_save(held, wanted).await;
        }
        let difference = self.nft.observe().await?.differs(&held.loaded, &wanted, now);
        if let Some(difference) = difference {
            tracing::warn!(%difference, "somebody else touched the firewall; it is loaded again");
        }
        if difference.is_some() || held.problem.is_some() || wanted != held.desired {
            self.load_and_save(held, wanted).await?;
        }
        Ok(())
    }

    async fn load_and_save(&self, held: &mut Held, wanted: Desired) -> Result<(), NftError> {
        self.load(held, wanted).await?;
        let saved = self.file.save(&held.desired);
        held.note(saved.err().map(|error| format!("could not save the state, a restart would lose it: {error}")));
        Ok(())
    }

    /// Swaps the table in the kernel; counters go on where they were.
    async fn load(&self, held: &mut Held, wanted: Desired) -> Result<(), NftError> {
        held.drops.extend(self.nft.observe().await?.drops);
        let transaction = ruleset::transaction(&wanted, &self.ports, &held.drops, Timestamp::now());
        self.nft.apply(&transaction).await?;
        held.desired = wanted;
        held.loaded = self.nft.observe().await?.shape;
        Ok(())
    }
}

impl Held {
    /// Logs what is wrong once, and that it is over.
    fn note(&mut self, problem: Option<String>) {
        match &problem {
            Some(problem) if self.problem.as_ref() != Some(problem) => tracing::error!(%problem, "firewall_problem"),
            None if self.problem.is_some() => tracing::info!("the firewall's problem is over"),
            _ => {}
        }
        self.problem = problem;
    }

    fn view(&self, loaded: bool, problem: Option<String>, now: Timestamp) -> FirewallState {
        let Desired { generation, peers, management, bans, ssh_until, .. } = self.desired.clone();
        FirewallState {
            loaded,
            generation,
            peers,
            management,
            bans: bans.into_iter().filter(|ban| ban.until > now).collect(),
            ssh_until,
            drops: self.drops.iter().map(|(name, count)| (name.clone(), count.packets)).collect(),
            problem: problem.or_else(|| self.problem.clone()),
        }
    }
}

/// What was saved, or a fresh start and why. A box without its phone because of a damaged file helps nobody.
fn remembered(file: &StateFile, config: &Config) -> (Desired, Option<String>) {
    match file.load() {
        Ok(desired) => (desired.unwrap_or_else(|| Desired::new(&config.management.networks)), None),
        Err(error) => {
            tracing::error!(%error, "firewall_problem");
            (Desired::new(&config.management.networks), Some(error.to_string()))
        }
    }
}
