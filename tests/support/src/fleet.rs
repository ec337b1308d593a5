//! How do the parts keep running, and how do they all end?
//!
//! A part that dies is started again after a pause that grows while it keeps dying. A part with a file in
//! `run/hold/` is stopped and waits until the file goes. `run/pids.json` follows every change.

use crate::{
    child,
    data::DataDir,
    parts::{Name, Part},
};
use anyhow::{Context, bail};
use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;

const READY_LIMIT: Duration = Duration::from_secs(90);
const HOLD_POLL: Duration = Duration::from_millis(100);

/// All parts of one box.
pub struct Fleet {
    keepers: Vec<Keeper>,
    board: Arc<Board>,
    /// Some part was held back from the start: do not wait for those that lean on it.
    partial: bool,
}

struct Keeper {
    name: Name,
    log: PathBuf,
    stop: CancellationToken,
    task: JoinHandle<()>,
    ready: watch::Receiver<bool>,
}

impl Fleet {
    /// Starts everything but `without`, each part once the parts it leans on are ready.
    pub fn start(parts: Vec<Part>, data: &Arc<DataDir>, without: &[Name]) -> anyhow::Result<Self> {
        for part in &parts {
            hold(data, part.name, without.contains(&part.name))?;
        }
        let board = Arc::new(Board { data: data.clone(), pids: Mutex::default() });
        let absent = absent(&parts, without);
        let mut keepers: Vec<Keeper> = Vec::new();
        for part in parts {
            let after = keepers
                .iter()
                .filter(|keeper| part.after.contains(&keeper.name) && !absent.contains(&keeper.name))
                .map(|keeper| keeper.ready.clone())
                .collect();
            keepers.push(Keeper::start(part, after, board.clone()));
        }
        Ok(Self { keepers, board, partial: !without.is_empty() })
    }

    /// Returns when every part has said or shown that it is ready; names the first that does not.
    pub async fn ready(&self) -> anyhow::Result<()> {
        if self.partial {
            return Ok(());
        }
        let until = tokio::time::Instant::now() + READY_LIMIT;
        for keeper in &self.keepers {
            let mut ready = keeper.ready.clone();
            if tokio::time::timeout_at(until, ready.wait_for(|ready| *ready)).await.is_err() {
                bail!("{} is not ready after {READY_LIMIT:?}:\n{}", keeper.name.as_str(), tail(&keeper.log));
            }
        }
        Ok(())
    }

    pub fn pids(&self) -> BTreeMap<&'static str, u32> {
        self.board.pids()
    }

    /// Ends the parts one by one, last started first.
    pub async fn stop(&mut self) {
        for keeper in self.keepers.iter_mut().rev() {
            keeper.stop.cancel();
            if let Err(error) = (&mut keeper.task).await {
                eprintln!("box: {}: {error}", keeper.name.as_str());
            }
        }
    }
}

/// What is left out and the servers that cannot be ready without it: nobody waits for those.
fn absent(parts: &[Part], without: &[Name]) -> Vec<Name> {
    let mut absent = without.to_vec();
    for part in parts {
        if part.after.iter().any(|name| absent.contains(name)) {
            absent.push(part.name);
        }
    }
    absent
}

fn hold(data: &DataDir, name: Name, held: bool) -> anyhow::Result<()> {
    let path = data.hold(name.as_str());
    match held {
        true => std::fs::write(&path, ""),
        false if path.exists() => std::fs::remove_file(&path),
        false => Ok(()),
    }
    .with_context(|| format!("cannot change {}", path.display()))
}

fn tail(log: &PathBuf) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}

impl Keeper {
    fn start(part: Part, after: Vec<watch::Receiver<bool>>, board: Arc<Board>) -> Self {
        let (tell, ready) = watch::channel(false);
        let stop = CancellationToken::new();
        let (name, log) = (part.name, board.data.log(part.name.as_str()));
        let task = tokio::spawn({
            let stop = stop.clone();
            async move {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = all(after) => keep(part, board, stop.clone(), tell).await,
                }
            }
        });
        Self { name, log, stop, task, ready }
    }
}

async fn all(parts: Vec<watch::Receiver<bool>>) {
    for mut part in parts {
        // An error says that its keeper has ended: then all are ending.
        let _ = part.wait_for(|ready| *ready).await;
    }
}

/// How one life of a part ended.
enum End {
    Told,
    Held,
    Died(String),
}

async fn keep(part: Part, board: Arc<Board>, stop: CancellationToken, ready: watch::Sender<bool>) {
    let mut pause = Pause::default();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = board.held(part.name, false) => {}
        }
        let began = Instant::now();
        let end = live(&part, &board, &stop, &ready).await.unwrap_or_else(|error| End::Died(format!("{error:#}")));
        board.set(part.name, None);
        ready.send_replace(false);
        match end {
            End::Told => return,
            End::Held => eprintln!("box: {} is held back", part.name.as_str()),
            End::Died(how) => {
                let pause = pause.after(began.elapsed());
                let log = board.data.log(part.name.as_str());
                eprintln!("box: {} ended ({how}); again in {pause:?}; {}", part.name.as_str(), log.display());
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(pause) => {}
                }
            }
        }
    }
}

async fn live(
    part: &Part,
    board: &Board,
    stop: &CancellationToken,
    ready: &watch::Sender<bool>,
) -> anyhow::Result<End> {
    let inbox = part.probe.inbox()?;
    let mut child = child::spawn(part, &board.data)?;
    board.set(part.name, child.id());
    let watch_for_ready = async {
        if part.probe.ready(inbox.as_ref()).await.is_ok() {
            ready.send_replace(true);
        }
        std::future::pending::<()>().await;
    };
    let end = tokio::select! {
        status = child.wait() => return Ok(End::Died(child::describe(status))),
        () = stop.cancelled() => End::Told,
        () = board.held(part.name, true) => End::Held,
        () = watch_for_ready => End::Told,
    };
    child::end(part, &mut child).await;
    Ok(end)
}

/// 250 ms, doubled up to 8 s, back to the start after a life of 20 s.
#[derive(Default)]
struct Pause(u32);

impl Pause {
    fn after(&mut self, life: Duration) -> Duration {
        if life >= Duration::from_secs(20) {
            self.0 = 0;
        }
        let pause = Duration::from_millis(250 << self.0.min(5));
        self.0 += 1;
        pause
    }
}

/// Who runs under which process id.
struct Board {
    data: Arc<DataDir>,
    pids: Mutex<BTreeMap<&'static str, u32>>,
}

impl Board {
    fn pids(&self) -> BTreeMap<&'static str, u32> {
        self.pids.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, name: Name, pid: Option<u32>) {
        {
            let mut pids = self.pids.lock().unwrap_or_else(PoisonError::into_inner);
            match pid {
                Some(pid) => pids.insert(name.as_str(), pid),
                None => pids.remove(name.as_str()),
            };
        }
        let written = serde_json::to_string(&self.pids())
            .context("pids")
            .and_then(|text| self.data.write("run/pids.json", &text));
        if let Err(error) = written {
            eprintln!("box: {error:#}");
        }
    }

    /// Returns once the part is (or is no longer) held back.
    async fn held(&self, name: Name, wanted: bool) {
        let path = self.data.hold(name.as_str());
        while path.exists() != wanted {
            tokio::time::sleep(HOLD_POLL).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::Probe;

    fn part(name: Name, script: &str) -> Part {
        let args = ["-c", script].map(Into::into).into();
        Part { name, program: "sh".into(), args, env: vec![], probe: Probe::None, after: &[], second_sigterm: None }
    }

    fn place() -> (tempfile::TempDir, Arc<DataDir>) {
        let folder = tempfile::tempdir().unwrap();
        let data = DataDir::open(Some(folder.path())).unwrap();
        (folder, Arc::new(data))
    }

    /// Asks again until it holds; the limit makes a broken fleet fail the test.
    async fn until(what: &str, mut holds: impl FnMut() -> bool) {
        let limit = Instant::now() + Duration::from_secs(20);
        while !holds() {
            assert!(Instant::now() < limit, "never: {what}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    #[tokio::test]
    async fn a_part_that_dies_gets_a_new_process() {
        let (_folder, data) = place();
        let mut fleet = Fleet::start(vec![part(Name::Redis, "exec sleep 1000")], &data, &[]).unwrap();
        until("it runs", || fleet.pids().contains_key("redis")).await;
        let first = fleet.pids()["redis"];
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(first as i32), nix::sys::signal::SIGKILL).unwrap();
        until("a new process", || fleet.pids().get("redis").is_some_and(|pid| *pid != first)).await;
        fleet.stop().await;
        assert!(fleet.pids().is_empty());
    }

    #[tokio::test]
    async fn a_held_part_starts_when_it_is_released() {
        let (_folder, data) = place();
        let mut fleet = Fleet::start(vec![part(Name::Minio, "exec sleep 1000")], &data, &[Name::Minio]).unwrap();
        tokio::task::yield_now().await;
        assert!(fleet.pids().is_empty());
        std::fs::remove_file(data.hold("minio")).unwrap();
        until("it runs", || fleet.pids().contains_key("minio")).await;
        std::fs::write(data.hold("minio"), "").unwrap();
        until("it is held again", || fleet.pids().is_empty()).await;
        fleet.stop().await;
    }

    #[test]
    fn the_pause_grows_while_a_part_keeps_dying_and_shrinks_after_a_good_life() {
        let mut pause = Pause::default();
        let first = pause.after(Duration::ZERO);
        assert!(pause.after(Duration::ZERO) > first);
        for _ in 0..20 {
            pause.after(Duration::ZERO);
        }
        assert_eq!(pause.after(Duration::ZERO), Duration::from_secs(8));
        assert_eq!(pause.after(Duration::from_secs(60)), first);
    }
}
